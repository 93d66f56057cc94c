/**
 * What came in, in the platform's words: the head of a call and its body.
 *
 * Trusts nothing: a head that two readers could read differently is refused, the path is brought
 * into the form in which a service's URL parser will see it, and headers that speak of the
 * connection or that a client might forge are dropped or written anew.
 */
import type { IncomingMessage } from "node:http";
import { CytoError, type Headers } from "../kernel/index.ts";
import type { Identify, RequestIdentity } from "./identity.ts";

export interface Head {
  readonly host: string;
  /** Normalized, percent-encoded, without query; `*` for `OPTIONS *`. */
  readonly path: string;
  /** What follows the `?`. */
  readonly query: string;
  readonly url: string;
}

/** Fields that end at this hop, and those that the gateway writes itself. */
const NOT_PASSED: readonly string[] = [
  "connection",
  "expect",
  "forwarded",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "traceparent",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-request-id",
];

/** Fields that most requests have: looked up as they are written, they need not be lowered each time. */
const COMMON: readonly string[] = [
  "accept",
  "accept-encoding",
  "accept-language",
  "authorization",
  "cache-control",
  "content-length",
  "content-type",
  "cookie",
  "host",
  "if-none-match",
  "origin",
  "pragma",
  "referer",
  "sec-fetch-dest",
  "sec-fetch-mode",
  "sec-fetch-site",
  "user-agent",
];

/** Fields that frame, route or authenticate: a reader that acts on them has done so before the body. */
const HEADER_ONLY: ReadonlySet<string> = new Set(["authorization", "content-length", "cookie", "host"]);

/** Names as clients write them to the name that is passed on; empty for those that are not. */
const KNOWN: ReadonlyMap<string, string> = new Map([
  ...COMMON.flatMap((name) => spellings(name).map((spelling) => [spelling, name] as const)),
  ...NOT_PASSED.flatMap((name) => spellings(name).map((spelling) => [spelling, ""] as const)),
]);

const HOST = /^(\[[\da-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?$/;
const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;
const NOT_ASCII = /[^\x21-\x7e]/;
/** A path that a URL parser would write otherwise: dot segments, plain or escaped, and backslashes. */
const UNUSUAL = /\/\.|%2e|\\/i;

export function identityOf(req: IncomingMessage, identify: Identify): RequestIdentity {
  return identify(first(req.headers["x-request-id"]), first(req.headers.traceparent));
}

/** Where the request goes. `authority` is the gateway's own, for clients of HTTP/1.0 that name none. */
export function readHead(req: IncomingMessage, authority: string): Head {
  const encoding = req.headers["transfer-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "chunked")
    throw malformed("its transfer-encoding is not chunked", "Send the body chunked or with a content-length");

  let host = req.headers.host;
  let target = req.url ?? "";
  if (target.charCodeAt(0) !== 0x2f) {
    if (target === "*" && req.method === "OPTIONS") return { host: "", path: "*", query: "", url: "" };
    const absolute = ABSOLUTE.exec(target);
    if (absolute === null) throw malformed("its target is neither a path nor a URL", "Ask for /path");
    host = absolute[1]!;
    target = absolute[2]!.startsWith("/") ? absolute[2]! : `/${absolute[2]}`;
  }
  if (host === undefined) {
    if (req.httpVersion === "1.1") throw malformed("it has no host", "Send one Host header");
    host = authority;
  }
  if (!HOST.test(host)) throw malformed("its host is not a name or address", "Send one Host header: example.com:8080");

  if (NOT_ASCII.test(target)) throw malformed("its target is not plain ASCII", "Percent-encode other characters");
  const hash = target.indexOf("#");
  if (hash !== -1) target = target.slice(0, hash);
  const mark = target.indexOf("?");
  let path = mark === -1 ? target : target.slice(0, mark);
  const search = mark === -1 ? "" : target.slice(mark);
  if (UNUSUAL.test(path)) path = new URL(`http://host${path}`).pathname;
  return { host, path, query: search.slice(1), url: `http://${host}${path}${search}` };
}

/** The fields that go on to the service, and those that the gateway adds. */
export function readHeaders(req: IncomingMessage, head: Head, identity: RequestIdentity): Headers {
  const raw = req.rawHeaders;
  const fields: [string, string][] = [];
  const listed = connectionOptions(req.headers.connection);
  let hosts = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = KNOWN.get(raw[i]!) ?? lowered(raw[i]!);
    if (name === "host" && ++hosts > 1) throw malformed("it has two hosts", "Send one Host header");
    if (name === "" || listed?.includes(name)) continue;
    if (name === "tracestate" && !identity.continued) continue;
    fields.push([name, raw[i + 1]!]);
  }
  fields.push(
    ["x-request-id", identity.requestId],
    ["traceparent", identity.traceparent],
    ["x-forwarded-for", req.socket.remoteAddress ?? "unknown"],
    ["x-forwarded-host", head.host],
    ["x-forwarded-proto", "http"],
  );
  return fields;
}

/** How many bytes the body has: 0 for none, undefined when only its end will tell. */
export function bodyBytesOf(req: IncomingMessage): number | undefined {
  if (req.headers["transfer-encoding"] !== undefined) return undefined;
  const length = req.headers["content-length"];
  return length === undefined ? 0 : Number(length);
}

/** Calls `done` with all of a body once it is here; a client that leaves first is the exchange's matter. */
export function gatherBody(req: IncomingMessage, done: (body: Uint8Array) => void): void {
  const chunks: Uint8Array[] = [];
  req.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  req.on("end", () => done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
}

/** The body as it arrives, then its trailers. `onChunk` sees each chunk before the service does, and may throw. */
export async function* streamBody(
  req: IncomingMessage,
  onChunk: (bytes: number) => void,
): AsyncGenerator<Uint8Array, Headers> {
  // A service that stops reading still has its reply to give: the connection stays.
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    onChunk(chunk.byteLength);
    yield chunk;
  }
  return readTrailers(req.rawTrailers);
}

/** What came after the body, without what must stand before it (RFC 9110, 6.5.1). */
function readTrailers(raw: readonly string[]): Headers {
  const fields: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = KNOWN.get(raw[i]!) ?? lowered(raw[i]!);
    if (name !== "" && !HEADER_ONLY.has(name)) fields.push([name, raw[i + 1]!]);
  }
  return fields;
}

/** In lower case, and as titles are written: `content-type`, `Content-Type`. */
function spellings(name: string): string[] {
  return [name, name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase())];
}

/** A name in any other spelling. */
function lowered(spelling: string): string {
  const name = spelling.toLowerCase();
  return KNOWN.get(name) ?? name;
}

/** Names that `Connection` adds to the fields of this hop. */
function connectionOptions(value: string | undefined): readonly string[] | undefined {
  if (value === undefined || value === "keep-alive" || value === "close") return undefined;
  return value.split(",").map((option) => option.trim().toLowerCase());
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function malformed(state: string, hint: string): CytoError {
  return new CytoError("bad-request", `Cannot read the request: ${state}`, { hint: `${hint}.` });
}
