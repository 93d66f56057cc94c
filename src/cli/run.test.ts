import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "@bytecodealliance/jco";
import { withProgramArguments } from "./run.ts";
import { run } from "./terminal-fixture.ts";

const guest = (name: string) => fileURLToPath(new URL(`../../test/guests/${name}`, import.meta.url));
const tool = guest("tool-c.wasm");

describe("cyto run", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cyto-run-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test("passes arguments, variables and streams through, and nothing of its own", async () => {
    assert.deepEqual(await run(["run", tool, "args", "--json", "-q", "--", "x"]), {
      code: 0,
      stdout: "--json|-q|--|x",
      stderr: "",
    });
    assert.equal((await run(["run", "--env", "A=1", tool, "env", "A"], { env: { A: "mine" } })).stdout, "1");
    assert.equal((await run(["run", tool, "env", "A"], { env: { A: "mine" } })).stdout, "none");
    assert.equal((await run(["run", tool, "upper"], { stdin: "hello" })).stdout, "HELLO");
  });

  test("ends with the program's exit code", async () => {
    assert.deepEqual(await run(["run", tool, "exit", "42"]), { code: 42, stdout: "", stderr: "leaving" });
    assert.deepEqual(await run(["run", guest("tool-rust-p2.wasm"), "args", "component"]), {
      code: 0,
      stdout: "component",
      stderr: "",
    });
  });

  test("says what a trap was, and ends with 1", async () => {
    const { code, stderr } = await run(["run", tool, "trap"]);
    assert.equal(code, 1);
    assert.match(stderr, /^error: Cannot finish tool-c\.wasm: unreachable/);
  });

  test("lets it use directories, relative to where it is called", async () => {
    await writeFile(join(folder, "here"), "kept");
    const write = ["run", "--dir", "/data::.", tool, "files", "/data"];
    assert.equal((await run(write, { cwd: folder })).stdout, "one two in here,second");
    const read = await run(["run", "--dir", "/data::.:ro", tool, "files", "/data"], { cwd: folder });
    assert.deepEqual([read.code, read.stderr], [1, "write: Read-only file system\n"]);
    const missing = await run(["run", "--dir", "/data::./none", tool, "files", "/data"], { cwd: folder });
    assert.match(missing.stderr, /Cannot open directory \/data .*no such file/);
    assert.equal(String(await readFile(join(folder, "here"))), "kept");
  });

  test("refuses what is no command, and flags that say nothing", async () => {
    const service = await run(["run", guest("hello.wasm")]);
    assert.equal(service.code, 1);
    assert.match(service.stderr, /Cannot run hello\.wasm: it is no command/);
    await writeFile(join(folder, "notes.wasm"), "not WebAssembly");
    const text = await run(["run", "notes.wasm"], { cwd: folder });
    assert.deepEqual([text.code, text.stdout], [1, ""]);
    assert.match(text.stderr, /^error: Cannot run notes\.wasm: .*it does not begin like WebAssembly\n/);
    const unbound = await parse(`(component (import "acme:database/rows@1.0.0" (instance)))`);
    await writeFile(join(folder, "unbound.wasm"), unbound);
    const missing = await run(["run", "unbound.wasm"], { cwd: folder });
    assert.equal(missing.code, 1);
    assert.match(
      missing.stderr,
      /^error: Cannot run unbound\.wasm: it imports acme:database\/rows@1\.0\.0, which nothing/,
    );
    const flag = await run(["run", "--dir", "/data", tool]);
    assert.equal(flag.code, 2);
    assert.match(flag.stderr, /of the form guest::host/);
  });
});

test("withProgramArguments() marks where the program's own arguments begin", () => {
  const cases: [given: string, marked: string][] = [
    ["run a.wasm --x y", "run a.wasm -- --x y"],
    ["--json run --env A=1 a.wasm", "--json run --env A=1 a.wasm --"],
    ["run program -- --x", "run program -- --x"],
    ["run a.wasm -- --x", "run a.wasm -- --x"],
    ["run a.wasm -x -- y", "run a.wasm -- -x -- y"],
    ["serve a.wasm --port 0", "serve a.wasm --port 0"],
    ["call run a.wasm", "call run a.wasm"],
  ];
  for (const [given, marked] of cases) assert.equal(withProgramArguments(given.split(" ")).join(" "), marked);
});
