/** Guests that trap or loop in every phase of a call, nested and concurrent: each ends alone, and is charged what is its own. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import { CytoError } from "../kernel/index.ts";
import type { CoreInstance } from "./contract.ts";
import { createMetering, load } from "./index.ts";

type Call = (...args: unknown[]) => Promise<unknown>;
type Opened = Readonly<Record<"length" | "drops" | "later" | "run" | "givesWay" | "waits", Call>> & {
  readonly instance: CoreInstance;
};

const traps = "unreachable";
const loops = "(loop $forever (br $forever))";

/** A component in which `bad` stands in one phase of a call. */
function guest({ start = "", realloc = "", after = "", destructor = "", callback = "", body = "" }): string {
  return `(component
    (core module $dtor (func (export "end") (param i32) ${destructor}))
    (core instance $d (instantiate $dtor))
    (type $r (resource (rep i32) (dtor (func $d "end"))))
    (core func $new (canon resource.new $r))
    (core func $drop (canon resource.drop $r))
    (core func $return (canon task.return (result u32)))
    (core module $main
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "return" (func $return (param i32)))
      (memory (export "memory") 1)
      (func $start ${start}) (start $start)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) ${realloc} (i32.const 64))
      (func (export "length") (param i32 i32) (result i32) ${body} (local.get 1))
      (func (export "after") (param i32) ${after})
      (func (export "drops") (call $drop (call $new (i32.const 7))))
      (func (export "later") (result i32) (i32.const 1))
      (func (export "callback") (param i32 i32 i32) (result i32) ${callback} (call $return (i32.const 5)) (i32.const 0)))
    (core instance $i (instantiate $main (with "" (instance
      (export "new" (func $new)) (export "drop" (func $drop)) (export "return" (func $return))))))
    (func (export "length") (param "s" string) (result u32)
      (canon lift (core func $i "length") (memory $i "memory") (realloc (func $i "realloc")) (post-return (func $i "after"))))
    (func (export "drops") (canon lift (core func $i "drops")))
    (func (export "later") async (result u32)
      (canon lift (core func $i "later") async (callback (func $i "callback")))))`;
}

const metering = createMetering({ monotonic: () => performance.now(), nextTurn: setImmediate });

async function open(text: string, cpuMs = 50, imports: object = {}, by = metering): Promise<Opened> {
  const component = await load(await parse(text), { metered: true });
  const instance = component.instantiate(imports as never, { cpu: { metering: by, cpuMs } });
  return { ...instance.exports.$root, instance } as unknown as Opened;
}

async function fails(call: Promise<unknown>, code: string | undefined): Promise<void> {
  await assert.rejects(call, (error: Error) => {
    if (code === undefined) assert.ok(error instanceof WebAssembly.RuntimeError, error.message);
    else assert.equal((error as CytoError).code, code, error.message);
    return true;
  });
}

describe("a guest that ends in any phase", () => {
  const phases = {
    "the start function": { start: true, call: undefined },
    "an allocation": { realloc: true, call: "length" },
    "the call": { body: true, call: "length" },
    "post-return": { after: true, call: "length" },
    "a destructor": { destructor: true, call: "drops" },
    "a callback": { callback: true, call: "later" },
  };
  for (const [phase, { call, ...where }] of Object.entries(phases)) {
    for (const [what, code, expected] of [
      ["traps", traps, undefined],
      ["loops", loops, "cpu-exceeded"],
    ] as const) {
      test(`${what} in ${phase}`, async () => {
        const { length: neighbour } = await open(guest({}));
        const bad = guest(Object.fromEntries(Object.keys(where).map((key) => [key, code])));
        if (call === undefined) await fails(open(bad), expected);
        else {
          const { instance, [call as "length"]: act, drops } = await open(bad);
          await fails((async () => act("text"))(), expected);
          await assert.rejects(async () => drops(), /cannot be called any more/);
          instance[Symbol.dispose]();
        }
        assert.equal(await neighbour("four"), 4);
        assert.equal(metering.waiting, 0);
      });
    }
  }
});

/** A component that calls another, which loops `n` times a thousand, or for ever when `n` is 0. */
const nested = `(component
  (component $inner
    (core module $m (func (export "work") (param $n i32) (local $i i32)
      (loop $next (local.set $i (i32.const 1000))
        (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (br_if $next (i32.or (i32.eqz (local.get $n)) (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))))
    (core instance $i (instantiate $m))
    (func (export "work") (param "n" u32) (canon lift (core func $i "work"))))
  (component $outer
    (import "work" (func $work (param "n" u32)))
    (core func $lowered (canon lower (func $work)))
    (core module $m (import "" "work" (func $work (param i32)))
      (func (export "run") (param i32) (result i32) (call $work (local.get 0)) (i32.const 3)))
    (core instance $i (instantiate $m (with "" (instance (export "work" (func $lowered))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))
  (instance $i (instantiate $inner))
  (instance $o (instantiate $outer (with "work" (func $i "work"))))
  (export "run" (func $o "run")))`;

describe("a guest that is interrupted below another", () => {
  test("goes on there, and answers", async () => {
    const { run } = await open(nested, 10_000);
    let turns = 0;
    const counting = setInterval(() => turns++, 1);
    assert.equal(await run(20_000), 3);
    clearInterval(counting);
    assert.ok(turns > 1, "others had their turn meanwhile");
  });

  test("ends there with its budget, and takes its caller along", async () => {
    const { run } = await open(nested);
    await fails(run(0), "cpu-exceeded");
    await assert.rejects(async () => run(1), /cannot be called any more/);
  });

  test("ends where it waits for its turn when its instance is disposed", async () => {
    const { run, instance } = await open(nested, 3_600_000);
    const ended = fails(run(0), "cancelled");
    await new Promise(setImmediate);
    instance[Symbol.dispose]();
    await ended;
    while (metering.waiting > 0) await new Promise(setImmediate);
  });

  test("shares the thread with others that compute", async () => {
    const guests = await Promise.all(Array.from({ length: 4 }, () => open(nested, 3_600_000)));
    let over = 0;
    const all = guests.map(async ({ run }) => {
      assert.equal(await run(20_000), 3);
      over++;
    });
    await Promise.race(all);
    assert.ok(over < 4);
    await Promise.all(all);
  });
});

/** An `async` export that loops, gives way, and loops again; and one that waits for the host between. */
const concurrent = `(component
  (import "host" (instance $host (export "later" (func async))))
  (core func $later (canon lower (func $host "later")))
  (core func $yield (canon thread.yield))
  (core func $return (canon task.return))
  (core module $m
    (import "" "yield" (func $yield (result i32))) (import "" "later" (func $later)) (import "" "return" (func $return))
    (func $work (param $n i32)
      (loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "gives-way") (param $n i32) (param $times i32)
      (loop $again (call $work (local.get $n)) (drop (call $yield))
        (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
      (call $return))
    (func (export "waits") (param $n i32) (param $times i32)
      (loop $again (call $work (local.get $n)) (call $later)
        (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1)))))
      (call $return)))
  (core instance $i (instantiate $m (with "" (instance
    (export "yield" (func $yield)) (export "later" (func $later)) (export "return" (func $return))))))
  (func (export "gives-way") async (param "n" u32) (param "times" u32) (canon lift (core func $i "gives-way") async))
  (func (export "waits") async (param "n" u32) (param "times" u32) (canon lift (core func $i "waits") async)))`;

describe("what a call is charged", () => {
  /** Each look at the clock takes a millisecond. */
  function stepping() {
    const observed = { nowMs: 0 };
    const by = createMetering({ monotonic: () => ++observed.nowMs, nextTurn: setImmediate });
    return { by, observed };
  }
  const nothing = { host: { later: async () => {} } };

  test("is its own where several are in one instance", async () => {
    const { by, observed } = stepping();
    const alone = await open(concurrent, 3_600_000, nothing, by);
    await alone.givesWay(4000, 20);
    const oneMs = observed.nowMs;
    assert.ok(oneMs > 20, `${oneMs}`);
    const { givesWay } = await open(concurrent, oneMs * 1.5, nothing, by);
    await Promise.all([givesWay(4000, 20), givesWay(4000, 20), givesWay(4000, 20)]);
    await fails(givesWay(4000, 60), "cpu-exceeded");
  });

  test("leaves out what it waits for", async () => {
    const { by, observed } = stepping();
    const host = {
      async later() {
        await new Promise(setImmediate);
        observed.nowMs += 1000;
      },
    };
    const { waits } = await open(concurrent, 5000, { host }, by);
    await Promise.all([waits(4000, 20), waits(4000, 20)]);
    assert.ok(observed.nowMs > 40_000);
  });

  test("is little once nobody waits for it, wherever it is", async () => {
    const { givesWay, instance } = await open(concurrent, 3_600_000, nothing);
    const leave = new AbortController();
    const ended = fails(givesWay(4_000_000_000, 1_000_000, { signal: leave.signal }), "cpu-exceeded");
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    leave.abort(new CytoError("cancelled", "the caller has gone"));
    await ended;
    await assert.rejects(async () => givesWay(1, 1), /after its caller had gone/);
    instance[Symbol.dispose]();
  });
});
