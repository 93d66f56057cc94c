/** `cyto serve <component.wasm>`: components from other toolchains, and files that are none. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { request } from "undici";
import { runCyto, startCyto } from "./process.ts";

/** Built by somebody else, unchanged: see test/guests/README.md. */
const component = fileURLToPath(new URL("../guests/wstd.wasm", import.meta.url));
const handler = fileURLToPath(new URL("../guests/handler.wasm", import.meta.url));

describe("cyto serve", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cyto-serve-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test("answers with a component that nobody here wrote, and stops in peace", async () => {
    await using server = await startCyto(["serve", component]);
    const replies = await Promise.all(Array.from({ length: 50 }, () => fetch(server.address)));
    for (const reply of replies) assert.equal(reply.status, 200, await reply.text());
    server.signal("SIGTERM");
    assert.equal(await server.exited, 0, server.output());
  });

  test("answers with a service of wasi:http 0.3: many calls at a time, bodies and trailers both ways", async () => {
    await using server = await startCyto(["serve", handler, "--egress", "127.0.0.1"]);
    const asleep = Array.from({ length: 40 }, () => fetch(new URL("/sleep?ms=100", server.address)));
    const hello = await fetch(new URL("/hello", server.address));
    assert.equal(await hello.text(), "Hello, WASI 0.3!");
    for (const reply of await Promise.all(asleep)) assert.equal(await reply.text(), "slept");

    const sent = Buffer.alloc(3_000_000, "sent");
    const echoed = await fetch(new URL("/copy", server.address), { method: "POST", body: sent });
    assert.ok(Buffer.from(await echoed.arrayBuffer()).equals(sent));

    const trailing = await request(new URL("/trailers", server.address));
    assert.equal(await trailing.body.text(), "body");
    assert.deepEqual(trailing.trailers, { "x-sum": ["1", "2"] });

    const refused = await fetch(new URL("/fetch-text?target=example.com/", server.address));
    assert.equal(await refused.text(), "ErrorCode::HttpRequestDenied");
    for (const [path, status] of [
      ["/error", 500],
      ["/trap", 502],
      ["/status?code=150", 502],
      ["/nowhere", 404],
    ] as const)
      assert.equal((await fetch(new URL(path, server.address))).status, status, path);
    assert.equal((await fetch(new URL("/hello", server.address))).status, 200, "another instance has taken over");
    server.signal("SIGTERM");
    assert.equal(await server.exited, 0, server.output());
  });

  test("answers from several shards, and stops in peace", async () => {
    await using server = await startCyto(["serve", component], { shards: 2 });
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => fetch(server.address, { headers: { connection: "close" } })),
    );
    for (const reply of replies) assert.equal(reply.status, 200, await reply.text());
    server.signal("SIGTERM");
    assert.equal(await server.exited, 0, server.output());
  });

  test("says so when its port is in use", async () => {
    await using server = await startCyto(["serve", component]);
    const { port } = new URL(server.address);
    const second = await runCyto(["serve", component, "--port", port]);
    assert.notEqual(second.code, 0);
    assert.match(second.stderr, new RegExp(`${port}.*in use`, "s"));
  });

  const bad: readonly (readonly [name: string, bytes: () => Promise<Uint8Array>])[] = [
    ["empty", async () => new Uint8Array()],
    ["random", async () => crypto.getRandomValues(new Uint8Array(4096))],
    ["truncated", async () => (await readFile(component)).subarray(0, 20_000)],
    ["core-module", async () => Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)],
  ];
  for (const [name, bytes] of bad) {
    test(`refuses a file that is ${name}, naming it`, async () => {
      const file = join(folder, `${name}.wasm`);
      await writeFile(file, await bytes());
      const { code, stderr } = await runCyto(["serve", file, "--port", "0"]);
      assert.notEqual(code, 0);
      assert.match(stderr, new RegExp(`${name}\\.wasm`));
      assert.doesNotMatch(stderr, /\n\s+at /, "no stack trace");
    });
  }

  test("refuses a file that is not there", async () => {
    const { code, stderr } = await runCyto(["serve", join(folder, "none.wasm"), "--port", "0"]);
    assert.notEqual(code, 0);
    assert.match(stderr, /none\.wasm/);
  });
});
