/** What goes wrong between here and a host outside, in the platform's words. */
import { CytoError } from "../../kernel/index.ts";

export function toUpstreamError(thrown: unknown, host: string): CytoError {
  if (thrown instanceof CytoError) return thrown;
  const code = codeOf(thrown);
  if (code === "UND_ERR_MAX_ORIGINS_REACHED") {
    return new CytoError("overloaded", `Cannot call ${host}: too many other hosts are being called`, { cause: thrown });
  }
  if (requestFaults.has(code)) {
    return new CytoError("bad-request", `Cannot send the request to ${host}: ${messageOf(thrown)}`, { cause: thrown });
  }
  return new CytoError("upstream-failed", `Cannot call ${host}: ${states[code] ?? stateOf(thrown)}`, {
    cause: thrown,
  });
}

/** Faults of the request itself, found before or while it is sent. */
const requestFaults: ReadonlySet<string> = new Set([
  "UND_ERR_INVALID_ARG",
  "UND_ERR_NOT_SUPPORTED",
  "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH",
]);

const states: Readonly<Record<string, string>> = {
  ECONNREFUSED: "it refuses connections",
  ECONNRESET: "the connection broke off",
  EPIPE: "the connection broke off",
  EHOSTUNREACH: "there is no way to it",
  ENETUNREACH: "there is no way to it",
  ENOTFOUND: "its name is not known",
  EAI_AGAIN: "its name cannot be looked up now",
  ETIMEDOUT: "it does not answer",
  UND_ERR_CONNECT_TIMEOUT: "it does not take connections in time",
  UND_ERR_SOCKET: "the connection broke off",
  UND_ERR_HEADERS_OVERFLOW: "the header of its reply is larger than headerBytes",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "its reply is larger than what is taken",
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: "its reply has another length than it said",
  UND_ERR_DESTROYED: "the service is shutting down",
  UND_ERR_CLOSED: "the service is shutting down",
};

function stateOf(thrown: unknown): string {
  if (thrown instanceof Error && thrown.name === "HTTPParserError") return `its reply is not HTTP (${thrown.message})`;
  return messageOf(thrown);
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
