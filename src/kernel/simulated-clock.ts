/** A clock that stands still until it is moved: time for tests and for simulations. */
import type { Clock } from "./clock.ts";

export interface SimulatedClock extends Clock {
  /** Moves on, running every timer that falls due, in order. */
  advance(ms: number): void;
  readonly timers: number;
}

export function createSimulatedClock(): SimulatedClock {
  let nowMs = 0;
  const timers = new Set<{ readonly atMs: number; readonly action: () => void }>();
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    cpu: () => nowMs,
    after(delayMs, action) {
      const timer = { atMs: nowMs + delayMs, action };
      timers.add(timer);
      return { [Symbol.dispose]: () => timers.delete(timer) };
    },
    advance(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        const due = [...timers].filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (due === undefined) break;
        timers.delete(due);
        nowMs = due.atMs;
        due.action();
      }
      nowMs = endMs;
    },
    get timers() {
      return timers.size;
    },
  };
}
