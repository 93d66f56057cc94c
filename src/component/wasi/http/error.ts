/** Failures in the words of wasi:http: the variant `error-code`, to and from what the platform throws. */
import { type ErrorCode as Code, CytoError } from "../../../kernel/index.ts";
import type { IoError } from "../io.ts";

export interface ErrorCode {
  readonly tag: string;
  readonly val?: unknown;
}

/** A failure of a body that has an `error-code` of its own. */
export class HttpFault extends Error {
  override readonly name = "HttpFault";
  readonly errorCode: ErrorCode;

  constructor(errorCode: ErrorCode, message: string) {
    super(message);
    this.errorCode = errorCode;
  }
}

const byCode: Partial<Record<Code, ErrorCode>> = {
  "bad-request": { tag: "HTTP-request-URI-invalid" },
  "not-permitted": { tag: "HTTP-request-denied" },
  "body-too-large": { tag: "HTTP-request-body-size" },
  "header-too-large": { tag: "HTTP-request-header-section-size" },
  "call-loop": { tag: "loop-detected" },
  cancelled: { tag: "connection-terminated" },
  "invalid-reply": { tag: "HTTP-protocol-error" },
  "no-service": { tag: "destination-not-found" },
  overloaded: { tag: "destination-unavailable" },
  draining: { tag: "destination-unavailable" },
  "deadline-exceeded": { tag: "HTTP-response-timeout" },
};

/** What the system and the HTTP client call the ways a connection fails. */
const bySystemCode: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: { tag: "connection-refused" },
  ECONNRESET: { tag: "connection-terminated" },
  EPIPE: { tag: "connection-terminated" },
  UND_ERR_SOCKET: { tag: "connection-terminated" },
  ETIMEDOUT: { tag: "connection-timeout" },
  UND_ERR_CONNECT_TIMEOUT: { tag: "connection-timeout" },
  UND_ERR_HEADERS_TIMEOUT: { tag: "HTTP-response-timeout" },
  UND_ERR_BODY_TIMEOUT: { tag: "connection-read-timeout" },
  EHOSTUNREACH: { tag: "destination-IP-unroutable" },
  ENETUNREACH: { tag: "destination-IP-unroutable" },
  ENOTFOUND: { tag: "DNS-error", val: { rcode: "NXDOMAIN", infoCode: undefined } },
  EAI_AGAIN: { tag: "DNS-timeout" },
  CERT_HAS_EXPIRED: { tag: "TLS-certificate-error" },
  DEPTH_ZERO_SELF_SIGNED_CERT: { tag: "TLS-certificate-error" },
  SELF_SIGNED_CERT_IN_CHAIN: { tag: "TLS-certificate-error" },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: { tag: "TLS-certificate-error" },
  ERR_TLS_CERT_ALTNAME_INVALID: { tag: "TLS-certificate-error" },
};

export function toErrorCode(thrown: unknown): ErrorCode {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 6; error = error.cause, depth++) {
    if (error instanceof HttpFault) return error.errorCode;
    const known = error instanceof CytoError ? byCode[error.code] : undefined;
    if (known !== undefined) return known;
    const systemCode = "code" in error ? bySystemCode[String(error.code)] : undefined;
    if (systemCode !== undefined) return systemCode;
  }
  return { tag: "internal-error", val: thrown instanceof Error ? thrown.message : undefined };
}

/** `http-error-code`: the code of a failed body stream, if it was one of HTTP. */
export function httpErrorCode(error: IoError): ErrorCode | undefined {
  return error.cause instanceof HttpFault || error.cause instanceof CytoError ? toErrorCode(error.cause) : undefined;
}
