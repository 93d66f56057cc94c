/**
 * A service's reply onto the wire.
 *
 * A reply is trusted no more than a request: a status, field or length that HTTP does not allow
 * becomes `invalid-reply`, never a crash or a garbled connection. Framing is the gateway's: it
 * counts the bytes and writes content-length itself; a service's own is believed only where there
 * is nothing to count (HEAD, 304), and held to where a stream was promised to have it.
 */
import { type ServerResponse, validateHeaderName, validateHeaderValue } from "node:http";
import { CytoError, type Headers, header, type Reply, trailersOf } from "../kernel/index.ts";

/** Fields of this hop, and those that the gateway writes itself. */
const NOT_PASSED: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-request-id",
]);

const DIGITS = /^\d{1,15}$/;

/** Up to this length a body is cheaper to write joined to the head, as one string, than beside it. */
const JOINED_BYTES = 1024;

/** How a reply's head is written for one request. */
export interface ReplyContext {
  readonly res: ServerResponse;
  readonly method: string;
  readonly requestId: string;
  /** Whether this is the connection's last reply. */
  readonly last: boolean;
  /** Aborted once something else was answered, or nobody is there to be answered. */
  readonly signal: AbortSignal;
}

/**
 * Writes all of a reply whose body is at hand or absent, and tells the bytes of the body sent.
 * Throws `invalid-reply` while nothing has been sent.
 */
export function writeWhole(context: ReplyContext, reply: Reply, body: Uint8Array | undefined): number {
  const { res, method } = context;
  checkStatus(reply.status);
  if (isBodiless(reply.status)) {
    writeHead(context, reply, reply.status === 304 ? declaredBytes(reply.headers) : undefined);
    res.end();
    return 0;
  }
  const bytes = body === undefined ? 0 : body.byteLength;
  if (method === "HEAD") {
    writeHead(context, reply, bytes === 0 ? declaredBytes(reply.headers) : bytes);
    res.end();
    return 0;
  }
  writeHead(context, reply, bytes);
  if (body === undefined || bytes === 0) res.end();
  else if (bytes <= JOINED_BYTES) res.end(asBuffer(body).toString("latin1"), "latin1");
  else res.end(body);
  return bytes;
}

/**
 * Writes a reply whose body comes chunk by chunk; no chunk is pulled before the last one was taken.
 * The head goes out with the first chunk, or when that is not here within a turn of the event loop.
 * Throws when the body fails, or is not as long as promised; `onChunk` is told of all sent.
 */
export async function writeStream(
  context: ReplyContext,
  reply: Reply,
  body: AsyncIterator<Uint8Array, unknown>,
  onChunk: (bytes: number) => void,
): Promise<void> {
  const { res, signal } = context;
  checkStatus(reply.status);
  checkFields(reply.headers);
  const promised = declaredBytes(reply.headers);
  const pending = body.next();
  const early = setImmediate(() => {
    if (signal.aborted) return;
    writeHead(context, reply, promised);
    res.flushHeaders();
  });
  let sent = 0;
  let next: IteratorResult<Uint8Array, unknown>;
  try {
    next = await pending;
  } finally {
    clearImmediate(early);
  }
  if (!signal.aborted && !res.headersSent) writeHead(context, reply, promised);
  for (; !signal.aborted && !next.done; next = await body.next()) {
    const bytes = next.value.byteLength;
    if (bytes === 0) continue;
    sent += bytes;
    if (promised !== undefined && sent > promised) throw invalid(`its body is longer than its content-length`);
    onChunk(bytes);
    if (!res.write(next.value)) await drained(res);
  }
  if (signal.aborted) return;
  if (promised !== undefined && sent < promised) throw invalid(`its body is shorter than its content-length`);
  if (next.done) writeTrailers(res, trailersOf(next));
  res.end();
}

/** Only a chunked body has a place for them (RFC 9112, 7.1.2): elsewhere they end here, as they may. */
function writeTrailers(res: ServerResponse, trailers: Headers | undefined): void {
  if (trailers === undefined || !res.chunkedEncoding) return;
  checkFields(trailers);
  const passed = trailers.filter(([name]) => !NOT_PASSED.has(name.toLowerCase()));
  res.addTrailers(passed.map(([name, value]): [string, string] => [name, value]));
}

/** Whether a reply of this status has no body, whatever the service gave. */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}

function writeHead(context: ReplyContext, reply: Reply, contentBytes: number | undefined): void {
  const fields: string[] = [];
  for (const [name, value] of reply.headers) {
    if (!NOT_PASSED.has(name.toLowerCase())) fields.push(name, value);
  }
  fields.push("x-request-id", context.requestId);
  if (contentBytes !== undefined) fields.push("content-length", String(contentBytes));
  else if (context.res.useChunkedEncodingByDefault) announceTrailers(reply, fields);
  if (context.last) fields.push("connection", "close");
  try {
    // Node forgets that a reply may have a body before it looks at the fields.
    if (isBodiless(reply.status)) checkFields(reply.headers);
    context.res.writeHead(reply.status, fields);
  } catch (thrown) {
    context.res.statusMessage = "";
    throw thrown instanceof CytoError ? thrown : invalidField(thrown);
  }
}

/** What a service says that will come after its body; believed only where the body is sent in chunks. */
function announceTrailers({ status, headers }: Reply, fields: string[]): void {
  const named = header(headers, "trailer");
  if (named !== undefined && !isBodiless(status)) fields.push("trailer", named);
}

function checkStatus(status: number): void {
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw invalid(`its status ${status} is not from 200 to 599`);
}

function checkFields(headers: Headers): void {
  try {
    for (const [name, value] of headers) {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    }
  } catch (thrown) {
    throw invalidField(thrown);
  }
}

/** The content-length that the service gave, if it is one. */
function declaredBytes(headers: Headers): number | undefined {
  const value = header(headers, "content-length");
  if (value === undefined) return undefined;
  if (!DIGITS.test(value)) throw invalid(`its content-length is not a number`);
  return Number(value);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      res.off("drain", done);
      res.off("close", done);
      resolve();
    };
    res.on("drain", done);
    res.on("close", done);
  });
}

function invalidField(thrown: unknown): CytoError {
  return invalid(`a header field is not valid: ${(thrown as Error).message}`, thrown);
}

function invalid(state: string, cause?: unknown): CytoError {
  return new CytoError("invalid-reply", `Cannot send the service's reply: ${state}`, { cause });
}
