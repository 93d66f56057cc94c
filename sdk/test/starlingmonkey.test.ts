/** The same author's API on StarlingMonkey, over the standard worlds. One build, because one takes many seconds. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { componentize } from "@bytecodealliance/componentize-js";
import { rolldown } from "rolldown";
import { type Component, load } from "../../src/component/index.ts";
import { CytoError } from "../../src/kernel/index.ts";
import { gather, mapBucket, openGuest } from "../../test/guests/open.ts";

const service = `
import { BindingError, config, keyvalue, secret, service } from "@cytoplane/sdk";
const products = keyvalue("products");
const early = secret("token");
const routes = {
  "/hello": (request) => new Response("hello " + request.method, { headers: { "x-a": "b" } }),
  "/keyvalue": async () => {
    await products.set("b", { price: 1 });
    await products.setText("t", "täxt");
    await products.setBytes("x", new Uint8Array([1, 2]));
    await products.set("gone", 1);
    await products.delete("gone");
    const keys = [];
    for await (const key of products.keys()) keys.push(key);
    return Response.json({
      b: await products.get("b"),
      none: (await products.get("gone")) === undefined,
      text: await products.getText("t"),
      bytes: [...(await products.getBytes("x"))],
      has: [await products.has("b"), await products.has("gone")],
      sum: [await products.increment("n"), await products.increment("n", 41)],
      keys,
    });
  },
  "/bindings": async (request, env, context) =>
    Response.json([config("MODE"), config("NONE") ?? null, config.all(), await early, env.MODE, env.NONE ?? null, context.id]),
  "/refused": async () => {
    const told = [];
    for (const act of [() => secret("other"), () => keyvalue("other").get("k"), () => products.increment("n", -1), () => products.get("")]) {
      await act().catch((error) => told.push([error instanceof BindingError, error.code ?? error.name, error.message]));
    }
    return Response.json(told);
  },
  "/service": async () => {
    const response = await service("inventory").fetch("/items?x=1", { method: "POST", body: "b" });
    return new Response(response.status + " " + (await response.text()));
  },
  "/echo": (request) => new Response(request.body, { status: 201, headers: [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-name", request.headers.get("x-name")]] }),
  "/upper": async (request) => new Response((await request.text()).toUpperCase()),
  "/count": () => {
    let n = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          if (n === 3) return controller.close();
          controller.enqueue(new TextEncoder().encode(String(n++)));
        },
      }),
    );
  },
  "/break": () => new Response(new ReadableStream({ pull: () => Promise.reject(new Error("the source broke")) })),
  "/throw": () => {
    throw new Error("no good");
  },
  "/nothing": () => undefined,
  "/after": (request, env, context) => {
    context.waitUntil(Promise.reject(new Error("lost")));
    return new Response(String(context.signal.aborted || request.signal.aborted));
  },
};
export default { fetch: (request, env, context) => routes[new URL(request.url).pathname](request, env, context) };`;

const root = fileURLToPath(new URL("../..", import.meta.url));
let component: Component;

before(async () => {
  const entry = `${root}sdk/test/guest-entry.js`;
  const author = `${root}sdk/test/guest-service.js`;
  await using build = await rolldown({
    input: entry,
    platform: "neutral",
    logLevel: "silent",
    external: /^(cytoplane|wasi):/,
    resolve: { conditionNames: ["starlingmonkey"] },
    plugins: [
      {
        name: "guest",
        resolveId: (id) => (id === entry || id === author ? id : undefined),
        load(id) {
          if (id === author) return service;
          if (id !== entry) return undefined;
          return `import service from ${JSON.stringify(author)};
            import { serve } from "@cytoplane/sdk/starlingmonkey";
            export const incomingHandler = serve(service);`;
        },
      },
    ],
  });
  const { output } = await build.generate({ format: "esm" });
  const directory = await mkdtemp(join(tmpdir(), "cytoplane-"));
  try {
    const sourcePath = join(directory, "service.js");
    await writeFile(sourcePath, output[0].code);
    const built = await componentize({ sourcePath, witPath: `${root}sdk/wit` });
    component = await load(built.component);
  } finally {
    await rm(directory, { recursive: true });
  }
});

describe("serve()", () => {
  test("answers over wasi:http", async () => {
    using guest = openGuest(component);
    const { status, headers, body } = await guest.call("/hello", { method: "PUT" });
    assert.deepEqual([status, String(await gather(body))], [200, "hello PUT"]);
    assert.ok(headers.some(([name, value]) => name === "x-a" && value === "b"));
    assert.equal(await guest.text("/hello"), "hello GET");
  });

  test("bodies go through, in and out, whole or in chunks", async () => {
    using guest = openGuest(component);
    async function* chunks() {
      for (const text of ["a", "bü".repeat(50_000)]) yield Buffer.from(text);
    }
    const { status, headers, body } = await guest.call("/echo", {
      method: "POST",
      body: chunks(),
      headers: [["x-name", "é"]],
    });
    assert.equal(status, 201);
    assert.deepEqual(headers.filter(([name]) => name === "set-cookie" || name === "x-name").sort(), [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x-name", "é"],
    ]);
    assert.equal(String(await gather(body)), `a${"bü".repeat(50_000)}`);
    assert.equal(await guest.text("/upper", { method: "PUT", body: Buffer.from("xü") }), "XÜ");
    assert.equal(await guest.text("/upper", { method: "POST" }), "");
    assert.equal(await guest.text("/count"), "012");
  });

  test("a body that breaks does not end as if it were whole", async () => {
    using guest = openGuest(component);
    await assert.rejects(guest.text("/break"));
    assert.ok(guest.lines.some((line) => line.includes("The response's body broke: Error: the source broke")));
  });

  test("a handler that throws, or answers with no response, is a 500 and is logged", async () => {
    using guest = openGuest(component);
    for (const [path, message] of [
      ["/throw", "The handler failed: Error: no good"],
      ["/nothing", "must answer with a Response, not with undefined"],
    ] as const) {
      const { status, body } = await guest.call(path);
      assert.deepEqual([status, (await gather(body)).length], [500, 0]);
      assert.ok(guest.lines.some((line) => line.includes(message)));
    }
  });

  test("waitUntil logs what fails", async () => {
    using guest = openGuest(component);
    assert.equal(await guest.text("/after"), "false");
    await guest.instance.idle();
    assert.ok(guest.lines.some((line) => line.includes("Work given to waitUntil failed")));
  });
});

describe("bindings", () => {
  for (const late of [false, true]) {
    test(`keyvalue over a store that answers ${late ? "later" : "at once"}`, async () => {
      using guest = openGuest(component, { keyvalue: { products: mapBucket(late) } });
      assert.deepEqual(JSON.parse(await guest.text("/keyvalue")), {
        b: { price: 1 },
        none: true,
        text: "täxt",
        bytes: [1, 2],
        has: [true, false],
        sum: [1, 42],
        keys: ["b", "t", "x"],
      });
    });
  }

  test("config, secret, env and the request id", async () => {
    using guest = openGuest(component, { config: { MODE: "x" }, secret: async (name) => `${name}!` });
    const headers = [["x-request-id", "r-1"]] as const;
    assert.deepEqual(JSON.parse(await guest.text("/bindings", { headers })), [
      "x",
      null,
      { MODE: "x" },
      "token!",
      "x",
      null,
      "r-1",
    ]);
  });

  test("what is refused says why", async () => {
    using guest = openGuest(component, {
      keyvalue: { products: mapBucket(false) },
      secret: async (name) => {
        throw new CytoError("missing-secret", `${name} is not set`);
      },
    });
    const told = JSON.parse(await guest.text("/refused"));
    assert.deepEqual(told, [
      [true, "missing-secret", "Cannot read the secret other: other is not set"],
      [true, "not-permitted", 'Cannot get "k" of keyvalue other: the manifest binds no such name'],
      [false, "RangeError", 'Cannot increment "n" of keyvalue products: wasi:keyvalue only adds, and -1 is below zero'],
      [false, "TypeError", '"" cannot be a key of products: it must be a text that is not empty'],
    ]);
  });

  test("service().fetch goes to <name>.internal", async () => {
    using guest = openGuest(component, {
      fetch: async ({ method, url }) => ({ status: 201, headers: [], body: Buffer.from(`${method} ${url}`) }),
    });
    assert.equal(await guest.text("/service"), "201 POST http://inventory.internal/items?x=1");
  });
});

test("the world's copies of the platform's interfaces are the same", async () => {
  for (const name of ["keyvalue", "config", "secrets"]) {
    const [own, platform] = await Promise.all(
      [`sdk/wit/deps/${name}.wit`, `wit/${name}.wit`].map((path) => readFile(root + path, "utf8")),
    );
    assert.equal(own, platform, name);
  }
});
