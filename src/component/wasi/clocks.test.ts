import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Clock } from "../../kernel/index.ts";
import type { Grants } from "../contract.ts";
import { clocks } from "./clocks.ts";
import { poll } from "./io.ts";
import { createHostState, endState } from "./state.ts";

/** A clock that moves when it is told to. */
function manualClock() {
  const timers = new Map<() => void, number>();
  let nowMs = 0;
  const clock: Clock = {
    now: () => 1_700_000_000_123 + nowMs,
    monotonic: () => nowMs,
    cpu: () => nowMs,
    after(delayMs, action) {
      timers.set(action, nowMs + delayMs);
      return { [Symbol.dispose]: () => void timers.delete(action) };
    },
  };
  function move(ms: number): void {
    nowMs += ms;
    for (const [action, whenMs] of [...timers]) if (whenMs <= nowMs && timers.delete(action)) action();
  }
  return { clock, timers, move };
}

function hosts() {
  const time = manualClock();
  const state = createHostState({ service: "s" } as Grants);
  const { "wasi:clocks/monotonic-clock": monotonic, "wasi:clocks/wall-clock": wall } = clocks(time.clock, state);
  return { ...time, state, monotonic, wall };
}

describe("wasi:clocks", () => {
  test("tells the time of the clock it was given", () => {
    const { monotonic, wall, move } = hosts();
    move(1.5);
    assert.equal(monotonic.now(), 1_500_000n);
    assert.equal(wall.now().seconds, 1_700_000_000n);
    assert.ok(Math.abs(wall.now().nanoseconds - 124_500_000) < 1_000);
  });

  test("runs a timer only while somebody waits for it", async () => {
    const { monotonic, timers, move } = hosts();
    const late = monotonic.subscribeDuration(10_000_000n);
    const soon = monotonic.subscribeInstant(5_000_000n);
    assert.equal(timers.size, 0);
    const first = poll([late, soon]);
    assert.equal(timers.size, 2);
    move(5);
    assert.deepEqual(await first, Uint32Array.of(1));
    assert.equal(timers.size, 0);
    const second = late.block();
    move(5);
    await second;
    assert.equal(late.block(), undefined);
  });

  test("waits longer than one timer of the platform can", async () => {
    const { monotonic, move } = hosts();
    const month = 31 * 24 * 3_600_000;
    const waiting = monotonic.subscribeDuration(BigInt(month) * 1_000_000n).block() as Promise<undefined>;
    let over = false;
    waiting.then(() => {
      over = true;
    });
    move(2 ** 31);
    await new Promise(setImmediate);
    assert.equal(over, false);
    move(month);
    await waiting;
  });

  test("leaves no timer behind when the instance ends, and starts none after", () => {
    const { monotonic, timers, state } = hosts();
    monotonic.subscribeDuration(1_000_000n).block();
    assert.equal(timers.size, 1);
    endState(state);
    assert.equal(timers.size, 0);
    assert.throws(() => monotonic.subscribeDuration(1n), /the instance has ended/);
  });
});
