/** wasi:clocks over the clock that the cell was given. A timer runs only while somebody waits for it. */
import type { Clock } from "../../kernel/index.ts";
import { Pollable, Waitable } from "./io.ts";
import { assertLive, type HostState } from "./state.ts";

export function clocks(clock: Clock, state: HostState) {
  const now = (): bigint => BigInt(Math.round(clock.monotonic() * 1e6));
  const subscribe = (whenMs: number): Pollable => {
    assertLive(state);
    return new Pollable(new Timer(clock, state, whenMs));
  };
  return {
    "wasi:clocks/monotonic-clock": {
      now,
      resolution: () => 1_000n,
      subscribeInstant: (when: bigint) => subscribe(Number(when) / 1e6),
      subscribeDuration: (duration: bigint) => subscribe(clock.monotonic() + Number(duration) / 1e6),
    },
    "wasi:clocks/wall-clock": {
      now: () => toDatetime(clock.now()),
      resolution: () => ({ seconds: 0n, nanoseconds: 1_000_000 }),
    },
  };
}

export interface Datetime {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

function toDatetime(epochMs: number): Datetime {
  const seconds = Math.floor(epochMs / 1_000);
  return { seconds: BigInt(seconds), nanoseconds: Math.floor((epochMs - seconds * 1_000) * 1e6) };
}

/** Timers of the platform end early past this; a longer wait is made of several. */
const longestDelayMs = 2 ** 31 - 1;

class Timer extends Waitable implements Disposable {
  readonly #clock: Clock;
  readonly #state: HostState;
  readonly #whenMs: number;
  #running: Disposable | undefined;

  constructor(clock: Clock, state: HostState, whenMs: number) {
    super();
    this.#clock = clock;
    this.#state = state;
    this.#whenMs = whenMs;
  }

  override ready(): boolean {
    return this.#clock.monotonic() >= this.#whenMs;
  }

  override watch(wake: () => void): void {
    super.watch(wake);
    if (this.#running !== undefined) return;
    const delayMs = Math.ceil(Math.max(this.#whenMs - this.#clock.monotonic(), 0));
    this.#running = this.#clock.after(Math.min(delayMs, longestDelayMs), () => {
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
