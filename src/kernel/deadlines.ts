/**
 * Many deadlines on one timer.
 *
 * A call that ends in time, which is nearly every call, costs a push and a pop instead of a timer
 * of its own. The timer stands at the earliest deadline, but never further away than
 * `LOOK_AGAIN_MS`, and is gone soon after the last entry: what is idle holds none. A deadline is
 * never early, and late by no more than `GRAIN_MS` and what the timer itself is late.
 */
import type { Clock } from "./clock.ts";

/** Something that must be over by a time. `slot` belongs to the deadlines it was added to. */
export interface Deadline {
  readonly deadlineMs: number;
  slot: number;
  /** Called once, when the time has come and it was not removed before. */
  expire(): void;
}

export interface Deadlines {
  add(entry: Deadline): void;
  /** Forgets `entry`; one that is not in here is left alone. */
  remove(entry: Deadline): void;
  readonly size: number;
}

/** The `slot` of an entry that is in no deadlines. */
export const UNSLOTTED = -1;

const LOOK_AGAIN_MS = 250;
const GRAIN_MS = 5;

export function createDeadlines(clock: Clock): Deadlines {
  const entries: Deadline[] = [];
  let timer: Disposable | undefined;
  /** When the timer fires; `Infinity` while there is none. */
  let nextMs = Number.POSITIVE_INFINITY;

  function arm(dueMs: number, earliestMs: number): void {
    const now = clock.now();
    timer?.[Symbol.dispose]();
    nextMs = Math.min(Math.max(dueMs, now + earliestMs), now + LOOK_AGAIN_MS);
    timer = clock.after(nextMs - now, sweep);
  }

  function sweep(): void {
    timer = undefined;
    nextMs = Number.POSITIVE_INFINITY;
    const now = clock.now();
    const due = entries.filter((entry) => entry.deadlineMs <= now);
    for (const entry of due) {
      // One that was due may have been removed by the expiry of another.
      if (entry.slot === UNSLOTTED) continue;
      remove(entry);
      entry.expire();
    }
    let earliest = Number.POSITIVE_INFINITY;
    for (const entry of entries) earliest = Math.min(earliest, entry.deadlineMs);
    if (entries.length > 0) arm(earliest, GRAIN_MS);
  }

  function remove(entry: Deadline): void {
    if (entry.slot === UNSLOTTED) return;
    const last = entries.pop()!;
    if (last !== entry) {
      entries[entry.slot] = last;
      last.slot = entry.slot;
    }
    entry.slot = UNSLOTTED;
  }

  return {
    add(entry) {
      entry.slot = entries.push(entry) - 1;
      if (nextMs - entry.deadlineMs > GRAIN_MS) arm(entry.deadlineMs, 0);
    },
    remove,
    get size() {
      return entries.length;
    },
  };
}
