/** What hostile bytes may cost. The rules themselves are shown by the scripts of `test/wast/`. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import fc from "fast-check";
import { CytoError } from "../kernel/index.ts";
import { BinaryReader, sniff } from "./binary.ts";
import { decode } from "./decode.ts";
import { planOf } from "./plan.ts";
import { validate } from "./validate.ts";
import { printWit, witOf } from "./wit.ts";

const repository = join(import.meta.dirname, "../..");

/** Everything that is made of bytes before any of it runs. Answers with the refusal, if it is refused. */
function examine(bytes: Uint8Array): string | undefined {
  const started = performance.now();
  try {
    const definition = decode(bytes);
    printWit(witOf(validate(definition)));
    planOf(definition);
    return undefined;
  } catch (thrown) {
    assert.ok(thrown instanceof CytoError && thrown.code === "invalid-component", String((thrown as Error).stack));
    return thrown.message;
  } finally {
    const took = performance.now() - started;
    assert.ok(took < 10_000, `it took ${took} ms`);
  }
}

/** Uses of everything that the format has, small enough for a change to hit something. */
const small = [
  `(component
     (import "ns:a/b@1.2.3" (instance $i
       (export "r" (type $r (sub resource)))
       (type $t' (record (field "a" (list (own $r))) (field "b" (option string))))
       (export "t" (type $t (eq $t')))
       (export "[method]r.m" (func (param "self" (borrow $r)) (param "x" $t) (result (result u8 (error char)))))))
     (alias export $i "r" (type $r))
     (alias export $i "[method]r.m" (func $m))
     (core module $libc (memory (export "m") 1) (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
     (core instance $libc (instantiate $libc))
     (core func $drop (canon resource.drop $r))
     (core func $m' (canon lower (func $m) (memory (core memory $libc "m")) (realloc (core func $libc "r"))))
     (core module $main
       (import "" "m" (func (param i32 i32 i32 i32 i32 i32)))
       (func (export "f") (param i32 i32) (result i32) unreachable))
     (core instance $main (instantiate $main (with "" (instance (export "m" (func $m'))))))
     (func $f (param "s" string) (result string)
       (canon lift (core func $main "f") (memory (core memory $libc "m")) (realloc (core func $libc "r"))))
     (export "f" (func $f)))`.replace("(param i32 i32 i32 i32 i32 i32)", "(param i32 i32 i32 i32 i32 i32 i32)"),
  `(component
     (component $c
       (type $r' (resource (rep i32)))
       (export $r "r" (type $r'))
       (core func $new (canon resource.new $r'))
       (core module $m (import "" "new" (func (param i32) (result i32))) (func (export "f") (result i32) unreachable))
       (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
       (func (export "f") (result (own $r)) (canon lift (core func $i "f"))))
     (component $d
       (import "c" (instance $c (export "r" (type $r (sub resource))) (export "f" (func (result (own $r))))))
       (import "m" (core module (import "a" "b" (func)) (export "c" (memory 1))))
       (export "c2" (instance $c)))
     (core module $m (memory (export "c") 1))
     (instance $a (instantiate $c))
     (instance $b (instantiate $d (with "c" (instance $a)) (with "m" (core module $m))))
     (export "x" (instance $b)))`,
  `(component
     (type $s (stream (list u8))) (type $f (future (map string u32)))
     (core module $m (memory (export "m") 1) (table (export "t") 1 funcref)
       (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
     (core instance $i (instantiate $m))
     (alias core export $i "m" (core memory $m)) (alias core export $i "r" (core func $r)) (alias core export $i "t" (core table $t))
     (core type $start (func (param i32)))
     (core func (canon stream.new $s)) (core func (canon stream.read $s async (memory $m) (realloc $r)))
     (core func (canon future.write $f async (memory $m))) (core func (canon future.cancel-read $f))
     (core func (canon waitable-set.wait (memory $m))) (core func (canon task.return (result string) (memory $m)))
     (core func (canon thread.new-indirect $start (table $t))) (core func (canon context.get i32 0)))`,
];

/** Each section with its kind and length. */
function sectionsOf(bytes: Uint8Array): Uint8Array[] {
  const sections: Uint8Array[] = [];
  const reader = new BinaryReader(bytes, 8);
  while (!reader.done) {
    const start = reader.offset;
    reader.byte();
    reader.take(reader.u32());
    sections.push(bytes.subarray(start, reader.offset));
  }
  return sections;
}

describe("what bytes may cost", () => {
  const seeds: Uint8Array[] = [];

  before(async () => {
    for (const text of small) seeds.push(await parse(text));
    for (const guest of globSync("test/guests/*.wasm", { cwd: repository })) {
      const bytes = readFileSync(join(repository, guest));
      if (bytes.length < 70_000 && sniff(bytes) === "component") seeds.push(bytes);
    }
    for (const seed of seeds) assert.equal(examine(seed), undefined);
  });

  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    cut: fc.integer({ min: 0, max: 8 }),
    put: fc.uint8Array({ maxLength: 8 }),
  });

  function changed(seed: Uint8Array, changes: readonly { at: number; cut: number; put: Uint8Array }[]): Uint8Array {
    let bytes = Buffer.from(seed);
    for (const { at, cut, put } of changes) {
      const offset = 8 + Math.floor(at * (bytes.length - 8));
      bytes = Buffer.concat([bytes.subarray(0, offset), put, bytes.subarray(offset + cut)]);
    }
    return bytes;
  }

  test("components with bytes changed, put in and cut out are refused or accepted, and nothing else", () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(change, { minLength: 1, maxLength: 4 }), (pick, changes) => {
        examine(changed(seeds[pick % seeds.length]!, changes));
      }),
      { numRuns: 3000 },
    );
  });

  test("single bytes replaced", () => {
    fc.assert(
      fc.property(fc.nat(small.length - 1), fc.nat(), fc.integer({ min: 0, max: 255 }), (pick, at, byte) => {
        const bytes = Uint8Array.from(seeds[pick]!);
        bytes[8 + (at % (bytes.length - 8))] = byte;
        examine(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  test("definitions in another order, some twice, some from another component, some changed", () => {
    const parts = seeds.slice(0, small.length).map(sectionsOf);
    const all = parts.flat();
    const choice = fc.record({
      from: fc.nat(),
      times: fc.integer({ min: 0, max: 3 }),
      at: fc.nat(),
      byte: fc.nat(255),
    });
    fc.assert(
      fc.property(fc.nat(parts.length - 1), fc.array(choice, { maxLength: 6 }), (pick, choices) => {
        const sections = [...parts[pick]!];
        for (const { from, times, at, byte } of choices) {
          const given = Uint8Array.from(all[from % all.length]!);
          // The first two bytes are the section's kind and length.
          if (times === 3 && given.length > 2) given[2 + (byte % (given.length - 2))] = byte;
          sections.splice(at % (sections.length + 1), times === 0 ? 1 : 0, ...Array(times).fill(given));
        }
        examine(Buffer.concat([seeds[0]!.subarray(0, 8), ...sections]));
      }),
      { numRuns: 3000 },
    );
  });

  test("sections of anything", () => {
    const section = fc.tuple(fc.integer({ min: 0, max: 13 }), fc.uint8Array({ maxLength: 100 }));
    fc.assert(
      fc.property(fc.array(section, { maxLength: 6 }), (sections) => {
        const body = sections.map(([id, bytes]) => Buffer.concat([Uint8Array.of(id, bytes.length), bytes]));
        examine(Buffer.concat([Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0), ...body]));
      }),
      { numRuns: 3000 },
    );
  });

  const times = (count: number, of: (i: number) => string) => Array.from({ length: count }, (_, i) => of(i)).join(" ");
  const doubled = (count: number) => `(type $t0 u8) ${times(count, (i) => `(type $t${i + 1} (tuple $t${i} $t${i}))`)}`;
  const nested = (kind: string, first: string, count: number, body: string) =>
    `(type $t0 ${first}) ${times(count, (i) => `(type $t${i + 1} (${kind} (alias outer 1 ${i} (type $p)) ${body}))`)}`;

  const bombs: Readonly<Record<string, readonly [text: string, refusal: RegExp]>> = {
    "a tuple of tuples": [
      `(component ${doubled(20)} (import "f" (func (param "a" $t20))))`,
      /a function's types have \d+ parts, more than 10000/,
    ],
    "an exported tuple of tuples": [
      `(component ${doubled(20)} (export "t" (type $t20)))`,
      /a type has \d+ parts, more than 50000/,
    ],
    "many large functions": [
      `(component ${doubled(12)} (type $f (func (param "a" $t12))) ${times(500, (i) => `(import "f${i}" (func (type $f)))`)})`,
      /the types of the component are too large together/,
    ],
    "a long list in a function": [`(component (import "f" (func (param "a" (list u64 20000)))))`, /more than 10000/],
    "lists of lists": [
      `(component (type $t0 u8) ${times(200, (i) => `(type $t${i + 1} (list $t${i}))`)})`,
      /a type is nested more than 100 deep/,
    ],
    "names of names": [
      `(component (type $t0 u8) ${times(1000, (i) => `(import "a${i}" (type $t${i + 1} (eq $t${i})))`)})`,
      /types follow each other more than 400 deep/,
    ],
    "instances of instances in a type": [
      `(component ${nested("instance", "(instance)", 40, '(export "a" (instance (type $p))) (export "b" (instance (type $p)))')})`,
      /a type has \d+ parts, more than 50000/,
    ],
    "resources of instances in a type": [
      `(component ${nested("instance", '(instance (export "r" (type (sub resource))))', 40, '(export "a" (instance (type $p))) (export "b" (instance (type $p)))')})`,
      /the types of the component are too large together|a type has \d+ parts/,
    ],
    "components of components in a type": [
      `(component ${nested("component", "(component)", 40, '(import "a" (component (type $p))) (import "b" (component (type $p)))')})`,
      /a type has \d+ parts, more than 50000/,
    ],
    "instances of instances": [
      `(component (instance $i0) ${times(40, (i) => `(instance $i${i + 1} (export "a" (instance $i${i})) (export "b" (instance $i${i})))`)})`,
      /a type has \d+ parts, more than 50000/,
    ],
    "components that instantiate components": [
      `(component (component $c0) ${times(40, (i) => `(component $c${i + 1} (alias outer 1 ${i} (component $p)) (instance (instantiate $p)) (instance (instantiate $p)))`)} (instance (instantiate $c40)))`,
      /more than 10000 instances are made/,
    ],
    "large components, many times": [
      `(component (component $c ${times(2000, () => "(type u8)")}) ${times(2000, () => "(instance (instantiate $c))")})`,
      /more than 1000000 definitions/,
    ],
    "a core module with many imports, many times": [
      `(component (core module $m ${times(2000, (i) => `(import "" "f${i}" (func))`)})
         (core module $f (func (export "f"))) (core instance $f (instantiate $f))
         (core instance $a ${times(2000, (i) => `(export "f${i}" (func $f "f"))`)})
         ${times(2000, () => '(core instance (instantiate $m (with "" (instance $a))))')})`,
      /the types of the component are too large together/,
    ],
  };
  for (const [name, [text, refusal]] of Object.entries(bombs)) {
    test(`a small file that stands for much: ${name}`, async () => {
      assert.match(examine(await parse(text)) ?? "it was accepted", refusal);
    });
  }

  test("components are nested to a depth that there is a limit to", () => {
    const preamble = [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0];
    let bytes = Uint8Array.from(preamble);
    for (let i = 0; i < 100; i++) {
      const size = [(bytes.length & 0x7f) | 0x80, (bytes.length >> 7) & 0x7f];
      bytes = Uint8Array.from([...preamble, 4, ...size, ...bytes]);
    }
    assert.match(examine(bytes) ?? "it was accepted", /components are nested more than 64 deep/);
  });

  test("a name is matched in time that grows with its length alone", async () => {
    const long = `a${"-1".repeat(50_000)}`;
    assert.equal(examine(await parse(`(component (import "${long}" (func)))`)), undefined);
    assert.match(examine(await parse(`(component (import "${long}!" (func)))`)) ?? "", /is no name of an import/);
  });
});
