import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { componentEmbed, parse } from "@bytecodealliance/jco";
import { grantsOf } from "../../test/guests/open.ts";
import type { CytoError } from "../kernel/index.ts";
import type { ImportObject } from "./contract.ts";
import { load } from "./load.ts";
import { wasiImports } from "./wasi/standard.ts";
import { createHostState } from "./wasi/state.ts";

type Calls = Record<string, (...args: unknown[]) => unknown>;

const guests = new URL("../../test/guests/", import.meta.url);
const reactor = await readFile(new URL("reactor.wasm", guests));

function hosts(greeting: string): ImportObject {
  const grants = grantsOf([], { environment: [["GREETING", greeting]] });
  return wasiImports(grants, createHostState(grants));
}

/** What the text of a module makes; `memory` is there unless it says otherwise. */
const moduleOf = (text: string, memory = '(memory (export "memory") 1)') => parse(`(module ${text} ${memory})`);

describe("a core module of WASI 0.1", () => {
  test("is a reactor whose functions keep its state, each instance its own", async () => {
    const component = await load(reactor);
    assert.deepEqual([component.world, component.imports], [undefined, ["wasi_snapshot_preview1"]]);
    const open = () => component.instantiate(hosts("hello"), { suspend: false }).exports.$root as unknown as Calls;
    const [one, two] = [open(), open()];
    assert.deepEqual([one.add!(2), one.add!(3), two.add!(7)], [2, 5, 7]);
    assert.equal(one.half!(-5n), -2.5);
    assert.equal(one._initialize, undefined, "it has been initialised");
  });

  test("that describes its world is the component that it stands for", async () => {
    const witPath = new URL("c/reactor.wit", guests);
    const embedded = await componentEmbed({ binary: reactor, witSource: await readFile(witPath, "utf8") });
    const component = await load(embedded);
    assert.equal(component.size, embedded.length, "it is known by the bytes that were given");
    const { greet, add } = component.instantiate(hosts("good day,")).exports.$root as unknown as Calls;
    assert.equal(await greet!("grüße 🌍"), "good day, grüße 🌍");
    assert.equal(await add!(5), 5);
  });

  test("whose description it does not keep to is refused, saying where", async () => {
    const witSource = "package test:wrong; world wrong { export missing: func(); }";
    const embedded = await componentEmbed({ binary: reactor, witSource });
    await assert.rejects(load(embedded), (error: CytoError) => {
      assert.match(error.message, /Cannot make a component of the core module: .*missing/s);
      return error.code === "invalid-component";
    });
  });

  test("names every import that nothing provides", async () => {
    const text = `
      (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_teleport" (func))
      (import "env" "table" (table 1 funcref))
      (import "wasi:cli/environment" "getArguments" (func))
      (func (export "_start"))`;
    const component = await load(await moduleOf(text));
    assert.throws(
      () => component.instantiate(hosts("")),
      (error: CytoError) => {
        assert.match(
          error.message,
          /nothing provides wasi_snapshot_preview1#fd_teleport, env#table, wasi:cli\/environment#getArguments$/,
        );
        return error.code === "unbound-import";
      },
    );
  });

  test("traps when it asks for something before it has a memory", async () => {
    const text = `
      (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
      (func $early (drop (call $yield)))
      (start $early)
      (func (export "_start"))`;
    const component = await load(await moduleOf(text));
    assert.throws(() => component.instantiate(hosts("")), /its start function calls sched_yield/);
  });

  test("is bounded in memory like any component", async () => {
    const grow = '(func (export "_initialize")) (func (export "grow") (result i32) (memory.grow (i32.const 1)))';
    const component = await load(await moduleOf(grow), { memoryBytes: 2 * 65_536 });
    const instance = component.instantiate({});
    const calls = instance.exports.$root as unknown as Calls;
    assert.deepEqual([calls.grow!(), calls.grow!(), instance.memoryBytes()], [1, -1, 131_072]);
  });

  test("is refused when it is no program", async () => {
    const cases: [Uint8Array, RegExp][] = [
      [await moduleOf('(func (export "main"))'), /core WebAssembly module, not a component/],
      [await moduleOf('(func (export "_start"))', ""), /exports no memory/],
      [(await moduleOf('(func (export "_start"))')).subarray(0, 20), /Cannot (decode|compile)/],
    ];
    for (const [bytes, message] of cases) {
      await assert.rejects(
        load(bytes),
        (error: CytoError) => error.code === "invalid-component" && message.test(error.message),
      );
    }
  });
});
