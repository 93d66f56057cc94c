/** The HTTP servers that programs of the suite send requests to, each on a free port of this machine. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Endpoint, ServerSpecification } from "./specification.ts";

export interface Endpoints extends AsyncDisposable {
  /** By the environment variable that tells the program: `HTTP_SERVER_MAIN` to `127.0.0.1:4711`. */
  readonly addresses: Readonly<Record<string, string>>;
}

export async function startEndpoints(specifications: readonly ServerSpecification[]): Promise<Endpoints> {
  const listening: Server[] = [];
  const addresses: Record<string, string> = {};
  for (const { name, kind, endpoints } of specifications) {
    const server = createServer((request, response) => void answer(endpoints, request, response));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    addresses[`HTTP_SERVER_${name.toUpperCase()}`] = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    if (kind === "listening") listening.push(server);
    else await close(server);
  }
  return {
    addresses,
    async [Symbol.asyncDispose]() {
      await Promise.all(listening.map(close));
    },
  };
}

async function close(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, "close");
}

async function answer(
  endpoints: readonly Endpoint[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = Buffer.concat(await request.toArray());
  response.shouldKeepAlive = false;
  const endpoint = endpoints.find(({ method, path }) => method === request.method && path === request.url);
  if (endpoint === undefined) {
    response.writeHead(404).end();
  } else if (endpoint.mode === "echo-body") {
    response.writeHead(200, { "content-length": body.length }).end(body);
  } else if (endpoint.mode === "echo-headers") {
    response.writeHead(200, echoOf(request)).end();
  } else {
    const { status, headers, body: text, chunks, trailers } = endpoint.response;
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.statusCode = status;
    if (chunks === undefined) {
      response.setHeader("content-length", Buffer.byteLength(text));
      response.end(text);
      return;
    }
    const named = Object.keys(trailers);
    if (named.length > 0) response.setHeader("trailer", named.join(", "));
    for (const chunk of chunks) response.write(chunk);
    response.addTrailers(trailers);
    response.end();
  }
}

/** The request's line, its fields and its trailers, as header fields; a repeated one is repeated. */
function echoOf({ method = "", url = "", rawHeaders, rawTrailers }: IncomingMessage): string[] {
  const pairsOf = (raw: readonly string[], prefix: string) =>
    raw.map((text, index) => (index % 2 === 0 ? `${prefix}${text.toLowerCase()}` : text));
  const line = ["x-request-method", method, "x-request-path", url];
  return [...line, ...pairsOf(rawHeaders, "x-echo-"), ...pairsOf(rawTrailers, "x-trailer-"), "content-length", "0"];
}
