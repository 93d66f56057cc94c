/**
 * What of a request's header goes on to the next one: fields between two ends, never those of one
 * connection; and the marks by which everything that one request causes is found again.
 */
import { type Call, type Headers, header } from "../kernel/index.ts";

/** Fields of one connection (RFC 9110, 7.6.1), and `host` and `expect`, which the sender sets anew. */
const perConnection: ReadonlySet<string> = new Set([
  "connection",
  "expect",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

const marks: ReadonlySet<string> = new Set(["x-request-id", "traceparent", "tracestate"]);

/** `headers` without the fields of their connection, names in lower case. */
export function endToEnd(headers: Headers): (readonly [name: string, value: string])[] {
  const named = namedByConnection(headers);
  const kept: (readonly [string, string])[] = [];
  for (const [written, value] of headers) {
    const name = written.toLowerCase();
    if (!perConnection.has(name) && !named?.includes(name)) kept.push([name, value]);
  }
  return kept;
}

/** The same, marked as caused by `parent`: its request id and trace replace what the guest wrote. */
export function causedBy(parent: Call | undefined, headers: Headers): Headers {
  const kept = endToEnd(headers);
  if (parent === undefined) return kept;
  const traceparent = header(parent.headers, "traceparent");
  const tracestate = traceparent && header(parent.headers, "tracestate");
  const caused = kept.filter(([name]) => !marks.has(name) || (traceparent === undefined && name !== "x-request-id"));
  caused.push(["x-request-id", parent.id]);
  if (traceparent !== undefined) caused.push(["traceparent", traceparent]);
  if (tracestate !== undefined) caused.push(["tracestate", tracestate]);
  return caused;
}

/** `Connection: x, y` makes `x` and `y` fields of the connection, too. */
function namedByConnection(headers: Headers): readonly string[] | undefined {
  let named: string[] | undefined;
  for (const [name, value] of headers) {
    if (name.length === 10 && name.toLowerCase() === "connection") {
      named = [...(named ?? []), ...value.split(",").map((word) => word.trim().toLowerCase())];
    }
  }
  return named;
}
