import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import { decode } from "./decode.ts";
import { fuse } from "./fuse.ts";
import { load } from "./load.ts";
import { planOf } from "./plan.ts";

/** A component whose main module imports `twice` through a table; `forward` is the body that goes there. */
const through = ({ forward = "", start = "" }) => `
(component
  (import "twice" (func $twice (param "n" u32) (result u32)))
  (core module $forward
    (type $t (func (param i32) (result i32)))
    (table (export "$imports") 1 1 funcref)
    (func (export "0") (type $t) local.get 0 ${forward} i32.const 0 call_indirect (type $t)))
  (core module $main
    (import "env" "twice" (func $twice (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) local.get 0 call $twice))
  (core module $fill
    (import "" "$imports" (table 1 1 funcref))
    (import "" "0" (func $f (param i32) (result i32)))
    (elem (i32.const 0) func $f)
    ${start})
  (core func $lowered (canon lower (func $twice)))
  (core instance $forwards (instantiate $forward))
  (core instance $mains (instantiate $main (with "env" (instance (export "twice" (func $forwards "0"))))))
  (core instance (instantiate $fill (with "" (instance
    (export "$imports" (table $forwards "$imports")) (export "0" (func $lowered))))))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $mains "run"))))`;

const made = async (text: string) =>
  fuse(planOf(decode(await parse(text)))).instances.filter((instance) => instance !== undefined).length;

describe("fuse()", () => {
  test("takes out modules that only forward, and that only fill their table", async () => {
    assert.equal(await made(through({})), 1);
    const hello = await readFile(new URL("../../test/guests/hello.wasm", import.meta.url));
    const plan = fuse(planOf(decode(hello)));
    assert.equal(plan.instances.filter((instance) => instance !== undefined).length, 1);
  });

  test("leaves what does anything more", async () => {
    assert.equal(await made(through({ forward: "i32.const 1 i32.add" })), 3);
    assert.equal(await made(through({ start: "(func $s) (start $s)" })), 3);
  });

  test("changes nothing that can be seen from outside", async () => {
    const hosts = { $root: { twice: (n: number) => n * 2 } };
    for (const [text, expected] of [
      [through({}), 42],
      [through({ forward: "i32.const 1 i32.add" }), 44],
    ] as const) {
      const component = await load(await parse(text));
      const { run } = component.instantiate(hosts as never).exports.$root as Record<string, (n: number) => number>;
      assert.equal(run!(21 as never), expected);
    }
  });
});
