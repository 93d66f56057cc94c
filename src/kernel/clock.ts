/** Time comes in as an argument, so that a whole cell can run on a simulated one. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds that never run backwards, for measuring. */
  monotonic(): number;
  /** Milliseconds that this thread has computed. */
  cpu(): number;
  /** Runs `action` once after `delayMs`; disposing the timer first prevents it. */
  after(delayMs: number, action: () => void): Disposable;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  cpu() {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  },
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
