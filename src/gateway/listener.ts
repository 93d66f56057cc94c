/**
 * The socket side of the gateway: opens a `node:http` server, sets its limits, and answers what
 * never became a request.
 *
 * Parsing is node's, in its strict mode: what two parsers could read differently (both framings,
 * folded fields, bare line feeds) is refused. Such a refusal is written to the raw socket, after
 * the replies to requests that came before it on the connection, and closes it.
 */
import { createServer, type Server, STATUS_CODES } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { CytoError, type ErrorCode } from "../kernel/index.ts";
import type { GatewayOptions } from "./contract.ts";
import { type Door, Exchange } from "./exchange.ts";
import { toProblem, type WholeReply } from "./problem.ts";

export function createListener(door: Door, options: GatewayOptions): Server {
  const server = createServer({
    maxHeaderSize: options.headerBytes,
    headersTimeout: options.headerTimeoutMs,
    // A body may take as long as it keeps moving: that is the idle timeout's matter.
    requestTimeout: 0,
    connectionsCheckingInterval: Math.max(1, Math.min(1_000, Math.ceil(options.headerTimeoutMs / 4))),
    // One idle time holds within and between requests; a second would be set and reset for each.
    keepAliveTimeout: 0,
    insecureHTTPParser: false,
    // Refused as a problem instead of an empty 400.
    requireHostHeader: false,
    // Requests without a body need none of a stream's machinery.
    optimizeEmptyRequests: true,
  });
  server.timeout = options.idleTimeoutMs;
  server.maxConnections = options.connections;
  // The header is bounded in bytes; a bound in fields would drop the rest unseen.
  server.maxHeadersCount = 0;

  server.on("request", (req, res) => new Exchange(door, req, res, false).start());
  server.on("checkContinue", (req, res) => new Exchange(door, req, res, true).start());
  server.on("checkExpectation", (req, res) => new Exchange(door, req, res, false).start());
  server.on("connect", (_req, socket) => {
    const error = new CytoError("method-not-allowed", "Cannot CONNECT: the gateway is no proxy");
    refuse(door, socket as Socket, error);
  });
  server.on("clientError", (thrown: NodeJS.ErrnoException, socket) => {
    onMalformed(door, options, thrown, socket as Socket);
  });
  server.on("timeout", (socket) => onIdle(door, options, socket));
  return server;
}

/** Where a server listens. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly reusePort?: boolean;
}

/** Opens `server`; `what` names it in the error when it cannot. */
export async function listen(server: Server, { host, port, reusePort = false }: Place, what: string): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (thrown: NodeJS.ErrnoException) => reject(cannotListen(thrown, host, port, what)));
    server.listen({ host, port, reusePort }, resolve);
  });
  server.removeAllListeners("error");
  const { address, port: bound, family } = server.address() as AddressInfo;
  return `http://${family === "IPv6" ? `[${address}]` : address}:${bound}`;
}

function cannotListen(thrown: NodeJS.ErrnoException, host: string, port: number, what: string): CytoError {
  const [state, hint] =
    thrown.code === "EADDRINUSE"
      ? [
          "another process listens there",
          `Pick another port, or 0 for any that is free; \`lsof -i :${port}\` tells who has it.`,
        ]
      : thrown.code === "EACCES"
        ? ["this user may not open the port", "Ports below 1024 need a privilege; pick a higher one."]
        : thrown.code === "EADDRNOTAVAIL" || thrown.code === "ENOTFOUND"
          ? ["this machine has no such address", "Use 127.0.0.1 for this machine alone, 0.0.0.0 for all its addresses."]
          : [thrown.message, "Pick another host or port."];
  return new CytoError("cannot-listen", `Cannot open the ${what} on ${host} port ${port}: ${state}`, {
    hint,
    cause: thrown,
  });
}

/** A connection has not moved for the idle time. Only a client's fault ends it. */
function onIdle(door: Door, options: GatewayOptions, socket: Socket): void {
  const exchanges = on(door, socket);
  if (exchanges.length === 0) socket.destroy();
  for (const exchange of exchanges) {
    if (exchange.clientStalls === "reading") socket.destroy();
    else if (exchange.clientStalls === "sending") {
      const state = `it has not moved for ${options.idleTimeoutMs} ms`;
      failLast(exchange, new CytoError("request-timeout", `Cannot read the body: ${state}`));
    }
  }
}

function onMalformed(door: Door, options: GatewayOptions, thrown: NodeJS.ErrnoException, socket: Socket): void {
  const error = wordsFor(thrown, options);
  const last = on(door, socket).at(-1);
  if (error === undefined || !socket.writable) socket.destroy();
  else if (last === undefined) refuse(door, socket, error);
  // The body of the request in hand is what is malformed; nothing after it can be read.
  else if (!last.req.complete) failLast(last, error);
  else last.res.once("close", () => refuse(door, socket, error));
}

/** Fails a request after which nothing more can be read from its connection. */
function failLast(exchange: Exchange, error: CytoError): void {
  exchange.fail(error);
  exchange.res.once("finish", () => exchange.req.socket.destroySoon());
}

/** What the parser found, or undefined when the connection itself has failed. */
function wordsFor(thrown: NodeJS.ErrnoException, options: GatewayOptions): CytoError | undefined {
  const problem = (code: ErrorCode, message: string, hint?: string) =>
    new CytoError(code, message, { cause: thrown, ...(hint === undefined ? {} : { hint }) });
  switch (thrown.code) {
    case "HPE_HEADER_OVERFLOW":
      return problem("header-too-large", `Cannot read the header: it is longer than ${options.headerBytes} bytes`);
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return problem("body-too-large", "Cannot read the body: its chunk extensions are too long");
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return problem(
        "request-timeout",
        `Cannot read the header: it did not arrive within ${options.headerTimeoutMs} ms`,
      );
    case "HPE_INVALID_EOF_STATE":
      return problem("bad-request", "Cannot read the request: it ends too early");
  }
  if (thrown.code?.startsWith("HPE_") !== true) return undefined;
  const reason = (thrown as { reason?: string }).reason ?? thrown.message;
  return problem("bad-request", `Cannot read the request: ${reason}`, "Send HTTP/1.1 as of RFC 9112.");
}

/** Answers on the bare socket, counts it as a request, and closes. */
function refuse(door: Door, socket: Socket, error: CytoError): void {
  const { requestId, traceparent } = door.identify(undefined, undefined);
  const reply = toProblem(error, { requestId, path: "", exposeErrors: door.exposeErrors }, [
    ["x-request-id", requestId],
  ]);
  socket.end(toBytes(reply));
  door.observe({
    requestId,
    traceparent,
    method: "",
    path: "",
    host: "",
    route: undefined,
    service: undefined,
    status: error.status,
    error: error.code,
    failure: error,
    durationMs: 0,
    bytesIn: 0,
    bytesOut: reply.body.byteLength,
    remoteAddress: socket.remoteAddress ?? "",
  });
  // It will not be read on, so nothing else would notice the client closing its side.
  socket.once("finish", () => socket.destroySoon());
}

function toBytes(reply: WholeReply): Uint8Array {
  const { body } = reply;
  const fields = [...reply.headers, ["content-length", body.byteLength], ["connection", "close"]];
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status]}\r\n${lines}\r\n`), body]);
}

function on(door: Door, socket: Socket): Exchange[] {
  return [...door.inFlight].filter((exchange) => exchange.req.socket === socket);
}
