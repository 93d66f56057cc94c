/**
 * Names for a request: its id, and its place in a distributed trace (W3C Trace Context).
 *
 * A client's `x-request-id` is kept when it is short and plain; a client's valid `traceparent` goes
 * on with a new parent id, so that the gateway is a step of the trace. Where both are absent the
 * request id is the trace id: one string finds everything.
 */
import { hex, type Random } from "../kernel/index.ts";

export interface RequestIdentity {
  readonly requestId: string;
  readonly traceparent: string;
  /** Whether the client's trace goes on; if not, its `tracestate` means nothing. */
  readonly continued: boolean;
}

export type Identify = (requestId: string | undefined, traceparent: string | undefined) => RequestIdentity;

const PLAIN_ID = /^[\w.:/+=@~-]{1,128}$/;
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-([\da-f]{2})(-.*)?$/;
const SAMPLED = "01";

/** Chance is drawn in pages: one draw of a few bytes costs as much as one of thousands. */
const PAGE_BYTES = 4096;
/** In hexadecimal digits. */
const TRACE_ID_DIGITS = 32;
const SPAN_ID_DIGITS = 16;

export function createIdentify(random: Random): Identify {
  let page = "";
  let used = 0;

  function draw(digits: number): string {
    if (used + digits > page.length) {
      page = hex(random.bytes(PAGE_BYTES));
      used = 0;
    }
    used += digits;
    return page.slice(used - digits, used);
  }

  return (givenId, givenTrace) => {
    const parent = givenTrace === undefined ? null : TRACEPARENT.exec(givenTrace);
    const continued = parent !== null && (parent[3] === undefined || !givenTrace!.startsWith("00"));
    const traceId = continued ? parent[1]! : draw(TRACE_ID_DIGITS);
    const traceparent = `00-${traceId}-${draw(SPAN_ID_DIGITS)}-${continued ? parent[2]! : SAMPLED}`;
    const sane = givenId !== undefined && PLAIN_ID.test(givenId);
    return { requestId: sane ? givenId : continued ? draw(TRACE_ID_DIGITS) : traceId, traceparent, continued };
  };
}
