import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { type Call, CytoError, createSimulatedClock, type Reply } from "../kernel/index.ts";
import type { Deployment } from "./contract.ts";
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

/** A pool over simulated instances; `failing` starts go wrong before one succeeds. */
function createBench(bounds: Bounds, startMs = 0) {
  const clock = createSimulatedClock();
  const instances: SimulatedInstance[] = [];
  const bench = { failing: 0, starts: 0 };
  const deployment: Deployment = {
    service: "catalog",
    digest: "sha256:0",
    ...bounds,
    async instantiate() {
      bench.starts++;
      if (startMs > 0) await new Promise<void>((resolve) => void clock.after(startMs, resolve));
      if (bench.failing > 0) {
        bench.failing--;
        throw new Error("start function trapped");
      }
      const instance = createSimulatedInstance(clock, bounds.concurrency);
      instances.push(instance);
      return instance;
    },
  };
  const pool = createPool(deployment, { clock, drainTimeoutMs: 10_000 });
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

  test("sweep() lets go of what nobody called since the last one, down to nothing", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 2, concurrency: 1, queue: 8 });
    await pool.warm();
    assert.equal(pool.sweep(), true);
    const reply = call({ lasts: 1 });
    assert.equal(pool.sweep(), true);
    clock.advance(1);
    await reply;
    assert.equal(pool.sweep(), true, "it was busy at the last sweep");
    assert.equal(pool.status.instances, 1);
    pool.sweep();
    await turn();
    assert.equal(pool.status.instances, 0);
    assert.equal(instances[0]?.disposed, 1);
    assert.equal(pool.sweep(), false);
    await pool.drain();
  });

  test("sweep() spares an instance whose waitUntil work goes on, and one called meanwhile", async () => {
    const { pool, call, clock, instances } = createBench({ instances: 1, concurrency: 1, queue: 8 });
    await pool.warm();
    instances[0]?.hold();
    pool.sweep();
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

  test("loses no call, keeps every bound and disposes every instance once, whatever happens", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constant("call" as const), lasts: fc.nat(20), streams: fc.nat(10) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("trap" as const), lasts: fc.nat(20) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("leave" as const), which: fc.nat(30) }) },
      { weight: 4, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: fc.nat(40) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("sweep" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("fail" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("drain" as const) }) },
    );
    const bounds = fc.record({
      instances: fc.integer({ min: 1, max: 4 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
      queue: fc.nat(4),
    });
    await fc.assert(
      fc.asyncProperty(bounds, fc.nat(10), fc.array(step, { maxLength: 60 }), async (limits, startMs, steps) => {
        const bench = createBench(limits, startMs);
        const { pool, clock, instances } = bench;
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
          if (now.do === "sweep") pool.sweep();
          if (now.do === "fail") bench.failing++;
          if (now.do === "drain") void pool.drain();
          if (now.do !== "call") await turn();
          const alive = instances.filter((instance) => instance.disposed === 0).length;
          assert.ok(alive <= limits.instances);
          assert.ok(instances.every((instance) => instance.peak <= limits.concurrency));
          assert.ok(pool.status.queued <= limits.queue + limits.instances * limits.concurrency);
        }
        bench.failing = 0;
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
      { numRuns: 150 },
    );
  });
});
