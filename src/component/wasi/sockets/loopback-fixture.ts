/** For the tests of sockets: the hosts of one instance, which may do everything unless the test says, on loopback. */
import { once } from "node:events";
import net from "node:net";
import { systemClock } from "../../../kernel/index.ts";
import type { Grants, SocketGrants, StreamReader, StreamSource } from "../../contract.ts";
import { sockets } from "../sockets.ts";
import { createHostState, endState } from "../state.ts";
import type { Family, IpSocketAddress } from "./address.ts";

export const families = ["ipv4", "ipv6"] as const;

export function openHosts(given: Partial<SocketGrants> = {}) {
  const permitted = () => undefined;
  const lines: string[] = [];
  const granted: SocketGrants = {
    sockets: 16,
    bind: permitted,
    listen: permitted,
    connect: permitted,
    resolve: permitted,
    resolved: permitted,
    ...given,
  };
  const log = (level: string, context: string, message: string) => lines.push(`${level} ${context}: ${message}`);
  const state = createHostState({ service: "s", clock: systemClock, sockets: granted, log } as unknown as Grants);
  return {
    hosts: sockets(state),
    lines,
    held: () => state.open.size,
    [Symbol.dispose]: () => endState(state),
  };
}

export function loopback(family: Family, port = 0): IpSocketAddress {
  return family === "ipv4"
    ? { tag: "ipv4", val: { port, address: [127, 0, 0, 1] } }
    : { tag: "ipv6", val: { port, flowInfo: 0, address: [0, 0, 0, 0, 0, 0, 0, 1], scopeId: 0 } };
}

export function address(family: Family, parts: readonly number[], port = 0): IpSocketAddress {
  return family === "ipv4"
    ? { tag: "ipv4", val: { port, address: parts } }
    : { tag: "ipv6", val: { port, flowInfo: 0, address: parts, scopeId: 0 } };
}

export const portOf = ({ val }: IpSocketAddress): number => val.port;

/** A stream of a guest's, in memory. */
export function streamOf(chunks: Iterable<Uint8Array>): StreamReader<Uint8Array> & { disposed: boolean } {
  const iterator = chunks[Symbol.iterator]();
  return {
    disposed: false,
    read() {
      const next = iterator.next();
      return next.done ? undefined : next.value;
    },
    [Symbol.dispose]() {
      this.disposed = true;
    },
    async *[Symbol.asyncIterator]() {
      yield* chunks;
    },
  };
}

/** All of what a stream for a guest brings. */
export async function collect(source: StreamSource<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await source.pull(); chunk !== undefined; chunk = await source.pull()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A server of the platform's; `onConnection` has each connection as it comes in. */
export async function serve(onConnection: (socket: net.Socket) => void) {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  return { port, [Symbol.dispose]: () => void server.close() };
}

/** Goes on with the loop of events until it holds; the test's own deadline bounds it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
