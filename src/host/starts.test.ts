import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type Clock, createSimulatedClock } from "../kernel/index.ts";
import { createStarts } from "./starts.ts";

describe("createStarts()", () => {
  test("lets so many begin at a time, and the others in their order", async () => {
    const starts = createStarts(createSimulatedClock(), { concurrent: 2, turnMs: 5 });
    const begun: number[] = [];
    const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
    const done = gates.map((gate, index) =>
      starts(async () => {
        begun.push(index);
        await gate.promise;
        return index;
      }),
    );
    assert.deepEqual(begun, [0, 1]);
    gates[1]?.resolve();
    await turn();
    assert.deepEqual(begun, [0, 1, 2]);
    gates[0]?.reject(new Error("it traps"));
    await assert.rejects(done[0]!, /it traps/);
    await turn();
    assert.deepEqual(begun, [0, 1, 2, 3]);
    gates[2]?.resolve();
    gates[3]?.resolve();
    assert.deepEqual(await Promise.all(done.slice(1)), [1, 2, 3]);
  });

  test("leaves the thread once the starts of one turn have taken their time", async () => {
    let workedMs = 0;
    const turns: (() => void)[] = [];
    const clock: Clock = {
      now: () => workedMs,
      monotonic: () => workedMs,
      cpu: () => workedMs,
      after(_delayMs, action) {
        turns.push(action);
        return { [Symbol.dispose]() {} };
      },
    };
    const starts = createStarts(clock, { concurrent: 100, turnMs: 5 });
    let begun = 0;
    const heavy = async () => {
      begun++;
      workedMs += 2;
    };
    const all = Promise.all(Array.from({ length: 7 }, () => starts(heavy)));
    await turn();
    assert.equal(begun, 3, "the third passes the five milliseconds");
    turns.shift()?.();
    assert.equal(begun, 6);
    turns.shift()?.();
    await all;
    assert.equal(begun, 7);
  });
});
