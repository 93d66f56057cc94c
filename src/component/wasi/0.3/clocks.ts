/** wasi:clocks 0.3 over the clock that the cell was given. */
import type { Clock } from "../../../kernel/index.ts";
import type { AsyncCall } from "../../contract.ts";
import { alarm, monotonicNs, resolutionNs, toDatetime } from "../clocks.ts";

export function clocks(clock: Clock) {
  return {
    "wasi:clocks/monotonic-clock@0.3": {
      now: () => monotonicNs(clock),
      getResolution: () => resolutionNs,
      waitUntil: (when: bigint, call: AsyncCall) => waitUntil(clock, when, call),
      waitFor: (howLong: bigint, call: AsyncCall) => waitUntil(clock, monotonicNs(clock) + howLong, call),
    },
    "wasi:clocks/system-clock@0.3": {
      now: () => toDatetime(clock.now()),
      getResolution: () => 1_000_000n,
    },
  };
}

/** Answers at once where there is nothing to wait for. A timer runs no longer than somebody waits for it. */
function waitUntil(clock: Clock, whenNs: bigint, call: AsyncCall): undefined | Promise<undefined> {
  if (monotonicNs(clock) >= whenNs) return undefined;
  const { signal } = call;
  return new Promise((resolve) => {
    const done = () => resolve(undefined);
    const running = alarm(clock, whenNs, () => {
      signal.removeEventListener("abort", cancel);
      done();
    });
    const cancel = (): void => {
      running[Symbol.dispose]();
      done();
    };
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
  });
}
