/** The runner of the WASI test-suite is itself able to fail: small suites of our own guests. */
import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { runProcess } from "../e2e/process.ts";
import { judge } from "./program.ts";
import { readSpecification } from "./specification.ts";

const guest = (name: string) => fileURLToPath(new URL(`../guests/${name}`, import.meta.url));
const runner = fileURLToPath(new URL("run.ts", import.meta.url));

describe("the WASI test-suite's runner", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cyto-suite-"));
    await mkdir(join(folder, "root"));
    await writeFile(join(folder, "root", "here"), "");
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function program(name: string, specification: object | undefined, from = "tool-c.wasm"): Promise<string> {
    await copyFile(guest(from), join(folder, `${name}.wasm`));
    if (specification !== undefined) await writeFile(join(folder, `${name}.json`), JSON.stringify(specification));
    return join(folder, `${name}.wasm`);
  }

  const run = (...args: string[]) => ({ type: "run", args });

  test("passes a program that does what is expected, of the older form and the newer", async () => {
    const older = await program("older", { args: ["files", "/"], root: "root", stdout: "one two in here,second" });
    assert.equal((await judge(older, 30_000)).failure, undefined);
    assert.deepEqual(await readdir(join(folder, "root")), ["here"]);
    const operations = [
      run("upper"),
      { type: "write", id: "stdin", payload: "ready" },
      { type: "read", id: "stdout", payload: "READY" },
      { type: "write", id: "stdin", payload: "more" },
      { type: "read", payload: "MORE" },
      { type: "wait" },
    ];
    assert.equal((await judge(await program("newer", { operations }), 30_000)).failure, undefined);
  });

  const failing: readonly (readonly [name: string, operations: readonly object[], failure: RegExp])[] = [
    ["exit code", [run("exit", "3"), { type: "wait" }], /ended with 3, not with 0\nleaving/],
    ["output", [run("args", "a"), { type: "read", payload: "b" }], /its stdout is "a", not "b"/],
    ["missing output", [run("args"), { type: "read", payload: "b" }], /its stdout is "", not "b"/],
    ["address", [run("args", "nowhere"), { type: "connect" }], /wrote "nowhere" where an address was expected/],
    ["operation", [run("args"), { type: "dance" }], /operation dance: it is unknown/],
  ];
  for (const [name, operations, failure] of failing) {
    test(`fails a program by its ${name}`, async () => {
      const verdict = await judge(await program(name.replace(" ", "-"), { operations }), 30_000);
      assert.equal(verdict.passed, false);
      assert.match(verdict.failure!, failure);
    });
  }

  test("kills a program that does not end", async () => {
    const endless = await program("endless", { operations: [run("sleep", "3600000"), { type: "wait" }] });
    assert.match((await judge(endless, 1_500)).failure!, /ended with SIGKILL/);
  });

  test("sends requests to a program that serves, and judges the replies", async () => {
    const specification = (body: string) => ({
      world: "wasi:http/service",
      operations: [
        { type: "run", env: { GREETING: "hi" } },
        { type: "request", method: "POST", path: "/echo", body: "ping", response: { body } },
        { type: "request", path: "/missing", response: { status: 404, body: "nothing here" } },
        { type: "kill", signal: "SIGINT" },
        { type: "wait" },
      ],
    });
    assert.equal((await judge(await program("echo", specification("ping"), "cgi.wasm"), 30_000)).failure, undefined);
    const wrong = await judge(await program("wrong", specification("pong"), "cgi.wasm"), 30_000);
    assert.match(wrong.failure!, /the body of the reply to POST \/echo is "ping", not "pong"/);
  });

  test("knows every key of a specification, or refuses it", async () => {
    const file = await program("unknown", { arguments: [] });
    assert.throws(() => readSpecification(file), /it has arguments, which is unknown here/);
    await rm(file);
  });

  test("counts, and ends with 1 when one failed", async () => {
    const few = join(folder, "few");
    await mkdir(few);
    await copyFile(guest("tool-c.wasm"), join(few, "fails.wasm"));
    await copyFile(guest("tool-c.wasm"), join(few, "passes.wasm"));
    await writeFile(join(few, "passes.json"), JSON.stringify({ args: ["args"] }));
    const { code, stdout } = await runProcess([runner, few]);
    assert.equal(code, 1);
    assert.match(stdout, /FAIL {2}fails.*pass {2}passes|pass {2}passes.*FAIL {2}fails/s);
    assert.match(stdout, /1 of 2 passed/);
    const only = await runProcess([runner, few, "--only", "pass", "--json"]);
    assert.equal(only.code, 0);
    assert.equal(JSON.parse(only.stdout).passed, 1);
  });
});
