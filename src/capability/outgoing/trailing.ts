/**
 * Requests whose header announces trailers (RFC 9110, 6.6.2). The client that sends all others has no
 * way to write them, so these few go over Node's own. Their body is sent in chunks, whatever length
 * was said, and the trailers that its last step brings come after it.
 */
import * as http from "node:http";
import * as https from "node:https";
import { type Headers, trailersOf } from "../../kernel/index.ts";
import { endToEnd } from "../headers.ts";

export interface TrailingOptions {
  readonly headerBytes: number;
  readonly connectTimeoutMs: number;
  readonly connections: number;
  readonly ca: string | undefined;
}

export interface TrailingRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  /** The names that its header announces. */
  readonly announced: string;
  readonly body: AsyncIterable<Uint8Array, unknown>;
  readonly signal: AbortSignal;
  /** Told when the request has a connection. */
  connected(): void;
}

export interface Trailing extends Disposable {
  /** Settles with the head of the reply; rejects with what Node or the body says. */
  send(request: TrailingRequest): Promise<http.IncomingMessage>;
}

export function createTrailing({ headerBytes, connectTimeoutMs, connections, ca }: TrailingOptions): Trailing {
  const settings = { keepAlive: true, maxSockets: connections };
  const plain = new http.Agent(settings);
  const secure = new https.Agent({ ...settings, ...(ca !== undefined && { ca }) });

  return {
    send({ url, method, headers, announced, body, signal, connected }) {
      return new Promise((resolve, reject) => {
        const options = { method, signal, maxHeaderSize: headerBytes };
        const request =
          url.protocol === "https:"
            ? https.request(url, { ...options, agent: secure })
            : http.request(url, { ...options, agent: plain });
        request.on("error", (error) => reject(signal.aborted ? signal.reason : error));
        request.on("response", resolve);
        try {
          for (const [name, value] of headers) if (name !== "content-length") request.appendHeader(name, value);
          request.setHeader("trailer", announced);
        } catch (thrown) {
          request.destroy(thrown as Error);
          return;
        }
        boundConnect(request, connectTimeoutMs, connected);
        write(request, body).catch((thrown) => request.destroy(thrown as Error));
      });
    },
    [Symbol.dispose]() {
      plain.destroy();
      secure.destroy();
    },
  };
}

function boundConnect(request: http.ClientRequest, connectTimeoutMs: number, connected: () => void): void {
  request.once("socket", (socket) => {
    if (!socket.connecting) {
      connected();
      return;
    }
    socket.once("connect", connected);
    const late = setTimeout(() => {
      request.destroy(Object.assign(new Error("connect timed out"), { code: "ETIMEDOUT" }));
    }, connectTimeoutMs);
    for (const event of ["connect", "close"]) socket.once(event, () => clearTimeout(late));
  });
}

/** At the pace of the connection; a body that fails fails the request. */
async function write(request: http.ClientRequest, body: AsyncIterable<Uint8Array, unknown>): Promise<void> {
  const steps = body[Symbol.asyncIterator]();
  let next = await steps.next();
  for (; !next.done && !request.destroyed; next = await steps.next()) {
    if (!request.write(next.value)) await drained(request);
  }
  if (!next.done || request.destroyed) return;
  const trailers = trailersOf(next);
  if (trailers !== undefined)
    request.addTrailers(endToEnd(trailers).map(([name, value]): [string, string] => [name, value]));
  request.end();
}

function drained(request: http.ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      request.off("drain", done);
      request.off("close", done);
      resolve();
    };
    request.on("drain", done);
    request.on("close", done);
  });
}
