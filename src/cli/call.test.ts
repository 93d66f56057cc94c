import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { run } from "./terminal-fixture.ts";

const cwd = mkdtempSync(join(tmpdir(), "cyto-call-"));
writeFileSync(join(cwd, "service.ts"), "");
writeFileSync(
  join(cwd, "cyto.yaml"),
  `app: shop
services:
  catalog: { source: service.ts, routes: ["GET /products/{sku}", "GET /products"], calls: [stock] }
  cart: { source: service.ts, routes: ["POST /carts/{id}"] }
  stock: { source: service.ts }
`,
);

/** Answers with what it was asked; `/fail` with 500, `/bytes` with no text. */
const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  if (request.url === "/bytes") {
    response.end(Buffer.from([0, 255]));
    return;
  }
  response.writeHead(request.url === "/fail" ? 500 : 200, { "content-type": "application/json" });
  response.end(
    JSON.stringify({ method: request.method, url: request.url, type: request.headers["content-type"], body }),
  );
});
let url = "";
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
  rmSync(cwd, { recursive: true });
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const call = (...args: string[]) => run(["call", ...args, "--url", url], { cwd, stdin: "from stdin" });

describe("cyto call", () => {
  test("prints the body to standard output, the rest to standard error", async () => {
    const { code, stdout, stderr } = await call("/products?page=2");
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), { method: "GET", url: "/products?page=2", body: "" });
    assert.match(stderr, /^GET http:.*\n200 OK in .*\n[\s\S]*content-type: application\/json/);
  });

  test("posts data, as JSON when it is", async () => {
    const sent = async (data: string) => JSON.parse((await call("/carts/7", "-d", data)).stdout);
    assert.deepEqual(await sent('{"sku":"A"}'), {
      method: "POST",
      url: "/carts/7",
      type: "application/json",
      body: '{"sku":"A"}',
    });
    assert.equal((await sent("plain")).type, undefined);
    assert.equal((await sent("-")).body, "from stdin");
    writeFileSync(join(cwd, "data.txt"), "from a file");
    assert.equal((await sent("@data.txt")).body, "from a file");
  });

  test("sends method and header fields as told", async () => {
    const { stdout } = await call("/x", "-X", "put", "-H", "content-type: text/x", "-H", "x-a: 1", "-d", "{}");
    assert.deepEqual(JSON.parse(stdout), { method: "PUT", url: "/x", type: "text/x", body: "{}" });
  });

  test("ends with 1 for a status of 400 or more", async () => {
    const { code, stderr } = await call("/fail");
    assert.equal(code, 1);
    assert.match(stderr, /500 Internal Server Error/);
  });

  test("--json tells the reply in one line, bytes as base64", async () => {
    const { stdout, stderr } = await call("/bytes", "--json");
    assert.equal(stderr, "");
    const { event, status, bodyBase64 } = JSON.parse(stdout);
    assert.deepEqual({ event, status, bodyBase64 }, { event: "reply", status: 200, bodyBase64: "AP8=" });
  });

  test("calls a service by its first route without parameters", async () => {
    assert.equal(JSON.parse((await call("catalog")).stdout).url, "/products");
    assert.equal(JSON.parse((await call("catalog", "/products/1")).stdout).url, "/products/1");
  });

  const refused: readonly [args: string[], message: RegExp][] = [
    [["cart"], /its routes have parameters\n {2}= name a path: POST \/carts\/\{id\}/],
    [["stock"], /it has no routes/],
    [["catlog"], /shop has no service of that name\n {2}= did you mean "catalog"\?/],
    [["/x", "-H", "nonsense"], /it is not of the form "name: value"/],
    [["/x", "-d", "@nowhere"], /Cannot read the body from nowhere: ENOENT/],
  ];
  for (const [args, message] of refused) {
    test(`${args.join(" ")} is refused`, async () => {
      const { code, stderr } = await call(...args);
      assert.equal(code, 2);
      assert.match(stderr, message);
    });
  }

  test("says so when nobody answers, and when no app runs", async () => {
    const nobody = await run(["call", "http://127.0.0.1:1/"], { cwd });
    assert.equal(nobody.code, 1);
    assert.match(nobody.stderr, /Cannot call http:\/\/127\.0\.0\.1:1\/: nobody answers\n {2}because /);
    const none = await run(["call", "/x"], { cwd });
    assert.equal(none.code, 1);
    assert.match(none.stderr, /no app is running in \./);
  });
});
