import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createDeadlines, type Deadline, UNSLOTTED } from "./deadlines.ts";
import { createSimulatedClock } from "./simulated-clock.ts";

describe("createDeadlines()", () => {
  test("expires each entry once, never early, at most a grain late, unless it was removed", () => {
    const entry = fc.record({
      addMs: fc.nat(2_000),
      waitMs: fc.nat(3_000),
      removeMs: fc.option(fc.nat(3_000), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 30 }), (plans) => {
        const clock = createSimulatedClock();
        const deadlines = createDeadlines(clock);
        const expired = new Map<number, number[]>();
        plans.forEach((plan, index) => {
          const deadline: Deadline = {
            deadlineMs: plan.addMs + plan.waitMs,
            slot: UNSLOTTED,
            expire: () => expired.set(index, [...(expired.get(index) ?? []), clock.now()]),
          };
          clock.after(plan.addMs, () => deadlines.add(deadline));
          if (plan.removeMs !== undefined) clock.after(plan.addMs + plan.removeMs, () => deadlines.remove(deadline));
        });
        clock.advance(6_000);
        plans.forEach((plan, index) => {
          const dueMs = plan.addMs + plan.waitMs;
          const times = expired.get(index) ?? [];
          const removedMs = plan.removeMs === undefined ? Number.POSITIVE_INFINITY : plan.addMs + plan.removeMs;
          if (removedMs < dueMs) assert.deepEqual(times, []);
          if (removedMs > dueMs + 5) assert.equal(times.length, 1);
          for (const time of times) assert.ok(time >= dueMs && time <= dueMs + 5, `due ${dueMs}, expired ${time}`);
        });
        assert.equal(deadlines.size, 0);
        assert.equal(clock.timers, 0, "an idle clock holds no timer");
      }),
    );
  });

  test("an entry added by another's expiry is kept to as well", () => {
    const clock = createSimulatedClock();
    const deadlines = createDeadlines(clock);
    const seen: number[] = [];
    const second: Deadline = { deadlineMs: 30, slot: UNSLOTTED, expire: () => seen.push(clock.now()) };
    deadlines.add({ deadlineMs: 10, slot: UNSLOTTED, expire: () => deadlines.add(second) });
    clock.advance(100);
    assert.deepEqual(seen, [30]);
  });
});
