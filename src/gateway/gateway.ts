/**
 * The front door: HTTP comes in, is given an id, a route and a deadline, and falls to the next
 * door as a call. Knows routes and that door, nothing else; see docs/gateway.md for what clients
 * and operators see.
 */
import { createDeadlines, limits } from "../kernel/index.ts";
import type { Gateway, GatewayOptions, GatewayParts } from "./contract.ts";
import { drain, trackSockets } from "./drain.ts";
import type { Door } from "./exchange.ts";
import { createIdentify } from "./identity.ts";
import { createListener, listen } from "./listener.ts";
import { createOutbox } from "./outbox.ts";
import { createRouter } from "./router.ts";

export const gatewayDefaults: GatewayOptions = {
  host: "127.0.0.1",
  port: 8080,
  reusePort: false,
  headerBytes: limits.headerBytes,
  headerTimeoutMs: limits.headerTimeoutMs,
  idleTimeoutMs: limits.idleTimeoutMs,
  connections: 10_000,
  drainTimeoutMs: 10_000,
  exposeErrors: false,
};

/** Answers requests once it settles. Throws `cannot-listen`, and `invalid-manifest` for routes that conflict. */
export async function createGateway(parts: GatewayParts): Promise<Gateway> {
  const { clock } = parts;
  const options = { ...gatewayDefaults, ...parts.options };
  const identify = createIdentify(parts.random);
  const door: Door = {
    clock,
    identify,
    deadlines: createDeadlines(clock),
    outbox: createOutbox(),
    exposeErrors: options.exposeErrors,
    authority: "",
    table: { router: createRouter(parts.routes), next: parts.next },
    draining: false,
    inFlight: new Set(),
    observe: parts.observe,
    closed: () => {
      if (door.draining) server.closeIdleConnections();
    },
  };
  const server = createListener(door, options);
  const sockets = trackSockets(server);

  const address = await listen(server, options, "gateway");
  door.authority = address.slice("http://".length);

  async function close(): Promise<void> {
    door.draining = true;
    await drain(server, sockets, clock, options.drainTimeoutMs);
  }

  let closing: Promise<void> | undefined;
  return {
    address,
    replace(routes, next) {
      door.table = { router: createRouter(routes), next };
    },
    close: () => (closing ??= close()),
  };
}
