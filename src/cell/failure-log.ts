/**
 * Why a call of a service failed, in the log: the message, the author's stack and the request id,
 * of which the caller was told no more than the id.
 *
 * A failure is logged where it happened, once, also when no client waits for it (a call between
 * services, an attempt that is repeated). Those that a request meets after its reply has begun
 * come up at the gateway, and are told from there.
 */
import { type Clock, CytoError, type ErrorCode, header, type Service, toCytoError } from "../kernel/index.ts";
import type { CellRecord } from "./contract.ts";

export interface FailureLog {
  /** The service's door, watched. */
  watch(service: string, door: Service, words: FailureWords): Service;
  /** A failure that a finished request met. */
  report(failure: CytoError, request: FailedRequest): void;
}

/** How a service's failures are told. */
export interface FailureWords {
  /** Rewrites a guest's stack in the author's files. */
  symbolise(stack: string): string;
  /** Takes the values of secrets out. */
  redact(text: string): string;
}

export interface FailedRequest {
  readonly service: string | undefined;
  readonly requestId: string;
  readonly traceparent: string | undefined;
}

/** Of the moment, not of the service; the access log tells of those that reached a client. */
const untold: ReadonlySet<ErrorCode> = new Set(["overloaded", "draining"]);
/** Where the service may not be at fault. */
const warnings: ReadonlySet<ErrorCode> = new Set(["deadline-exceeded", "call-loop"]);

export function createFailureLog(sink: (record: CellRecord) => void, clock: Clock): FailureLog {
  const told = new WeakSet<CytoError>();
  const wordsOf = new Map<string, FailureWords>();

  function report(failure: CytoError, { service, requestId, traceparent }: FailedRequest): void {
    const { code, status, message, hint } = failure;
    if (status < 500 || untold.has(code) || told.has(failure)) return;
    told.add(failure);
    const words = service === undefined ? undefined : wordsOf.get(service);
    const redact = words?.redact ?? ((text: string) => text);
    const stack = stackOf(failure, words);
    sink({
      time: clock.now(),
      level: warnings.has(code) ? "warn" : "error",
      kind: "failure",
      service,
      requestId,
      traceparent,
      message: redact(message),
      code,
      ...(hint !== undefined && { hint }),
      ...(stack !== undefined && { stack: redact(stack) }),
    });
  }

  return {
    report,
    watch(service, door, words) {
      wordsOf.set(service, words);
      return (call) => {
        const reply = door(call);
        reply.then(undefined, (thrown: unknown) => {
          report(toCytoError(thrown), {
            service,
            requestId: call.id,
            traceparent: header(call.headers, "traceparent"),
          });
        });
        return reply;
      };
    },
  };
}

/** Of a guest's own error in the author's files; of a trap the frames of the guest, without the platform's. */
function stackOf({ code, cause }: CytoError, words: FailureWords | undefined): string | undefined {
  if (!(cause instanceof Error) || cause instanceof CytoError || cause.stack === undefined) return undefined;
  if (code !== "instance-trapped") return words?.symbolise(cause.stack) ?? cause.stack;
  const frames = cause.stack.split("\n").filter((line) => line.includes("wasm"));
  return frames.length === 0 ? undefined : frames.join("\n");
}
