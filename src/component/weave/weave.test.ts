import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { parse, print } from "@bytecodealliance/jco";
import fc from "fast-check";
import { CytoError } from "../../kernel/index.ts";
import { sniff } from "../binary.ts";
import { decode } from "../decode.ts";
import { createMetering } from "../meter.ts";
import { planOf } from "../plan.ts";
import { originalOffset } from "./offsets.ts";
import { type WeaveOptions, type Woven, weave } from "./weave.ts";

type Function = (...args: unknown[]) => unknown;
type Imports = Record<string, Record<string, unknown>>;
type Bytes = Uint8Array<ArrayBuffer>;

const metering = createMetering({ monotonic: () => performance.now(), nextTurn: setImmediate });
const endless = { cpuMs: Number.POSITIVE_INFINITY, suspendable: false, usedMs: 0 };

const assemble = async (wat: string): Promise<Bytes> => new Uint8Array(await parse(wat));

/** The instance, and how to make the counter run out at the next look. */
function openWoven({ module, exports: names }: Woven, imports: Imports = {}) {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module as Bytes), imports);
  const meter = metering.meter();
  if (names) meter.attach(instance, names);
  meter.enter(endless);
  return { exports: instance.exports, runOut: () => meter.charge(1 << 20), meter };
}

function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (thrown) {
    return `${(thrown as Error).name}: ${(thrown as Error).message}`;
  }
}

/** Calls both, one after another, and compares what they answer and what they leave in memory. */
function compare(
  bytes: Bytes,
  calls: readonly (readonly [name: string, ...args: unknown[]])[],
  options: WeaveOptions = {},
) {
  const plain = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const woven = weave(bytes, options);
  assert.ok(WebAssembly.validate(woven.module as Bytes));
  const opened = openWoven(woven);
  for (const [name, ...args] of calls) {
    opened.runOut();
    const expected = outcome(() => (plain.exports[name] as Function)(...args));
    const actual = outcome(() => (opened.exports[name] as Function)(...args));
    assert.deepEqual(actual, expected, `${name}(${args})`);
  }
  for (const [name, value] of Object.entries(plain.exports)) {
    if (!(value instanceof WebAssembly.Memory)) continue;
    const memory = opened.exports[name] as WebAssembly.Memory;
    assert.ok(Buffer.from(value.buffer).equals(Buffer.from(memory.buffer)), `the memory ${name}`);
  }
}

const range = [-1, 0, 1, 2, 3, 4, 5, 7, 100];
const each = (name: string) => range.map((value) => [name, value] as const);

/** Ways through code, each with the calls to compare. */
const suites: Record<string, { wat: string; calls: readonly (readonly [string, ...unknown[]])[] }> = {
  "loops, with their test at either end, nested, and left from inside": {
    wat: `(module
      (func (export "bottom") (param i32) (result i32) (local i32)
        (loop (local.set 1 (i32.add (local.get 1) (local.get 0)))
          (br_if 0 (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0)))) (local.get 1))
      (func (export "top") (param i32) (result i32) (local i32)
        (block (loop (br_if 1 (i32.le_s (local.get 0) (i32.const 0)))
          (local.set 1 (i32.add (local.get 1) (local.get 0)))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br 0))) (local.get 1))
      (func (export "nested") (param i32) (result i32) (local i32 i32 i32)
        (loop $a (local.set 2 (i32.const 0))
          (loop $b (local.set 3 (i32.add (local.get 3) (i32.mul (local.get 1) (local.get 2))))
            (br_if $b (i32.lt_s (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (local.get 0))))
          (br_if $a (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0)))) (local.get 3))
      (func (export "out") (param i32) (result i32) (local i32)
        (block $x (result i32) (block $y (result i32) (loop $l
            (drop (br_if $y (i32.const 11) (i32.eq (local.get 1) (i32.const 3))))
            (drop (br_if $x (i32.const 22) (i32.eq (local.get 1) (local.get 0))))
            (if (i32.eq (local.get 1) (i32.const 50)) (then (return (i32.const 33))))
            (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (br $l)) (unreachable)) (i32.add (i32.const 1))))
      (func (export "carried") (param i32) (result i32)
        (local.get 0) (loop (param i32) (result i32) (i32.add (i32.const 3)) (local.tee 0) (local.get 0)
          (br_if 0 (i32.lt_s (i32.const 40)))))
      (func (export "long") (result i64) (local i64 i32)
        (loop (local.set 0 (i64.add (i64.mul (local.get 0) (i64.const 6364136223846793005)) (i64.const 1442695040888963407)))
          (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 300000)))) (local.get 0)))`,
    calls: [...["bottom", "top", "nested", "out", "carried"].flatMap(each), ["long"]],
  },
  "branches out of the function, by every instruction that branches": {
    wat: `(module
      (func (export "br") (param i32) (result i32) (loop (br 1 (local.get 0))) (unreachable))
      (func (export "br_if") (param i32) (result i32) (local i32)
        (loop (drop (br_if 1 (local.get 1) (i32.gt_s (local.get 1) (local.get 0))))
          (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br 0)) (unreachable))
      (func (export "br_table") (param i32) (result i32) (local i32)
        (block (result i32) (loop (result i32)
          (local.set 1 (i32.add (local.get 1) (i32.const 1)))
          (br_table 2 1 1 2 (local.get 1) (i32.sub (local.get 0) (local.get 1))))) (i32.add (i32.const 1000)))
      (func (export "switch") (param i32) (result i32) (local i32 i32)
        (loop $l
          (block $d (block $c (block $b (block $a
            (br_table $a $b $c $d (i32.rem_u (i32.add (local.get 0) (local.get 1)) (i32.const 5))))
            (local.set 2 (i32.add (local.get 2) (i32.const 1))) (br $d))
            (local.set 2 (i32.mul (local.get 2) (i32.const 3))) (br $d))
            (local.set 2 (i32.xor (local.get 2) (i32.const 5))))
          (br_if $l (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 9))))
        (local.get 2))
      (func (export "on_null") (param i32) (result i32) (local funcref)
        (block (loop (br_on_null 1 (local.get 1)) (drop) (br 0))) (i32.const 8))
      (func (export "several") (param i32) (result i32 i64 f32) (local i32)
        (loop (br_if 1 (local.get 1) (i64.const 5) (f32.const 1.5) (i32.gt_s (local.get 1) (local.get 0))) (drop) (drop) (drop)
          (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br 0)) (unreachable))
      (func (export "return") (param i32) (result i32 i32) (local i32)
        (loop (if (i32.gt_s (local.get 1) (local.get 0)) (then (return (local.get 0) (local.get 1))))
          (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br 0)) (unreachable)))`,
    calls: ["br", "br_if", "br_table", "switch", "on_null", "several", "return"].flatMap(each),
  },
  "calls of each kind, and tail calls": {
    wat: `(module (type $f (func (param i32) (result i32)))
      (table 4 funcref) (elem (i32.const 0) $small $even $odd) (elem declare func $small)
      (func $small (type $f) (i32.add (local.get 0) (i32.const 1)))
      (func $even (export "even") (type $f) (if (i32.le_s (local.get 0) (i32.const 0)) (then (return (i32.const 1))))
        (return_call $odd (i32.sub (local.get 0) (i32.const 1))))
      (func $odd (type $f) (if (i32.le_s (local.get 0) (i32.const 0)) (then (return (i32.const 0))))
        (return_call_indirect (type $f) (i32.sub (local.get 0) (i32.const 1)) (i32.const 1)))
      (func (export "indirect") (type $f) (local i32)
        (loop (local.set 1 (call_indirect (type $f) (local.get 1) (i32.const 0)))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (i32.gt_s (local.get 0) (i32.const 0)))) (local.get 1))
      (func (export "reference") (type $f) (local i32)
        (loop (local.set 1 (call_ref $f (local.get 1) (ref.func $small)))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (i32.gt_s (local.get 0) (i32.const 0)))) (local.get 1))
      (func (export "absent") (type $f) (call_indirect (type $f) (i32.const 1) (local.get 0)))
      (func $fib (export "fib") (type $f) (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
        (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
      (func (export "mixed") (type $f) (local i32 i32)
        (loop $a (local.set 2 (i32.const 0))
          (loop $b (local.set 1 (i32.add (local.get 1) (call $small (local.get 2))))
            (br_if $b (i32.lt_s (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (i32.const 5))))
          (local.set 1 (i32.add (local.get 1) (call $even (local.get 0))))
          (br_if $a (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0)))) (local.get 1)))`,
    calls: [...["even", "indirect", "reference", "absent", "mixed"].flatMap(each), ["fib", 18], ["even", 20_001]],
  },
  "exceptions, as they are encoded today": {
    wat: `(module (tag $e (param i32)) (tag $other)
      (func $throws (param i32) (result i32) (local i32)
        (loop (br_if 0 (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 9))))
        (if (i32.and (local.get 0) (i32.const 1)) (then (throw $e (local.get 0)))) (local.get 1))
      (func (export "catch") (param i32) (result i32) (local i32)
        (loop $l
          (block $h (result i32) (try_table (result i32) (catch $e $h) (call $throws (local.get 0))))
          (local.set 1 (i32.add (local.get 1)))
          (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0)))) (local.get 1))
      (func (export "again") (param i32) (result i32) (local exnref)
        (block $h (result i32 exnref)
          (try_table (catch_ref $e $h) (throw $e (local.get 0))) (unreachable))
        (local.set 1)
        (if (i32.eq (local.get 0) (i32.const 3)) (then (throw_ref (local.get 1)))))
      (func (export "all") (param i32) (result i32)
        (block $h (try_table (catch_all $h) (if (local.get 0) (then (throw $other)))) (return (i32.const 5))) (i32.const 6))
      (func (export "out") (param i32) (result i32) (loop (br_if 0 (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 2))))
        (drop (call $throws (local.get 0))) (i32.const 7)))`,
    calls: ["catch", "again", "all"].flatMap(each),
  },
  "exceptions, as they were encoded first": {
    wat: `(module (tag $e (param i32))
      (func $throws (param i32) (result i32)
        (if (i32.and (local.get 0) (i32.const 1)) (then (throw $e (local.get 0)))) (i32.const 1))
      (func (export "catch") (param i32) (result i32) (local i32)
        (loop $l
          try (result i32) (call $throws (local.get 0)) catch $e (i32.mul (i32.const 3)) catch_all (i32.const 9) end
          (local.set 1 (i32.add (local.get 1)))
          (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0)))) (local.get 1))
      (func (export "rethrow") (param i32) (result i32)
        try (result i32)
          try (result i32) (call $throws (local.get 0)) catch $e drop (rethrow 0) end
        catch_all (i32.const 77) end)
      (func (export "delegate") (param i32) (result i32)
        try $t (result i32)
          try (result i32) (call $throws (local.get 0)) delegate $t
        catch $e end))`,
    calls: ["catch", "rethrow", "delegate"].flatMap(each),
  },
  "bulk instructions on memories, small and in pieces": {
    wat: `(module (memory $m (export "m") 8 9) (memory $n (export "n") 8 8) (data $d "0123456789")
      (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
      (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
      (func (export "across") (param i32 i32 i32) (memory.copy $n $m (local.get 0) (local.get 1) (local.get 2)))
      (func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
      (func (export "known") (memory.fill (i32.const 9) (i32.const 8) (i32.const 7)))
      (func (export "looped") (param i32) (loop (memory.copy (local.get 0) (i32.const 100) (i32.mul (local.get 0) (i32.const 3000)))
        (br_if 0 (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0)))))
      (func (export "grow") (result i32) (memory.grow (i32.const 1)))
      (func (export "drop") (data.drop $d)))`,
    calls: [
      ["init", 3, 2, 8],
      ["init", 3, 2, 9],
      ["init", -1, 0, 200_000],
      ["fill", 100_000, 7, 300_000],
      ["fill", 250_000, 9, 65_537],
      ["known"],
      ["copy", 1, 3, 400_000],
      ["copy", 5000, 3, 400_000],
      ["copy", 100, 70_000, 200_000],
      ["copy", 400_000, 300_000, 124_289],
      ["fill", 400_000, 1, 124_288],
      ["fill", 400_000, 1, 124_289],
      ["fill", -5, 1, 200_000],
      ["fill", 5, 1, -1],
      ["copy", -5, 1, 200_000],
      ["copy", 5, -2, 200_000],
      ["across", 10, 20, 300_000],
      ["looped", 60],
      ["grow"],
      ["grow"],
      ["fill", 400_000, 4, 180_000],
      ["drop"],
      ["init", 0, 0, 0],
      ["init", 0, 0, 1],
    ],
  },
  "bulk instructions on tables": {
    wat: `(module (table $t 30000 40000 funcref) (table $u 30000 funcref) (elem $e func $f $g)
      (func $f (result i32) (i32.const 1)) (func $g (result i32) (i32.const 2))
      (func (export "fill") (param i32 i32) (table.fill $t (local.get 0) (ref.func $g) (local.get 1)))
      (func (export "copy") (param i32 i32 i32) (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
      (func (export "across") (param i32 i32 i32) (table.copy $u $t (local.get 0) (local.get 1) (local.get 2)))
      (func (export "init") (param i32 i32 i32) (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))
      (func (export "grow") (param i32) (result i32) (table.grow $t (ref.func $f) (local.get 0)))
      (func (export "call") (param i32) (result i32) (call_indirect $t (result i32) (local.get 0)))
      (func (export "other") (param i32) (result i32) (call_indirect $u (result i32) (local.get 0))))`,
    calls: [
      ["init", 5, 0, 2],
      ["init", 5, 1, 2],
      ["copy", 6, 5, 20_000],
      ["call", 6],
      ["call", 7],
      ["fill", 100, 25_000],
      ["fill", 100, 29_901],
      ["fill", -1, 9000],
      ["copy", 0, 90, 29_000],
      ["across", 3, 50, 29_000],
      ["call", 9],
      ["call", 10],
      ["call", 25_099],
      ["other", 60],
      ["grow", 5000],
      ["grow", 5001],
      ["call", 34_999],
    ],
  },
  "memories and tables of 64 bits": {
    wat: `(module (memory (export "m") i64 4 8) (table $t i64 20000 funcref) (data $d "0123456789")
      (func $f (result i32) (i32.const 1)) (elem declare func $f)
      (func (export "fill") (param i64 i32 i64) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
      (func (export "copy") (param i64 i64 i64) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
      (func (export "init") (param i64 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
      (func (export "table") (param i64 i64) (table.fill $t (local.get 0) (ref.func $f) (local.get 1)))
      (func (export "sum") (param i64) (result i64) (local i64)
        (loop (local.set 1 (i64.add (local.get 1) (i64.load8_u (local.get 0))))
          (br_if 0 (i64.gt_s (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0)))) (local.get 1)))`,
    calls: [
      ["init", 7n, 1, 9],
      ["init", 7n, 1, 10],
      ["fill", 1000n, 5, 200_000n],
      ["fill", 1000n, 5, 300_000n],
      ["fill", -1n, 5, 300_000n],
      ["copy", 1n, 990n, 150_000n],
      ["copy", 70_000n, 50_000n, 150_000n],
      ["table", 10n, 19_000n],
      ["table", 10n, 19_991n],
      ["sum", 100_000n],
    ],
  },
  "garbage-collected objects": {
    wat: `(module (rec (type $node (struct (field i32) (field (ref null $node))))) (type $bytes (array (mut i8))) (data $d "abcdef")
      (func (export "list") (param i32) (result i32) (local (ref null $node)) (local i32)
        (loop (local.set 1 (struct.new $node (local.get 0) (local.get 1)))
          (br_if 0 (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0))))
        (block $end (loop $next (local.set 2 (i32.add (local.get 2) (struct.get $node 0 (br_on_null $end (local.get 1)))))
          (local.set 1 (struct.get $node 1 (local.get 1))) (br $next)))
        (local.get 2))
      (func (export "array") (param i32) (result i32) (local $a (ref null $bytes))
        (local.set $a (array.new $bytes (i32.const 7) (local.get 0)))
        (array.fill $bytes (local.get $a) (i32.const 1) (i32.const 9) (i32.const 2))
        (array.copy $bytes $bytes (local.get $a) (i32.const 0) (local.get $a) (i32.const 1) (i32.const 2))
        (array.init_data $bytes $d (local.get $a) (i32.const 2) (i32.const 1) (i32.const 1))
        (i32.add (array.get_u $bytes (local.get $a) (i32.const 0)) (array.get_u $bytes (local.get $a) (i32.const 2))))
      (func (export "cast") (param i32) (result i32) (local i32)
        (block $no (result anyref) (loop $l
          (drop (br_on_cast_fail $no anyref (ref i31) (if (result anyref) (i32.lt_s (local.get 1) (local.get 0))
            (then (ref.i31 (local.get 1))) (else (array.new_default $bytes (i32.const 3))))))
          (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br $l)) (unreachable))
        (drop) (local.get 1)))`,
    // An array that is too long is refused in another way: see the limits.
    calls: ["list", "array", "cast"].flatMap(each).filter(([name, value]) => name !== "array" || value >= 0),
  },
  "vectors, atomics, saturating and sign-extending numbers": {
    wat: `(module (memory (export "m") 1 2 shared)
      (func (export "vector") (param i32) (result i32) (local v128)
        (loop (local.set 1 (i32x4.add (local.get 1) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (i32x4.splat (local.get 0)) (v128.load (i32.const 16)))))
          (v128.store64_lane offset=8 1 (i32.const 0) (local.get 1))
          (br_if 0 (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0)))) (i32x4.extract_lane 1 (i32x4.relaxed_laneselect (local.get 1) (local.get 1) (v128.const i32x4 1 2 3 4))))
      (func (export "atomic") (param i32) (result i32) (atomic.fence)
        (loop (drop (i32.atomic.rmw.add (i32.const 64) (local.get 0)))
          (br_if 0 (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0)))) (i32.atomic.load (i32.const 64)))
      (func (export "wait") (param i32) (result i32) (memory.atomic.wait32 (i32.const 128) (local.get 0) (i64.const 2500000)))
      (func (export "notify") (result i32) (memory.atomic.notify (i32.const 128) (i32.const 1)))
      (func (export "unaligned") (result i32) (memory.atomic.wait64 offset=4 (i32.const 128) (i64.const 1) (i64.const 0)))
      (func (export "number") (param i32) (result i32) (i32.add (i32.extend8_s (local.get 0)) (i32.trunc_sat_f32_s (f32.div (f32.const 7) (f32.convert_i32_s (local.get 0)))))))`,
    calls: [...["vector", "atomic", "number"].flatMap(each), ["wait", 0], ["wait", 1], ["notify"], ["unaligned"]],
  },
  "start functions, constant expressions, and names that are taken": {
    wat: `(module (global $g (export "cytoplane:counter") (mut i32) (i32.add (i32.const 3) (i32.mul (i32.const 2) (i32.const 5))))
      (table 3 3 funcref (ref.null func)) (memory (export "cytoplane:meter") 1)
      (start $s) (func $s (loop (global.set $g (i32.add (global.get $g) (i32.const 1))) (br_if 0 (i32.lt_s (global.get $g) (i32.const 40000)))))
      (func (export "get") (param i32) (result i32) (i32.add (local.get 0) (global.get $g)))
      (func (export "trap") (param i32) (result i32) (if (local.get 0) (then (unreachable))) (i32.div_s (i32.const 1) (local.get 0))))`,
    calls: ["get", "trap"].flatMap(each),
  },
};

/** Statements over the locals 0 to 3; 4 and up bound the loops, so that every program ends. */
interface Shape {
  readonly depth: number;
  readonly labels: number;
  readonly callable: number;
}

const local = fc.integer({ min: 0, max: 3 });

function expression(depth: number, callable: number): fc.Arbitrary<string> {
  const leaf = fc.oneof(
    fc.integer({ min: -5, max: 100 }).map((value) => `(i32.const ${value})`),
    local.map((index) => `(local.get ${index})`),
    local.map((index) => `(i32.load (i32.and (local.get ${index}) (i32.const 1020)))`),
  );
  if (depth === 0) return leaf;
  const inner = expression(depth - 1, callable);
  const operator = fc.constantFrom("add", "sub", "mul", "xor", "lt_s", "rem_u", "rotl");
  const sums = fc.tuple(operator, inner, inner).map(([op, a, b]) => `(i32.${op} ${a} ${b})`);
  if (callable === 0) return fc.oneof(leaf, sums);
  const calls = fc
    .tuple(fc.integer({ min: 0, max: callable - 1 }), inner)
    .map(([which, a]) => `(call $f${which} ${a})`);
  const indirect = inner.map((a) => `(call_indirect (param i32) (result i32) ${a} (i32.const 0))`);
  return fc.oneof({ weight: 3, arbitrary: leaf }, { weight: 4, arbitrary: sums }, calls, indirect);
}

function statement({ depth, labels, callable }: Shape): fc.Arbitrary<string> {
  const value = expression(2, callable);
  const simple = fc.oneof(
    fc.tuple(local, value).map(([index, a]) => `(local.set ${index} ${a})`),
    fc.tuple(value, value).map(([a, b]) => `(i32.store (i32.and ${a} (i32.const 1020)) ${b})`),
    fc
      .tuple(value, value, value)
      .map(([a, b, c]) => `(memory.fill (i32.and ${a} (i32.const 1023)) ${b} (i32.and ${c} (i32.const 131071)))`),
    fc
      .tuple(value, value, value)
      .map(
        ([a, b, c]) =>
          `(memory.copy (i32.and ${a} (i32.const 65535)) (i32.and ${b} (i32.const 65535)) (i32.and ${c} (i32.const 131071)))`,
      ),
    value.map((a) => `(if ${a} (then (return (local.get 0))))`),
  );
  const label = fc.integer({ min: 0, max: Math.max(labels - 1, 0) });
  // Labels are counted from inside: a branch to a loop's own is only ever its last instruction, which is bounded.
  const branches = fc.oneof(
    fc.tuple(label, value).map(([to, a]) => `(br_if $l${to} ${a})`),
    fc.tuple(label, label, value).map(([to, other, a]) => `(br_table $l${to} $l${other} ${a})`),
    label.map((to) => `(br $l${to})`),
  );
  const flat = labels > 0 ? fc.oneof({ weight: 3, arbitrary: simple }, branches) : simple;
  if (depth === 0) return flat;
  const body = fc
    .array(statement({ depth: depth - 1, labels: labels + 1, callable }), { minLength: 1, maxLength: 3 })
    .map((all) => all.join(" "));
  const times = fc.integer({ min: 1, max: 6 });
  const counter = 4 + depth;
  const next = `(br_if $n (i32.gt_s (local.tee ${counter} (i32.sub (local.get ${counter}) (i32.const 1))) (i32.const 0)))`;
  return fc.oneof(
    { weight: 2, arbitrary: flat },
    body.map((inside) => `(block $l${labels} ${inside})`),
    fc.tuple(value, body, body).map(([a, b, c]) => `(block $l${labels} (if ${a} (then ${b}) (else ${c})))`),
    fc
      .tuple(times, body)
      .map(([n, inside]) => `(local.set ${counter} (i32.const ${n})) (block $l${labels} (loop $n ${inside} ${next}))`),
    fc.tuple(times, body).map(
      ([n, inside]) =>
        `(local.set ${counter} (i32.const ${n})) (block $l${labels} (loop $n
          (br_if $l${labels} (i32.le_s (local.tee ${counter} (i32.sub (local.get ${counter}) (i32.const 1))) (i32.const 0)))
          ${inside} (br $n)))`,
    ),
  );
}

function body(callable: number): fc.Arbitrary<string> {
  return fc
    .array(statement({ depth: 3, labels: 0, callable }), { minLength: 1, maxLength: 4 })
    .map((all) => `${all.join(" ")} (i32.add (local.get 0) (i32.mul (local.get 1) (i32.const 7)))`);
}

const program = fc.tuple(body(0), body(1), body(2)).map(
  (bodies) => `(module (memory (export "m") 2 2) (table 1 funcref) (elem (i32.const 0) $f0)
    ${bodies
      .map(
        (code, index) =>
          `(func $f${index} (export "f${index}") (param i32) (result i32) (local i32 i32 i32 i32 i32 i32 i32) ${code})`,
      )
      .join("\n")})`,
);

describe("weave()", () => {
  for (const [name, { wat, calls }] of Object.entries(suites)) {
    test(`changes nothing about ${name}`, async () => {
      const bytes = await assemble(wat);
      compare(bytes, calls);
      compare(bytes, calls, { profile: true });
    });
  }

  test("changes nothing about programs at random", async () => {
    await fc.assert(
      fc.asyncProperty(
        program,
        fc.array(fc.integer({ min: -3, max: 40 }), { minLength: 1, maxLength: 3 }),
        async (wat, args) => {
          const bytes = await assemble(wat);
          compare(
            bytes,
            args.map((arg) => ["f2", arg] as const),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  test("weaves what real toolchains make, and V8 takes it", async () => {
    const guests = new URL("../../../test/guests/", import.meta.url);
    const splicer = import.meta.resolve("@bytecodealliance/componentize-js").replace(/[^/]*\/[^/]*$/, "lib/");
    const modules = ["spidermonkey-embedding-splicer.core.wasm", "starlingmonkey_embedding.wasm"].map((file) =>
      readFile(new URL(file, splicer)),
    );
    const all: Uint8Array[] = await Promise.all(modules);
    for (const file of await readdir(guests)) {
      if (!file.endsWith(".wasm")) continue;
      const bytes = await readFile(new URL(file, guests));
      all.push(...(sniff(bytes) === "component" ? planOf(decode(bytes)).modules : [bytes]));
    }
    assert.ok(all.length > 8);
    for (const bytes of all) {
      const { module, report } = weave(bytes, { memoryBytes: 1 << 28, tableElements: 100_000 });
      assert.ok(WebAssembly.validate(module as Bytes));
      assert.equal(report.bytesBefore, bytes.length);
      assert.equal(report.bytesAfter, module.length);
    }
  });

  test("answers damaged modules with an error or with what V8 judges as it does the damaged one", async () => {
    const sources = await Promise.all(Object.values(suites).map(({ wat }) => assemble(wat)));
    const change = fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.integer({ min: 0, max: 255 }));
    let valid = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...sources),
        fc.array(change, { maxLength: 3 }),
        fc.double({ min: 0.3, max: 2, noNaN: true }),
        (source, changes, kept) => {
          const bytes = source.slice(0, Math.ceil(source.length * kept));
          for (const [where, value] of changes) bytes[Math.floor(where * bytes.length)] = value;
          const accepted = WebAssembly.validate(bytes);
          let woven: Woven;
          try {
            woven = weave(bytes);
          } catch (thrown) {
            assert.ok(thrown instanceof CytoError, String((thrown as Error).stack));
            assert.equal(thrown.code, "invalid-component");
            assert.equal(accepted, false, thrown.message);
            return;
          }
          assert.equal(WebAssembly.validate(woven.module as Bytes), accepted);
          if (accepted) valid += 1;
        },
      ),
      { numRuns: 3000 },
    );
    assert.ok(valid > 100, `${valid} of them were valid`);
  });

  test("refuses an opcode that it does not know, saying where it stands", async () => {
    const bytes = await assemble(`(module (func (export "f") (nop) (nop) (nop)))`);
    const at = bytes.lastIndexOf(0x01, bytes.length - 1);
    bytes[at] = 0xf0;
    assert.throws(() => weave(bytes), {
      code: "invalid-component",
      message: `Cannot weave the core module: opcode 0xf0 is not known at byte ${at}`,
    });
    assert.throws(() => weave(Buffer.from("(module)")), { message: /does not begin as one/ });
  });

  test("bounds memories and tables, those of 64 bits as well, and never below what they begin with", async () => {
    const bytes = await assemble(`(module
      (memory (export "a") 1) (memory (export "b") 1 3) (memory (export "c") 6) (memory (export "d") i64 1 10)
      (table (export "s") 10 funcref) (table (export "t") 50 70 externref) (table (export "u") i64 5 funcref)
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "growTable") (param i64) (result i64) (table.grow 2 (ref.null func) (local.get 0))))`);
    for (const metered of [true, false]) {
      const { exports } = openWoven(weave(bytes, { memoryBytes: 4 * 65_536 + 5, tableElements: 20, metered }));
      const { a, b, c, d, s, t } = exports as Record<string, { grow(by: number | bigint): unknown }>;
      a!.grow(3);
      b!.grow(2);
      d!.grow(3n);
      s!.grow(10);
      for (const [full, by] of [
        [a, 1],
        [b, 1],
        [c, 1],
        [d, 1n],
        [s, 1],
        [t, 1],
      ] as const)
        assert.throws(() => full!.grow(by));
      assert.equal((exports.grow as Function)(1), -1);
      assert.equal((exports.growTable as Function)(15n), 5n);
      assert.equal((exports.growTable as Function)(1n), -1n);
    }
  });

  test("refuses arrays that would hold the thread for long", async () => {
    const bytes = await assemble(`(module (type $a (array (mut i64)))
      (func (export "make") (param i32) (result i32) (array.len (array.new_default $a (local.get 0)))))`);
    const make = openWoven(weave(bytes)).exports.make as Function;
    assert.equal(make(1 << 20), 1 << 20);
    assert.throws(
      () => make((1 << 20) + 1),
      (thrown: Error) => thrown.stack!.includes("cytoplane.array.length"),
    );
  });

  test("tells the offsets of a trap as they are in the author's module", async () => {
    const bytes = await assemble(`(module (memory 3)
      (func $inner (param i32) (result i32) (if (i32.eq (local.get 0) (i32.const 7)) (then (return (i32.load (i32.const -1))))) (i32.const 0))
      (func $outer (export "run") (param i32) (result i32) (local i32)
        (loop (drop (call $inner (local.get 1))) (memory.fill (i32.const 0) (i32.const 1) (local.get 1))
          (br_if 0 (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0)))) (local.get 1))
      (func (export "fill") (param i32) (nop) (loop (memory.fill (i32.const 5) (i32.const 6) (local.get 0))))
      (func (export "divide") (param i32) (result i32) (loop (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (drop (i32.div_s (i32.const 1) (local.get 0))) (br_if 0 (local.get 0))) (local.get 0)))`);
    const woven = weave(bytes);
    const plain = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    const { exports } = openWoven(woven);
    for (const [name, argument] of [
      ["run", 9],
      ["fill", -1],
      ["divide", 9],
    ] as const) {
      const frames = (run: Function) => {
        try {
          run(argument);
        } catch (thrown) {
          return [...(thrown as Error).stack!.matchAll(/wasm-function\[(\d+)\]:0x([0-9a-f]+)/g)].map(
            ([, index, offset]) => [Number(index), Number.parseInt(offset!, 16)] as const,
          );
        }
        throw new Error("it did not trap");
      };
      const expected = frames(plain[name] as Function);
      const actual = frames(exports[name] as Function)
        .map(([index, offset]) => [index, originalOffset(woven.offsets!, offset)] as const)
        .filter(([, offset]) => offset !== undefined);
      assert.deepEqual(actual, expected, name);
    }
  });

  test("names what it appends, and leaves out what would be wrong", async () => {
    const bytes = await assemble(`(module $mine (func $spin (export "spin") (loop $here (br $here)))
      (@custom "sourceMappingURL" "x") (@custom ".debug_line" "y") (@custom "producers" "z"))`);
    const { module, report } = weave(bytes);
    const compiled = new WebAssembly.Module(module as Bytes);
    assert.deepEqual(report.dropped, ["sourceMappingURL", ".debug_line"]);
    assert.equal(WebAssembly.Module.customSections(compiled, "producers").length, 1);
    const names = Buffer.from(WebAssembly.Module.customSections(compiled, "name")[0]!).toString("latin1");
    assert.match(names, /mine.*spin.*cytoplane\.refill/s);
    assert.deepEqual(
      { ...report, bytesAfter: 0 },
      {
        functions: 1,
        loops: 1,
        unrolled: 1,
        entries: 0,
        pieces: 0,
        bytesBefore: bytes.length,
        bytesAfter: 0,
        elapsedMs: undefined,
        dropped: report.dropped,
      },
    );
  });

  test("carries the author's branch hints over to where their branches stand", async () => {
    const bytes = await assemble(`(module (func $f (export "f") (param i32) (result i32)
      (loop (call $f (i32.const 0)) (drop) (@metadata.code.branch_hint "\\01") (if (local.get 0) (then (nop))) ) (local.get 0)))`);
    const { module, report } = weave(bytes);
    assert.deepEqual(report.dropped, []);
    const text = (await print(module)).replace(/\s+/g, " ");
    assert.match(text, /local\.get 0 \(@metadata\.code\.branch_hint "\\01"\) if/);
  });
});
