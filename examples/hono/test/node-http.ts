/** Serves anything that has a `fetch` on node:http: the reference that the suite is proved on. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

interface App {
  fetch(request: Request): Response | Promise<Response>;
}

export async function serveOnNode(app: App): Promise<{ readonly address: string; close(): Promise<void> }> {
  const server = createServer((incoming, outgoing) => {
    answer(app, incoming, outgoing).catch((error: unknown) => outgoing.destroy(error as Error));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function answer(app: App, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const headers = new Headers();
  for (const [name, values] of Object.entries(incoming.headersDistinct))
    for (const value of values ?? []) headers.append(name, value);
  const hasBody = incoming.method !== "GET" && incoming.method !== "HEAD";
  const reply = await app.fetch(
    new Request(`http://${incoming.headers.host}${incoming.url}`, {
      method: incoming.method!,
      headers,
      ...(hasBody ? { body: Readable.toWeb(incoming), duplex: "half" } : {}),
    } as RequestInit),
  );
  outgoing.statusCode = reply.status;
  outgoing.setHeaders(reply.headers);
  if (reply.body && incoming.method !== "HEAD") await pipeline(Readable.fromWeb(reply.body as never), outgoing);
  else outgoing.end();
}
