/**
 * Repeats a call that failed where repeating is safe and may help: the method is idempotent, the
 * body is at hand, the error says that another try can succeed, and there is time. Between attempts
 * it waits, twice as long each time, by a random part (full jitter), so that callers do not return
 * in step.
 */
import { type Call, type Clock, CytoError, fraction, type Layer, type Random, type Reply } from "../kernel/index.ts";
import type { CallPolicy } from "./contract.ts";

const idempotent = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]);
const backoffMs = { first: 25, longest: 1_000 };

export function retry(policy: (call: Call) => CallPolicy, clock: Clock, random: Random): Layer {
  return (next) => (call) => {
    const { attempts = 1 } = policy(call);
    const repeatable = idempotent.has(call.method) && (call.body === undefined || call.body instanceof Uint8Array);
    if (attempts <= 1 || !repeatable) return next(call);

    async function attempt(): Promise<Reply> {
      for (let tried = 1; ; tried++) {
        try {
          return await next(call);
        } catch (thrown) {
          if (tried >= attempts || !(thrown instanceof CytoError) || thrown.retry === "never") throw thrown;
          const delayMs = Math.min(backoffMs.first * 2 ** (tried - 1), backoffMs.longest) * fraction(random);
          if (call.signal.aborted || clock.now() + delayMs >= call.deadlineMs) throw thrown;
          await pause(delayMs, call, clock);
        }
      }
    }
    return attempt();
  };
}

/** Settles after the delay; rejects when the caller goes meanwhile. */
function pause(delayMs: number, call: Call, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => {
      timer[Symbol.dispose]();
      reject(call.signal.reason);
    };
    const timer = clock.after(delayMs, () => {
      call.signal.removeEventListener("abort", gone);
      resolve();
    });
    call.signal.addEventListener("abort", gone, { once: true });
  });
}
