/** Streams against a model of what the Canonical ABI says of them, and between guests and hosts of any timing. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { LoadOptions } from "../contract.ts";
import type { Chunk, StreamReader } from "../index.ts";
import { createMetering } from "../meter.ts";
import { guest } from "./guest.ts";

const blocked = -1;
const [completed, dropped, cancelled] = [0, 1, 2];

interface Copy {
  readonly length: number;
  progress: number;
}

interface End {
  state: "idle" | "copying" | "done" | "gone";
  copy: Copy;
  event: number | undefined;
}

/** A stream of one instance whose ends are worked on in turn; anything that traps is `undefined`. */
class Model {
  readonly #read: End = { state: "idle", copy: { length: 0, progress: 0 }, event: undefined };
  readonly #write: End = { state: "idle", copy: { length: 0, progress: 0 }, event: undefined };
  /** Whose copy waits for the other end's. */
  #pending: End | undefined;
  #dropped = false;

  copy(which: "read" | "write", length: number): number | undefined {
    const [mine, other] = this.#ends(which);
    if (mine.state !== "idle") return undefined;
    mine.state = "copying";
    mine.copy = { length, progress: 0 };
    if (this.#dropped) mine.event = dropped;
    else if (this.#pending === undefined) this.#pending = mine;
    else {
      const room = other.copy.length - other.copy.progress;
      if (room > 0) {
        const count = Math.min(room, length);
        for (const { copy } of [mine, other]) copy.progress += count;
        if (count > 0) other.event = completed;
        mine.event = completed;
      } else if (which === "write" && length === 0 && other.copy.length === 0) mine.event = completed;
      else {
        other.event = completed;
        this.#pending = mine;
      }
    }
    return mine.event === undefined ? blocked : this.#take(mine);
  }

  cancel(which: "read" | "write"): number | undefined {
    const [mine] = this.#ends(which);
    if (mine.state !== "copying") return undefined;
    const { length, progress } = mine.copy;
    if (this.#pending === mine && (progress < length || length === 0)) {
      mine.event = cancelled;
      this.#pending = undefined;
    }
    return this.#take(mine);
  }

  drop(which: "read" | "write"): number | undefined {
    const [mine] = this.#ends(which);
    if (mine.state === "copying" || mine.state === "gone") return undefined;
    mine.state = "gone";
    if (!this.#dropped && this.#pending !== undefined) this.#pending.event = dropped;
    this.#dropped = true;
    this.#pending = undefined;
    return 0;
  }

  /** What polling a set that the end is in answers: the code of the event, and its payload above. */
  event(which: "read" | "write"): number | undefined {
    const [mine] = this.#ends(which);
    if (mine.state === "gone") return undefined;
    if (mine.event === undefined) return 0;
    return (which === "read" ? 2 : 3) | (this.#take(mine) << 8);
  }

  #take(end: End): number {
    const result = end.event!;
    end.event = undefined;
    end.state = result === dropped ? "done" : "idle";
    // Who was told of a copy takes its buffer back.
    if (this.#pending === end) this.#pending = undefined;
    return result | (end.copy.progress << 4);
  }

  #ends(which: "read" | "write"): [mine: End, other: End] {
    return which === "read" ? [this.#read, this.#write] : [this.#write, this.#read];
  }
}

const stream = {
  new: ["stream.new $bytes", "(result i64)"],
  read: ["stream.read $bytes async (memory $mem)", "(param i32 i32 i32) (result i32)"],
  write: ["stream.write $bytes async (memory $mem)", "(param i32 i32 i32) (result i32)"],
  "cancel-read": ["stream.cancel-read $bytes", "(param i32) (result i32)"],
  "cancel-write": ["stream.cancel-write $bytes", "(param i32) (result i32)"],
  "drop-readable": ["stream.drop-readable $bytes", "(param i32)"],
  "drop-writable": ["stream.drop-writable $bytes", "(param i32)"],
} as const;

/** Does what it is told to the ends of one stream. */
const driver = () =>
  guest({
    imports: "(type $bytes (stream u8))",
    builtIns: {
      ...stream,
      set: ["waitable-set.new", "(result i32)"],
      join: ["waitable.join", "(param i32 i32)"],
      poll: ["waitable-set.poll (memory $mem)", "(param i32 i32) (result i32)"],
    },
    code: `
      (global $r (mut i32) (i32.const 0)) (global $w (mut i32) (i32.const 0)) (global $set (mut i32) (i32.const 0))
      (func (export "open") (local $ends i64)
        (local.set $ends (call $new))
        (global.set $set (call $set))
        (global.set $r (i32.wrap_i64 (local.get $ends)))
        (global.set $w (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32)))))
      (func (export "read") (param i32) (result i32) (call $read (global.get $r) (i32.const 256) (local.get 0)))
      (func (export "write") (param i32) (result i32) (call $write (global.get $w) (i32.const 512) (local.get 0)))
      (func (export "cancel-read") (result i32) (call $cancel-read (global.get $r)))
      (func (export "cancel-write") (result i32) (call $cancel-write (global.get $w)))
      (func (export "drop-read") (result i32) (call $drop-readable (global.get $r)) (i32.const 0))
      (func (export "drop-write") (result i32) (call $drop-writable (global.get $w)) (i32.const 0))
      (func $event (param $end i32) (result i32) (local $code i32)
        (call $join (local.get $end) (global.get $set))
        (local.set $code (call $poll (global.get $set) (i32.const 0)))
        (call $join (local.get $end) (i32.const 0))
        (i32.or (local.get $code) (i32.shl (i32.load (i32.const 4)) (i32.const 8))))
      (func (export "event-read") (result i32) (call $event (global.get $r)))
      (func (export "event-write") (result i32) (call $event (global.get $w)))`,
    lifts: [
      "open",
      "read",
      "write",
      "cancel-read",
      "cancel-write",
      "drop-read",
      "drop-write",
      "event-read",
      "event-write",
    ]
      .map((name) => {
        const params = name === "read" || name === "write" ? '(param "n" u32)' : "";
        const result = name === "open" ? "" : "(result s32)";
        return `(func (export "${name}") ${params} ${result} (canon lift (core func $i "${name}")))`;
      })
      .join("\n"),
  });

const which = fc.constantFrom("read" as const, "write" as const);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant("copy" as const), which, fc.nat({ max: 4 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("event" as const), which, fc.constant(0)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("cancel" as const), which, fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("drop" as const), which, fc.constant(0)) },
);

/** Passes on what it reads, some bytes at a time, until either side has gone; counts to `$work` before each step. */
const echo = (options: LoadOptions) =>
  guest(
    {
      imports: "(type $bytes (stream u8))",
      builtIns: {
        ...stream,
        read: ["stream.read $bytes (memory $mem)", stream.read[1]],
        write: ["stream.write $bytes (memory $mem)", stream.write[1]],
        return: ["task.return (result $bytes)", "(param i32)"],
      },
      code: `
      (global $free (mut i32) (i32.const 1024)) (global $work (mut i32) (i32.const 1))
      (func (export "work") (param i32) (global.set $work (local.get 0)))
      (func $think (local $i i32)
        (loop $on (br_if $on (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (global.get $work)))))
      (func (export "echo") (param $from i32) (param $count i32)
        (local $ends i64) (local $w i32) (local $read i32) (local $written i32) (local $got i32) (local $put i32) (local $at i32)
        (local.set $at (global.get $free))
        (global.set $free (i32.add (global.get $free) (i32.const 64)))
        (local.set $ends (call $new))
        (local.set $w (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
        (call $return (i32.wrap_i64 (local.get $ends)))
        (block $gone
          (loop $next
            (call $think)
            (local.set $got (call $read (local.get $from) (local.get $at) (local.get $count)))
            (local.set $read (i32.shr_u (local.get $got) (i32.const 4)))
            (local.set $written (i32.const 0))
            (loop $rest
              (if (i32.lt_u (local.get $written) (local.get $read)) (then
                (call $think)
                (local.set $put (call $write (local.get $w)
                  (i32.add (local.get $at) (local.get $written)) (i32.sub (local.get $read) (local.get $written))))
                (local.set $written (i32.add (local.get $written) (i32.shr_u (local.get $put) (i32.const 4))))
                (br_if $gone (i32.and (local.get $put) (i32.const 1)))
                (br $rest))))
            (br_if $next (i32.eqz (i32.and (local.get $got) (i32.const 1))))))
        (call $drop-readable (local.get $from))
        (call $drop-writable (local.get $w)))`,
      lifts: `(func (export "echo") async (param "s" $bytes) (param "n" u32) (result $bytes)
      (canon lift (core func $i "echo") async))
      (func (export "work") (param "n" u32) (canon lift (core func $i "work")))`,
    },
    options,
  );

const TURNS_MAX = 500_000;

/** Lets its promises go one at a time, in an order of its own. */
function createSchedule(order: () => number) {
  const waiting: (() => void)[] = [];
  return {
    later: <T>(value: T) => new Promise<T>((resolve) => waiting.push(() => resolve(value))),
    /** Until all is done; whether it is, after so many turns. */
    async run(done: () => boolean): Promise<boolean> {
      for (let left = TURNS_MAX; left > 0 && !done(); left--) {
        await new Promise(setImmediate);
        waiting.splice(order() % waiting.length, 1)[0]?.();
      }
      return done();
    },
  };
}

describe("streams and a model of them", () => {
  test("the ends of one stream, whatever is done to them", async () => {
    const open = await driver();
    await fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const exports = open();
        const model = new Model();
        exports.open!();
        for (const [verb, end, count] of steps) {
          const expected = verb === "copy" ? model.copy(end, count) : model[verb](end);
          const name = verb === "copy" ? end : `${verb}${end === "read" ? "Read" : "Write"}`;
          const act = () => (verb === "copy" ? exports[name]!(count) : exports[name]!());
          if (expected === undefined) {
            assert.throws(act, WebAssembly.RuntimeError);
            return;
          }
          assert.equal(act(), expected, `${verb} ${end}`);
        }
      }),
      { numRuns: 1500 },
    );
  });

  /** `interrupts`: the guest is paused wherever it is, time and again. */
  async function passOn(interrupts: boolean): Promise<void> {
    const open = await echo({ metered: interrupts });
    let nowMs = 0;
    let turns = 0;
    const nextTurn = (action: () => void) => {
      turns++;
      setImmediate(action);
    };
    const metering = createMetering({ monotonic: () => ++nowMs, nextTurn, laterSliceMs: 3 });
    const cpu = { metering, cpuMs: 1e9 };
    const chunk = fc.record({ bytes: fc.uint8Array({ maxLength: 12 }), late: fc.boolean() });
    const one = fc.record({
      chunks: fc.array(chunk, { maxLength: 6 }),
      /** How many bytes the guest reads at a time, and its reader outside. */
      count: fc.integer({ min: 1, max: 9 }),
      max: fc.integer({ min: 1, max: 9 }),
      /** After how many reads the reader goes. */
      leaves: fc.option(fc.nat({ max: 6 }), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(one, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 20 }),
        async (streams, order) => {
          const { echo, work } = open({}, { deadlock: "trap", ...(interrupts && { cpu }) });
          if (interrupts) work!(20_000);
          let turn = 0;
          const schedule = createSchedule(() => order[turn++ % order.length]!);
          const ended: boolean[] = streams.map(() => false);
          const gone: boolean[] = streams.map(() => false);
          const all = streams.map(async ({ chunks, count, max, leaves }, index) => {
            const left = [...chunks];
            const source = {
              pull() {
                const next = left.shift();
                gone[index] ||= next === undefined;
                return next?.late ? schedule.later(next.bytes) : next?.bytes;
              },
              cancel: () => {
                gone[index] = true;
              },
            };
            const reader: StreamReader<Uint8Array> = await echo!(source, count);
            const seen: number[] = [];
            let chunk: Chunk | undefined;
            for (let reads = 0; reads !== leaves; reads++) {
              chunk = await reader.read(max);
              if (chunk === undefined) break;
              assert.ok(chunk.length > 0 && chunk.length <= max);
              seen.push(...(chunk as Uint8Array));
              await schedule.later(undefined);
            }
            reader[Symbol.dispose]();
            const given = chunks.flatMap(({ bytes }) => [...bytes]);
            assert.deepEqual(seen, leaves === undefined ? given : given.slice(0, seen.length));
            ended[index] = true;
          });
          assert.ok(await schedule.run(() => ended.every(Boolean) && gone.every(Boolean)));
          await Promise.all(all);
        },
      ),
      { numRuns: interrupts ? 60 : 150 },
    );
    assert.equal(turns > 60, interrupts);
  }

  test("streams that a guest passes on bring what they were given, in any order of things", () => passOn(false));
  test("so they do where the guest is interrupted", () => passOn(true));
});
