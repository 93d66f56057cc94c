import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { Client, request } from "undici";
import { type Body, type Call, CytoError, header, type Reply, type Service } from "../kernel/index.ts";
import { routeTo, startTrial, textReply } from "./trial.ts";

interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  readonly code: string;
  readonly requestId: string;
  readonly hint?: string;
}

const hello: Service = async () => textReply("hello");

/** The call that a service was given for one request. */
async function callOf(options: Parameters<typeof request>[1], path = "/hello"): Promise<Call> {
  let seen: Call | undefined;
  await using trial = await startTrial(async (call) => {
    seen = call;
    return textReply("");
  });
  const { body } = await request(trial.url + path, options);
  await body.dump();
  return seen!;
}

async function replyOf(reply: Reply, method: "GET" | "HEAD" = "GET") {
  await using trial = await startTrial(async () => reply);
  const response = await request(`${trial.url}/hello`, { method });
  const text = await response.body.text();
  return { ...response, text, access: await trial.access() };
}

describe("a request", () => {
  test("reaches the service as a call with route, deadline and signal, and its reply comes back", async () => {
    let seen: Call | undefined;
    await using trial = await startTrial(
      async (call) => {
        seen = call;
        return textReply("hi", 201);
      },
      [routeTo("GET /products/{sku}", { service: "catalog", timeoutMs: 5_000 })],
    );
    const before = Date.now();
    const { statusCode, headers, body } = await request(`${trial.url}/products/7?x=1`);
    assert.equal(statusCode, 201);
    assert.equal(headers["content-length"], "2");
    assert.equal(await body.text(), "hi");
    assert.equal(seen?.service, "catalog");
    assert.equal(seen.route, "GET /products/{sku}");
    assert.equal(seen.url, `${trial.url}/products/7?x=1`);
    assert.equal(seen.hops, 0);
    assert.equal(seen.body, undefined);
    assert.equal(seen.id, headers["x-request-id"]);
    assert.ok(seen.deadlineMs >= before + 5_000 && seen.deadlineMs <= Date.now() + 5_000);
    assert.equal(seen.signal.aborted, false);
    const access = await trial.access();
    assert.partialDeepStrictEqual(access, {
      requestId: seen.id,
      method: "GET",
      path: "/products/7",
      route: "GET /products/{sku}",
      service: "catalog",
      status: 201,
      error: undefined,
      bytesIn: 0,
      bytesOut: 2,
      remoteAddress: "127.0.0.1",
    });
  });

  test("carries an id: the client's if it is plain, else one of our own", async () => {
    assert.equal((await callOf({ headers: { "x-request-id": "order-17:a" } })).id, "order-17:a");
    for (const given of ["with space", "x".repeat(129), "<b>"]) {
      const call = await callOf({ headers: { "x-request-id": given } });
      assert.match(call.id, /^[\da-f]{32}$/);
      assert.equal(header(call.headers, "x-request-id"), call.id);
    }
  });

  test("goes on with the client's trace under a new parent, or begins one", async () => {
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const sent = { traceparent: `00-${trace}-00f067aa0ba902b7-00`, tracestate: "v=1" };
    const continued = (await callOf({ headers: sent })).headers;
    assert.match(header(continued, "traceparent")!, new RegExp(`^00-${trace}-(?!00f067aa0ba902b7)[\\da-f]{16}-00$`));
    assert.equal(header(continued, "tracestate"), "v=1");
    for (const bad of [`00-${"0".repeat(32)}-00f067aa0ba902b7-01`, `ff-${trace}-00f067aa0ba902b7-01`, "nonsense"]) {
      const call = await callOf({ headers: { ...sent, traceparent: bad } });
      assert.match(header(call.headers, "traceparent")!, new RegExp(`^00-${call.id}-[\\da-f]{16}-01$`));
      assert.equal(header(call.headers, "tracestate"), undefined);
    }
  });

  test("loses what belongs to the connection and what a client might forge", async () => {
    let call: Call | undefined;
    await using trial = await startTrial(async (given) => {
      call = given;
      return textReply("");
    });
    const fields = [
      "Host: shop.example",
      "Connection: close, X-Mine",
      "X-Mine: 1",
      "TE: trailers",
      "Proxy-Authorization: secret",
      "X-Forwarded-For: 6.6.6.6",
      "X-FORWARDED-PROTO: https",
      "Forwarded: for=6.6.6.6",
      "X-Kept: a",
      "x-kept: b",
    ];
    await trial.raw(`GET /hello HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`);
    assert.deepEqual(call!.headers.slice(0, 3), [
      ["host", "shop.example"],
      ["x-kept", "a"],
      ["x-kept", "b"],
    ]);
    assert.deepEqual(
      call!.headers.slice(3).map(([name]) => name),
      ["x-request-id", "traceparent", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"],
    );
    assert.deepEqual(call!.headers.slice(5), [
      ["x-forwarded-for", "127.0.0.1"],
      ["x-forwarded-host", "shop.example"],
      ["x-forwarded-proto", "http"],
    ]);
  });

  test("is routed by the path as the service's URL parser will see it", async () => {
    const seen: string[] = [];
    await using trial = await startTrial(
      async (call) => {
        seen.push(`${call.route} ${new URL(call.url).pathname}`);
        return textReply("");
      },
      [routeTo("GET /public/*"), routeTo("GET /private")],
    );
    for (const path of ["/public/../private", "/public/%2e%2E/private", "/public\\..\\private", "/public/./a"]) {
      await trial.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    }
    assert.deepEqual(seen, [
      "GET /private /private",
      "GET /private /private",
      "GET /private /private",
      "GET /public/* /public/a",
    ]);
  });

  test("may name its target as a URL, whose host then counts", async () => {
    let url = "";
    await using trial = await startTrial(async (call) => {
      url = call.url;
      return textReply("");
    });
    await trial.raw("GET http://shop.example:81/hello?a=1#top HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n");
    assert.equal(url, "http://shop.example:81/hello?a=1");
  });

  test("of HTTP/1.0 without a host is taken to mean the gateway itself", async () => {
    let url = "";
    await using trial = await startTrial(async (call) => {
      url = call.url;
      return textReply("old");
    });
    assert.match(await trial.raw("GET /hello HTTP/1.0\r\n\r\n"), /\r\n\r\nold$/);
    assert.equal(url, `${trial.url}/hello`);
  });

  test("is answered in order when several are pipelined", async () => {
    const release: (() => void)[] = [];
    await using trial = await startTrial((call) => {
      const reply = textReply(new URL(call.url).search);
      if (call.url.endsWith("?1")) return new Promise((resolve) => release.push(() => resolve(reply)));
      release[0]!();
      return Promise.resolve(reply);
    });
    const get = (n: number, last = "") => `GET /hello?${n} HTTP/1.1\r\nHost: a\r\n${last}\r\n`;
    const answer = await trial.raw(get(1) + get(2) + get(3, "Connection: close\r\n"));
    assert.deepEqual(answer.match(/\?\d/g), ["?1", "?2", "?3"]);
  });
});

describe("a request that no route takes", () => {
  test("is told so: 404, or 405 with Allow, or the answer to OPTIONS", async () => {
    await using trial = await startTrial(hello, [routeTo("GET /hello"), routeTo("DELETE /hello")]);
    const missing = await request(`${trial.url}/nowhere`);
    assert.equal(missing.statusCode, 404);
    assert.equal(missing.headers["content-type"], "application/problem+json");
    const problem = (await missing.body.json()) as ProblemBody;
    assert.deepEqual(problem, {
      type: "urn:cytoplane:error:no-route",
      title: "No route matches",
      status: 404,
      detail: "Cannot find GET /nowhere: no route takes it",
      instance: "/nowhere",
      code: "no-route",
      requestId: missing.headers["x-request-id"],
    });

    const wrong = await request(`${trial.url}/hello`, { method: "POST" });
    assert.equal(wrong.statusCode, 405);
    assert.equal(wrong.headers.allow, "GET, HEAD, DELETE, OPTIONS");
    assert.match(((await wrong.body.json()) as ProblemBody).hint!, /DELETE/);

    const asked = await request(`${trial.url}/hello`, { method: "OPTIONS" });
    assert.equal(asked.statusCode, 204);
    assert.equal(asked.headers.allow, "GET, HEAD, DELETE, OPTIONS");
    assert.match(await trial.raw("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), /^HTTP\/1.1 204 /);
    const statuses = [await trial.access(), await trial.access(), await trial.access(), await trial.access()];
    assert.deepEqual(
      statuses.map(({ status, route, error }) => [status, route, error]),
      [
        [404, undefined, "no-route"],
        [405, undefined, "method-not-allowed"],
        [204, undefined, undefined],
        [204, undefined, undefined],
      ],
    );
  });
});

describe("a reply", () => {
  test("to HEAD has the headers of GET and no body", async () => {
    const { statusCode, headers, text } = await replyOf(textReply("hello"), "HEAD");
    assert.deepEqual([statusCode, headers["content-length"], text], [200, "5", ""]);
    const declared = await replyOf({ status: 200, headers: [["content-length", "77"]] }, "HEAD");
    assert.equal(declared.headers["content-length"], "77");
  });

  test("of 204 and 304 has no body, whatever the service gave", async () => {
    for (const status of [204, 304]) {
      const { statusCode, headers, text } = await replyOf({ ...textReply("surplus", status), status });
      assert.deepEqual([statusCode, headers["content-length"], text], [status, undefined, ""]);
    }
  });

  test("without a body says so, and the service's own framing is not believed", async () => {
    const empty = await replyOf({ status: 200, headers: [] });
    assert.equal(empty.headers["content-length"], "0");
    const lying = await replyOf({
      status: 200,
      headers: [
        ["Content-Length", "99"],
        ["Transfer-Encoding", "chunked"],
        ["Connection", "upgrade"],
        ["x-request-id", "mine"],
      ],
      body: Buffer.from("five!"),
    });
    assert.equal(lying.text, "five!");
    assert.equal(lying.headers["content-length"], "5");
    assert.equal(lying.headers["transfer-encoding"], undefined);
    assert.notEqual(lying.headers["x-request-id"], "mine");
  });

  test("of any length arrives byte for byte", async () => {
    for (const length of [1, 1024, 1025, 300_000]) {
      const body = Uint8Array.from({ length }, (_, i) => i % 256);
      await using trial = await startTrial(async () => ({ status: 200, headers: [], body: body.subarray(0) }));
      const response = await request(`${trial.url}/hello`);
      assert.deepEqual(new Uint8Array(await response.body.arrayBuffer()), body);
    }
  });

  test("keeps repeated fields apart, and latin1 in them", async () => {
    const { headers } = await replyOf({
      status: 200,
      headers: [
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["x-name", "caf\u00e9"],
      ],
    });
    assert.deepEqual(headers["set-cookie"], ["a=1", "b=2"]);
    assert.equal(headers["x-name"], "caf\u00e9");
  });

  test("that HTTP does not allow becomes 502 invalid-reply, and the connection lives on", async () => {
    const invalid: Reply[] = [
      { status: 200, headers: [["bad name", "x"]] },
      { status: 200, headers: [["", "x"]] },
      { status: 200, headers: [["x-split", "a\r\nset-cookie: evil=1"]] },
      { status: 200, headers: [["x-wide", "\u4f60"]] },
      { status: 204, headers: [["bad name", "x"]] },
      { status: 99, headers: [] },
      { status: 101, headers: [] },
      { status: 600, headers: [] },
      { status: 200.5, headers: [] },
      { status: Number.NaN, headers: [] },
      { status: 200, headers: [["content-length", "-1"]], body: chunks("a") },
      { status: 200, headers: [["bad name", "x"]], body: chunks("a") },
    ];
    await using trial = await startTrial(
      async (call) => invalid[Number(new URL(call.url).search.slice(1))]!,
      undefined,
      {
        exposeErrors: true,
      },
    );
    const client = new Client(trial.url);
    client.on("disconnect", () => assert.fail("the connection was dropped"));
    for (const index of invalid.keys()) {
      const { statusCode, headers, body } = await client.request({ method: "GET", path: `/hello?${index}` });
      const problem = (await body.json()) as ProblemBody;
      assert.equal(statusCode, 502, `reply ${index}`);
      assert.equal(problem.code, "invalid-reply");
      assert.match(problem.detail, /^Cannot send the service's reply: /);
      assert.equal(headers["set-cookie"], undefined);
    }
    client.removeAllListeners("disconnect");
    await client.close();
  });

  test("streams as it comes: its head at once, each chunk when it is there, none pulled ahead of need", async () => {
    const { promise: go, resolve: release } = Promise.withResolvers<void>();
    await using trial = await startTrial(async () => ({
      status: 200,
      headers: [["content-type", "text/event-stream"]],
      body: (async function* () {
        await go;
        yield Buffer.from("one ");
        yield new Uint8Array(0);
        yield Buffer.from("two");
      })(),
    }));
    const { statusCode, headers, body } = await request(`${trial.url}/hello`);
    assert.equal(statusCode, 200);
    assert.equal(headers["transfer-encoding"], "chunked");
    release();
    assert.equal(await body.text(), "one two");
    assert.equal((await trial.access()).bytesOut, 7);
  });

  test("stops being pulled when the client does not read, and is broken off after the idle time", async () => {
    const chunk = new Uint8Array(64 * 1024);
    let pulled = 0;
    const returned = Promise.withResolvers<void>();
    const body: Body = {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          assert.ok(++pulled < 1_000, "the producer ran ahead of the client");
          return { done: false, value: chunk };
        },
        return: async () => {
          returned.resolve();
          return { done: true, value: undefined };
        },
      }),
    };
    const idle = { idleTimeoutMs: 200 };
    await using trial = await startTrial(async () => ({ status: 200, headers: [], body }), undefined, idle);
    const client = await trial.socket();
    client.on("error", () => {});
    client.pause();
    client.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    await returned.promise;
    assert.equal((await trial.access()).error, "cancelled");
    client.destroy();
  });

  test("whose stream fails before its first chunk is a clean problem; after it, a broken connection", async () => {
    const { promise: received, resolve: receive } = Promise.withResolvers<void>();
    const failing = (first: string | undefined): Reply => ({
      status: 200,
      headers: [],
      body: (async function* () {
        if (first !== undefined) yield Buffer.from(first);
        if (first !== undefined) await received;
        throw new CytoError("instance-trapped", "Cannot go on: unreachable executed");
      })(),
    });
    await using trial = await startTrial(async (call) => failing(call.url.endsWith("?late") ? "some" : undefined));
    const early = await request(`${trial.url}/hello`);
    assert.equal(early.statusCode, 502);
    assert.equal(((await early.body.json()) as ProblemBody).code, "instance-trapped");
    await trial.access();
    const late = await request(`${trial.url}/hello?late`);
    assert.equal(late.statusCode, 200);
    receive();
    await assert.rejects(late.body.text());
    const access = await trial.access();
    assert.deepEqual([access.status, access.error, access.bytesOut], [200, "instance-trapped", 4]);
  });

  test("whose stream is not as long as promised is broken off", async () => {
    const promising = (length: string) => ({
      status: 200,
      headers: [["content-length", length]] as const,
      body: chunks("12345"),
    });
    await using trial = await startTrial(async (call) => promising(new URL(call.url).search.slice(1)));
    const right = await request(`${trial.url}/hello?5`);
    assert.equal(right.headers["content-length"], "5");
    assert.equal(await right.body.text(), "12345");
    for (const length of ["4", "6"]) {
      const text = request(`${trial.url}/hello?${length}`).then(({ body }) => body.text());
      await assert.rejects(text);
    }
    const errors = [await trial.access(), await trial.access(), await trial.access()].map(({ error }) => error);
    assert.deepEqual(errors, [undefined, "invalid-reply", "invalid-reply"]);
  });

  test("that is a stream is cancelled when HEAD was asked", async () => {
    const returned = Promise.withResolvers<void>();
    const body = {
      [Symbol.asyncIterator]: () => ({
        next: () => assert.fail("nothing is to be pulled"),
        return: async () => {
          returned.resolve();
          return { done: true as const, value: undefined };
        },
      }),
    };
    const { statusCode, text } = await replyOf({ status: 200, headers: [], body }, "HEAD");
    assert.deepEqual([statusCode, text], [200, ""]);
    await returned.promise;
  });
});

describe("a failure", () => {
  test("becomes problem+json with its status; what is inside stays inside unless errors are exposed", async () => {
    const failure = new CytoError("backend-unavailable", "Cannot reach 10.0.0.7:6379: refused", { hint: "Start it." });
    for (const exposeErrors of [false, true]) {
      await using trial = await startTrial(() => Promise.reject(failure), undefined, { exposeErrors });
      const { statusCode, headers, body } = await request(`${trial.url}/hello`);
      const problem = (await body.json()) as ProblemBody;
      assert.equal(statusCode, 503);
      assert.equal(headers["retry-after"], "1");
      assert.equal(problem.detail.includes("10.0.0.7"), exposeErrors);
      assert.equal(problem.hint, exposeErrors ? "Start it." : undefined);
      assert.match(problem.detail, exposeErrors ? /refused/ : new RegExp(problem.requestId));
      const access = await trial.access();
      assert.equal(access.failure, failure);
      assert.equal(access.error, "backend-unavailable");
    }
  });

  test("that says when to come back is passed on as Retry-After", async () => {
    const overloaded = new CytoError("overloaded", "Cannot take the call: 1024 wait already", { retryAfterS: 7 });
    await using trial = await startTrial(() => Promise.reject(overloaded));
    const { statusCode, headers, body } = await request(`${trial.url}/hello`);
    assert.deepEqual([statusCode, headers["retry-after"]], [503, "7"]);
    assert.match(((await body.json()) as ProblemBody).detail, /1024 wait/);
  });

  test("thrown at once, or thrown as anything at all, is answered like any other", async () => {
    for (const thrown of [new TypeError("x is not a function"), "a string", undefined, null]) {
      await using trial = await startTrial(() => {
        throw thrown;
      });
      const { statusCode, body } = await request(`${trial.url}/hello`);
      assert.equal(statusCode, 500);
      assert.equal(((await body.json()) as ProblemBody).code, "internal");
    }
  });

  test("to answer by the route's deadline is 504; the service is told, and its late reply dropped", async () => {
    const late = Promise.withResolvers<Reply>();
    const returned = Promise.withResolvers<void>();
    let signal: AbortSignal | undefined;
    await using trial = await startTrial(
      (call) => {
        signal = call.signal;
        return late.promise;
      },
      [routeTo("GET /hello", { timeoutMs: 30 })],
    );
    const { statusCode, body } = await request(`${trial.url}/hello`);
    assert.equal(statusCode, 504);
    assert.match(((await body.json()) as ProblemBody).detail, /within 30 ms/);
    assert.equal(signal!.aborted, true);
    assert.equal((signal!.reason as CytoError).code, "deadline-exceeded");
    const stream = (async function* () {
      try {
        yield Buffer.from("too late");
      } finally {
        returned.resolve();
      }
    })();
    await stream.next();
    late.resolve({ status: 200, headers: [], body: stream });
    await returned.promise;
    assert.equal((await trial.access()).status, 504);
  });
});

test("a client that leaves aborts the call, once, and is observed as 499", async () => {
  const { promise: called, resolve: arrived } = Promise.withResolvers<Call>();
  await using trial = await startTrial((call) => {
    arrived(call);
    return new Promise(() => {});
  });
  const client = await trial.socket();
  client.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  const { signal } = await called;
  const aborted = once(signal, "abort");
  client.destroy();
  await aborted;
  assert.equal((signal.reason as CytoError).code, "cancelled");
  const access = await trial.access();
  assert.deepEqual([access.status, access.error], [499, "cancelled"]);
});

test("a reply that was sent whole leaves the call's signal alone", async () => {
  let signal: AbortSignal | undefined;
  await using trial = await startTrial(async (call) => {
    signal = call.signal;
    return textReply("done");
  });
  await (await request(`${trial.url}/hello`)).body.dump();
  await trial.access();
  assert.equal(signal!.aborted, false);
});

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}
