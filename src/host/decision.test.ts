import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { admit, ahead, backoffMs, type Candidate, choose, drawn, evict, shortage } from "./decision.ts";

const candidate = (active: number, given: Partial<Candidate> & { readonly broken?: Error } = {}): Candidate => ({
  instance: { active, broken: given.broken },
  room: 64,
  due: false,
  idleSinceMs: 0,
  ...given,
});

const supply = { warm: 0, starting: 0, queued: 0, blocked: false, reviving: false };

test("choose() takes the instance with the fewest calls, the first of equals", () => {
  const [a, b, c] = [candidate(2), candidate(1), candidate(1)];
  assert.equal(choose([a, b, c]), b);
});

test("choose() passes over full and broken instances", () => {
  const broken = candidate(0, { broken: new Error("trap") });
  assert.equal(choose([candidate(1, { room: 1 }), broken, candidate(0, { room: 0 })]), undefined);
});

test("choose() takes an instance that is due only where no other has room", () => {
  const [worn, busy] = [candidate(0, { due: true }), candidate(9, { room: 10 })];
  assert.equal(choose([worn, busy]), busy);
  assert.equal(choose([worn, candidate(10, { room: 10 })]), worn);
});

test("shortage() starts as many instances as the waiting calls fill, within the bound", () => {
  const bounds = { instances: 3, concurrency: 10, queue: 100 };
  assert.equal(shortage({ ...supply, queued: 1 }, bounds), 1);
  assert.equal(shortage({ ...supply, queued: 11 }, bounds), 2);
  assert.equal(shortage({ ...supply, queued: 11, starting: 2 }, bounds), 0);
  assert.equal(shortage({ ...supply, queued: 1000, warm: 1 }, bounds), 2);
  assert.equal(shortage({ ...supply, queued: 1000, blocked: true }, bounds), 0);
});

test("admit() lets a cold call in even when there is no queue", () => {
  const bounds = { instances: 1, concurrency: 1, queue: 0 };
  assert.equal(admit(supply, bounds), "wait");
  assert.equal(admit({ ...supply, starting: 1, queued: 1 }, bounds), "refuse");
  assert.equal(admit({ ...supply, blocked: true }, bounds), "fail");
  assert.equal(admit({ ...supply, blocked: true, reviving: true }, { ...bounds, queue: 1 }), "wait");
});

test("ahead() makes up what is missing of the ready ones, once no call waits", () => {
  const bounds = { instances: 4, concurrency: 1, queue: 8 };
  const [empty, busy] = [candidate(0), candidate(1)];
  assert.equal(ahead([busy], 2, { ...supply, warm: 1 }, bounds), 2);
  assert.equal(ahead([busy, empty], 2, { ...supply, warm: 2 }, bounds), 1);
  assert.equal(ahead([busy, empty], 2, { ...supply, warm: 2, starting: 1 }, bounds), 0);
  assert.equal(ahead([busy, busy, busy], 2, { ...supply, warm: 3 }, bounds), 1);
  assert.equal(ahead([busy], 2, { ...supply, warm: 1, queued: 1 }, bounds), 0);
  assert.equal(ahead([busy], 2, { ...supply, warm: 1, blocked: true }, bounds), 0);
});

test("ahead() makes one successor where only instances that are due are left", () => {
  const bounds = { instances: 4, concurrency: 1, queue: 8 };
  const worn = candidate(1, { due: true });
  assert.equal(ahead([worn, worn], 0, { ...supply, warm: 2 }, bounds), 1);
  assert.equal(ahead([worn, worn], 0, { ...supply, warm: 2, starting: 1 }, bounds), 0);
  assert.equal(ahead([worn, candidate(1)], 0, { ...supply, warm: 2 }, bounds), 0);
});

test("shortage() and admit() hold the bounds whatever the supply", () => {
  const count = fc.nat(50);
  fc.assert(
    fc.property(count, count, count, fc.boolean(), fc.integer({ min: 1, max: 20 }), count, (...numbers) => {
      const [warm, starting, queued, blocked, concurrency, queue] = numbers;
      const bounds = { instances: warm + starting + 5, concurrency, queue };
      const state = { warm, starting, queued, blocked, reviving: false };
      for (const more of [shortage(state, bounds), ahead([], queue, state, bounds)]) {
        assert.ok(more >= 0 && warm + starting + more <= bounds.instances);
      }
      if (admit(state, bounds) === "wait") assert.ok(warm + starting > 0 || !blocked);
    }),
  );
});

test("evict() picks empty instances that were idle for long enough, all but those to be kept", () => {
  const [old, older] = [candidate(0, { idleSinceMs: 100 }), candidate(0)];
  const all = [candidate(0, { idleSinceMs: 900 }), old, candidate(3), older];
  assert.deepEqual(evict(all, { nowMs: 1000, idleMs: 500, keep: 0 }), [old, older]);
  assert.deepEqual(evict(all, { nowMs: 1000, idleMs: 500, keep: 1 }), [older]);
});

test("drawn() stays between half of the bound and the bound", () => {
  const chance = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), chance, (bound, drawing) => {
      const own = drawn(bound, drawing);
      assert.ok(own >= bound / 2 && own <= bound && Number.isInteger(own));
    }),
  );
  assert.equal(drawn(Number.POSITIVE_INFINITY, 0.5), Number.POSITIVE_INFINITY);
});

test("backoffMs() doubles up to its longest", () => {
  assert.deepEqual([1, 2, 3, 7, 1000].map(backoffMs), [100, 200, 400, 5000, 5000]);
});
