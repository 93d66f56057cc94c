import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { run } from "./terminal-fixture.ts";

const cwd = mkdtempSync(join(tmpdir(), "cyto-inspect-"));
after(() => rmSync(cwd, { recursive: true }));
const hello = new URL("../../test/guests/hello.wasm", import.meta.url).pathname;

describe("cyto inspect", () => {
  test("shows what a component is, needs and offers", async () => {
    const { code, stdout } = await run(["inspect", hello], { cwd });
    assert.equal(code, 0);
    assert.match(stdout, /^is +a wasi:http service\ndigest +sha256:[0-9a-f]{64}\nsize +[\d.]+ kB/);
    assert.match(stdout, /\nwoven +1 core module, [\d.]+ kB to [\d.]+ kB, in [\d.]+ ms\n +\d+ functions, \d+ charged/);
    assert.match(stdout, /\n {2}wasi:http\/types@0\.2\.\d+ +given\n/);
    assert.match(stdout, /\n {2}wasi:cli\/environment@0\.2\.\d+ +declare +environment: \{ <NAME>: <value> \}\n/);
    assert.match(stdout, /\nexports\n {2}wasi:http\/incoming-handler@0\.2\.\d+\n\npackage root:component;\n/);
    assert.match(stdout, /\n {2}interface poll \{\n {4}resource pollable \{\n/);
  });

  test("--wit prints the interface alone, --json all of it in a line", async () => {
    const { stdout } = await run(["inspect", hello, "--wit"], { cwd });
    assert.match(stdout, /^package root:component;\n\nworld root \{\n {2}import wasi:/);
    const found = JSON.parse((await run(["inspect", hello, "--wit", "--json"], { cwd })).stdout);
    assert.deepEqual(Object.keys(found), [
      "event",
      "file",
      "digest",
      "size",
      "world",
      "exports",
      "imports",
      "producers",
      "woven",
      "interface",
      "wit",
    ]);
    assert.equal(`${found.wit}\n`, stdout);
    assert.ok(found.interface.packages.some(({ name }: { name: string }) => name.startsWith("wasi:http@")));
    assert.equal(found.size, readFileSync(hello).byteLength);
    const [woven, ...others] = found.woven;
    assert.equal(others.length, 0);
    assert.ok(woven.bytesAfter > woven.bytesBefore && woven.entries > 0 && woven.elapsedMs > 0);
    assert.ok(woven.functions >= woven.entries && woven.loops >= woven.unrolled);
  });

  test("--types prints declarations alone, which a program of WASI 0.1 has not", async () => {
    const embed = new URL("../../examples/embed/checksum", import.meta.url).pathname;
    const { stdout } = await run(["inspect", `${embed}.wasm`, "--types"], { cwd });
    assert.equal(stdout, readFileSync(`${embed}.d.ts`, "utf8"));
    const found = JSON.parse((await run(["inspect", `${embed}.wasm`, "--types", "--json"], { cwd })).stdout);
    assert.deepEqual(Object.keys(found), ["event", "file", "digest", "types"]);
    const program = new URL("../../test/guests/tool-rust-p1.wasm", import.meta.url).pathname;
    const { code, stderr } = await run(["inspect", program, "--types"], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /a program of WASI 0\.1 has no interface of its own/);
  });

  const bytes: Readonly<Record<string, [content: Uint8Array, message: RegExp]>> = {
    empty: [new Uint8Array(), /the file is empty/],
    random: [Buffer.from("certainly no WebAssembly"), /it does not begin like WebAssembly/],
    core: [Buffer.from("\0asm\x01\0\0\0"), /it is a core WebAssembly module, not a component/],
    truncated: [readFileSync(hello).subarray(0, 5000), /bytes are announced and \d+ are there/],
  };
  for (const [name, [content, message]] of Object.entries(bytes)) {
    test(`says what is wrong with ${name} bytes, and where`, async () => {
      writeFileSync(join(cwd, `${name}.wasm`), content);
      const { code, stdout, stderr } = await run(["inspect", `${name}.wasm`], { cwd });
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, new RegExp(`^error: Cannot inspect ${name}\\.wasm: `));
      assert.match(stderr, message);
    });
  }

  test("says when there is no such file, and when it is a folder", async () => {
    assert.match(
      (await run(["inspect", "none.wasm"], { cwd })).stderr,
      /Cannot read .*none\.wasm: there is no such file/,
    );
    assert.match((await run(["inspect", "."], { cwd })).stderr, /it is a folder/);
  });
});
