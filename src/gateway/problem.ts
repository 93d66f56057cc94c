/**
 * A failure in HTTP's words: problem+json of RFC 9457.
 *
 * A client is told the message and hint of failures that are about its own request. Of a failure
 * inside it learns the kind and the request id, unless errors are exposed: messages never hold
 * secrets, but services and backends are nobody else's business.
 */
import type { CytoError, ErrorCode, Headers, Reply } from "../kernel/index.ts";
import { catalog } from "../kernel/index.ts";

export interface Occurrence {
  readonly requestId: string;
  /** The path asked for; empty when it could not be read. */
  readonly path: string;
  readonly exposeErrors: boolean;
}

/** A reply that is all at hand. */
export interface WholeReply extends Reply {
  readonly body: Uint8Array;
}

/** Codes whose message speaks of the request or of the moment, not of what is behind the gateway. */
const TOLD: ReadonlySet<ErrorCode> = new Set([
  "bad-request",
  "no-route",
  "method-not-allowed",
  "request-timeout",
  "body-too-large",
  "header-too-large",
  "overloaded",
  "draining",
  "deadline-exceeded",
]);

const RETRY_AFTER_S = 1;

export function toProblem(error: CytoError, occurrence: Occurrence, headers: Headers = []): WholeReply {
  const told = occurrence.exposeErrors || TOLD.has(error.code);
  const body = {
    type: `urn:cytoplane:error:${error.code}`,
    title: catalog[error.code].title,
    status: error.status,
    detail: told ? error.message : `The log tells more under request id ${occurrence.requestId}`,
    instance: occurrence.path === "" ? undefined : occurrence.path,
    code: error.code,
    requestId: occurrence.requestId,
    hint: told ? error.hint : undefined,
  };
  const fields: [string, string][] = [
    ["content-type", "application/problem+json"],
    ["cache-control", "no-store"],
  ];
  if (error.status === catalog.overloaded.status)
    fields.push(["retry-after", String(error.retryAfterS ?? RETRY_AFTER_S)]);
  return { status: error.status, headers: [...fields, ...headers], body: Buffer.from(JSON.stringify(body)) };
}
