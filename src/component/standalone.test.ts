import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import { createMetering, load, openFetcher, runCommand, suspending, wasi } from "./embed.ts";

const guest = async (name: string, options = {}) =>
  load(await readFile(new URL(`../../test/guests/${name}.wasm`, import.meta.url)), options);

describe("runCommand()", () => {
  /** The exit code, and what was written. */
  async function run(args: readonly string[], options = {}): Promise<readonly [number, string]> {
    const written: Uint8Array[] = [];
    const stdout = (bytes: Uint8Array) => void written.push(bytes);
    const code = await runCommand(await guest("tool-rust-p2"), { args: ["tool", ...args], stdout, ...options });
    return [code, Buffer.concat(written).toString()];
  }

  test("gives arguments, variables, input and directories", async () => {
    assert.deepEqual(await run(["args", "a", "b"]), [0, "a|b"]);
    assert.deepEqual(await run(["env", "MODE"], { env: { MODE: "test" } }), [0, "test"]);
    assert.deepEqual(await run(["upper"], { stdin: [Buffer.from("one "), Buffer.from("two")] }), [0, "ONE TWO"]);
    assert.deepEqual(await run(["upper"]), [0, ""]);
    const folder = await mkdtemp(join(tmpdir(), "cyto-embed-"));
    const [code] = await run(["files", "/data"], { directories: [{ guest: "/data", host: folder }] });
    await rm(folder, { recursive: true });
    assert.equal(code, 0);
  });

  test("gives nothing of this process, and reports the exit code", async () => {
    assert.deepEqual(await run(["env", "PATH"]), [0, "none"]);
    // An exit of WASI 0.2 says whether it went well, and no more.
    assert.deepEqual(await run(["exit", "7"]), [1, ""]);
    const lines: string[] = [];
    await run(["exit", "7"], {
      log: (level: string, context: string, text: string) => lines.push(level, context, text),
    });
    assert.deepEqual(lines, ["error", "stderr", "leaving"]);
    await assert.rejects(run(["files", "/data"]), { code: "instance-trapped" });
  });
});

describe("openFetcher()", () => {
  for (const [name, greeting] of [
    ["probe", "Hello, WASI!"],
    ["handler", "Hello, WASI 0.3!"],
  ] as const) {
    test(`answers requests with ${name}`, async () => {
      using service = openFetcher(await guest(name));
      const hello = await service.fetch(new Request("http://any.test/hello"));
      assert.deepEqual([hello.status, await hello.text()], [200, greeting]);
      const body = "x".repeat(100_000);
      const echo = await service.fetch(new Request("http://any.test/echo", { method: "POST", body }));
      assert.equal(await echo.text(), body);
    });
  }

  test("meters one that was loaded for it", async () => {
    const metering = createMetering({ monotonic: () => performance.now(), nextTurn: setImmediate });
    using service = openFetcher(await guest("probe", { metered: true }), { cpu: { metering, cpuMs: 1_000 } });
    assert.equal(await (await service.fetch(new Request("http://any.test/hello"))).text(), "Hello, WASI!");
  });

  test("refuses what is no service", async () => {
    const tool = await guest("tool-rust-p2");
    assert.throws(() => openFetcher(tool), { code: "invalid-component", message: /it does not export wasi:http/ });
  });
});

describe("wasi()", () => {
  const source = `(component
    (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
    (import "test:host/add" (instance $add (export "one" (func (param "to" u64) (result u64)))))
    (core func $random (canon lower (func $random "get-random-u64")))
    (core func $one (canon lower (func $add "one")))
    (core module $m
      (import "" "random" (func $random (result i64)))
      (import "" "one" (func $one (param i64) (result i64)))
      (func (export "run") (result i64) (call $one (call $random))))
    (core instance $i (instantiate $m (with "" (instance
      (export "random" (func $random)) (export "one" (func $one))))))
    (func (export "run") (result u64) (canon lift (core func $i "run"))))`;

  test("stands beside a program's own imports", async () => {
    const component = await load<object, { $root: { run(): bigint | Promise<bigint> } }>(await parse(source));
    using host = wasi({ random: { bytes: (length) => new Uint8Array(length).fill(1) } });
    const one = suspending(async (to: bigint) => to + 1n);
    using instance = component.instantiate({ ...host.imports, "test:host/add": { one } });
    assert.equal(await instance.exports.$root.run(), 0x0101010101010102n);
  });
});
