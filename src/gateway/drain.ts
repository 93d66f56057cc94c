/**
 * Leaving without dropping anyone: the listener closes, connections that carry no request go at
 * once, those that do are told `connection: close` with their reply, and whatever is still there
 * after the drain time is cut off.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../kernel/index.ts";

/** Connections of a server, for `drain` to find those on which nothing was ever asked. */
export function trackSockets(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}

/** Settles when the last connection has gone. */
export async function drain(
  server: Server,
  sockets: ReadonlySet<Socket>,
  clock: Clock,
  timeoutMs: number,
): Promise<void> {
  await new Promise<void>((resolve) => {
    const cutOff = clock.after(timeoutMs, () => server.closeAllConnections());
    server.close(() => {
      cutOff[Symbol.dispose]();
      resolve();
    });
    // To node a connection on which nothing has come yet is waiting for its first request.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  });
}
