/**
 * What a call of the host costs a guest, for each kind of value: the guest loops, so that only the way
 * out and back counts. The same component runs on this engine and on jco's output.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parse, transpile } from "@bytecodealliance/jco";
import { type HostFunction, load, suspending } from "../src/component/index.ts";
import { median } from "./rounds.ts";

export interface HostCall {
  /** The signature, for people. */
  readonly what: string;
  readonly oursUs: number;
  /** Absent where jco cannot do it as it is asked to here. */
  readonly jcoUs: number | undefined;
}

type Loop = (calls: number) => unknown;

const kinds: readonly { readonly name: string; readonly what: string; readonly calls: number }[] = [
  { name: "plus", what: "(u32) → u32", calls: 200_000 },
  { name: "text", what: "(string of 20) → string", calls: 50_000 },
  { name: "point", what: "(record of 6) → record", calls: 50_000 },
  { name: "points", what: "(list of 100 records) → u32", calls: 2_000 },
  { name: "bytes", what: "(list<u8> of 64 KiB) → list<u8>", calls: 2_000 },
];

const hosts = {
  plus: (n: number) => n + 1,
  text: (text: string) => text,
  point: (point: object) => point,
  points: (points: readonly object[]) => points.length,
  bytes: (bytes: Uint8Array) => bytes,
};

export async function hostCalls(scratch: string, rounds: number): Promise<HostCall[]> {
  const bytes = await parse(calls);
  const component = await load(bytes);
  const ours = component.instantiate({ "bench:host/calls": hosts } as never).exports.$root!;
  const theirs = await transpiled(bytes, scratch);
  const measured: HostCall[] = [];
  for (const { name, what, calls } of kinds) {
    const times = { ours: [] as number[], jco: [] as number[] };
    for (let round = 0; round <= rounds; round += 1) {
      times.ours.push(await perCallUs(ours[name] as unknown as Loop, calls));
      times.jco.push(await perCallUs(theirs[name]!, calls));
    }
    measured.push({ what, oursUs: median(times.ours.slice(1)), jcoUs: median(times.jco.slice(1)) });
  }
  const waiting = component.instantiate({
    "bench:host/calls": { ...hosts, plus: suspending(async (n: number) => n + 1) },
  } as never).exports.$root!.plus as unknown as Loop;
  await perCallUs(waiting, 20_000);
  measured.push({ what: "(u32) → u32, after a turn", oursUs: await perCallUs(waiting, 100_000), jcoUs: undefined });
  return measured;
}

/** A loop as a core module, called by V8 with nothing between. */
export async function bareCallUs(): Promise<number> {
  const whole = await parse(bareLoop);
  const start = Buffer.from(whole).indexOf(Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
  const core = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(whole.subarray(start))), {
    host: { plus: (n: number) => n + 1 },
  });
  const loop = core.exports.plus as Loop;
  await perCallUs(loop, 1_000_000);
  return perCallUs(loop, 1_000_000);
}

async function perCallUs(loop: Loop, calls: number): Promise<number> {
  const before = performance.now();
  const sum = await loop(calls);
  const tookUs = (performance.now() - before) * 1000;
  if (sum !== calls) throw new Error(`Cannot trust the measurement: the guest counted ${sum} calls of ${calls}`);
  return tookUs / calls;
}

async function transpiled(bytes: Uint8Array, scratch: string): Promise<Record<string, Loop>> {
  const { files } = await transpile(bytes, { name: "calls", instantiation: "async", noTypescript: true });
  const modules = new Map<string, WebAssembly.Module>();
  const program = join(scratch, "calls.mjs");
  for (const [name, content] of Object.entries(files)) {
    if (name.endsWith(".wasm")) modules.set(name, new WebAssembly.Module(new Uint8Array(content)));
    else if (name.endsWith(".js")) await writeFile(program, content);
  }
  const { instantiate } = (await import(pathToFileURL(program).href)) as {
    instantiate(core: (name: string) => WebAssembly.Module, imports: object): Promise<Record<string, HostFunction>>;
  };
  return (await instantiate((name) => modules.get(name)!, { "bench:host/calls": hosts })) as never;
}

/** A function that calls `call` as often as it is told, with the allocator's memory empty before each. */
const loop = (name: string, call: string) => `
  (func (export "${name}") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (global.set $next (i32.const 0x40000))
      ${call}
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))`;
const count = "(local.set $sum (i32.add (local.get $sum) (i32.const 1)))";

/** 100 points lie at 0x10000; what the host answers with is allocated from 0x40000 on. */
const calls = `
(component
  (import "bench:host/calls" (instance $host
    (type $p (record (field "id" u32) (field "at" u64) (field "weight" f64) (field "on" bool) (field "name" string)
      (field "kind" u8)))
    (export "pt" (type $point (eq $p)))
    (export "plus" (func (param "n" u32) (result u32)))
    (export "text" (func (param "t" string) (result string)))
    (export "point" (func (param "p" $point) (result $point)))
    (export "points" (func (param "p" (list $point)) (result u32)))
    (export "bytes" (func (param "b" (list u8)) (result (list u8))))))
  (core module $memory
    (memory (export "memory") 16)
    (global $next (export "next") (mut i32) (i32.const 0x40000))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                              (i32.sub (i32.const 0) (local.get 2))))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $plus (canon lower (func $host "plus")))
  (core func $text (canon lower (func $host "text") (memory $mem) (realloc $realloc)))
  (core func $point (canon lower (func $host "point") (memory $mem) (realloc $realloc)))
  (core func $points (canon lower (func $host "points") (memory $mem) (realloc $realloc)))
  (core func $bytes (canon lower (func $host "bytes") (memory $mem) (realloc $realloc)))
  (core module $main
    (import "memory" "memory" (memory 16))
    (import "memory" "next" (global $next (mut i32)))
    (import "host" "plus" (func $plus (param i32) (result i32)))
    (import "host" "text" (func $text (param i32 i32 i32)))
    (import "host" "point" (func $point (param i32 i64 f64 i32 i32 i32 i32 i32)))
    (import "host" "points" (func $points (param i32 i32) (result i32)))
    (import "host" "bytes" (func $bytes (param i32 i32 i32)))
    (data (i32.const 1024) "a text of 20 letters")
    (func $fill (local $i i32) (local $at i32)
      (loop $again
        (local.set $at (i32.add (i32.const 0x10000) (i32.mul (local.get $i) (i32.const 40))))
        (i32.store (local.get $at) (local.get $i))
        (i64.store offset=8 (local.get $at) (i64.const 1234567890))
        (f64.store offset=16 (local.get $at) (f64.const 1.5))
        (i32.store8 offset=24 (local.get $at) (i32.const 1))
        (i32.store offset=28 (local.get $at) (i32.const 1024))
        (i32.store offset=32 (local.get $at) (i32.const 20))
        (i32.store8 offset=36 (local.get $at) (i32.const 7))
        (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100)))))
    (start $fill)
    ${loop("plus", "(local.set $sum (call $plus (local.get $sum)))")}
    ${loop("text", `(call $text (i32.const 1024) (i32.const 20) (i32.const 16)) ${count}`)}
    ${loop(
      "point",
      `(call $point (i32.const 1) (i64.const 1234567890) (f64.const 1.5) (i32.const 1) (i32.const 1024) (i32.const 20)
        (i32.const 7) (i32.const 64)) ${count}`,
    )}
    ${loop("points", `(drop (call $points (i32.const 0x10000) (i32.const 100))) ${count}`)}
    ${loop("bytes", `(call $bytes (i32.const 0x20000) (i32.const 0x10000) (i32.const 16)) ${count}`)})
  (core instance $i (instantiate $main
    (with "memory" (instance $memory))
    (with "host" (instance (export "plus" (func $plus)) (export "text" (func $text)) (export "point" (func $point))
      (export "points" (func $points)) (export "bytes" (func $bytes))))))
  ${["plus", "text", "point", "points", "bytes"]
    .map((name) => `(func (export "${name}") (param "n" u32) (result u32) (canon lift (core func $i "${name}")))`)
    .join("\n  ")})
`;

const bareLoop = `
(component
  (core module $m
    (import "host" "plus" (func $plus (param i32) (result i32)))
    (func (export "plus") (param $n i32) (result i32) (local $sum i32)
      (loop $again
        (local.set $sum (call $plus (local.get $sum)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))))
`;
