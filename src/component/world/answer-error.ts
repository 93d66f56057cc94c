/** Why a call was not answered, in the words of both worlds of wasi:http. */
import { type Call, CytoError, toCytoError } from "../../kernel/index.ts";
import { type ErrorCode, HttpFault } from "../wasi/http/error.ts";

/** The caller has gone; its own reason comes first. */
export function cancellation(call: Call): CytoError {
  const { reason } = call.signal;
  return reason instanceof CytoError
    ? reason
    : new CytoError("cancelled", `Cannot finish the call to service ${call.service}: the caller has gone`);
}

/** The guest's own words may hold anything: only the kind of its error is told. */
export function refusal(call: Call, error: ErrorCode): CytoError {
  return new CytoError("service-failed", `Cannot answer ${describe(call)}: the guest gave the error ${error.tag}`);
}

export function invalid(call: Call, why: string, cause?: unknown): CytoError {
  return new CytoError("invalid-reply", `Cannot answer ${describe(call)}: ${why}`, { cause });
}

export function toInvalid(call: Call, cause: unknown): CytoError {
  return cause instanceof HttpFault ? invalid(call, cause.message, cause) : toCytoError(cause, "invalid-reply");
}

export function describe(call: Call): string {
  return `a ${call.method} request with service ${call.service}`;
}
