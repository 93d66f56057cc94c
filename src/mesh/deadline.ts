/**
 * Gives a call no longer than its policy and its caller allow. The caller is answered when the time
 * has come even if the callee never does; the callee hears of it through its signal.
 *
 * A caller's own signal already tells of its deadline, so that a policy that allows as long or
 * longer costs nothing here.
 */
import {
  type Call,
  type Clock,
  CytoError,
  type Deadline,
  type Deadlines,
  type Layer,
  UNSLOTTED,
} from "../kernel/index.ts";
import type { CallPolicy } from "./contract.ts";

export function deadline(policy: (call: Call) => CallPolicy, deadlines: Deadlines, clock: Clock): Layer {
  return (next) => (call) => {
    const { timeoutMs } = policy(call);
    if (timeoutMs === undefined) return next(call);
    const deadlineMs = clock.now() + timeoutMs;
    if (deadlineMs >= call.deadlineMs) return next(call);

    return new Promise((resolve, reject) => {
      const controller = new AbortController();
      const end = (reason: unknown): void => {
        leave();
        controller.abort(reason);
        reject(reason);
      };
      const gone = (): void => end(call.signal.reason);
      const entry: Deadline = {
        deadlineMs,
        slot: UNSLOTTED,
        expire: () =>
          end(new CytoError("deadline-exceeded", `Cannot wait for ${call.service}: it took ${timeoutMs} ms`)),
      };
      const leave = (): void => {
        deadlines.remove(entry);
        call.signal.removeEventListener("abort", gone);
      };
      if (call.signal.aborted) {
        gone();
        return;
      }
      deadlines.add(entry);
      call.signal.addEventListener("abort", gone, { once: true });
      next({ ...call, deadlineMs, signal: controller.signal }).then(
        (reply) => {
          // A body still streams: it ends with the caller, no longer with the policy.
          deadlines.remove(entry);
          if (reply.body === undefined || reply.body instanceof Uint8Array) leave();
          resolve(reply);
        },
        (thrown) => {
          leave();
          reject(thrown);
        },
      );
    });
  };
}
