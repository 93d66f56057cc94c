import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { admit, choose, evict, shortage } from "./decision.ts";

const candidate = (active: number, room = 64, broken?: Error, used = true) => ({
  instance: { active, broken },
  room,
  used,
});

test("choose() takes the instance with the fewest calls, the first of equals", () => {
  const [a, b, c] = [candidate(2), candidate(1), candidate(1)];
  assert.equal(choose([a, b, c]), b);
});

test("choose() passes over full and broken instances", () => {
  assert.equal(choose([candidate(1, 1), candidate(0, 1, new Error("trap"))]), undefined);
});

test("shortage() starts as many instances as the waiting calls fill, within the bound", () => {
  const bounds = { instances: 3, concurrency: 10, queue: 100 };
  const supply = { warm: 0, starting: 0, queued: 1, blocked: false };
  assert.equal(shortage(supply, bounds), 1);
  assert.equal(shortage({ ...supply, queued: 11 }, bounds), 2);
  assert.equal(shortage({ ...supply, queued: 11, starting: 2 }, bounds), 0);
  assert.equal(shortage({ ...supply, queued: 1000, warm: 1 }, bounds), 2);
  assert.equal(shortage({ ...supply, queued: 1000, blocked: true }, bounds), 0);
});

test("admit() lets a cold call in even when there is no queue", () => {
  const bounds = { instances: 1, concurrency: 1, queue: 0 };
  assert.equal(admit({ warm: 0, starting: 0, queued: 0, blocked: false }, bounds), "wait");
  assert.equal(admit({ warm: 0, starting: 1, queued: 1, blocked: false }, bounds), "refuse");
  assert.equal(admit({ warm: 0, starting: 0, queued: 0, blocked: true }, bounds), "fail");
});

test("shortage() and admit() hold the bounds whatever the supply", () => {
  const count = fc.nat(50);
  fc.assert(
    fc.property(count, count, count, fc.boolean(), fc.integer({ min: 1, max: 20 }), count, (...numbers) => {
      const [warm, starting, queued, blocked, concurrency, queue] = numbers;
      const bounds = { instances: warm + starting + 5, concurrency, queue };
      const supply = { warm, starting, queued, blocked };
      const more = shortage(supply, bounds);
      assert.ok(more >= 0 && warm + starting + more <= bounds.instances);
      if (admit(supply, bounds) === "wait") assert.ok(warm + starting > 0 || !blocked);
    }),
  );
});

test("evict() picks instances that nobody called since the last sweep and that are empty", () => {
  const unused = candidate(0, 64, undefined, false);
  assert.deepEqual(evict([candidate(0), unused, candidate(3, 64, undefined, false)]), [unused]);
});
