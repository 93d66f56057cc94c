/** wasi:clocks over the clock that the cell was given. A timer runs only while somebody waits for it. */
import type { Clock } from "../../kernel/index.ts";
import { Pollable, Waitable } from "./io.ts";
import { assertLive, type HostState } from "./state.ts";

export function clocks(clock: Clock, state: HostState) {
  const now = () => monotonicNs(clock);
  const subscribe = (whenNs: bigint): Pollable => {
    assertLive(state);
    return new Pollable(new Timer(clock, state, whenNs));
  };
  return {
    "wasi:clocks/monotonic-clock": {
      now,
      resolution: () => resolutionNs,
      subscribeInstant: subscribe,
      subscribeDuration: (duration: bigint) => subscribe(now() + duration),
    },
    "wasi:clocks/wall-clock": {
      now: () => toDatetime(clock.now()),
      resolution: () => ({ seconds: 0n, nanoseconds: 1_000_000 }),
    },
  };
}

/** Of the monotonic clock. */
export const resolutionNs = 1_000n;

export function monotonicNs(clock: Clock): bigint {
  return BigInt(Math.round(clock.monotonic() * 1e6));
}

/** Rings once, when `whenNs` has come and never before it. */
export function alarm(clock: Clock, whenNs: bigint, ring: () => void): Disposable {
  let timer = wait();
  function wait(): Disposable {
    const delayMs = Math.ceil(Math.max(Number(whenNs - monotonicNs(clock)) / 1e6, 0));
    // The platform's timers may be early by a part of a millisecond.
    return clock.after(Math.min(delayMs, longestDelayMs), () => {
      if (monotonicNs(clock) >= whenNs) ring();
      else timer = wait();
    });
  }
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

/** Timers of the platform end early past this; a longer wait is made of several. */
const longestDelayMs = 2 ** 31 - 1;

/** A time-out in nanoseconds as a timer takes it: none ends before it should, and weeks are for ever. */
export function toTimerMs(durationNs: bigint | undefined): number | undefined {
  return durationNs === undefined ? undefined : Math.min(Math.ceil(Number(durationNs) / 1e6), longestDelayMs);
}

export interface Datetime {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

export function toDatetime(epochMs: number): Datetime {
  const seconds = Math.floor(epochMs / 1_000);
  return { seconds: BigInt(seconds), nanoseconds: Math.floor((epochMs - seconds * 1_000) * 1e6) };
}

class Timer extends Waitable implements Disposable {
  readonly #clock: Clock;
  readonly #state: HostState;
  readonly #whenNs: bigint;
  #running: Disposable | undefined;

  constructor(clock: Clock, state: HostState, whenNs: bigint) {
    super();
    this.#clock = clock;
    this.#state = state;
    this.#whenNs = whenNs;
  }

  override ready(): boolean {
    return monotonicNs(this.#clock) >= this.#whenNs;
  }

  override watch(wake: () => void): void {
    super.watch(wake);
    if (this.#running !== undefined) return;
    this.#running = alarm(this.#clock, this.#whenNs, () => {
      this.#stop();
      this.wake();
    });
    this.#state.open.add(this);
  }

  override unwatch(wake: () => void): void {
    super.unwatch(wake);
    if (!this.watched) this.#stop();
  }

  /** The instance ends: whoever waits is never woken. */
  [Symbol.dispose](): void {
    this.#stop();
  }

  #stop(): void {
    this.#running?.[Symbol.dispose]();
    this.#running = undefined;
    this.#state.open.delete(this);
  }
}
