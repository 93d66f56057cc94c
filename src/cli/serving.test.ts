/** The commands that serve: up, dev, serve; and build, which they begin with. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { begin, run } from "./terminal-fixture.ts";

const cwd = mkdtempSync(join(tmpdir(), "cyto-serving-"));
after(() => rmSync(cwd, { recursive: true }));
const free = ["--port", "0", "--admin-port", "0", "--shards", "1"];
cpSync(new URL("../../test/guests/hello.wasm", import.meta.url), join(cwd, "hello.wasm"));

const manifest = (path: string) => `app: shop
services:
  hello: { component: hello.wasm, routes: ["GET ${path}"] }
  stock: { component: hello.wasm, secrets: [STOCK_KEY] }
  cart: { component: hello.wasm, routes: ["POST /carts/{id}"], calls: [stock] }
`;
writeFileSync(join(cwd, "cyto.yaml"), manifest("/hello"));

const addressIn = (json: string): string => JSON.parse(json).gateway;
const bodyOf = async (url: string) => (await fetch(url)).text();

describe("cyto up", () => {
  test("serves, says where and what to try, and stops when asked", async () => {
    const up = begin(["up", ...free], { cwd });
    const [, address = ""] = await up.until(/ready shop at (\S+) /);
    await up.until(/try +curl http:\S+\/hello\n/);
    assert.match(await bodyOf(`${address}/hello`), /ello/);
    assert.equal((await run(["call", "hello", "--quiet"], { cwd })).code, 0, "call finds it");
    await up.until(/info +hello GET \/hello 200/);
    up.stop();
    const { code, stdout, stderr } = await up.ended;
    assert.equal(code, 0);
    assert.match(stdout, /\n {2}stock {2}called by cart\n/);
    assert.match(stderr, /warning: the secret STOCK_KEY of stock is not set\n {2}= cyto secret set STOCK_KEY/);
    assert.match(stderr, /stopping: /);
    await assert.rejects(fetch(address));
    assert.equal(existsSync(join(cwd, ".cyto/run.json")), false);
  });

  test("--json prints one line when it answers, and nothing else", async () => {
    const up = begin(["up", ...free, "--json"], { cwd });
    const [line] = await up.until(/^\{"event":"ready".*\}\n/m);
    assert.deepEqual(Object.keys(JSON.parse(line)), ["event", "gateway", "admin"]);
    assert.equal((await fetch(`${JSON.parse(line).admin}/readyz`)).status, 200);
    await bodyOf(`${addressIn(line)}/hello`);
    up.stop();
    const { code, stdout } = await up.ended;
    assert.deepEqual([code, stdout], [0, line]);
  });

  test("serves from as many shards as are asked for, at most as many as the manifest allows unless asked", async () => {
    const up = begin(["up", ...free.slice(0, 4), "--shards", "2"], { cwd });
    const [, address = ""] = await up.until(/ready shop at (\S+) \(local, 2 shards, /);
    assert.match(await bodyOf(`${address}/hello`), /ello/);
    await up.until(/info +hello GET \/hello 200/);
    up.stop();
    assert.equal((await up.ended).code, 0);
    writeFileSync(join(cwd, "one.yaml"), `${manifest("/hello")}limits: { shards: 1 }\n`);
    const one = begin(["up", "one.yaml", ...free.slice(0, 4)], { cwd });
    await one.until(/ready shop at \S+ \(local, in /);
    one.stop();
    assert.equal((await one.ended).code, 0);
    const none = await run(["up", ...free.slice(0, 4), "--shards", "0"], { cwd });
    assert.deepEqual([none.code, /from 1 to 1024/.test(none.stderr)], [2, true], none.stderr);
  });

  test("says who is in the way when the port is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    const { code, stderr } = await run(["up", "--port", String(port), "--admin-port", "0"], { cwd });
    await new Promise((resolve) => taken.close(resolve));
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`error: Cannot .*${port}.*: another process`));
  });

  test("shows what is wrong with the manifest, and starts nothing", async () => {
    writeFileSync(join(cwd, "wrong.yaml"), manifest("/x").replace("calls: [stock]", "calls: [stok]"));
    const { code, stdout, stderr } = await run(["up", "wrong.yaml", ...free], { cwd });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /there is no service "stok" to call\n.*wrong\.yaml:5:[\s\S]*did you mean "stock"\?/);
  });
});

describe("cyto serve", () => {
  test("serves a component without a manifest", async () => {
    const served = begin(["serve", "hello.wasm", ...free, "--json", "--env", "A=1", "--keyvalue", "d=memory"], { cwd });
    const [line] = await served.until(/^\{"event":"ready".*\}\n/m);
    assert.match(await bodyOf(`${addressIn(line)}/whatever`), /ello/);
    served.stop();
    assert.deepEqual(await served.ended, { code: 0, stdout: line, stderr: "" });
  });

  const wrong: readonly [args: string[], code: number, message: RegExp][] = [
    [["none.wasm"], 1, /Cannot read the component none\.wasm: there is no such file/],
    [["cyto.yaml"], 1, /it does not begin like WebAssembly/],
    [["hello.wasm", "--keyvalue", "d=sqlit"], 2, /bindings\.d\.keyvalue: .*"sqlit"\n {2}= Did you mean "sqlite"/],
    [["hello.wasm", "--egress", "a b"], 2, /egress\[0\]: "a b" names no host/],
    [["hello.wasm", "--dir", "/data=./none"], 2, /the directory for \/data does not exist/],
  ];
  for (const [args, code, message] of wrong) {
    test(`${args.join(" ")} is refused`, async () => {
      const ran = await run(["serve", ...args, ...free], { cwd });
      assert.equal(ran.code, code);
      assert.match(ran.stderr, message);
    });
  }
});

describe("cyto dev", () => {
  test("serves a new manifest and a new component, and the old while one is wrong", async () => {
    const dev = begin(["dev", ...free], { cwd });
    const [, address = ""] = await dev.until(/ready shop at (\S+) /);
    writeFileSync(join(cwd, "cyto.yaml"), manifest("/again"));
    await dev.until(/swapped the manifest: serving \S+ m?s after the edit/);
    assert.equal((await fetch(`${address}/hello`)).status, 404);
    assert.match(await bodyOf(`${address}/again`), /ello/);

    writeFileSync(join(cwd, "cyto.yaml"), manifest("/broken").replace("component", "componnet"));
    await dev.until(/did you mean "component"\?[\s\S]*the version before it goes on serving/);
    assert.equal((await fetch(`${address}/again`)).status, 200);
    dev.stop();
    assert.equal((await dev.ended).code, 0);
  });

  test("rebuilds a source that is edited, in the author's own lines when it fails", async () => {
    assert.equal((await run(["new", "edited"], { cwd })).code, 0);
    const source = (text: string) => `export default { fetch: () => new Response(${text}) };\n`;
    writeFileSync(join(cwd, "edited/service.ts"), source('"one"'));
    const built = await run(["build", "edited", "--json"], { cwd });
    assert.deepEqual(JSON.parse(built.stdout).service, "edited", built.stderr);
    assert.match((await run(["build", "edited"], { cwd })).stdout, /edited +[\d.]+ MB +[0-9a-f]{12} +unchanged\n/);

    const dev = begin(["dev", "edited", ...free], { cwd });
    const [, address = ""] = await dev.until(/ready edited at (\S+) /);
    assert.equal(await bodyOf(address), "one");
    writeFileSync(join(cwd, "edited/service.ts"), source('"two"'));
    await dev.until(/swapped edited: /);
    assert.equal(await bodyOf(address), "two");
    writeFileSync(join(cwd, "edited/service.ts"), source("three("));
    await dev.until(/edited cannot be built[\s\S]*edited\/service\.ts:1:\d+\n[\s\S]*goes on serving/);
    assert.equal(await bodyOf(address), "two");
    dev.stop();
    assert.equal((await dev.ended).code, 0);
  });

  test("waits for an edit when the first version is wrong", async () => {
    writeFileSync(join(cwd, "cyto.yaml"), manifest("/x").replace("hello.wasm", "gone.wasm"));
    const dev = begin(["dev", ...free], { cwd });
    await dev.until(/the file "gone\.wasm" does not exist[\s\S]*waiting for an edit/);
    writeFileSync(join(cwd, "cyto.yaml"), manifest("/x"));
    await dev.until(/ready shop at/);
    dev.stop();
    assert.equal((await dev.ended).code, 0);
  });
});
