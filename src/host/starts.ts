/**
 * The starts of all pools of a host, kept from coming all at once: an instance is made on the host's
 * own thread, and a storm of them would hold up every call.
 *
 * Always true: at most `concurrent` are under way; once those of one turn of the event loop have taken
 * `turnMs`, the next waits for another turn; they begin in the order in which they were asked for.
 */
import type { Clock } from "../kernel/index.ts";

export type Starts = <T>(start: () => Promise<T>) => Promise<T>;

export interface StartBounds {
  readonly concurrent: number;
  readonly turnMs: number;
}

const standard: StartBounds = { concurrent: 8, turnMs: 5 };

export function createStarts(clock: Clock, { concurrent, turnMs }: StartBounds = standard): Starts {
  const waiting: (() => void)[] = [];
  let running = 0;
  let spentMs = 0;
  let turning = false;

  function next(): void {
    while (running < concurrent && spentMs < turnMs && waiting.length > 0) waiting.shift()!();
  }

  async function run<T>(start: () => Promise<T>): Promise<T> {
    running++;
    const beganMs = clock.monotonic();
    // What it does before it first waits is what holds the thread.
    const started = start();
    spentMs += clock.monotonic() - beganMs;
    if (spentMs > 0 && !turning) {
      turning = true;
      clock.after(0, () => {
        turning = false;
        spentMs = 0;
        next();
      });
    }
    try {
      return await started;
    } finally {
      running--;
      next();
    }
  }

  return (start) => {
    if (running < concurrent && spentMs < turnMs && waiting.length === 0) return run(start);
    return new Promise((resolve) => waiting.push(() => resolve(run(start))));
  };
}
