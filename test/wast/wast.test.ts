/** Our own scripts of the Component Model, and the runner that they and the specification's are run by. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { runScript } from "./script.ts";

describe("the Component Model's rules", () => {
  for (const name of readdirSync(import.meta.dirname).filter((name) => name.endsWith(".wast"))) {
    test(name, async () => {
      const source = readFileSync(join(import.meta.dirname, name), "utf8");
      const { passed, failed, unassembled } = await runScript(source, { messages: true });
      assert.deepEqual(
        failed.map(({ line, directive, problem }) => `${name}:${line} ${directive}: ${problem}`),
        [],
      );
      assert.deepEqual(unassembled, []);
      assert.ok(passed > 0);
    });
  }
});

const five = `
(component
  (core module $m (func (export "f") (result i32) (i32.const 5)) (func (export "trap") unreachable))
  (core instance $i (instantiate $m))
  (func (export "f") (result u32) (canon lift (core func $i "f")))
  (func (export "trap") (canon lift (core func $i "trap"))))`;

describe("runScript()", () => {
  /** What fails, by line, with the problem. */
  async function failures(directive: string): Promise<string[]> {
    const { failed } = await runScript(five + directive, { messages: true });
    return failed.map(({ directive, problem }) => `${directive}: ${problem}`);
  }

  test("fails what does not hold", async () => {
    const cases: [string, RegExp][] = [
      [`(assert_return (invoke "f") (u32.const 6))`, /it answered .*5/],
      [`(assert_return (invoke "f"))`, /it answered .*5/],
      [`(assert_return (invoke "g"))`, /nothing is exported as g/],
      [`(assert_trap (invoke "f") "")`, /it was accepted/],
      [`(assert_trap (invoke "trap") "out of memory")`, /it was refused with "unreachable"/],
      [`(assert_trap (invoke "g") "")`, /nothing is exported as g/],
      [`(assert_invalid (component) "")`, /it was accepted/],
      [`(component binary "no component")`, /Cannot decode/],
      [`(component instance $i $nothing)`, /no component \$nothing is defined/],
      [`(assert_unlinkable (component) "")`, /it was accepted/],
      [`(assert_everything)`, /no known directive/],
    ];
    for (const [directive, problem] of cases) {
      const found = await failures(directive);
      assert.equal(found.length, 1, directive);
      assert.match(found[0]!, problem);
    }
  });

  test("passes what holds, and tells apart what the assembler refused", async () => {
    const report = await runScript(
      `(component definition $D (import "f" (func (result u32))))
       ${five.replace("(component", "(component $f")}
       (assert_return (invoke $f "f") (u32.const 5))
       (component definition $E (import "a" (func)))
       (assert_unlinkable (component (import "a" (func $a)) (core func (canon lower (func $a)))
         (core module $m (import "" "a" (func))) (core instance (instantiate $m (with "" (instance (export "a" (func 0))))))) "a")
       (register "five" $f)
       (component $g (import "five" (instance $five (export "f" (func (result u32)))))
         (core func $f (canon lower (func $five "f")))
         (core module $m (import "" "f" (func $f (result i32))) (func (export "g") (result i32) (i32.add (call $f) (call $f))))
         (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
         (func (export "g") (result u32) (canon lift (core func $i "g"))))
       (assert_return (invoke $g "g") (u32.const 10))
       (component definition $H)
       (component instance $h1 $H)
       (assert_trap (invoke $f "trap") "unreachable")
       (assert_malformed (component quote "(nonsense)") "")
       (assert_malformed (component binary "\\00asm") "byte")
       (module)`,
      {},
    );
    assert.deepEqual(report, { passed: 13, failed: [], unassembled: [22] });
  });
});
