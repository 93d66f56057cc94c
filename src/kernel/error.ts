/**
 * The one error type, and the catalogue of its codes.
 *
 * Errors rise unchanged from where they happen to the edge that words them (HTTP, WIT, command
 * line). A message reads "Cannot <act> <thing>: <present state>"; `hint` says what to do about it.
 * Neither ever holds a secret.
 */

/** What a caller may do about it: nothing, ask again, or ask another instance. */
export type Retry = "never" | "same" | "elsewhere";

interface CatalogEntry {
  /** The HTTP status at the gateway. */
  readonly status: number;
  readonly retry: Retry;
  /** One short line, the same for every occurrence (the `title` of RFC 9457). */
  readonly title: string;
}

export const catalog = {
  "bad-request": { status: 400, retry: "never", title: "The request is malformed" },
  "not-permitted": { status: 403, retry: "never", title: "The call is not permitted" },
  "no-route": { status: 404, retry: "never", title: "No route matches" },
  "method-not-allowed": { status: 405, retry: "never", title: "The route does not take this method" },
  "request-timeout": { status: 408, retry: "never", title: "The request did not arrive in time" },
  "body-too-large": { status: 413, retry: "never", title: "The body is too large" },
  "header-too-large": { status: 431, retry: "never", title: "The header is too large" },
  "call-loop": { status: 508, retry: "never", title: "The call went round in a loop" },
  cancelled: { status: 499, retry: "never", title: "The caller has gone" },
  "service-failed": { status: 500, retry: "never", title: "The service failed" },
  "invalid-reply": { status: 502, retry: "never", title: "The service gave an invalid reply" },
  "no-reply": { status: 502, retry: "never", title: "The service gave no reply" },
  "instance-trapped": { status: 502, retry: "elsewhere", title: "The instance trapped" },
  "cpu-exceeded": { status: 502, retry: "never", title: "The call used up its CPU time" },
  "memory-exceeded": { status: 502, retry: "never", title: "The call used up the memory" },
  "upstream-failed": { status: 502, retry: "same", title: "The upstream failed" },
  "no-service": { status: 503, retry: "never", title: "The service is not deployed" },
  overloaded: { status: 503, retry: "elsewhere", title: "The service is overloaded" },
  draining: { status: 503, retry: "elsewhere", title: "The host is shutting down" },
  "backend-unavailable": { status: 503, retry: "same", title: "A backend is unavailable" },
  "deadline-exceeded": { status: 504, retry: "never", title: "The deadline has passed" },
  "storage-corrupt": { status: 500, retry: "never", title: "The storage is damaged" },
  "storage-full": { status: 507, retry: "never", title: "The storage is full" },
  "invalid-component": { status: 500, retry: "never", title: "The component is invalid" },
  "unbound-import": { status: 500, retry: "never", title: "An import is not bound" },
  "invalid-manifest": { status: 500, retry: "never", title: "The manifest is invalid" },
  "build-failed": { status: 500, retry: "never", title: "The build failed" },
  "missing-secret": { status: 500, retry: "never", title: "A secret is missing" },
  "cannot-listen": { status: 500, retry: "never", title: "The listener cannot open" },
  internal: { status: 500, retry: "never", title: "The platform failed" },
} as const satisfies Record<string, CatalogEntry>;

export type ErrorCode = keyof typeof catalog;

export interface ErrorDetail {
  readonly cause?: unknown;
  /** What to do about it, as a sentence. */
  readonly hint?: string;
  /** For `overloaded` and `draining`: when to come back, in seconds. */
  readonly retryAfterS?: number;
}

export class CytoError extends Error {
  override readonly name = "CytoError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryAfterS: number | undefined;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, "cause" in detail ? { cause: detail.cause } : undefined);
    this.code = code;
    this.hint = detail.hint;
    this.retryAfterS = detail.retryAfterS;
  }

  get retry(): Retry {
    return catalog[this.code].retry;
  }

  get status(): number {
    return catalog[this.code].status;
  }
}

/** Any thrown value as a CytoError; one that is already keeps its identity. */
export function toCytoError(thrown: unknown, code: ErrorCode = "internal"): CytoError {
  if (thrown instanceof CytoError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new CytoError(code, message, { cause: thrown });
}
