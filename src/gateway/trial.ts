/** A gateway on free ports in front of one service, for tests: what was observed, and raw sockets to it. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type Reply, type Service, systemClock, systemRandom } from "../kernel/index.ts";
import type { Access, Gateway, GatewayOptions, GatewayParts, Route } from "./contract.ts";
import { createGateway } from "./gateway.ts";

export interface Trial extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly url: string;
  readonly observed: Access[];
  /** The next access that is observed, or the one observed last if it is newer than the last asked for. */
  access(): Promise<Access>;
  /** Sends bytes on a connection of their own and collects what comes back until it is closed. */
  raw(...parts: (string | Uint8Array)[]): Promise<string>;
  socket(): Promise<Socket>;
}

export function routeTo(declared: string, changes: Partial<Route> = {}): Route {
  const [method, path] = declared.split(" ") as [string, string];
  return {
    id: declared,
    service: "trial",
    methods: [method],
    path,
    query: {},
    headers: {},
    priority: 0,
    timeoutMs: 10_000,
    bodyBytes: 1024 * 1024,
    ...changes,
  };
}

export function textReply(text: string, status = 200): Reply {
  return { status, headers: [["content-type", "text/plain"]], body: Buffer.from(text) };
}

export async function startTrial(
  next: Service,
  routes: readonly Route[] = [routeTo("GET /hello"), routeTo("POST /echo")],
  options: Partial<GatewayOptions> = {},
  parts: Partial<GatewayParts> = {},
): Promise<Trial> {
  const observed: Access[] = [];
  const waiting: ((access: Access) => void)[] = [];
  let told = 0;
  const gateway = await createGateway({
    routes,
    next,
    clock: systemClock,
    random: systemRandom,
    observe(access) {
      observed.push(access);
      const waiter = waiting.shift();
      if (waiter === undefined) return;
      told++;
      waiter(access);
    },
    options: { port: 0, drainTimeoutMs: 2_000, ...options },
    ...parts,
  });
  const { port, hostname } = new URL(gateway.address);

  async function socket(): Promise<Socket> {
    const client = connect(Number(port), hostname);
    await once(client, "connect");
    return client;
  }

  return {
    gateway,
    url: gateway.address,
    observed,
    access: () =>
      told < observed.length
        ? Promise.resolve(observed[told++]!)
        : new Promise<Access>((resolve) => waiting.push(resolve)),
    async raw(...parts) {
      const client = await socket();
      const chunks: Buffer[] = [];
      client.on("data", (chunk) => chunks.push(chunk as Buffer));
      // A refused client may be cut off while it still sends; what it received is what counts.
      client.on("error", () => {});
      for (const part of parts) client.write(part);
      await once(client, "close");
      return Buffer.concat(chunks).toString("latin1");
    },
    socket,
    [Symbol.asyncDispose]: () => gateway.close(),
  };
}
