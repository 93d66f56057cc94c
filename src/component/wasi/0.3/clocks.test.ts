import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createSimulatedClock, systemRandom } from "../../../kernel/index.ts";
import { clocks } from "./clocks.ts";
import { random } from "./random.ts";

const call = (signal = new AbortController().signal) => ({ signal });

describe("wasi:clocks 0.3", () => {
  test("waits for a duration or a mark, and not at all for one that has come", async () => {
    const clock = createSimulatedClock();
    const { "wasi:clocks/monotonic-clock@0.3": monotonic, "wasi:clocks/system-clock@0.3": system } = clocks(clock);
    assert.equal(monotonic.waitUntil(0n, call()), undefined);
    assert.equal(monotonic.waitFor(0n, call()), undefined);
    const start = monotonic.now();
    const waiting = Promise.all([
      monotonic.waitFor(5_000_000n, call()),
      monotonic.waitUntil(start + 3_000_000n, call()),
    ]);
    let over = false;
    void waiting.then(() => {
      over = true;
    });
    clock.advance(4);
    await Promise.resolve();
    assert.equal(over, false);
    clock.advance(1);
    await waiting;
    assert.equal(monotonic.now() - start, 5_000_000n);
    const { seconds, nanoseconds } = system.now();
    assert.equal(Number(seconds) * 1_000 + nanoseconds / 1e6, clock.now());
  });

  test("waits no shorter than asked where the platform's timers are early, and as long as 300 years", async () => {
    let nowMs = 0;
    const timers: { readonly delayMs: number; readonly action: () => void }[] = [];
    const { "wasi:clocks/monotonic-clock@0.3": monotonic } = clocks({
      now: () => 0,
      monotonic: () => nowMs,
      cpu: () => nowMs,
      after(delayMs, action) {
        timers.push({ delayMs, action });
        return { [Symbol.dispose]: () => {} };
      },
    });
    const waiting = monotonic.waitFor(2_000_000n, call());
    nowMs = 1.5;
    timers.shift()!.action();
    assert.equal(timers.length, 1, "it goes on waiting");
    nowMs = 2;
    timers.shift()!.action();
    await waiting;
    void monotonic.waitFor(10n ** 19n, call());
    assert.ok(timers[0]!.delayMs < 2 ** 31);
  });

  test("lets go of its timer when the call is cancelled", async () => {
    const clock = createSimulatedClock();
    const { "wasi:clocks/monotonic-clock@0.3": monotonic } = clocks(clock);
    const cancel = new AbortController();
    const waiting = monotonic.waitFor(10n ** 12n, call(cancel.signal));
    cancel.abort();
    await waiting;
    await monotonic.waitFor(10n ** 12n, call(AbortSignal.abort()));
    assert.equal(clock.timers, 0);
  });
});

describe("wasi:random 0.3", () => {
  test("gives fewer bytes than asked for rather than none, and one seed", () => {
    const hosts = random(systemRandom);
    const { getRandomBytes } = hosts["wasi:random/random@0.3"];
    assert.equal(getRandomBytes(0n).length, 0);
    assert.equal(getRandomBytes(33n).length, 33);
    const most = getRandomBytes(2n ** 60n).length;
    assert.ok(most > 0 && most < 2 ** 30);
    const { getInsecureSeed } = hosts["wasi:random/insecure-seed@0.3"];
    assert.deepEqual(getInsecureSeed(), getInsecureSeed());
  });
});
