import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createProgram } from "./main.ts";
import { run } from "./terminal-fixture.ts";

const names = ["new", "dev", "check", "build", "up", "serve", "run", "call", "logs", "secret", "inspect"];

describe("cyto", () => {
  test("alone prints help and ends with 0", async () => {
    const { code, stdout, stderr } = await run([]);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    for (const name of names) assert.match(stdout, new RegExp(`^  ${name} `, "m"));
    assert.match(stdout, /Exit codes: 0 done, 1 failed, 2 called wrongly, 130 interrupted/);
  });

  for (const name of names) {
    test(`${name} --help shows usage and examples`, async () => {
      const { code, stdout } = await run([name, "--help"]);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^Usage: cyto ${name}`));
      assert.match(stdout, new RegExp(`Examples:\n  cyto ${name} `));
      assert.match(stdout, /--json/, "global options are told too");
    });
  }

  test("--version prints the package's version", async () => {
    const { code, stdout } = await run(["--version"]);
    assert.equal(code, 0);
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  });

  const wrong: readonly [args: string[], message: RegExp][] = [
    [["blid"], /Unknown command 'blid'\n {2}= Did you mean build\?/],
    [["up", "--prot", "1"], /Unknown option '--prot'\n {2}= Did you mean --port\?/],
    [["up", "--port", "99999"], /argument '99999' is invalid\. It must be a whole number from 0 to 65535/],
    [["new"], /Missing required argument 'dir'/],
    [["new", "x", "--template", "react"], /Allowed choices are service, hono/],
    [["secret"], /no command is named/],
    [["build", "a", "b"], /Too many arguments for 'build'/],
    [["serve", "x.wasm", "--env", "A"], /It must be of the form name=value/],
  ];
  for (const [args, message] of wrong) {
    test(`${args.join(" ")} ends with 2 and says why`, async () => {
      const { code, stdout, stderr } = await run(args);
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /\n {4}at /, "no stack");
    });
  }

  test("--json tells an error as an event", async () => {
    const { code, stdout, stderr } = await run(["check", "/nowhere", "--json"]);
    assert.equal(code, 1);
    assert.equal(stderr, "");
    const event = JSON.parse(stdout);
    assert.deepEqual(Object.keys(event), ["event", "code", "message", "hint"]);
    assert.equal(event.code, "invalid-manifest");
  });

  test("--verbose shows the stack", async () => {
    const { stderr } = await run(["check", "/nowhere", "--verbose"]);
    assert.match(stderr, /\n {4}at /);
  });

  test("colours on a terminal, unless NO_COLOR or --no-color", async () => {
    const coloured = async (env: Record<string, string>, ...args: string[]) =>
      (await run(["check", "/nowhere", ...args], { isTTY: true, env })).stderr.includes("\u001b[31m");
    assert.equal(await coloured({}), true);
    assert.equal(await coloured({ NO_COLOR: "1" }), false);
    assert.equal(await coloured({}, "--no-color"), false);
    assert.equal(await coloured({ TERM: "dumb" }), false);
    assert.equal((await run(["check", "/nowhere"])).stderr.includes("\u001b"), false);
  });

  test("every command is one that its documentation lists", async () => {
    const { readFileSync } = await import("node:fs");
    const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
    const stream = process.stdout;
    const frame = { terminal: { stdin: process.stdin, stdout: stream, stderr: stream, env: {}, cwd: "/" } };
    const program = createProgram({ ...frame, stop: () => new AbortController().signal });
    for (const command of program.commands) {
      assert.ok(page.includes(`## cyto ${command.name()}`), `docs/cli.md has no section on ${command.name()}`);
      for (const option of command.options) {
        assert.ok(page.includes(option.long ?? ""), `docs/cli.md does not tell of ${command.name()} ${option.long}`);
      }
    }
  });
});
