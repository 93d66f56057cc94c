/** The commands that work on a project without serving it: new, check, secret. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import { run } from "./terminal-fixture.ts";

const cwd = mkdtempSync(join(tmpdir(), "cyto-project-"));
after(() => rmSync(cwd, { recursive: true }));

const write = (path: string, text: string) => {
  mkdirSync(join(cwd, path, ".."), { recursive: true });
  writeFileSync(join(cwd, path), text);
};

describe("cyto new", () => {
  test("makes a project that cyto check has nothing against", async () => {
    const made = await run(["new", "my-service"], { cwd });
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /cyto dev my-service/);
    const checked = await run(["check", "my-service"], { cwd });
    assert.equal(checked.stdout, "my-service: 1 service, nothing wrong\n", checked.stderr);
    assert.equal(checked.code, 0);
  });

  test("makes a Hono app, with hono as its dependency", async () => {
    const { code, stdout } = await run(["new", "api", "--template", "hono", "--name", "front", "--json"], { cwd });
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout).name, "front");
    assert.match(readFileSync(join(cwd, "api/cyto.yaml"), "utf8"), /^app: front\n/);
    assert.ok(JSON.parse(readFileSync(join(cwd, "api/package.json"), "utf8")).dependencies.hono);
  });

  test("takes a name from the folder", async () => {
    await run(["new", "My Service 2"], { cwd });
    assert.match(readFileSync(join(cwd, "My Service 2/cyto.yaml"), "utf8"), /^app: my-service-2\n/);
  });

  test("refuses a folder that holds something, and changes nothing", async () => {
    write("full/notes.txt", "mine");
    const { code, stderr } = await run(["new", "full"], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /Cannot make the project "full": the folder is not empty \(it holds notes\.txt\)/);
    assert.equal(existsSync(join(cwd, "full/cyto.yaml")), false);
    write("a-file", "");
    assert.match((await run(["new", "a-file"], { cwd })).stderr, /there is a file of that name/);
  });

  test("refuses a name that is none, with one that would do", async () => {
    const { code, stderr } = await run(["new", "x", "--name", "My App"], { cwd });
    assert.equal(code, 2);
    assert.match(stderr, /--name my-app would do/);
  });
});

const manifest = `app: shop
services:
  catalog: { source: service.ts, routes: ["GET /"], secrets: [API_KEY] }
environments:
  production: { services: { catalog: { component: missing.wasm } } }
`;

describe("cyto check", () => {
  test("shows the faults of every environment, and of the types, at once", async () => {
    write("broken/cyto.yaml", manifest);
    write("broken/service.ts", "const x: number = 'text';\nexport default { fetch: () => new Response(String(x)) };\n");
    const { code, stdout, stderr } = await run(["check", "broken"], { cwd });
    assert.equal(code, 1);
    assert.equal(stdout, "2 errors\n");
    assert.match(stderr, /the file "missing\.wasm" does not exist\n.*broken\/cyto\.yaml:5:51/);
    assert.match(stderr, /not assignable to type 'number'\. \(TS2322\)\n.*broken\/service\.ts:1:7\n/);
  });

  test("--env checks one environment, --no-types no types", async () => {
    const { code, stdout } = await run(["check", "broken", "--env", "local", "--no-types"], { cwd });
    assert.equal(code, 0);
    assert.equal(stdout, "shop: 1 service, nothing wrong\n");
  });

  test("--json tells one fault a line, then the sum", async () => {
    const { code, stdout } = await run(["check", "broken", "--no-types", "--json"], { cwd });
    assert.equal(code, 1);
    const [fault, sum] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(fault.event, "diagnostic");
    assert.deepEqual([fault.line, fault.column, fault.severity], [5, 51, "error"]);
    assert.deepEqual(sum, { event: "checked", errors: 1, warnings: 0 });
  });

  test("holds components to what a deployment asks of them, each at its place", async () => {
    const hello = readFileSync(new URL("../../test/guests/hello.wasm", import.meta.url));
    const importing = (name: string) =>
      parse(`(component (import "${name}" (instance))
        (core module $m (func (export "run") (result i32) i32.const 0)) (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $command (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $command)))`);
    const rows = await importing("acme:database/rows@1.0.0");
    const visits = await importing("wasi:keyvalue/store@0.2.0-draft");
    const components = { hello, cut: hello.subarray(0, 5000), none: await parse("(component)"), rows, visits };
    const services = Object.keys(components).map(
      (name) => `  ${name}:\n    component: ${name}.wasm\n    routes: ["GET /${name}"]\n`,
    );
    write("brought/cyto.yaml", `app: brought\nservices:\n${services.join("")}`);
    for (const [name, bytes] of Object.entries(components)) writeFileSync(join(cwd, `brought/${name}.wasm`), bytes);
    const { code, stdout } = await run(["check", "brought", "--json"], { cwd });
    assert.equal(code, 1);
    const faults = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(faults.pop(), { event: "checked", errors: 4, warnings: 0 });
    assert.deepEqual(
      faults.map(({ path, line, column }) => [path, line, column]),
      ["cut", "none", "rows", "visits"].map((name, i) => [`services.${name}.component`, 7 + 3 * i, 16]),
    );
    const [cut, none, unknown, unbound] = faults;
    assert.match(
      cut.message,
      /^"cut" cannot be deployed: .*in the core module section at byte \d+: \d+ bytes are announced/,
    );
    assert.match(none.message, /it exports nothing that takes requests/);
    assert.match(unknown.message, /it imports acme:database\/rows@1\.0\.0, which is not bound/);
    assert.match(unknown.hint, /No binding of this platform provides it/);
    assert.equal(
      unbound.hint,
      "Declare it in cyto.yaml, under services.visits: bindings: { <name>: { keyvalue: sqlite } }",
    );
  });

  test("says what to do where there is no project", async () => {
    assert.match((await run(["check"], { cwd })).stderr, /holds no cyto\.yaml\n {2}= .*cyto new/);
    assert.match(
      (await run(["check", "nowhere"], { cwd })).stderr,
      /there is no such folder\n {2}= .*cyto new nowhere/,
    );
  });
});

describe("cyto secret", () => {
  const secret = (args: string[], stdin = "") => run(["secret", ...args, "-C", "broken"], { cwd, stdin });

  test("keeps, lists and forgets a secret, and never shows its value", async () => {
    const missing = await secret(["list"]);
    assert.equal(missing.stdout, "API_KEY  missing, read by catalog\n");
    const kept = await secret(["set", "API_KEY"], "hunter2\n");
    assert.deepEqual([kept.code, kept.stdout, kept.stderr], [0, "set API_KEY\n", ""]);
    const listed = await secret(["list", "--json"]);
    assert.deepEqual(JSON.parse(listed.stdout), { event: "secret", name: "API_KEY", set: true, services: ["catalog"] });
    assert.equal(readFileSync(join(cwd, "broken/.cyto/secrets.json"), "utf8").includes("hunter2"), false);
    assert.equal((await secret(["rm", "API_KEY"])).code, 0);
    const gone = await secret(["rm", "API_KEY"]);
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /API_KEY/);
  });

  test("says when no service reads it", async () => {
    assert.match((await secret(["set", "OTHER"], "x")).stderr, /no service reads it yet/);
  });

  test("refuses an empty value, and a value as an argument", async () => {
    assert.match((await secret(["set", "API_KEY"])).stderr, /the value is empty/);
    const { code, stderr } = await secret(["set", "API_KEY", "hunter2"]);
    assert.equal(code, 2);
    assert.equal(stderr.includes("hunter2"), false);
  });
});
