import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import fc from "fast-check";
import { gather, toCall } from "../../test/guests/open.ts";
import { systemClock, systemRandom } from "../kernel/index.ts";
import { decode } from "./decode.ts";
import { type Grants, load, suspending } from "./index.ts";
import { planOf } from "./plan.ts";
import { exposeState, takeSnapshot } from "./snapshot.ts";
import { wasiImports } from "./wasi/standard.ts";
import { createHttpState, openHttpInstance } from "./world/http.ts";

async function moduleOf(fields: string): Promise<Uint8Array> {
  return planOf(decode(await parse(`(component (core module $m ${fields}) (core instance (instantiate $m)))`)))
    .modules[0]!;
}

describe("exposeState()", () => {
  const refused: Readonly<Record<string, string>> = {
    "table.set": `(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))`,
    "table.grow": `(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))`,
    "table.init": `(table 1 funcref) (elem $e func $f) (func $f (table.init $e (i32.const 0) (i32.const 0) (i32.const 1)))`,
    "data.drop": `(memory 1) (data $d "x") (func (data.drop $d))`,
    "a global of references": `(global (mut funcref) (ref.null func))`,
    "a vector global": `(global (mut v128) (v128.const i64x2 0 0))`,
    "shared memory": `(memory 1 1 shared)`,
    structs: `(type $s (struct (field (mut i32)))) (global $s (ref $s) (struct.new $s (i32.const 1)))
      (func (export "bump") (struct.set $s 0 (global.get $s) (i32.const 2)))`,
    "names of ours": `(global (export "cytoplane:state/global/0") i32 (i32.const 0)) (memory 1)`,
  };
  for (const [what, fields] of Object.entries(refused)) {
    test(`refuses a module with ${what}`, async () => assert.equal(exposeState(await moduleOf(fields)), undefined));
  }

  test("refuses what it cannot read, and changes nothing where there is no state", async () => {
    const stateless = await moduleOf(`(table 1 funcref) (func (export "f"))`);
    assert.equal(exposeState(stateless), stateless);
    assert.equal(exposeState(stateless.subarray(0, stateless.length - 1)), undefined);
  });

  test("keeps a module's own exports, and exports with or without an export section", async () => {
    const own = exposeState(await moduleOf(`(global $g (mut i32) (i32.const 7)) (func (export "f"))`));
    const none = exposeState(
      await moduleOf(`(memory 1) (global (mut f64) (f64.const 1)) (func) (data (i32.const 0) "x")`),
    );
    const exportsOf = (module: Uint8Array | undefined) =>
      WebAssembly.Module.exports(new WebAssembly.Module(module as Uint8Array<ArrayBuffer>)).map(({ name }) => name);
    assert.deepEqual(exportsOf(own), ["f", "cytoplane:state/global/0"]);
    assert.deepEqual(exportsOf(none), ["cytoplane:state/memory/0", "cytoplane:state/global/0"]);
  });
});

describe("takeSnapshot()", () => {
  const instance = async (fields: string) =>
    new WebAssembly.Instance(new WebAssembly.Module(exposeState(await moduleOf(fields)) as Uint8Array<ArrayBuffer>));

  test("has none of too much memory, or of a NaN", async () => {
    assert.equal(takeSnapshot([await instance(`(memory 257)`)]), undefined);
    assert.equal(takeSnapshot([await instance(`(global (mut f32) (f32.const nan:0x200001))`)]), undefined);
  });

  test("restores memory and globals to the byte, whatever was written", async () => {
    const fields = `(memory (export "memory") 3) (data (i32.const 70000) "some data") (data (i32.const 8190) "at an edge")
      (global (export "a") (mut i32) (i32.const -5)) (global (export "b") (mut i64) (i64.const 9))
      (global (export "c") (mut f64) (f64.const -0)) (global (export "d") (mut f32) (f32.const inf))`;
    const { exports } = await instance(fields);
    const bytes = Buffer.from((exports.memory as WebAssembly.Memory).buffer);
    const globals = ["a", "b", "c", "d"].map((name) => exports[name] as WebAssembly.Global);
    const before = { bytes: Buffer.from(bytes), values: globals.map(({ value }) => value) };
    const snapshot = takeSnapshot([{ exports }]);
    const write = fc.tuple(fc.nat(bytes.length - 1), fc.uint8Array({ minLength: 1, maxLength: 5000 }));
    fc.assert(
      fc.property(
        fc.array(write, { maxLength: 8 }),
        fc.integer(),
        fc.bigInt(0n, 99n),
        fc.double(),
        (writes, a, b, c) => {
          for (const [at, content] of writes) bytes.set(content.subarray(0, bytes.length - at), at);
          [a, b, c, c].forEach((value, index) => {
            globals[index]!.value = value;
          });
          assert.equal(snapshot?.restore(), true);
          assert.ok(bytes.equals(before.bytes));
          assert.deepEqual(
            globals.map(({ value }) => value),
            before.values,
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  test("does not restore memory that has grown", async () => {
    const { exports } = await instance(`(memory (export "memory") 1)`);
    const snapshot = takeSnapshot([{ exports }]);
    (exports.memory as WebAssembly.Memory).grow(1);
    assert.equal(snapshot?.restore(), false);
  });
});

/** Keeps state in every place that a component has: memory, globals of two modules, handles. */
const keeper = `
(component
  (import "test:host/things" (instance $things
    (export "thing" (type $thing (sub resource)))
    (export "[constructor]thing" (func (result (own $thing))))))
  (alias export $things "thing" (type $thing))
  (core func $new (canon lower (func $things "[constructor]thing")))
  (core func $drop (canon resource.drop $thing))
  (core module $store
    (memory (export "memory") 2) (data (i32.const 100) "start")
    (global (export "sum") (mut i64) (i64.const 3)))
  (core instance $store (instantiate $store))
  (core module $main
    (import "store" "memory" (memory 1))
    (import "store" "sum" (global $sum (mut i64)))
    (import "host" "new" (func $new (result i32)))
    (import "host" "drop" (func $drop (param i32)))
    (global $calls (mut i32) (i32.const 0))
    (global $random (mut i32) (i32.const 0))
    (table 2 funcref) (elem (i32.const 0) $poke $peek)
    (func $start (global.set $random (i32.load (i32.const 100))))
    (start $start)
    (func $poke (export "poke") (param $at i32) (param $value i32) (result i64)
      (i32.store8 (i32.rem_u (local.get $at) (i32.const 131072)) (local.get $value))
      (global.set $sum (i64.add (global.get $sum) (i64.extend_i32_u (local.get $value))))
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i64.mul (global.get $sum) (i64.extend_i32_u (global.get $calls))))
    (func $peek (export "peek") (param $at i32) (result i32)
      (i32.add (global.get $random) (i32.load8_u (i32.rem_u (local.get $at) (i32.const 131072)))))
    (func (export "open") (result i32) (call $new))
    (func (export "close") (param i32) (call $drop (local.get 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1))))
  (core instance $main (instantiate $main
    (with "store" (instance $store)) (with "host" (instance (export "new" (func $new)) (export "drop" (func $drop))))))
  (func (export "poke") (param "at" u32) (param "value" u32) (result u64) (canon lift (core func $main "poke")))
  (func (export "peek") (param "at" u32) (result u32) (canon lift (core func $main "peek")))
  (func (export "open") (result u32) (canon lift (core func $main "open")))
  (func (export "close") (param "handle" u32) (canon lift (core func $main "close")))
  (func (export "grow") (result u32) (canon lift (core func $main "grow"))))
`;

describe("an instance that was reset", () => {
  async function keep(given = keeper) {
    const component = await load(await parse(given), { reset: true });
    const live = new Set<object>();
    class Thing {
      constructor() {
        live.add(this);
      }
      [Symbol.dispose](): void {
        live.delete(this);
      }
    }
    const make = () => {
      const core = component.instantiate({ "test:host/things": { Thing } });
      return { core, guest: core.exports.$root as unknown as Record<string, (...args: number[]) => unknown> };
    };
    return { make, live };
  }
  const harmless = fc.oneof(
    fc.tuple(fc.constant("poke"), fc.nat(200_000), fc.nat(255)),
    fc.tuple(fc.constant("peek"), fc.nat(200_000)),
    fc.tuple(fc.constant("open")),
  );
  // Traps where there is no such handle.
  const step = fc.oneof(harmless, fc.tuple(fc.constant("close"), fc.integer({ min: 1, max: 4 })));

  function outcomes(guest: Record<string, (...args: number[]) => unknown>, steps: readonly (readonly unknown[])[]) {
    return steps.map(([name, ...args]) => {
      try {
        return guest[name as string]!(...(args as number[]));
      } catch (thrown) {
        return (thrown as Error).message;
      }
    });
  }

  test("does what a new one does, whatever was done before", async () => {
    const { make, live } = await keep();
    fc.assert(
      fc.property(fc.array(harmless, { maxLength: 30 }), fc.array(step, { maxLength: 30 }), (before, after) => {
        const used = make();
        outcomes(used.guest, before);
        assert.equal(used.core.reset?.(), true);
        assert.equal(live.size, 0, "what it held was dropped");
        const fresh = make();
        assert.deepEqual(outcomes(used.guest, after), outcomes(fresh.guest, after));
        for (const { core } of [used, fresh]) core[Symbol.dispose]();
        assert.equal(used.core.reset?.(), false, "of one that has ended nothing is made");
      }),
    );
  });

  test("cannot be made of one whose memory has grown; of such a component no more snapshots are taken", async () => {
    const { make } = await keep();
    for (let grown = 0; grown < 9; grown++) {
      const { core, guest } = make();
      guest.grow?.();
      assert.equal(core.reset?.(), false);
    }
    assert.equal(make().core.reset, undefined);
  });

  test("is not one that a call is still in, waiting for the host", async () => {
    const waits = `(component
      (import "wait" (func $wait (result u32)))
      (core func $w (canon lower (func $wait)))
      (core module $m
        (import "" "w" (func $w (result i32)))
        (global $calls (mut i32) (i32.const 0))
        (func (export "hold") (result i32)
          (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
          (i32.add (call $w) (global.get $calls))))
      (core instance $i (instantiate $m (with "" (instance (export "w" (func $w))))))
      (func (export "hold") (result u32) (canon lift (core func $i "hold"))))`;
    const component = await load(await parse(waits), { reset: true });
    const gates = [Promise.withResolvers<number>(), Promise.withResolvers<number>()];
    let waited = 0;
    const core = component.instantiate({ $root: { wait: suspending(() => gates[waited++]!.promise) } });
    const hold = core.exports.$root?.hold as unknown as () => Promise<number>;
    for (const { resolve } of gates) {
      const held = hold();
      assert.equal(core.reset?.(), false);
      resolve(10);
      assert.equal(await held, 11);
      assert.equal(core.reset?.(), true);
    }
  });

  test("is never one of a component that cannot be", async () => {
    const { make } = await keep(
      keeper.replace('(func (export "grow")', '(func (table.set (i32.const 0) (ref.null func))) (func (export "grow")'),
    );
    assert.equal(make().core.reset, undefined);
  });

  test("answers as a new one does, where the component is a program of Rust", async () => {
    const component = await load(await readFile(new URL("../../test/guests/probe.wasm", import.meta.url)), {
      reset: true,
    });
    const lines: string[] = [];
    const open = () => {
      const grants = {
        ...nothing,
        log: (_: string, context: string, message: string) => lines.push(`${context}: ${message}`),
      };
      const state = createHttpState(grants as Grants);
      return openHttpInstance(component.instantiate(wasiImports(grants as Grants, state)), state);
    };
    const targets = [
      "/hello",
      "/echo",
      "/count",
      "/request",
      "/stream?chunks=9",
      "/poll",
      "/status?code=204",
      "/none",
      "/drop",
    ];
    const used = open();
    const answer = async (instance: typeof used, target: string) => {
      try {
        const call = toCall(target, { method: "POST", body: Buffer.from(`to ${target}`) });
        const { status, headers, body } = await instance.handle(call);
        return { status, headers, body: String(await gather(body)) };
      } catch (thrown) {
        return String(thrown);
      }
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...targets), { maxLength: 12 }),
        fc.constantFrom(...targets),
        async (before, last) => {
          for (const target of before) await answer(used, target);
          assert.equal(used.reset?.(), true);
          const fresh = open();
          assert.deepEqual(await answer(used, last), await answer(fresh, last));
          fresh[Symbol.dispose]();
          assert.equal(used.reset?.(), true);
        },
      ),
      { numRuns: 60 },
    );
    await answer(used, "/trap");
    assert.equal(used.reset?.(), false);
  });
});

const denied = async (): Promise<never> => {
  throw new Error("nothing is granted");
};
const nothing: Omit<Grants, "log"> = {
  service: "guest",
  clock: systemClock,
  random: systemRandom,
  keyvalue: {},
  config: {},
  secret: denied,
  fetch: denied,
  invoke: denied,
  directories: [],
  environment: [],
  args: [],
};
