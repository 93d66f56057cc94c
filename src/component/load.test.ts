import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, describe, test } from "node:test";
import { inspect } from "node:util";
import { deserialize } from "node:v8";
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import { parse } from "@bytecodealliance/jco";
import fc from "fast-check";
import { CytoError } from "../kernel/index.ts";
import { assemble, ComponentError, load, loadParts, suspending } from "./index.ts";
import { digestOf, FORMAT } from "./load.ts";

const echo = `
(component
  (import "test:host/log" (instance $host
    (export "say" (func (param "text" string) (result string)))
    (export "wait" (func (param "ms" u32) (result (result u32 (error string)))))))
  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                              (i32.sub (i32.const 0) (local.get 2))))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $say (canon lower (func $host "say") (memory $mem) (realloc $realloc)))
  (core func $wait (canon lower (func $host "wait") (memory $mem) (realloc $realloc)))
  (core module $main
    (import "memory" "memory" (memory 1))
    (import "host" "say" (func $say (param i32 i32 i32)))
    (import "host" "wait" (func $wait (param i32 i32)))
    (func (export "greet") (param i32 i32) (result i32)
      (call $say (local.get 0) (local.get 1) (i32.const 16))
      (i32.const 16))
    (func (export "pause") (param i32) (result i32)
      (call $wait (local.get 0) (i32.const 32))
      (i32.const 32))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "trap") unreachable))
  (core instance $main (instantiate $main
    (with "memory" (instance $memory))
    (with "host" (instance (export "say" (func $say)) (export "wait" (func $wait))))))
  (func (export "greet") (param "text" string) (result string)
    (canon lift (core func $main "greet") (memory $mem) (realloc $realloc)))
  (func (export "pause") (param "ms" u32) (result (result u32 (error string)))
    (canon lift (core func $main "pause") (memory $mem) (realloc $realloc)))
  (func (export "grow") (param "pages" s32) (result s32) (canon lift (core func $main "grow")))
  (func (export "trap") (canon lift (core func $main "trap"))))
`;

/** One component defines a resource and another uses it, linked inside of a third. */
const nested = `
(component
  (component $shelf
    (core module $m
      (import "table" "new" (func $new (param i32) (result i32)))
      (global $dropped (mut i32) (i32.const 0))
      (func (export "open") (param i32) (result i32) (call $new (i32.mul (local.get 0) (i32.const 2))))
      (func (export "size") (param i32) (result i32) (local.get 0))
      (func (export "dtor") (param i32) (global.set $dropped (local.get 0)))
      (func (export "dropped") (result i32) (global.get $dropped)))
    (core module $indirect
      (table (export "t") 1 funcref)
      (type $f (func (param i32)))
      (func (export "dtor") (param i32) (call_indirect (type $f) (local.get 0) (i32.const 0))))
    (core instance $indirect (instantiate $indirect))
    (type $book' (resource (rep i32) (dtor (core func $indirect "dtor"))))
    (core func $new (canon resource.new $book'))
    (core instance $i (instantiate $m (with "table" (instance (export "new" (func $new))))))
    (core module $fixup
      (import "" "t" (table 1 funcref))
      (import "" "dtor" (func $dtor (param i32)))
      (elem (i32.const 0) func $dtor))
    (core instance (instantiate $fixup (with "" (instance
      (export "t" (table $indirect "t")) (export "dtor" (func $i "dtor"))))))
    (export $book "book" (type $book'))
    (func (export "open") (param "pages" u32) (result (own $book)) (canon lift (core func $i "open")))
    (func (export "size") (param "book" (borrow $book)) (result u32) (canon lift (core func $i "size")))
    (func (export "dropped") (result u32) (canon lift (core func $i "dropped"))))
  (instance $shelf (instantiate $shelf))
  (component $reader
    (import "book" (type $book (sub resource)))
    (import "open" (func $open (param "pages" u32) (result (own $book))))
    (import "size" (func $size (param "book" (borrow $book)) (result u32)))
    (core func $open' (canon lower (func $open)))
    (core func $size' (canon lower (func $size)))
    (core func $drop (canon resource.drop $book))
    (core module $m
      (import "shelf" "open" (func $open (param i32) (result i32)))
      (import "shelf" "size" (func $size (param i32) (result i32)))
      (import "shelf" "drop" (func $drop (param i32)))
      (func (export "read") (param i32) (result i32)
        (local $book i32) (local $size i32)
        (local.set $book (call $open (local.get 0)))
        (local.set $size (call $size (local.get $book)))
        (call $drop (local.get $book))
        (local.get $size))
      (func (export "misuse") (result i32) (call $size (i32.const 7))))
    (core instance $i (instantiate $m (with "shelf" (instance
      (export "open" (func $open')) (export "size" (func $size')) (export "drop" (func $drop))))))
    (func (export "read") (param "pages" u32) (result u32) (canon lift (core func $i "read")))
    (func (export "misuse") (result u32) (canon lift (core func $i "misuse"))))
  (instance $reader (instantiate $reader
    (with "book" (type $shelf "book")) (with "open" (func $shelf "open")) (with "size" (func $shelf "size"))))
  (export "read" (func $reader "read"))
  (export "misuse" (func $reader "misuse"))
  (export "dropped" (func $shelf "dropped")))
`;

const hosts = {
  "test:host/log": {
    say: (text: string) => `${text}, said`,
    wait: suspending((ms: number) => {
      if (ms === 13) throw Object.assign(new Error("unlucky"), { payload: "unlucky" });
      return ms === 0 ? 0 : new Promise<number>((resolve) => setImmediate(() => resolve(ms)));
    }),
  },
};

type Calls = Record<string, (...args: unknown[]) => unknown>;

describe("load()", () => {
  let bytes: Uint8Array;
  before(async () => {
    bytes = await parse(echo);
  });

  async function root(options = {}, source = bytes, imports: object = hosts): Promise<Calls> {
    const component = await load(source, options);
    return component.instantiate(imports as never).exports.$root as unknown as Calls;
  }

  test("carries strings both ways", async () => {
    const { greet } = await root();
    assert.equal(await greet!("grüße 🌍"), "grüße 🌍, said");
    assert.equal(await greet!(""), ", said");
  });

  test("suspends the guest until a promise of the host settles", async () => {
    const { pause } = await root();
    assert.equal(await pause!(0), 0);
    assert.equal(await pause!(5), 5);
    await assert.rejects(
      async () => pause!(13),
      (error) => error instanceof ComponentError && error.payload === "unlucky",
    );
  });

  test("runs exports as plain calls when nothing may suspend", async () => {
    const component = await load(bytes);
    const instance = component.instantiate(hosts, { suspend: false });
    const calls = instance.exports.$root as unknown as Calls;
    assert.equal(calls.greet!("now"), "now, said");
  });

  test("reports a value of the wrong type, and a trap, after which nothing can be called", async () => {
    const { trap, greet } = await root();
    await assert.rejects(async () => greet!(5), /a string is expected/);
    assert.equal(await greet!("still"), "still, said");
    await assert.rejects(async () => trap!(), WebAssembly.RuntimeError);
    await assert.rejects(async () => greet!("again"), /it has trapped: unreachable/);
  });

  test("bounds linear memory in the binary", async () => {
    const { grow } = await root({ memoryBytes: 3 * 65_536 });
    assert.equal(await grow!(2), 1);
    assert.equal(await grow!(1), -1);
  });

  test("names every import that nothing provides", async () => {
    await assert.rejects(root({}, bytes, {}), (error: CytoError) => {
      assert.equal(error.code, "unbound-import");
      assert.match(error.message, /test:host\/log#say, test:host\/log#wait/);
      return true;
    });
  });

  test("links components inside of a component, with their resources", async () => {
    const calls = await root({}, await parse(nested), {});
    assert.equal(calls.read!(21), 42);
    assert.equal(calls.dropped!(), 42);
    assert.throws(() => calls.misuse!(), /no open handle/);
  });

  test("refuses what is no component, saying what it is", async () => {
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(), /empty/],
      [Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]), /core WebAssembly module/],
      [Buffer.from("(component)"), /text/],
      [Buffer.from("\x7fELF and so on"), /does not begin like WebAssembly/],
      [bytes.subarray(0, bytes.length - 10), /at byte \d+/],
    ];
    for (const [input, message] of cases) {
      await assert.rejects(
        load(input),
        (error: CytoError) => error.code === "invalid-component" && message.test(error.message),
      );
    }
  });

  test("never fails with anything but invalid-component, however the bytes are cut or changed", async () => {
    const reactor = await readFile(new URL("../../test/guests/reactor.wasm", import.meta.url));
    const sources = [bytes, await parse(nested), reactor];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...sources),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.option(fc.nat()),
        async (source, changes, cut) => {
          const changed = Uint8Array.from(source);
          for (const [at, byte] of changes) changed[8 + (at % (changed.length - 8))] = byte;
          const input = cut === null ? changed : changed.subarray(0, cut % changed.length);
          try {
            await load(input);
          } catch (error) {
            assert.ok(error instanceof CytoError && error.code === "invalid-component", String(error));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("loadParts()", () => {
  test("gives another thread the same component, without its file", async () => {
    for (const text of [echo, nested]) {
      const bytes = await parse(text);
      const { port1, port2 } = new MessageChannel();
      port1.postMessage(await loadParts(bytes, { memoryBytes: 65_536 * 2 }));
      const { message: parts } = receiveMessageOnPort(port2) as { message: Awaited<ReturnType<typeof loadParts>> };
      port1.close();
      assert.ok(
        parts.definition !== undefined && parts.modules.every((module) => module?.code instanceof WebAssembly.Module),
      );
      const [{ instantiate: _, retell: _r, ...there }, { instantiate: __, retell: __r, ...here }] = [
        assemble(parts),
        await load(bytes, { memoryBytes: 65_536 * 2 }),
      ];
      assert.deepEqual(there, here);
    }
  });

  test("keeps the bounds of what it compiled, and runs it", async () => {
    const component = assemble(structuredClone(await loadParts(await parse(echo), { memoryBytes: 65_536 * 2 })));
    const host = { say: (text: string) => `${text}!`, wait: suspending(async (ms: number) => ms) };
    using instance = component.instantiate({ "test:host/log": host });
    const { greet, grow } = instance.exports.$root as Record<string, (argument: string | number) => Promise<unknown>>;
    assert.equal(await greet!("hello"), "hello!");
    assert.deepEqual([await grow!(1), await grow!(1)], [1, -1]);
  });

  test("takes what was linked away along, and programs of WASI 0.1", async () => {
    for (const name of ["hello", "probe", "system", "wstd"]) {
      const bytes = await readFile(new URL(`../../test/guests/${name}.wasm`, import.meta.url));
      const parts = await loadParts(bytes);
      const [{ instantiate: _, retell: _r, ...there }, { instantiate: __, retell: __r, ...here }] = [
        assemble(structuredClone(parts)),
        await load(bytes),
      ];
      assert.deepEqual(there, here, name);
      assert.ok((parts.definition?.length ?? 0) < 200_000, `${name}: ${parts.definition?.length} bytes`);
    }
    const start = parse('(module (memory (export "memory") 1) (func (export "_start")))');
    const program = assemble(structuredClone(await loadParts(await start)));
    assert.equal(program.world, "command");
  });

  test("refuses what load() refuses", async () => {
    await assert.rejects(loadParts(Uint8Array.of(0)), { code: "invalid-component" });
  });
});

test("what is kept is named by what is made: FORMAT is the sum of it", async () => {
  // Something of all that decoding, linking, exposing and weaving do.
  const fixed = await parse(`(component
    (import "host" (func $host (param "n" u32) (result u32)))
    (core func $lowered (canon lower (func $host)))
    (core module $library (@name "library") (memory (export "memory") 1)
      (global $g (mut i64) (i64.const 7)) (table 4 funcref) (elem (i32.const 0) $plain) (data (i32.const 8) "fixed")
      (func $plain (result i32) (i32.load (i32.const 8)))
      (func $recurs (export "recurs") (param i32) (result i32)
        (if (result i32) (local.get 0) (then (call $recurs (i32.sub (local.get 0) (i32.const 1)))) (else (call_indirect (result i32) (i32.const 0)))))
      (func $start (global.set $g (i64.add (global.get $g) (i64.const 1)))) (start $start)
      (func (export "bulk") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)) (drop (memory.grow (i32.const 1)))))
    (core module $main (import "host" "f" (func $f (param i32) (result i32))) (import "library" "recurs" (func $recurs (param i32) (result i32)))
      (func (export "run") (param i32) (result i32) (local i32)
        (loop $next (local.set 1 (i32.add (local.get 1) (call $f (local.get 0)))) (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (block $a (block $b (br_table $a $b (local.get 1))) (return (call $recurs (i32.const 3))))
        (block $h (try_table (catch_all $h) (loop $l (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1))))))) (local.get 1)))
    (core instance $l (instantiate $library))
    (core instance $m (instantiate $main (with "host" (instance (export "f" (func $lowered)))) (with "library" (instance $l))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run"))))`);
  const made: string[] = [];
  // In words: how V8 writes a number depends on where it has been.
  const words = (value: unknown) =>
    inspect(value, { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity, breakLength: Infinity });
  const cache = {
    read: () => undefined,
    write(_: string, content: Uint8Array) {
      const kept = deserialize(content.subarray(32)) as { definition: Uint8Array };
      made.push(words({ ...kept, definition: deserialize(kept.definition) }));
    },
  };
  const kinds = [{}, { metered: true }, { metered: true, reset: true, memoryBytes: 1 << 20 }];
  for (const options of kinds) await load(fixed, { cache, ...options });
  assert.equal(made.length, kinds.length);
  const sum = digestOf(Buffer.from(made.join())).slice("sha256:".length, "sha256:".length + 16);
  assert.equal(FORMAT, sum, `what is made has changed: set FORMAT in load.ts to "${sum}"`);
});
