/** What guests and hosts do wrong, or at a bad time, in component-model async: who is told, and what goes on. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type FutureReader, type StreamReader, suspending } from "../index.ts";
import { guest } from "./guest.ts";

const bytes = {
  new: ["stream.new $bytes", "(result i64)"],
  read: ["stream.read $bytes (memory $mem)", "(param i32 i32 i32) (result i32)"],
  write: ["stream.write $bytes (memory $mem)", "(param i32 i32 i32) (result i32)"],
  "drop-readable": ["stream.drop-readable $bytes", "(param i32)"],
  "drop-writable": ["stream.drop-writable $bytes", "(param i32)"],
} as const;

describe("turns", () => {
  test("a callback that only yields leaves others their turn", async () => {
    const open = await guest({
      builtIns: { return: ["task.return (result u32)", "(param i32)"] },
      code: `(global $stopped (mut i32) (i32.const 0)) (global $turns (mut i32) (i32.const 0))
        (func (export "spin") (result i32) (i32.const 1))
        (func (export "again") (param i32 i32 i32) (result i32)
          (global.set $turns (i32.add (global.get $turns) (i32.const 1)))
          (if (i32.eqz (global.get $stopped)) (then (return (i32.const 1))))
          (call $return (global.get $turns))
          (i32.const 0))
        (func (export "stop") (global.set $stopped (i32.const 1)))`,
      lifts: `(func (export "spin") async (result u32) (canon lift (core func $i "spin") async (callback (core func $i "again"))))
        (func (export "stop") (canon lift (core func $i "stop")))`,
    });
    const { spin, stop } = open();
    const spinning = spin!();
    await turn();
    await turn();
    stop!();
    assert.ok((await spinning) > 10);
  });

  test("a call that waited for its turn and cannot begin fails, and nothing else does", async () => {
    const open = await guest({
      imports: `(import "host" (instance $host (export "pause" (func))))`,
      builtIns: { pause: [`lower (func $host "pause")`, ""] },
      code: `(func (export "hold") (call $pause))
        (func (export "allocate") (param i32 i32 i32 i32) (result i32) (i32.const -8))
        (func (export "take") (param i32 i32))`,
      lifts: `(func (export "hold") (canon lift (core func $i "hold")))
        (func (export "take") async (param "s" string) (canon lift (core func $i "take") (memory $mem) (realloc (core func $i "allocate"))))`,
    });
    const paused = Promise.withResolvers<void>();
    const { hold, take } = open({ pause: suspending(() => paused.promise) });
    const held = hold!() as Promise<void>;
    const taken = take!("text") as Promise<void>;
    paused.resolve();
    await held;
    await assert.rejects(taken, /outside of memory/);
  });

  test("a call that was given up before its turn came learns of it", async () => {
    const open = await guest({
      imports: `(import "host" (instance $host (export "pause" (func))))`,
      builtIns: {
        pause: [`lower (func $host "pause")`, ""],
        new: ["waitable-set.new", "(result i32)"],
        cancel: ["task.cancel", ""],
      },
      code: `(func (export "hold") (call $pause))
        (func (export "sleep") (result i32) (i32.or (i32.const 2) (i32.shl (call $new) (i32.const 4))))
        (func (export "woken") (param i32 i32 i32) (result i32)
          (if (i32.ne (local.get 0) (i32.const 6)) (then unreachable))
          (call $cancel)
          (i32.const 0))`,
      lifts: `(func (export "hold") (canon lift (core func $i "hold")))
        (func (export "sleep") async (canon lift (core func $i "sleep") async (callback (core func $i "woken"))))`,
    });
    const paused = Promise.withResolvers<void>();
    const { hold, sleep } = open({ pause: suspending(() => paused.promise) });
    const held = hold!() as Promise<void>;
    const abort = new AbortController();
    const asleep = sleep!({ signal: abort.signal }) as Promise<void>;
    abort.abort(new Error("no more"));
    paused.resolve();
    await held;
    await assert.rejects(asleep, /no more/);
  });
});

describe("a guest that catches whatever comes", () => {
  const catching = () =>
    guest({
      imports: `(import "host" (instance $host (export "fail" (func)) (export "later" (func)) (export "tell" (func))))`,
      builtIns: {
        drop: ["waitable-set.drop", "(param i32)"],
        fail: [`lower (func $host "fail")`, ""],
        later: [`lower (func $host "later")`, ""],
        tell: [`lower (func $host "tell")`, ""],
      },
      code: `
        (func $dies (param i32)
          (if (i32.eq (local.get 0) (i32.const 0)) (then (call $drop (i32.const 77))))
          (if (i32.eq (local.get 0) (i32.const 1)) (then (call $fail)))
          (if (i32.eq (local.get 0) (i32.const 2)) (then (call $later))))
        (func (export "run") (param i32) (result i32)
          (block $on (try_table (catch_all $on) (call $dies (local.get 0))))
          (block $on (try_table (catch_all $on) (call $tell)))
          (i32.const 42))`,
      lifts: `(func (export "run") (param "how" u32) (result u32) (canon lift (core func $i "run")))`,
    });

  for (const [how, what, expected] of [
    [0, "a trap of a built-in", /77 is no open handle/],
    [1, "a fault of the host's", /host is broken/],
    [2, "a fault of the host's that comes later", /host is broken/],
  ] as const) {
    test(`does not survive ${what}, and calls nothing more`, async () => {
      const open = await catching();
      let told = 0;
      const { run } = open({
        fail() {
          throw new Error("the host is broken");
        },
        later: suspending(async () => {
          throw new Error("the host is broken");
        }),
        tell: () => void told++,
      });
      await assert.rejects(async () => run!(how), expected);
      await assert.rejects(async () => run!(9), /it has trapped/);
      assert.equal(told, 0);
    });
  }
});

describe("hosts", () => {
  const asking = () =>
    guest({
      imports: `(import "host" (instance $host (export "ask" (func async))))`,
      builtIns: {
        ask: [`lower (func $host "ask") async`, "(result i32)"],
        cancel: ["subtask.cancel", "(param i32) (result i32)"],
        drop: ["subtask.drop", "(param i32)"],
        new: ["waitable-set.new", "(result i32)"],
        wait: ["waitable-set.wait (memory $mem)", "(param i32 i32) (result i32)"],
      },
      code: `(func (export "give-up") (result i32) (local $subtask i32) (local $state i32)
          (local.set $subtask (i32.shr_u (call $ask) (i32.const 4)))
          (local.set $state (call $cancel (local.get $subtask)))
          (call $drop (local.get $subtask))
          (local.get $state))
        (func (export "wait") (drop (call $wait (call $new) (i32.const 16))))`,
      lifts: `(func (export "give-up") async (result u32) (canon lift (core func $i "give-up")))
        (func (export "wait") async (canon lift (core func $i "wait")))`,
    });

  test("a host function that rejects because it was cancelled does no harm", async () => {
    const open = await asking();
    const { giveUp } = open({
      ask: ({ signal }: { signal: AbortSignal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    });
    assert.equal(await giveUp!(), 4);
    await turn();
    assert.equal(await giveUp!(), 4);
  });

  test("a host function that was cancelled and never ends does not hide a deadlock", async () => {
    const open = await asking();
    const { giveUp, wait } = open({ ask: () => new Promise(() => {}) }, { deadlock: "trap" });
    assert.equal(await giveUp!(), 4);
    await assert.rejects(async () => wait!(), /deadlock/);
  });

  test("a promise that is rejected traps the guest that reads it as a future, and nobody else", async () => {
    const open = await guest({
      imports: "(type $number (future u32))",
      builtIns: {
        read: ["future.read $number (memory $mem)", "(param i32 i32) (result i32)"],
        drop: ["future.drop-readable $number", "(param i32)"],
      },
      code: `(func (export "ignore") (param i32) (call $drop (local.get 0)))
        (func (export "read") (param i32) (drop (call $read (local.get 0) (i32.const 16))))`,
      lifts: `(func (export "ignore") async (param "f" $number) (canon lift (core func $i "ignore")))
        (func (export "read") async (param "f" $number) (canon lift (core func $i "read")))`,
    });
    const { ignore, read } = open();
    await ignore!(Promise.reject(new Error("no value")));
    // An unhandled rejection would be told of by now, and fail this test.
    await turn();
    await assert.rejects(async () => read!(Promise.reject(new Error("no value"))), /no value/);
  });

  test("a source that throws when it is given up does no harm", async () => {
    const open = await guest({
      imports: "(type $bytes (stream u8))",
      builtIns: bytes,
      code: `(func (export "ignore") (param i32) (call $drop-readable (local.get 0)))`,
      lifts: `(func (export "ignore") async (param "s" $bytes) (canon lift (core func $i "ignore")))`,
    });
    const { ignore } = open();
    const thrown = () => {
      throw new Error("not now");
    };
    await ignore!({ pull: () => new Promise(() => {}), cancel: thrown });
    await ignore!({ pull: () => undefined, cancel: thrown });
  });
});

describe("streams between a guest and JavaScript", () => {
  const producing = () =>
    guest({
      imports: "(type $bytes (stream u8))",
      builtIns: { ...bytes, return: ["task.return (result $bytes)", "(param i32)"] },
      code: `(global $result (mut i32) (i32.const -1))
        (func (export "make") (local $ends i64) (local $w i32)
          (local.set $ends (call $new))
          (local.set $w (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
          (call $return (i32.wrap_i64 (local.get $ends)))
          (global.set $result (call $write (local.get $w) (i32.const 16) (i32.const 4)))
          (call $drop-writable (local.get $w)))
        (func (export "written") (result i32) (global.get $result))
        (func (export "pass") (param i32) (call $return (local.get 0)))
        (func (export "take") (param i32) (result i32) (local $read i32)
          (local.set $read (call $read (local.get 0) (i32.const 32) (i32.const 2)))
          (call $drop-readable (local.get 0))
          (local.get $read))`,
      lifts: `(func (export "make") async (result $bytes) (canon lift (core func $i "make") async))
        (func (export "written") (result s32) (canon lift (core func $i "written")))
        (func (export "pass") async (param "s" $bytes) (result $bytes) (canon lift (core func $i "pass") async))
        (func (export "take") async (param "s" $bytes) (result u32) (canon lift (core func $i "take")))`,
    });

  test("a reader that is reading, or has been given away, cannot be passed on", async () => {
    const open = await producing();
    const pending = Promise.withResolvers<Uint8Array>();
    const { pass } = open();
    const stream: StreamReader = await pass!({ pull: () => pending.promise, cancel: () => undefined });
    const first = stream.read();
    assert.throws(() => stream.read(), /being read already/);
    await assert.rejects(async () => pass!(stream), /it is being read/);
    pending.resolve(Uint8Array.of(1));
    assert.deepEqual(await first, Uint8Array.of(1));
    await pass!(stream);
    await assert.rejects(async () => pass!(stream), /given away/);
  });

  test("a stream of one instance that another gives up is given up for its writer", async () => {
    const open = await producing();
    const [one, other] = [open(), open()];
    // Two of four bytes are read before the reader goes.
    assert.equal(await other.take!(await one.make!()), 2 << 4);
    await turn();
    assert.equal(one.written!(), 1 | (4 << 4));
    const ignored: StreamReader = await one.make!();
    const passed: StreamReader = await other.pass!(ignored);
    passed[Symbol.dispose]();
    await turn();
    assert.equal(one.written!(), 1);
  });

  test("items that a guest offers and that are none trap it when they are read", async () => {
    const open = await guest({
      imports: "(type $names (stream string))",
      builtIns: {
        new: ["stream.new $names", "(result i64)"],
        write: ["stream.write $names (memory $mem)", "(param i32 i32 i32) (result i32)"],
        return: ["task.return (result $names)", "(param i32)"],
      },
      code: `(func (export "make") (local $ends i64)
          (local.set $ends (call $new))
          (call $return (i32.wrap_i64 (local.get $ends)))
          (i32.store (i32.const 16) (i32.const -4))
          (i32.store (i32.const 20) (i32.const 100))
          (drop (call $write (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))) (i32.const 16) (i32.const 1))))`,
      lifts: `(func (export "make") async (result $names) (canon lift (core func $i "make") async))`,
    });
    const { make } = open();
    const stream: StreamReader = await make!();
    await assert.rejects(async () => stream.read(), /outside of memory/);
    await assert.rejects(async () => stream.read(), /outside of memory/);
    await assert.rejects(async () => make!(), /it has trapped/);
  });

  test("a future that is passed on while it is read is refused; one of another instance is read there", async () => {
    const open = await guest({
      imports: "(type $number (future u32))",
      builtIns: {
        new: ["future.new $number", "(result i64)"],
        read: ["future.read $number (memory $mem)", "(param i32 i32) (result i32)"],
        write: ["future.write $number (memory $mem)", "(param i32 i32) (result i32)"],
        drop: ["future.drop-writable $number", "(param i32)"],
        "drop-readable": ["future.drop-readable $number", "(param i32)"],
        return: ["task.return (result $number)", "(param i32)"],
      },
      code: `(global $result (mut i32) (i32.const -1))
        (func (export "make") (local $ends i64) (local $w i32)
          (local.set $ends (call $new))
          (local.set $w (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
          (call $return (i32.wrap_i64 (local.get $ends)))
          (i32.store (i32.const 16) (i32.const 42))
          (global.set $result (call $write (local.get $w) (i32.const 16)))
          (call $drop (local.get $w)))
        (func (export "written") (result i32) (global.get $result))
        (func (export "pass") (param i32) (call $return (local.get 0)))
        (func (export "ignore") (param i32) (call $drop-readable (local.get 0)))
        (func (export "take") (param i32) (result i32)
          (drop (call $read (local.get 0) (i32.const 32)))
          (i32.load (i32.const 32)))`,
      lifts: `(func (export "make") async (result $number) (canon lift (core func $i "make") async))
        (func (export "written") (result s32) (canon lift (core func $i "written")))
        (func (export "pass") async (param "f" $number) (result $number) (canon lift (core func $i "pass") async))
        (func (export "ignore") async (param "f" $number) (canon lift (core func $i "ignore")))
        (func (export "take") async (param "f" $number) (result u32) (canon lift (core func $i "take")))`,
    });
    const [one, other] = [open(), open()];
    assert.equal(await other.take!(await one.make!()), 42);
    await other.ignore!(await one.make!());
    await turn();
    assert.equal(one.written!(), 1);
    const passed: FutureReader = await one.pass!(new Promise(() => {}));
    passed.read().catch(() => {});
    await assert.rejects(async () => one.pass!(passed), /it is being read/);
  });

  test("a guest that writes and reads 2^28 times nothing costs nothing", async () => {
    const open = await guest({
      imports: "(type $units (stream))",
      builtIns: {
        new: ["stream.new $units", "(result i64)"],
        read: ["stream.read $units async", "(param i32 i32 i32) (result i32)"],
        write: ["stream.write $units async", "(param i32 i32 i32) (result i32)"],
      },
      code: `(func (export "run") (result i32) (local $ends i64)
          (local.set $ends (call $new))
          (drop (call $read (i32.wrap_i64 (local.get $ends)) (i32.const 0) (i32.const 0xfffffff)))
          (i32.shr_u (call $write (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))) (i32.const 0) (i32.const 0xfffffff)) (i32.const 4)))`,
      lifts: `(func (export "run") (result u32) (canon lift (core func $i "run")))`,
    });
    const before = process.memoryUsage().heapUsed;
    assert.equal(open().run!(), 2 ** 28 - 1);
    assert.ok(process.memoryUsage().heapUsed - before < 2 ** 26);
  });

  test("a guest whose items share their bytes is stopped before the host's memory is full", async () => {
    const open = await guest({
      imports: "(type $lists (stream (list u8)))",
      builtIns: {
        new: ["stream.new $lists", "(result i64)"],
        write: ["stream.write $lists (memory $mem)", "(param i32 i32 i32) (result i32)"],
        return: ["task.return (result $lists)", "(param i32)"],
      },
      // 1,000 lists of the same 16 MB.
      code: `(func (export "make") (local $ends i64) (local $at i32)
          (drop (memory.grow (i32.const 300)))
          (loop $next
            (i32.store offset=4 (local.get $at) (i32.const 0x1000000))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const 8000))))
          (local.set $ends (call $new))
          (call $return (i32.wrap_i64 (local.get $ends)))
          (drop (call $write (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))) (i32.const 0) (i32.const 1000))))`,
      lifts: `(func (export "make") async (result $lists) (canon lift (core func $i "make") async))`,
    });
    const stream: StreamReader = await open().make!();
    await assert.rejects(async () => stream.read(), /larger than 268435456 bytes/);
  });
});
