/**
 * Why a call of a service failed, in the log: the message, the author's stack and the request id,
 * of which the caller was told no more than the id.
 *
 * Neither the log nor the caller is told the value of a secret that the service was given.
 *
 * A failure is logged where it happened, once, also when no client waits for it (a call between
 * services, an attempt that is repeated). Those that a request meets after its reply has begun
 * come up at the gateway, and are told from there.
 */
import type { Access } from "../gateway/index.ts";
import { type Clock, CytoError, type ErrorCode, header, type Service, toCytoError } from "../kernel/index.ts";
import type { CellRecord } from "./contract.ts";

export interface FailureLog {
  /** The service's door, watched. */
  watch(service: string, door: Service, words: FailureWords): Service;
  /** A finished request: the failure that it met is told, and comes back without secrets. */
  review(access: Access): Access;
}

/** How a service's failures are told. */
export interface FailureWords {
  /** Rewrites a guest's stack in the author's files. */
  symbolise(stack: string): string;
  /** Takes the values of secrets out. */
  redact(text: string): string;
}

interface FailedRequest {
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

  const wordsFor = (service: string | undefined) => wordsOf.get(service ?? "") ?? asTheyAre;

  function report(failure: CytoError, { service, requestId, traceparent }: FailedRequest): void {
    const { code, status, message, hint } = failure;
    if (status < 500 || untold.has(code) || told.has(failure)) return;
    told.add(failure);
    const { symbolise, redact } = wordsFor(service);
    const stack = stackOf(failure, symbolise);
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
    review(access) {
      const { failure, service } = access;
      if (failure === undefined) return access;
      report(failure, access);
      return { ...access, failure: withoutSecrets(failure, wordsFor(service)) };
    },
    watch(service, door, words) {
      wordsOf.set(service, words);
      return (call) =>
        door(call).then(undefined, (thrown: unknown) => {
          const failure = toCytoError(thrown);
          const traceparent = header(call.headers, "traceparent");
          report(failure, { service, requestId: call.id, traceparent });
          // Whoever called is told no secret either: a client, while developing, or another service.
          const clean = withoutSecrets(failure, words);
          told.add(clean);
          throw clean;
        });
    },
  };
}

const asTheyAre: FailureWords = { symbolise: (stack) => stack, redact: (text) => text };

/** The same failure where there is nothing to take out. */
function withoutSecrets(failure: CytoError, { redact }: FailureWords): CytoError {
  const { code, message, hint, retryAfterS } = failure;
  const clean = redact(message);
  if (clean === message) return failure;
  return new CytoError(code, clean, {
    ...(hint !== undefined && { hint }),
    ...(retryAfterS !== undefined && { retryAfterS }),
  });
}

/** In the author's files. Of a trap only the frames of the guest, without the platform's. */
function stackOf({ cause }: CytoError, symbolise: FailureWords["symbolise"]): string | undefined {
  if (!(cause instanceof Error) || cause instanceof CytoError) return undefined;
  const { stack = "", message } = cause;
  if (stack === message) return undefined;
  const frames = stack.split("\n").filter((line) => line.includes("wasm://"));
  return symbolise(frames.length === 0 ? stack : frames.join("\n")) || undefined;
}
