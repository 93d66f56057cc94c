/** Calls through the lean world: answers, bindings, streams, cancelling, and what goes wrong. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { buildGuest, openGuest, type World } from "./guest.ts";

const service = `
import { BindingError, config, keyvalue, secret, service } from "@cytoplane/sdk";
import { Hono } from "hono";

const products = keyvalue("products");
const inventory = service("inventory");
const loadedAt = Date.now();
const early = secret("early");
console.log("loaded", Math.random() < 1);

const app = new Hono();
app.get("/hono/:name", (c) => c.json({ hello: c.req.param("name"), mode: c.env.MODE }, 200, { "x-by": "hono" }));

const routes = {
  "/hello": () => new Response("hello"),
  "/echo": async (request) => new Response(request.body, { headers: { "x-length": request.headers.get("content-length") } }),
  "/upper": async (request) => new Response((await request.text()).toUpperCase()),
  "/loaded": async () => Response.json({ loadedAt, early: await early, now: Date.now() > 0 }),
  "/id": (request, env, context) => new Response(context.id),

  "/keyvalue": async () => {
    await products.set("b", { price: 1 });
    await products.set("a", [2]);
    await products.setText("t", "täxt");
    await products.setBytes("x", new Uint8Array([1, 2]));
    await products.delete("a");
    const keys = [];
    for await (const key of products.keys()) keys.push(key);
    return Response.json({
      b: await products.get("b"),
      a: (await products.get("a")) === undefined,
      text: await products.getText("t"),
      bytes: [...(await products.getBytes("x"))],
      has: [await products.has("b"), await products.has("a")],
      sums: [await products.increment("n"), await products.increment("n", 2 ** 40), await products.increment("n", -5)],
      n: await products.get("n"),
      keys,
    });
  },
  "/not-json": async () => new Response(await products.setText("t", "{").then(() => products.get("t")).catch((e) => e.message)),
  "/bad-key": async () => new Response(await products.get("").catch((e) => e.name + " " + e.message)),
  "/broken": async () => {
    try {
      await keyvalue("broken").get("k");
    } catch (error) {
      return Response.json([error instanceof BindingError, error.code, error.message]);
    }
  },
  "/broken-through": () => keyvalue("broken").get("k"),
  "/config": () => Response.json({ one: config("MODE"), none: config("NONE") ?? null, all: config.all() }),
  "/secret": async () => new Response(await secret("token")),
  "/no-secret": async () => new Response(await secret("other").catch((e) => e.code + ": " + e.message)),
  "/env": async (request, env) => {
    await env.products.set("e", 1);
    const stock = await env.inventory.fetch("/stock");
    return Response.json([env.MODE, env.NONE ?? "unset", "MODE" in env, Object.keys(env), await env.products.get("e"), await stock.text()]);
  },

  "/invoke": async () => {
    const response = await inventory.fetch("/items/1?x", { method: "PUT", body: "b", headers: { a: "1" } });
    return new Response(response.status + " " + response.headers.get("x-from") + " " + (await response.text()));
  },
  "/fetch": async (request) => {
    const to = new URL(request.url).searchParams.get("to");
    const response = await fetch(to, { method: "POST", body: "b", headers: { authorization: "secret" } });
    return Response.json([response.status, response.url, response.redirected, await response.text()]);
  },
  "/fetch-refused": async () => new Response(await fetch("http://nowhere.test/").catch((e) => e.name + " " + e.code + ": " + e.message)),
  "/fetch-abort": async () => {
    const controller = new AbortController();
    const pending = fetch("http://slow.test/", { signal: controller.signal });
    controller.abort(new Error("changed my mind"));
    return new Response(await pending.catch((e) => e.message));
  },
  "/fetch-abort-body": async () => {
    const controller = new AbortController();
    const response = await fetch("http://endless.test/", { signal: controller.signal });
    const reader = response.body.getReader();
    await reader.read();
    const pending = reader.read();
    controller.abort(new Error("enough"));
    return new Response(await pending.then(() => "read on", (e) => e.message));
  },
  "/upload": async () => {
    const body = new ReadableStream({
      async start(controller) {
        for (const text of ["a", "b"]) controller.enqueue(new TextEncoder().encode(text));
        controller.close();
      },
    });
    return new Response(await (await fetch("http://echo.test/", { method: "POST", body, duplex: "half" })).text());
  },
  "/causes": async (request) => {
    const name = new URL(request.url).searchParams.get("name");
    await new Promise((resolve) => setTimeout(resolve, name === "slow" ? 8 : 1));
    await inventory.fetch("/" + name);
    console.warn("did", name);
    return new Response(name);
  },

  "/count": (request) => {
    let n = 0;
    const limit = Number(new URL(request.url).searchParams.get("limit"));
    return new Response(
      new ReadableStream(
        {
          pull(controller) {
            if (n === limit) return controller.close();
            console.log("pulled", n);
            controller.enqueue(new Uint8Array([48 + n++]));
          },
          cancel(reason) {
            console.log("cancelled", reason?.message);
          },
        },
        { highWaterMark: 0 },
      ),
    );
  },
  "/break": () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new Uint8Array([97]));
        },
        pull: () => Promise.reject(new Error("the source broke")),
      }),
    ),
  "/text-chunks": () => new Response(new ReadableStream({ pull: (c) => c.enqueue("text") })),
  "/wait": (request) =>
    new Promise((resolve) => {
      request.signal.addEventListener("abort", () => {
        console.log("aborted", request.signal.reason.name, request.signal.reason.message);
        resolve(new Response("too late"));
      });
    }),
  "/after": (request, env, context) => {
    context.waitUntil(new Promise((resolve) => setTimeout(resolve, 2)).then(() => console.log("afterwards")));
    context.waitUntil(Promise.reject(new Error("lost")));
    return new Response("now");
  },

  "/throw": () => {
    throw new RangeError("no good", { cause: new TypeError("the root") });
  },
  "/reject": async () => {
    await null;
    null.x;
  },
  "/throw-text": () => {
    throw "words";
  },
  "/nothing": () => undefined,
  "/object": async () => ({ status: 200 }),
  "/response-error": () => Response.error(),
  "/used": async () => {
    const response = new Response("x");
    await response.text();
    return response;
  },
  "/surrogate": () => {
    console.log("\\ud800 log");
    return new Response("a\\ud800b");
  },
  "/timer-throws": () => {
    setTimeout(() => {
      throw new Error("in a timer");
    }, 0);
    setTimeout(async () => {
      throw new Error("in an async timer");
    }, 0);
    queueMicrotask(() => {
      throw new Error("in a microtask");
    });
    return new Response("ok");
  },
  "/immutable": (request) => {
    request.headers.set("a", "b");
  },
  "/unavailable": async () => {
    const tries = {
      WebSocket: () => new WebSocket("ws://x"),
      Worker: () => new Worker("x.js"),
      "caches.open": () => caches.open("x"),
      CompressionStream: () => new CompressionStream("gzip"),
      generateKey: () => crypto.subtle.generateKey({ name: "AES-GCM" }, true, []),
      "sign RSA": () => crypto.subtle.sign("RSA-PSS", null, new Uint8Array()),
      Cache: () => new BroadcastChannel("x"),
    };
    const told = {};
    for (const [name, act] of Object.entries(tries)) {
      try {
        await act();
      } catch (error) {
        told[name] = error.name + ": " + error.message;
      }
    }
    return Response.json(told);
  },
  "/console": () => {
    console.debug("%s is %d years, %o", "Ada", 36.5, { a: [1, "b"] }, "more");
    console.error(new TypeError("bad"));
    console.group("outer");
    console.info({ map: new Map([["k", new Set([1])]]), fn() {}, date: new Date(0), nested: { a: { b: { c: { d: {} } } } } });
    console.groupEnd();
    console.assert(1 === 1, "not shown");
    console.assert(false, "shown");
    console.table([{ a: 1, b: "x" }, { a: 2 }]);
    console.count();
    console.count();
    const loop = { self: null };
    loop.self = loop;
    console.log(loop, new Headers({ a: "b" }), [undefined, null, -0, 1n, Symbol("s")]);
    return new Response("ok");
  },
};

export default {
  fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/hono/")) return app.fetch(request, env, context);
    return routes[pathname](request, env, context);
  },
};`;

let component: Uint8Array;
const open = (world?: World) => openGuest(component, world);

before(async () => {
  component = await buildGuest(service);
});

const text = (val: string) => ({ tag: "text", val });
const ok = (body: object = { tag: "empty" }, fields = "", status = 200) => ({ status, fields, body });
const header = (answer: { headers: [string, string][] }, name: string) =>
  answer.headers.find(([key]) => key === name)?.[1];

async function* chunks(...values: string[]): AsyncGenerator<Uint8Array> {
  for (const value of values) yield Buffer.from(value);
}

describe("start()", () => {
  test("answers with text, whatever was asked", async () => {
    const guest = await open();
    const answer = await guest.fetch("/hello");
    assert.deepEqual([answer.status, answer.text], [200, "hello"]);
    assert.deepEqual(answer.headers, [["content-type", "text/plain;charset=UTF-8"]]);
  });

  test("runs a Hono app unchanged", async () => {
    const guest = await open({ config: { MODE: "test" } });
    const answer = await guest.fetch("/hono/ada");
    assert.deepEqual([answer.status, answer.text], [200, '{"hello":"ada","mode":"test"}']);
    assert.equal(header(answer, "x-by"), "hono");
    assert.equal((await guest.fetch("/hono/a/b")).status, 404);
  });

  test("fails the call when the handler throws, with message, stack and cause", async () => {
    const guest = await open();
    const { failure } = await guest.fetch("/throw");
    assert.deepEqual([failure?.code, failure?.message], ["error", "RangeError: no good"]);
    assert.match(failure?.stack ?? "", /at .*\n[\s\S]*Caused by TypeError: the root/);
  });

  test("fails the call when the handler rejects, and serves on", async () => {
    const guest = await open();
    const { failure } = await guest.fetch("/reject");
    assert.match(failure?.message ?? "", /^TypeError: cannot read property 'x' of null/);
    assert.equal((await guest.fetch("/throw-text")).failure?.message, "words was thrown");
    assert.equal((await guest.fetch("/hello")).text, "hello");
  });

  test("refuses what is no response", async () => {
    const guest = await open();
    for (const path of ["/nothing", "/object", "/response-error", "/used"]) {
      const { failure } = await guest.fetch(path);
      assert.equal(failure?.code, "invalid-reply", path);
    }
    const { failure } = await guest.fetch("/object");
    assert.equal(failure?.message, "The handler must answer with a Response, not with { status: 200 }");
  });

  test("mends text that could not cross the boundary", async () => {
    const guest = await open();
    assert.equal((await guest.fetch("/surrogate")).text, "a\ufffdb");
    assert.equal(guest.logs.at(-1)?.message, "\ufffd log");
  });

  test("gives the request id of the header, or the call's number", async () => {
    const guest = await open();
    assert.equal((await guest.fetch("/id", { fields: "a: b\nx-request-id: r-1" })).text, "r-1");
    assert.equal((await guest.fetch("/id")).text, "2");
  });

  test("keeps the request's headers from being changed", async () => {
    const guest = await open();
    assert.match((await guest.fetch("/immutable")).failure?.message ?? "", /immutable/);
  });
});

describe("module scope", () => {
  test("runs at build time, without time; what it asked for begins with the first call", async () => {
    const guest = await open({ secrets: { early: "bird" } });
    const answer = await guest.fetch("/loaded");
    assert.deepEqual(JSON.parse(answer.text), { loadedAt: 0, early: "bird", now: true });
    assert.equal(guest.logs[0]?.message, "loaded true");
  });

  for (const [what, source, message] of [
    [
      "configuration",
      `import { config } from "@cytoplane/sdk"; config("A");`,
      /read the configuration value "A" while the service is being built/,
    ],
    ["a random UUID", "crypto.randomUUID();", /ask for a random UUID while the service is being built/],
  ] as const) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(buildGuest(`${source} export default { fetch: () => new Response() };`), message);
    });
  }

  test("refuses a default export without fetch", async () => {
    await assert.rejects(buildGuest("export default { serve() {} };"), /not an object with a fetch method/);
  });
});

describe("bindings", () => {
  test("keyvalue reads and writes JSON, text, bytes and counters", async () => {
    const guest = await open({ secrets: { early: "" } });
    assert.deepEqual(JSON.parse((await guest.fetch("/keyvalue")).text), {
      b: { price: 1 },
      a: true,
      text: "täxt",
      bytes: [1, 2],
      has: [true, false],
      sums: [1, 2 ** 40 + 1, 2 ** 40 - 4],
      n: 2 ** 40 - 4,
      keys: ["b", "t", "x"],
    });
    assert.equal(Buffer.from(guest.store.get("products/b")!).toString(), '{"price":1}');
  });

  test("keyvalue says what is wrong with a key or a value", async () => {
    const guest = await open();
    assert.match((await guest.fetch("/not-json")).text, /^Cannot get "t" of keyvalue products: the value is not JSON/);
    assert.match((await guest.fetch("/bad-key")).text, /^TypeError "" cannot be a key of products/);
  });

  test("a failing binding rejects with its code, which the reply keeps if nobody catches it", async () => {
    const guest = await open();
    const expected = [true, "backend-unavailable", 'Cannot get "k" of keyvalue broken: redis is down'];
    assert.deepEqual(JSON.parse((await guest.fetch("/broken")).text), expected);
    assert.equal((await guest.fetch("/broken-through")).failure?.code, "backend-unavailable");
  });

  test("config and secret", async () => {
    const guest = await open({ config: { MODE: "x", B: "2" }, secrets: { token: "t0p" } });
    assert.deepEqual(JSON.parse((await guest.fetch("/config")).text), {
      one: "x",
      none: null,
      all: { MODE: "x", B: "2" },
    });
    assert.equal((await guest.fetch("/secret")).text, "t0p");
    assert.equal(
      (await guest.fetch("/no-secret")).text,
      "missing-secret: Cannot read the secret other: other is not bound",
    );
  });

  test("env has them by name", async () => {
    const guest = await open({ config: { MODE: "x" }, outgoing: (name, { url }) => ok(text(`${name} ${url}`)) });
    const expected = ["x", "unset", true, ["MODE"], 1, "inventory http://inventory.internal/stock"];
    assert.deepEqual(JSON.parse((await guest.fetch("/env")).text), expected);
  });
});

describe("outgoing", () => {
  test("service().fetch sends to the service and gives its answer", async () => {
    const guest = await open({
      outgoing: (name, { method, url, fields, body }) =>
        ok(text(`${name} ${method} ${url} ${fields.replace("\n", ",")} ${body.val}`), "x-from: them", 409),
    });
    assert.equal(
      (await guest.fetch("/invoke")).text,
      "409 them inventory PUT http://inventory.internal/items/1?x a: 1,content-type: text/plain;charset=UTF-8 b",
    );
  });

  test("fetch follows redirects, and leaves credentials behind", async () => {
    const seen: string[] = [];
    const guest = await open({
      outgoing(_, { method, url, fields, body }) {
        seen.push(`${method} ${url} ${fields.replaceAll("\n", ",")} ${body.val ?? ""}`.trim());
        if (url.endsWith("/1")) return ok(undefined, "location: /2", 307);
        if (url.endsWith("/2")) return ok(undefined, "location: http://b.test/3", 303);
        return ok(text("there"));
      },
    });
    const answer = await guest.fetch("/fetch?to=http://a.test/1%23part");
    assert.deepEqual(JSON.parse(answer.text), [200, "http://b.test/3", true, "there"]);
    const head = "authorization: secret,content-type: text/plain;charset=UTF-8";
    assert.deepEqual(seen, [`POST http://a.test/1 ${head} b`, `POST http://a.test/2 ${head} b`, "GET http://b.test/3"]);
  });

  test("fetch gives up a redirect that never ends", async () => {
    const guest = await open({ outgoing: () => ok(undefined, "location: /", 302) });
    assert.match((await guest.fetch("/fetch?to=http://a.test/")).failure?.message ?? "", /more than 20 redirects/);
  });

  test("fetch that is not permitted rejects with a TypeError and the code", async () => {
    const guest = await open();
    assert.equal(
      (await guest.fetch("/fetch-refused")).text,
      "TypeError not-permitted: fetch failed: nothing may leave",
    );
  });

  test("aborting gives up the request, or the body of its answer", async () => {
    const endless = { next: () => new Promise<never>(() => {}) };
    let first = true;
    const source = {
      next: () => {
        if (!first) return endless.next();
        first = false;
        return Promise.resolve({ done: false as const, value: Buffer.from("x") });
      },
    };
    const guest = await open({
      sources: { 5: source },
      outgoing: (_, { url }) => (url.includes("slow") ? new Promise(() => {}) : ok({ tag: "stream", val: 5 })),
    });
    assert.equal((await guest.fetch("/fetch-abort")).text, "changed my mind");
    assert.equal((await guest.fetch("/fetch-abort-body")).text, "enough");
    assert.deepEqual(guest.trace, ["outgoing.cancel", "streams.cancel 5"]);
  });

  test("a stream goes out chunk by chunk", async () => {
    const guest = await open({ outgoing: (_, { body }) => ok(body) });
    assert.equal((await guest.fetch("/upload")).text, "ab");
  });

  test("operations know the call that caused them, however calls overlap", async () => {
    const causes: Record<string, number | undefined> = {};
    const guest = await open({
      outgoing(_, { url }, cause) {
        causes[new URL(url).pathname] = cause;
        return ok();
      },
    });
    await Promise.all([guest.fetch("/causes?name=slow"), guest.fetch("/causes?name=quick")]);
    assert.deepEqual(causes, { "/slow": 1, "/quick": 2 });
    assert.deepEqual(
      guest.logs.filter(({ level }) => level === "warn"),
      [
        { level: "warn", message: "did quick", call: 2 },
        { level: "warn", message: "did slow", call: 1 },
      ],
    );
  });
});

describe("streams", () => {
  test("a request's stream is read, echoed, or gathered", async () => {
    const guest = await open({ sources: { 3: chunks("a", "", "b"), 4: chunks("x", "yz") } });
    const body = (val: number) => ({ tag: "stream", val });
    assert.equal(
      (await guest.fetch("/echo", { method: "POST", body: body(3), fields: "content-length: 2" })).text,
      "ab",
    );
    assert.equal((await guest.fetch("/upper", { method: "POST", body: body(4) })).text, "XYZ");
    assert.equal(
      (await guest.fetch("/upper", { method: "POST", body: { tag: "bytes", val: Buffer.from("ü") } })).text,
      "Ü",
    );
  });

  test("a response is pulled only as fast as it is taken", async () => {
    const taken: (() => void)[] = [];
    const offered = new EventTarget();
    const guest = await open({
      onChunk: () =>
        new Promise((resolve) => {
          taken.push(resolve);
          offered.dispatchEvent(new Event("chunk"));
        }),
    });
    const chunk = () => new Promise((resolve) => offered.addEventListener("chunk", resolve, { once: true }));
    let next = chunk();
    const answer = guest.fetch("/count?limit=2");
    await next;
    assert.deepEqual(guest.logs.map(({ message }) => message).slice(1), ["pulled 0"]);
    next = chunk();
    taken.shift()!();
    await next;
    assert.deepEqual(guest.logs.map(({ message }) => message).slice(1), ["pulled 0", "pulled 1"]);
    taken.shift()!();
    assert.equal((await answer).text, "01");
  });

  test("a consumer that has gone cancels the source", async () => {
    const guest = await open({ onChunk: () => Promise.reject({ code: "cancelled", message: "gone" }) });
    const cancelled = guest.logged("cancelled gone");
    void guest.fetch("/count?limit=9");
    await cancelled;
  });

  test("a body that breaks ends broken, and is logged", async () => {
    const guest = await open();
    assert.equal((await guest.fetch("/break")).text, "a!the source broke");
    assert.match(guest.logs.at(-1)?.message ?? "", /^The response's body broke: Error: the source broke/);
    assert.match((await guest.fetch("/text-chunks")).text, /!.*not a Uint8Array/);
  });
});

describe("cancel()", () => {
  test("aborts the request's signal with the reason; the call is still answered", async () => {
    const guest = await open();
    const call = guest.nextCall();
    const answer = guest.fetch("/wait");
    guest.cancel(call, "The caller has gone");
    assert.equal((await answer).text, "too late");
    assert.equal(guest.logs.at(-1)?.message, "aborted AbortError The caller has gone");
  });

  test("stops the body that is being sent", async () => {
    const guest = await open({ onChunk: () => new Promise(() => {}) });
    const call = guest.nextCall();
    const pulled = guest.logged("pulled 0");
    void guest.fetch("/count?limit=9");
    await pulled;
    guest.cancel(call, "The caller has gone");
    assert.equal(guest.logs.at(-1)?.message, "cancelled The caller has gone");
  });

  test("of a call that is over is nothing", async () => {
    const guest = await open();
    const call = guest.nextCall();
    await guest.fetch("/hello");
    guest.cancel(call, "late");
    assert.equal((await guest.fetch("/hello")).text, "hello");
  });
});

describe("afterwards", () => {
  test("waitUntil holds the instance, and logs what fails", async () => {
    const guest = await open();
    assert.equal((await guest.fetch("/after")).text, "now");
    assert.ok(guest.held() > 0);
    await guest.quiet();
    assert.equal(guest.held(), 0);
    const messages = guest.logs.map(({ message }) => message);
    assert.ok(messages.includes("afterwards"));
    assert.ok(messages.some((message) => message.startsWith("Work given to waitUntil failed: Error: lost")));
  });

  test("errors that nobody can catch are logged", async () => {
    const guest = await open();
    await guest.fetch("/timer-throws");
    await guest.quiet();
    const errors = guest.logs.filter(({ level }) => level === "error").map(({ message }) => message.split("\n")[0]);
    assert.deepEqual(errors.sort(), [
      "A microtask threw: Error: in a microtask",
      "A timer rejected: Error: in an async timer",
      "A timer threw: Error: in a timer",
    ]);
  });
});

test("what is not available says so by name, with the way out", async () => {
  const guest = await open();
  const told: Record<string, string> = JSON.parse((await guest.fetch("/unavailable")).text);
  assert.equal(Object.keys(told).length, 7);
  for (const message of Object.values(told))
    assert.match(message, /^NotSupportedError: .+ is not available here: .{10}/);
  assert.match(told.generateKey!, /crypto\.subtle\.generateKey is not available here: .*@noble\/curves/);
  assert.match(told["sign RSA"]!, /crypto\.subtle\.sign with RSA-PSS is not available here: .*engine: starlingmonkey/);
});

test("console writes one line a call, with its level, readably", async () => {
  const guest = await open({ secrets: { early: "" } });
  await guest.fetch("/console");
  const lines = guest.logs.slice(1).map(({ level, message }) => `${level} ${message}`);
  assert.match(lines[1]!, /^error TypeError: bad\n {4}at /);
  lines[1] = "…";
  assert.deepEqual(lines, [
    "debug Ada is 36.5 years, { a: [ 1, 'b' ] } more",
    "…",
    "info outer",
    "info   {\n    map: Map(1) { 'k' => Set(1) { 1 } },\n    fn: [Function fn],\n    date: 1970-01-01T00:00:00.000Z,\n    nested: { a: { b: { c: { d: [Object] } } } }\n  }",
    "error Assertion failed: shown",
    "info (index) | a | b\n--------+---+--\n0       | 1 | x\n1       | 2 |",
    "info default: 1",
    "info default: 2",
    "info { self: [Circular] } Headers { a: b } [ undefined, null, -0, 1n, Symbol(s) ]",
  ]);
});
