/** What JavaScript and a guest hand each other: streams, futures, calls that take time, and their ends. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { queryObjects } from "node:v8";
import { parse } from "@bytecodealliance/jco";
import fc from "fast-check";
import { type Component, ComponentError, type FutureReader, load, type StreamReader } from "../index.ts";

/** Its functions block where they stand, so that each is as short as its idea. */
const guest = `
(component
  (import "host" (instance $host
    (export "later" (func async (param "n" u32) (result (result u32 (error string)))))
    (export "watched" (func async (param "s" (stream u8))))))
  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      local.get $at))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))

  (type $bytes (stream u8))
  (type $names (stream string))
  (type $number (future u32))
  (core func $bytes.new (canon stream.new $bytes))
  (core func $bytes.read (canon stream.read $bytes (memory $mem)))
  (core func $bytes.write (canon stream.write $bytes (memory $mem)))
  (core func $bytes.drop-readable (canon stream.drop-readable $bytes))
  (core func $bytes.drop-writable (canon stream.drop-writable $bytes))
  (core func $names.read (canon stream.read $names (memory $mem) (realloc $realloc)))
  (core func $names.drop-readable (canon stream.drop-readable $names))
  (core func $number.new (canon future.new $number))
  (core func $number.read (canon future.read $number (memory $mem)))
  (core func $number.write (canon future.write $number (memory $mem)))
  (core func $number.drop-readable (canon future.drop-readable $number))
  (core func $number.drop-writable (canon future.drop-writable $number))
  (core func $return-bytes (canon task.return (result $bytes)))
  (core func $return-number (canon task.return (result $number)))
  (core func $return-u32 (canon task.return (result u32)))
  (core func $task.cancel (canon task.cancel))
  (core func $set.new (canon waitable-set.new))
  (core func $set.wait (canon waitable-set.wait cancellable (memory $mem)))
  (core func $yield (canon thread.yield cancellable))
  (core func $later (canon lower (func $host "later") (memory $mem) (realloc $realloc)))
  (core func $later-async (canon lower (func $host "later") async (memory $mem) (realloc $realloc)))
  (core func $subtask.cancel (canon subtask.cancel))
  (core func $subtask.drop (canon subtask.drop))
  (core func $watched-async (canon lower (func $host "watched") async (memory $mem)))

  (core module $main
    (import "" "memory" (memory 1))
    (import "" "bytes.new" (func $bytes.new (result i64)))
    (import "" "bytes.read" (func $bytes.read (param i32 i32 i32) (result i32)))
    (import "" "bytes.write" (func $bytes.write (param i32 i32 i32) (result i32)))
    (import "" "bytes.drop-readable" (func $bytes.drop-readable (param i32)))
    (import "" "bytes.drop-writable" (func $bytes.drop-writable (param i32)))
    (import "" "names.read" (func $names.read (param i32 i32 i32) (result i32)))
    (import "" "names.drop-readable" (func $names.drop-readable (param i32)))
    (import "" "number.new" (func $number.new (result i64)))
    (import "" "number.read" (func $number.read (param i32 i32) (result i32)))
    (import "" "number.write" (func $number.write (param i32 i32) (result i32)))
    (import "" "number.drop-readable" (func $number.drop-readable (param i32)))
    (import "" "number.drop-writable" (func $number.drop-writable (param i32)))
    (import "" "return-bytes" (func $return-bytes (param i32)))
    (import "" "return-number" (func $return-number (param i32)))
    (import "" "return-u32" (func $return-u32 (param i32)))
    (import "" "task.cancel" (func $task.cancel))
    (import "" "set.new" (func $set.new (result i32)))
    (import "" "set.wait" (func $set.wait (param i32 i32) (result i32)))
    (import "" "yield" (func $yield (result i32)))
    (import "" "later" (func $later (param i32 i32)))
    (import "" "later-async" (func $later-async (param i32 i32) (result i32)))
    (import "" "subtask.cancel" (func $subtask.cancel (param i32) (result i32)))
    (import "" "subtask.drop" (func $subtask.drop (param i32)))
    (import "" "watched-async" (func $watched-async (param i32) (result i32)))

    ;; The sum of the bytes, read seven at a time.
    (func (export "sum") (param $s i32) (result i32) (local $sum i32) (local $got i32) (local $i i32)
      (loop $more
        (local.set $got (call $bytes.read (local.get $s) (i32.const 16) (i32.const 7)))
        (local.set $i (i32.shr_u (local.get $got) (i32.const 4)))
        (block $added
          (loop $add
            (br_if $added (i32.eqz (local.get $i)))
            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u offset=16 (local.get $i))))
            (br $add)))
        (br_if $more (i32.eqz (i32.and (local.get $got) (i32.const 15)))))
      (call $bytes.drop-readable (local.get $s))
      local.get $sum)

    ;; The bytes of the first item, then no more is read.
    (func (export "first-length") (param $s i32) (result i32)
      (drop (call $names.read (local.get $s) (i32.const 16) (i32.const 1)))
      (call $names.drop-readable (local.get $s))
      (i32.load offset=4 (i32.const 16)))

    ;; Returns at once, then writes n bytes, one at a time, until nobody reads any more.
    (func (export "count") (param $n i32) (local $ends i64) (local $w i32) (local $i i32)
      (local.set $ends (call $bytes.new))
      (local.set $w (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (call $return-bytes (i32.wrap_i64 (local.get $ends)))
      (block $gone
        (loop $next
          (br_if $gone (i32.ge_u (local.get $i) (local.get $n)))
          (i32.store8 (i32.const 16) (local.get $i))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.eqz (i32.and (i32.const 15) (call $bytes.write (local.get $w) (i32.const 16) (i32.const 1)))))))
      (call $bytes.drop-writable (local.get $w)))

    ;; Gives the stream back as it is.
    (func (export "pass") (param $s i32)
      (call $return-bytes (local.get $s)))

    (func (export "double") (param $f i32) (local $ends i64) (local $w i32)
      (local.set $ends (call $number.new))
      (local.set $w (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (call $return-number (i32.wrap_i64 (local.get $ends)))
      (drop (call $number.read (local.get $f) (i32.const 16)))
      (call $number.drop-readable (local.get $f))
      (i32.store (i32.const 16) (i32.mul (i32.const 2) (i32.load (i32.const 16))))
      (drop (call $number.write (local.get $w) (i32.const 16)))
      (call $number.drop-writable (local.get $w)))

    ;; A future that is never written: a trap when the task ends.
    (func (export "forget") (local $ends i64)
      (local.set $ends (call $number.new))
      (call $return-number (i32.wrap_i64 (local.get $ends)))
      (call $number.drop-writable (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32)))))

    ;; 1 + the host's answer; 1000 for its error.
    (func (export "ask") (param $n i32) (result i32)
      (call $later (local.get $n) (i32.const 16))
      (if (result i32) (i32.load8_u (i32.const 16))
        (then (i32.const 1000)) (else (i32.add (i32.const 1) (i32.load (i32.const 20))))))

    ;; Asks and loses interest: 4 says that the call was cancelled.
    (func (export "ask-and-cancel") (param $n i32) (result i32) (local $sub i32) (local $state i32)
      (local.set $sub (i32.shr_u (call $later-async (local.get $n) (i32.const 16)) (i32.const 4)))
      (local.set $state (call $subtask.cancel (local.get $sub)))
      (call $subtask.drop (local.get $sub))
      local.get $state)

    ;; Waits for nothing, until it is cancelled.
    (func (export "sleep")
      (if (i32.ne (call $set.wait (call $set.new) (i32.const 16)) (i32.const 6)) (then unreachable))
      (call $task.cancel))

    ;; Hands a stream of its own to the host, and fills it while the host reads.
    (func (export "feed") (local $ends i64) (local $w i32)
      (local.set $ends (call $bytes.new))
      (local.set $w (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (drop (call $watched-async (i32.wrap_i64 (local.get $ends))))
      (i32.store (i32.const 16) (i32.const 0x04030201))
      (drop (call $bytes.write (local.get $w) (i32.const 16) (i32.const 4)))
      (call $bytes.drop-writable (local.get $w))
      (call $return-u32 (i32.const 7)))

    (func (export "trap-later") (param $s i32) (result i32)
      (drop (call $bytes.read (local.get $s) (i32.const 16) (i32.const 1)))
      unreachable))
  (core instance $i (instantiate $main (with "" (instance
    (export "memory" (memory $mem))
    (export "bytes.new" (func $bytes.new)) (export "bytes.read" (func $bytes.read))
    (export "bytes.write" (func $bytes.write)) (export "bytes.drop-readable" (func $bytes.drop-readable))
    (export "bytes.drop-writable" (func $bytes.drop-writable)) (export "names.read" (func $names.read))
    (export "names.drop-readable" (func $names.drop-readable)) (export "number.new" (func $number.new))
    (export "number.read" (func $number.read)) (export "number.write" (func $number.write))
    (export "number.drop-readable" (func $number.drop-readable))
    (export "number.drop-writable" (func $number.drop-writable)) (export "return-bytes" (func $return-bytes))
    (export "return-number" (func $return-number)) (export "return-u32" (func $return-u32))
    (export "task.cancel" (func $task.cancel)) (export "set.new" (func $set.new))
    (export "set.wait" (func $set.wait)) (export "yield" (func $yield)) (export "later" (func $later))
    (export "later-async" (func $later-async)) (export "subtask.cancel" (func $subtask.cancel))
    (export "subtask.drop" (func $subtask.drop)) (export "watched-async" (func $watched-async))))))
  (func (export "sum") async (param "s" $bytes) (result u32) (canon lift (core func $i "sum")))
  (func (export "first-length") async (param "s" $names) (result u32) (canon lift (core func $i "first-length")))
  (func (export "count") async (param "n" u32) (result $bytes) (canon lift (core func $i "count") async))
  (func (export "pass") async (param "s" $bytes) (result $bytes) (canon lift (core func $i "pass") async))
  (func (export "double") async (param "f" $number) (result $number) (canon lift (core func $i "double") async))
  (func (export "forget") async (result $number) (canon lift (core func $i "forget") async))
  (func (export "ask") async (param "n" u32) (result u32) (canon lift (core func $i "ask")))
  (func (export "ask-and-cancel") async (param "n" u32) (result u32) (canon lift (core func $i "ask-and-cancel")))
  (func (export "sleep") async (canon lift (core func $i "sleep") async))
  (func (export "feed") async (result u32) (canon lift (core func $i "feed") async))
  (func (export "trap-later") async (param "s" $bytes) (result u32) (canon lift (core func $i "trap-later"))))`;

interface Exports {
  sum(bytes: unknown): Promise<number>;
  firstLength(names: unknown): Promise<number>;
  count(n: number): Promise<StreamReader<Uint8Array>>;
  pass(bytes: unknown): Promise<StreamReader<Uint8Array>>;
  double(n: unknown): Promise<FutureReader<number>>;
  forget(): Promise<FutureReader<number>>;
  ask(n: number): Promise<number>;
  askAndCancel(n: number): Promise<number>;
  sleep(options: { signal: AbortSignal }): Promise<void>;
  feed(): Promise<number>;
  trapLater(bytes: unknown): Promise<number>;
}

describe("streams, futures and calls between a guest and JavaScript", () => {
  let component: Component;
  before(async () => {
    component = await load(await parse(guest));
  });

  function open(host: object = {}) {
    const nothing = { later: () => 0, watched: () => undefined };
    const instance = component.instantiate({ host: { ...nothing, ...host } } as never);
    return { instance, ...(instance.exports.$root as unknown as Exports) };
  }

  test("a guest reads what JavaScript gives, however it is cut into chunks", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 8 }),
        fc.boolean(),
        async (chunks, late) => {
          const { sum } = open();
          const source = late
            ? (async function* () {
                for (const chunk of chunks) yield chunk;
              })()
            : chunks;
          const expected = chunks.flatMap((chunk) => [...chunk]).reduce((total, byte) => total + byte, 0);
          assert.equal(await sum(source), expected);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("a guest that waits when its instance ends is let go, and so is its memory", async () => {
    const memories = () => queryObjects(WebAssembly.Memory as never, { format: "count" });
    const ends: string[] = [];
    for (let time = 0; time < 20; time++) {
      const never = new Promise<number>(() => {});
      const { ask, sum, instance } = open({ later: () => never });
      const endless = { pull: () => never.then(() => undefined), cancel: () => ends.push("cancelled") };
      const calls = [ask(1), sum(endless)].map((call) => assert.rejects(call, /the instance has ended/));
      instance[Symbol.dispose]();
      await Promise.all(calls);
    }
    await new Promise(setImmediate);
    assert.ok(memories() < 10, `${memories()}`);
  });

  test("a source is given up when the guest reads no more", async () => {
    let finished = false;
    const names = async function* () {
      try {
        for (;;) yield ["héllo"];
      } finally {
        finished = true;
      }
    };
    const { firstLength } = open();
    assert.equal(await firstLength(names()), 6);
    await new Promise(setImmediate);
    assert.equal(finished, true);
  });

  test("JavaScript reads a guest's stream, whose writer hears when it stops", async () => {
    const { count } = open();
    const whole: number[] = [];
    for await (const chunk of await count(5)) whole.push(...chunk);
    assert.deepEqual(whole, [0, 1, 2, 3, 4]);
    let read = 0;
    for await (const chunk of await count(1_000_000)) {
      read += chunk.length;
      if (read >= 3) break;
    }
    assert.equal(read, 3);
  });

  test("a stream that comes back is the one that was given", async () => {
    const { pass } = open();
    const chunks: Uint8Array[] = [];
    for await (const chunk of await pass([Uint8Array.of(1, 2), Uint8Array.of(3)])) chunks.push(chunk);
    assert.deepEqual(Buffer.concat(chunks), Buffer.of(1, 2, 3));
  });

  test("futures carry one value each way; one that is dropped unwritten is a trap", async () => {
    const { double, forget } = open();
    assert.equal(await (await double(21)).read(), 42);
    const later = Promise.withResolvers<number>();
    const doubled = (await double(later.promise)).read();
    later.resolve(4);
    assert.equal(await doubled, 8);
    await assert.rejects(async () => (await forget()).read(), /before a value was written/);
  });

  test("calls take turns while the host takes its time", async () => {
    const answers: ((n: number) => void)[] = [];
    const { ask } = open({ later: () => new Promise<number>((resolve) => answers.push(resolve)) });
    const [first, second] = [ask(1), ask(2)];
    await new Promise(setImmediate);
    answers[0]!(10);
    assert.equal(await first, 11);
    await new Promise(setImmediate);
    answers[1]!(20);
    assert.equal(await second, 21);
  });

  test("a host function's error is the error of its result", async () => {
    const { ask } = open({
      later: async (n: number) => {
        if (n === 0) throw new ComponentError("no zero");
        return n;
      },
    });
    assert.equal(await ask(0), 1000);
    assert.equal(await ask(3), 4);
  });

  test("a guest that cancels a call aborts its signal", async () => {
    let aborted = false;
    const { askAndCancel } = open({
      later: (_n: number, { signal }: { signal: AbortSignal }) =>
        new Promise(() => {
          signal.addEventListener("abort", () => {
            aborted = true;
          });
        }),
    });
    assert.equal(await askAndCancel(1), 4);
    assert.equal(aborted, true);
  });

  test("JavaScript cancels a call of the guest's", async () => {
    const { sleep, ask } = open({ later: (n: number) => n });
    const abort = new AbortController();
    const asleep = sleep({ signal: abort.signal });
    await new Promise(setImmediate);
    abort.abort(new Error("had enough"));
    await assert.rejects(asleep, /had enough/);
    assert.equal(await ask(1), 2);
  });

  test("a host function reads the stream that it was given while the guest fills it", async () => {
    const read = Promise.withResolvers<number[]>();
    const { feed } = open({
      watched: async (stream: StreamReader<Uint8Array>) => {
        const seen: number[] = [];
        for await (const chunk of stream) seen.push(...chunk);
        read.resolve(seen);
      },
    });
    assert.equal(await feed(), 7);
    assert.deepEqual(await read.promise, [1, 2, 3, 4]);
  });

  test("a trap fails every call and every stream of its instance", async () => {
    const { count, trapLater, instance } = open();
    const stream = await count(1_000_000);
    const later = Promise.withResolvers<Uint8Array>();
    const trapped = trapLater([Uint8Array.of(1)]);
    await assert.rejects(trapped, WebAssembly.RuntimeError);
    await assert.rejects(async () => {
      for (;;) await stream.read();
    }, /unreachable/);
    later.resolve(Uint8Array.of(1));
    await assert.rejects(async () => count(1), /it has trapped/);
    instance[Symbol.dispose]();
  });

  test("an instance that is disposed fails what waits in it, and gives up its sources", async () => {
    const { sum, instance } = open();
    let cancelled = false;
    const waiting = sum({ pull: () => new Promise(() => {}), cancel: () => (cancelled = true) });
    await new Promise(setImmediate);
    instance[Symbol.dispose]();
    await assert.rejects(waiting, /the instance has ended/);
    assert.equal(cancelled, true);
  });
});
