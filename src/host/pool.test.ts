import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { type Call, CytoError, createSimulatedClock, type Reply } from "../kernel/index.ts";
import type { Deployment, Lifetime } from "./contract.ts";
import { lifetimeOf } from "./lifetime.ts";
import { createPool } from "./pool.ts";
import { createSimulatedInstance, type SimulatedInstance } from "./simulation.ts";

interface Bounds {
  readonly instances: number;
  readonly concurrency: number;
  readonly queue: number;
}

interface CallShape {
  readonly lasts?: number;
  readonly streams?: number;
  readonly traps?: boolean;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

interface Shape {
  readonly startMs?: number;
  readonly lifetime?: Partial<Lifetime>;
  readonly resettable?: boolean;
}

/** A pool over simulated instances; `failing` starts go wrong before one succeeds. */
function createBench(bounds: Bounds, { startMs = 0, lifetime = {}, resettable = false }: Shape = {}) {
  const clock = createSimulatedClock();
  const instances: SimulatedInstance[] = [];
  const bench = { failing: 0, starts: 0 };
  const deployment: Deployment = {
    service: "catalog",
    digest: "sha256:0",
    ...bounds,
    lifetime: lifetimeOf({ idleMs: 1000, ...lifetime }),
    async instantiate() {
      bench.starts++;
      if (startMs > 0) await new Promise<void>((resolve) => void clock.after(startMs, resolve));
      if (bench.failing > 0) {
        bench.failing--;
        throw new Error("start function trapped");
      }
      const instance = createSimulatedInstance(clock, bounds.concurrency, resettable);
      instances.push(instance);
      return instance;
    },
  };
  // Chance that always falls in the middle: bounds on use are drawn at three quarters.
  const random = { bytes: (length: number) => new Uint8Array(length).fill(128) };
  const pool = createPool(deployment, { clock, random, drainTimeoutMs: 10_000 });
  let number = 0;
  function call({ lasts = 0, streams = 0, traps = false, deadlineMs, signal }: CallShape = {}): Promise<Reply> {
    const headers: [string, string][] = [
      ["lasts", String(lasts)],
      ["streams", String(streams)],
    ];
    if (traps) headers.push(["traps", "1"]);
    const made: Call = {
      id: String(number++),
      service: "catalog",
      method: "GET",
      url: "http://catalog.internal/",
      headers,
      deadlineMs: clock.now() + (deadlineMs ?? 1_000_000),
      hops: 0,
      signal: signal ?? new AbortController().signal,
    };
    return pool.handle(made);
  }
  return Object.assign(bench, { clock, instances, pool, call });
}

const code = (expected: string) => (error: unknown) => error instanceof CytoError && error.code === expected;

describe("createPool()", () => {
  test("reuses one warm instance for calls one after another", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 4, concurrency: 1, queue: 8 });
    for (let i = 0; i < 5; i++) {
      const reply = call({ lasts: 1 });
      await turn();
      clock.advance(1);
      assert.equal((await reply).status, 200);
    }
    assert.equal(instances.length, 1);
    await pool.drain();
  });

  test("fills a warm instance before it starts another where the world takes several calls", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 4, concurrency: 2, queue: 8 });
    const replies = [call({ lasts: 5 }), call({ lasts: 5 }), call({ lasts: 5 })];
    await turn();
    assert.deepEqual(
      instances.map((instance) => instance.active),
      [2, 1],
    );
    clock.advance(5);
    await Promise.all(replies);
    await pool.drain();
  });

  test("refuses a call past the queue with overloaded and when to come back", async () => {
    const { pool, call, clock } = createBench({ instances: 1, concurrency: 1, queue: 1 });
    await pool.warm();
    const served = [call({ lasts: 5 }), call({ lasts: 5 })];
    await assert.rejects(
      call(),
      (error: unknown) => error instanceof CytoError && error.code === "overloaded" && error.retryAfterS === 1,
    );
    clock.advance(5);
    clock.advance(5);
    assert.equal((await Promise.all(served)).length, 2);
    await pool.drain();
  });

  test("serves the queue in order, and a caller who has gone leaves it", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 1, concurrency: 1, queue: 8 });
    await pool.warm();
    const gone = new AbortController();
    const first = call({ lasts: 5 });
    const second = call({ signal: gone.signal });
    const third = call();
    gone.abort();
    await assert.rejects(second, code("cancelled"));
    assert.equal(pool.status.queued, 1);
    clock.advance(5);
    clock.advance(0);
    await Promise.all([first, third]);
    assert.deepEqual(instances[0]?.calls, ["0", "2"]);
    await pool.drain();
  });

  test("does not hand a call to an instance after its deadline", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 1, concurrency: 1, queue: 8 });
    await pool.warm();
    const first = call({ lasts: 5 });
    const late = call({ deadlineMs: 3 });
    clock.advance(5);
    await first;
    await assert.rejects(late, code("deadline-exceeded"));
    assert.deepEqual(instances[0]?.calls, ["0"]);
    await pool.drain();
  });

  test("keeps a call's place until its body has ended", async () => {
    const { pool, call, clock } = createBench({ instances: 1, concurrency: 1, queue: 8 });
    await pool.warm();
    const streaming = call({ streams: 10 });
    clock.advance(0);
    assert.equal((await streaming).status, 200);
    const next = call();
    assert.equal(pool.status.queued, 1);
    clock.advance(10);
    clock.advance(0);
    assert.equal((await next).status, 200);
    await pool.drain();
  });

  test("disposes and replaces a broken instance, the others unharmed", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 2, concurrency: 1, queue: 8 });
    const trapping = call({ lasts: 5, traps: true });
    const neighbour = call({ lasts: 10 });
    const waiting = call();
    await turn();
    clock.advance(5);
    await assert.rejects(trapping, code("instance-trapped"));
    await turn();
    clock.advance(5);
    assert.deepEqual(
      (await Promise.all([neighbour, waiting])).map((reply) => reply.status),
      [200, 200],
    );
    assert.deepEqual(
      instances.map((instance) => instance.disposed),
      [1, 0, 0],
    );
    assert.equal(pool.status.traps, 1);
    await pool.drain();
  });

  test("says why no instance starts, and does not try again at once", async () => {
    const bench = createBench({ instances: 2, concurrency: 1, queue: 8 });
    bench.failing = 2;
    const why = /Cannot start an instance of catalog: start function trapped/;
    await assert.rejects(bench.call(), why);
    for (let i = 0; i < 10; i++) await assert.rejects(bench.call(), why);
    assert.equal(bench.starts, 1);
    bench.clock.advance(100);
    await assert.rejects(bench.call(), why);
    assert.equal(bench.starts, 2);
    bench.clock.advance(150);
    await assert.rejects(bench.call(), why);
    assert.equal(bench.starts, 2);
    bench.clock.advance(50);
    const reply = bench.call();
    await turn();
    bench.clock.advance(0);
    assert.equal((await reply).status, 200);
    await bench.pool.drain();
  });

  test("sweep() lets go of what nobody called for the idle time, down to nothing", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 2, concurrency: 1, queue: 8 });
    await pool.warm();
    const reply = call({ lasts: 1500 });
    clock.advance(1000);
    assert.equal(pool.sweep(), 1000);
    clock.advance(500);
    await reply;
    clock.advance(500);
    assert.equal(pool.sweep(), 1000, "it was busy at the last sweep");
    assert.equal(pool.status.instances, 1);
    clock.advance(1000);
    pool.sweep();
    await turn();
    assert.equal(pool.status.instances, 0);
    assert.equal(pool.status.evicted, 1);
    assert.equal(instances[0]?.disposed, 1);
    assert.equal(pool.sweep(), undefined);
    await pool.drain();
  });

  test("sweep() spares an instance whose waitUntil work goes on, and one called meanwhile", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 1, concurrency: 1, queue: 8 });
    await pool.warm();
    instances[0]?.hold();
    clock.advance(1000);
    pool.sweep();
    clock.advance(1000);
    pool.sweep();
    await turn();
    assert.equal(pool.status.instances, 1);
    const reply = call();
    clock.advance(0);
    await reply;
    instances[0]?.release();
    await turn();
    assert.equal(pool.status.instances, 1);
    await pool.drain();
    assert.equal(instances[0]?.disposed, 1);
  });

  test("drain() finishes what is inside, waiting calls too, and refuses new ones", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 1, concurrency: 1, queue: 8 });
    await pool.warm();
    const inside = [call({ lasts: 5 }), call({ lasts: 5 })];
    const drained = pool.drain();
    await assert.rejects(call(), code("draining"));
    clock.advance(5);
    clock.advance(5);
    assert.deepEqual(
      (await Promise.all(inside)).map((reply) => reply.status),
      [200, 200],
    );
    await drained;
    assert.equal(instances[0]?.disposed, 1);
    assert.equal(clock.timers, 0);
  });

  test("drain() makes nothing ahead", async () => {
    const { pool, clock, instances } = createBench(
      { instances: 4, concurrency: 1, queue: 8 },
      { lifetime: { policy: "fresh" } },
    );
    await pool.warm();
    const drained = pool.drain();
    assert.equal(clock.timers, 1, "the drain's own");
    await drained;
    assert.equal(instances.length, 1);
    assert.equal(clock.timers, 0);
  });

  test("drain() disposes what is still inside when its time is over", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 1, concurrency: 1, queue: 8 });
    await pool.warm();
    const endless = call({ lasts: 1_000_000 });
    const waiting = call();
    const drained = pool.drain();
    clock.advance(10_000);
    await assert.rejects(endless, code("draining"));
    await assert.rejects(waiting, code("draining"));
    await drained;
    assert.equal(instances[0]?.disposed, 1);
  });

  test("warm: replaces an instance that was used enough, outside of any call", async () => {
    const bench = createBench({ instances: 2, concurrency: 2, queue: 8 }, { lifetime: { requests: 4 } });
    const { pool, call, clock, instances } = bench;
    const one = async () => {
      const reply = call({ lasts: 1 });
      await turn();
      clock.advance(1);
      assert.equal((await reply).status, 200);
    };
    await one();
    await one();
    assert.equal(instances.length, 1);
    const last = call({ lasts: 10 });
    clock.advance(0);
    await turn();
    assert.equal(instances.length, 2, "the third call of three quarters of four brings a successor");
    await one();
    assert.deepEqual(instances[1]?.calls, ["3"]);
    clock.advance(10);
    await last;
    await turn();
    assert.deepEqual(
      instances.map((instance) => instance.disposed),
      [1, 0],
    );
    assert.equal(pool.status.retired, 1);
    await pool.drain();
  });

  test("warm: an instance that is worn serves on where no other fits beside it", async () => {
    const { pool, call, clock, instances } = createBench(
      { instances: 1, concurrency: 2, queue: 0 },
      { lifetime: { requests: 1 } },
    );
    await pool.warm();
    const replies = [call({ lasts: 5 }), call({ lasts: 10 })];
    clock.advance(5);
    replies.push(call({ lasts: 10 }));
    clock.advance(10);
    await Promise.all(replies);
    assert.equal(instances[0]?.calls.length, 3);
    clock.advance(0);
    await turn();
    assert.equal(instances[0]?.disposed, 1);
    await pool.drain();
  });

  test("warm: an instance of an age is reset where it can be", async () => {
    const { pool, clock, instances } = createBench(
      { instances: 1, concurrency: 1, queue: 0 },
      { lifetime: { ageMs: 400 }, resettable: true },
    );
    await pool.warm();
    assert.equal(pool.sweep(), 300, "three quarters of its age");
    clock.advance(300);
    pool.sweep();
    clock.advance(0);
    assert.equal(pool.status.reset, 1);
    assert.equal(instances.length, 1);
    await pool.drain();
  });

  for (const resettable of [true, false]) {
    test(`fresh: no call meets what another left, ${resettable ? "reset" : "made anew"}`, async () => {
      const bench = createBench(
        { instances: 3, concurrency: 8, queue: 8 },
        { lifetime: { policy: "fresh" }, resettable },
      );
      const { pool, call, clock, instances } = bench;
      await pool.warm();
      clock.advance(0);
      await turn();
      assert.equal(pool.status.ready, 2, "made ahead");
      const replies = Array.from({ length: 8 }, () => call({ lasts: 1 }));
      for (let turns = 0; turns < 10; turns++) {
        await turn();
        clock.advance(1);
      }
      assert.equal((await Promise.all(replies)).length, 8);
      await turn();
      assert.ok(instances.every(({ met, peak }) => met === 0 && peak <= 1));
      assert.equal(pool.status.reset > 0, resettable);
      assert.equal(pool.status.ready, resettable ? 3 : 2);
      assert.equal(instances.length, resettable ? 3 : 10);
      await pool.drain();
      assert.ok(instances.every(({ disposed }) => disposed === 1));
    });
  }

  test("an instance that cannot be put back is not called again, and is replaced", async () => {
    for (const policy of ["warm", "fresh"] as const) {
      const bounds = { instances: 2, concurrency: 1, queue: 8 };
      const { pool, call, clock, instances } = createBench(bounds, {
        lifetime: { policy, requests: 1 },
        resettable: true,
      });
      await pool.warm();
      instances[0]!.reset = () => {
        throw new Error("a resource cannot be closed");
      };
      const first = call();
      clock.advance(0);
      await first;
      clock.advance(0);
      await turn();
      const second = call();
      await turn();
      clock.advance(0);
      assert.equal((await second).status, 200);
      assert.deepEqual(instances[0]?.calls, ["0"]);
      assert.equal(instances[0]?.disposed, 1);
      await pool.drain();
    }
  });

  test("fresh: holds instances ready while there are calls, and none when nobody calls", async () => {
    const { pool, call, clock } = createBench(
      { instances: 8, concurrency: 1, queue: 8 },
      { lifetime: { policy: "fresh", ready: 3 } },
    );
    await pool.warm();
    for (let second = 0; second < 5; second++) {
      const reply = call();
      clock.advance(0);
      await reply;
      await turn();
      clock.advance(1000);
      pool.sweep();
      await turn();
      assert.equal(pool.status.ready, 3);
    }
    clock.advance(1000);
    assert.equal(pool.sweep(), 1000);
    await turn();
    clock.advance(1000);
    await turn();
    assert.equal(pool.status.instances, 0);
    assert.equal(clock.timers, 0);
    const cold = call();
    await turn();
    clock.advance(0);
    assert.equal((await cold).status, 200);
    await pool.drain();
  });

  test("pinned: is started again after a trap without being called, later each time; calls wait for it", async () => {
    const bench = createBench({ instances: 1, concurrency: 4, queue: 8 }, { lifetime: { policy: "pinned" } });
    const { pool, call, clock, instances } = bench;
    await pool.warm();
    for (const delayMs of [100, 200, 400]) {
      const trapping = call({ traps: true });
      clock.advance(0);
      await assert.rejects(trapping, code("instance-trapped"));
      const waiting = call();
      clock.advance(delayMs - 1);
      await turn();
      assert.equal(pool.status.instances, 0);
      assert.equal(pool.status.queued, 1);
      clock.advance(1);
      await turn();
      clock.advance(0);
      assert.equal((await waiting).status, 200);
    }
    clock.advance(10_000);
    const trapping = call({ traps: true });
    clock.advance(0);
    await assert.rejects(trapping, code("instance-trapped"));
    await turn();
    assert.equal(pool.status.instances, 1, "one that lived long enough comes back at once");
    assert.equal(pool.sweep(), undefined);
    assert.equal(pool.shed(), false);
    assert.equal(instances.length, 5);
    await pool.drain();
    assert.equal(clock.timers, 0);
  });

  test("pinned: calls fail at once while it cannot be started, and it is tried again by itself", async () => {
    const bench = createBench({ instances: 1, concurrency: 4, queue: 8 }, { lifetime: { policy: "pinned" } });
    const { pool, call, clock } = bench;
    await pool.warm();
    bench.failing = 1;
    const trapping = call({ traps: true });
    clock.advance(0);
    await assert.rejects(trapping, code("instance-trapped"));
    await turn();
    const waiting = assert.rejects(call(), /start function trapped/);
    clock.advance(100);
    await waiting;
    await assert.rejects(call(), /start function trapped/);
    clock.advance(200);
    await turn();
    assert.equal(pool.status.instances, 1);
    await pool.drain();
    assert.equal(clock.timers, 0);
  });

  test("drain() while a pinned instance waits to be started again ends that", async () => {
    const { pool, call, clock } = createBench(
      { instances: 1, concurrency: 4, queue: 8 },
      { lifetime: { policy: "pinned" } },
    );
    await pool.warm();
    const trapping = call({ traps: true });
    clock.advance(0);
    await assert.rejects(trapping);
    await turn();
    const gone = new AbortController();
    const waiting = call({ signal: gone.signal });
    const drained = pool.drain();
    gone.abort();
    await assert.rejects(waiting, code("cancelled"));
    await drained;
    assert.equal(clock.timers, 0);
  });

  test("loses no call, keeps every bound and disposes every instance once, whatever happens", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("call" as const), lasts: fc.nat(20), streams: fc.nat(10) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("trap" as const), lasts: fc.nat(20) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("leave" as const), which: fc.nat(30) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.nat(40) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("sweep" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("shed" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("hold" as const), which: fc.nat(30) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("fail" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("drain" as const) }) },
    );
    const bounds = fc.record({
      instances: fc.integer({ min: 1, max: 4 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
      queue: fc.nat(4),
    });
    const shape = fc.record({
      startMs: fc.nat(10),
      resettable: fc.boolean(),
      lifetime: fc.record({
        policy: fc.constantFrom("warm" as const, "fresh" as const, "pinned" as const),
        requests: fc.integer({ min: 1, max: 5 }),
        ageMs: fc.integer({ min: 1, max: 100 }),
        idleMs: fc.integer({ min: 1, max: 100 }),
        ready: fc.nat(3),
      }),
    });
    await fc.assert(
      fc.asyncProperty(bounds, shape, fc.array(step, { maxLength: 60 }), async (declared, how, steps) => {
        const { policy } = how.lifetime;
        const limits = policy === "pinned" ? { ...declared, instances: 1 } : declared;
        const bench = createBench(limits, how);
        const { pool, clock, instances } = bench;
        const held: SimulatedInstance[] = [];
        const callers: AbortController[] = [];
        const replies: Promise<unknown>[] = [];
        let settled = 0;
        const place = (shape: CallShape) => {
          const caller = new AbortController();
          callers.push(caller);
          const count = () => settled++;
          replies.push(bench.call({ ...shape, signal: caller.signal, deadlineMs: 100 }).then(count, count));
        };
        for (const now of steps) {
          if (now.do === "call") place(now);
          if (now.do === "trap") place({ lasts: now.lasts, traps: true });
          if (now.do === "leave") callers[now.which % callers.length]?.abort();
          if (now.do === "advance") clock.advance(now.ms);
          if (now.do === "sweep") {
            const againMs = pool.sweep();
            assert.ok(againMs === undefined || againMs > 0);
          }
          if (now.do === "shed") pool.shed();
          if (now.do === "hold") {
            const instance = instances[now.which % instances.length];
            if (instance !== undefined) held.push(instance);
            instance?.hold();
          }
          if (now.do === "fail") bench.failing++;
          if (now.do === "drain") void pool.drain();
          if (now.do !== "call") await turn();
          const alive = instances.filter((instance) => instance.disposed === 0).length;
          assert.ok(alive <= limits.instances);
          assert.ok(instances.every((instance) => instance.peak <= limits.concurrency));
          if (policy === "fresh")
            assert.ok(
              instances.every(({ met }) => met === 0),
              "a call met what another left",
            );
          assert.ok(pool.status.queued <= limits.queue + limits.instances * limits.concurrency);
        }
        bench.failing = 0;
        for (const instance of held) instance.release();
        const drained = pool.drain();
        for (let i = 0; i < 200 && settled < replies.length; i++) {
          clock.advance(50);
          await turn();
        }
        assert.equal(settled, replies.length, "every call settled");
        clock.advance(10_000);
        await drained;
        await turn();
        const served = instances.flatMap((instance) => instance.calls);
        assert.equal(new Set(served).size, served.length, "no call was served twice");
        assert.ok(instances.every((instance) => instance.disposed === 1));
        assert.equal(clock.timers, 0);
      }),
      { numRuns: 500 },
    );
  });
});
