import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import { createMetering } from "./index.ts";
import { load } from "./load.ts";

const metering = createMetering({ monotonic: () => performance.now(), nextTurn: setImmediate });

/** Two modules, of which the second divides by zero in a loop, below the first; both are named alike. */
const guest = `(component
  (core module $inner (@name "same")
    (func $divide (export "divide") (param i32) (result i32) (local i32)
      (local.set 1 (i32.const 3))
      (loop $l (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
      (i32.const 77777777) (local.get 0) i32.div_u))
  (core module $outer (@name "same")
    (import "inner" "divide" (func $divide (param i32) (result i32)))
    (memory 2) (global (mut i32) (i32.const 5))
    (func $unnamed (param i32) (result i32) (call $divide (local.get 0)))
    (func $halve (export "run") (param i32) (result i32)
      (loop $l (drop (call $unnamed (i32.const 4))) (global.set 0 (i32.sub (global.get 0) (i32.const 1))) (br_if $l (global.get 0)))
      (i32.add (i32.const 1) (call $unnamed (local.get 0)))))
  (core instance $i (instantiate $inner))
  (core instance $o (instantiate $outer (with "inner" (instance $i))))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $o "run"))))`;

async function stackOf(bytes: Uint8Array, reset: boolean, suspend: boolean) {
  const component = await load(bytes, { metered: true, reset, memoryBytes: 1 << 20 });
  const instance = component.instantiate({}, { suspend, cpu: { metering, cpuMs: 1000 } });
  const run = instance.exports.$root!.run as unknown as (n: number) => unknown;
  const { stack } = await (async () => run(0))().then(
    () => assert.fail("it does not divide by zero"),
    (error: Error) => error,
  );
  return { stack: stack!, told: component.retell(stack!).split("\n") };
}

describe("a stack of V8 told in the author's file", () => {
  for (const reset of [false, true]) {
    test(`says where the instruction stands that trapped, ${reset ? "in a component that can be reset" : "also below another module"}`, async () => {
      const bytes = await parse(guest);
      const { stack, told } = await stackOf(bytes, reset, true);
      // i32.const 77777777, local.get 0, i32.div_u
      const division = Buffer.from(bytes).indexOf(Buffer.from([0x41, 0xf1, 0x96, 0x8b, 0x25, 0x20, 0x00, 0x6e])) + 7;
      assert.ok(division > 7);
      assert.equal(told[0], "RuntimeError: divide by zero");
      assert.equal(told[1], `    at divide (same:wasm-function[0]:0x${division.toString(16)})`);
      const offsets = told.slice(2, 4).map((line) => Number(/:(0x[0-9a-f]+)\)$/.exec(line)?.[1]));
      // Each of the callers stands at its call.
      assert.deepEqual(
        offsets.map((offset) => bytes[offset]),
        [0x10, 0x10],
        told.join("\n"),
      );
      assert.match(told[2]!, /at unnamed \(same:wasm-function\[1\]/);
      assert.match(told[3]!, /at halve \(same:wasm-function\[2\]/);
      assert.ok(!stack.includes(division.toString(16)), "V8 counts in what was woven");
      assert.ok(!told.some((line) => line.includes("wasm://")), told.join("\n"));
    });
  }

  test("leaves out frames of which nothing is known, and keeps what are none", async () => {
    const component = await load(await parse(guest), { metered: true });
    const others = ["Error: text", "    at f (file.ts:1:2)", "    at wasm://wasm/1a2b3c4d:wasm-function[1]:0x20"];
    others.push("    at f (wasm://wasm/same#7-1a2b3c4d:wasm-function[1]:0x20)");
    assert.equal(component.retell(others.join("\n")), "Error: text\n    at f (file.ts:1:2)");
  });
});
