/**
 * Ports that several threads listen on. The system would let another process of the same user in as
 * well, and spread requests over strangers; so whoever shares a port first makes sure that nobody has it.
 */
import { createServer } from "node:http";
import { listen, type Place } from "./listener.ts";

/** Throws `cannot-listen` when somebody listens there, sharing or not. */
export async function requireFreePort({ host, port }: Place): Promise<void> {
  const server = createServer();
  await listen(server, { host, port }, "gateway");
  await new Promise((resolve) => server.close(resolve));
}

/** Elsewhere a port has one listener, or several of which one gets all connections. */
export function canSharePorts(platform: NodeJS.Platform): boolean {
  return platform === "linux" || platform === "freebsd" || platform === "aix" || platform === "sunos";
}
