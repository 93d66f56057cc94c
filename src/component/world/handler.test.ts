import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { before, describe, test } from "node:test";
import { gather, loadGuest, openGuest } from "../../../test/guests/open.ts";
import { createOutgoing } from "../../capability/outgoing/outgoing.ts";
import {
  type Body,
  type Call,
  CytoError,
  createSimulatedClock,
  type Headers,
  type Reply,
  systemClock,
  trailersOf,
} from "../../kernel/index.ts";
import type { Component, Grants, TaskOptions } from "../contract.ts";
import { load } from "../load.ts";
import { createMetering } from "../meter.ts";
import { futureOf } from "../stream-pipe.ts";
import type { Trailers } from "../wasi/0.3/http/contents.ts";
import { Fields } from "../wasi/0.3/http/fields.ts";
import { Response } from "../wasi/0.3/http/message.ts";

let handler: Component;
before(async () => {
  handler = await loadGuest("handler");
});

const code = (expected: string) => (thrown: unknown) => thrown instanceof CytoError && thrown.code === expected;

async function* pieces(count: number, bytes = 65_536): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield Buffer.alloc(bytes, index);
}

function iterator(reply: Reply): AsyncIterator<Uint8Array, unknown> {
  assert.ok(reply.body !== undefined && !(reply.body instanceof Uint8Array), "the body is streamed");
  return reply.body[Symbol.asyncIterator]();
}

/** A body as text, and the trailers with which it ended. */
async function whole(reply: Reply): Promise<[string, Headers | undefined]> {
  if (reply.body === undefined || reply.body instanceof Uint8Array)
    return [String(await gather(reply.body)), undefined];
  const chunks: Uint8Array[] = [];
  for (let steps = iterator(reply), step = await steps.next(); ; step = await steps.next()) {
    if (step.done) return [String(Buffer.concat(chunks)), trailersOf(step)];
    chunks.push(step.value);
  }
}

/** Settles on the `count`th time that the instance says a call has ended. */
function finished(guest: ReturnType<typeof openGuest>, count = 1): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    guest.instance.onFinish = () => {
      if (--left === 0) resolve();
    };
  });
}

describe("openHandlerInstance()", () => {
  test("answers in one piece what the guest wrote at once, call after call", async () => {
    using guest = openGuest(handler);
    for (let count = 0; count < 100; count++) {
      const reply = await guest.call("/hello");
      assert.equal(reply.status, 200);
      assert.ok(reply.body instanceof Uint8Array);
      assert.equal(String(Buffer.from(reply.body)), "Hello, WASI 0.3!");
      assert.equal(guest.instance.active, 0, "ready for the next call at once");
    }
    await guest.instance.idle();
    assert.ok(guest.instance.memoryBytes() > 0);
  });

  test("refuses a component without the handler, and a call too many", async () => {
    assert.equal(handler.world, "handler");
    const core = { exports: {}, memoryBytes: () => 0, [Symbol.dispose]: () => {} };
    assert.throws(() => openGuest({ ...handler, instantiate: () => core }), code("invalid-component"));
    using guest = openGuest(handler);
    const { concurrency } = guest.instance;
    const calls = Array.from({ length: concurrency }, () => guest.text("/sleep?ms=20"));
    await assert.rejects(guest.call("/hello"), code("overloaded"));
    assert.equal(guest.instance.active, concurrency);
    assert.deepEqual(await Promise.all(calls), new Array(concurrency).fill("slept"));
  });

  test("is in many calls at a time, each of which ends when it is ready", async () => {
    using guest = openGuest(handler);
    const ended: string[] = [];
    const call = async (ms: number) => {
      await guest.text(`/sleep?ms=${ms}`);
      ended.push(`${ms}`);
    };
    const slow = Promise.all([call(150), call(75)]);
    await guest.text("/hello");
    ended.push("hello");
    await slow;
    assert.deepEqual(ended, ["hello", "75", "150"]);
    assert.equal(guest.instance.active, 0);
  });

  test("gives the guest the request as it is, less what belongs to the connection", async () => {
    using guest = openGuest(handler);
    const headers = [
      ["host", "guest.test"],
      ["connection", "close"],
      ["x-name", "a"],
      ["x-name", "é"],
    ] as const;
    assert.deepEqual((await guest.text("/request?a=b%20c", { method: "PROPFIND", headers })).split("\n"), [
      'Method::Other("PROPFIND") Some(Scheme::Http) Some("guest.test") Some("/request?a=b%20c")',
      "x-name: a",
      "x-name: \u{fffd}",
      "immutable: Err(HeaderError::Immutable) Ok(())",
      "",
    ]);
  });

  for (const path of ["/echo", "/copy"])
    test(`streams 10 MB both ways and holds little of it, however slow the reader: ${path}`, async () => {
      using guest = openGuest(handler);
      const expected = createHash("sha256");
      let sent = 0;
      let received = 0;
      let most = 0;
      async function* body() {
        for await (const chunk of pieces(160)) {
          expected.update(chunk);
          sent += chunk.length;
          most = Math.max(most, sent - received);
          yield chunk;
        }
      }
      const reply = await guest.call(path, { method: "POST", body: body() });
      const actual = createHash("sha256");
      for (let steps = iterator(reply), next = await steps.next(); !next.done; next = await steps.next()) {
        received += next.value.length;
        actual.update(next.value);
        await new Promise(setImmediate);
      }
      assert.equal(received, 160 * 65_536);
      assert.equal(actual.digest("hex"), expected.digest("hex"));
      assert.ok(most <= 4 * 65_536, `${most} bytes were on their way at once`);
      await guest.instance.idle();
    });

  test("passes on a first piece before the second was sent", async () => {
    using guest = openGuest(handler);
    const second = Promise.withResolvers<void>();
    async function* body() {
      yield Buffer.from("first");
      await second.promise;
      yield Buffer.from("second");
    }
    for (const path of ["/echo"]) {
      const steps = iterator(await guest.call(path, { method: "POST", body: body() }));
      assert.equal(String((await steps.next()).value), "first");
      second.resolve();
      assert.equal(String((await steps.next()).value), "second");
      assert.equal((await steps.next()).done, true);
    }
  });

  test("reads a body that is at hand, an empty one, and none", async () => {
    using guest = openGuest(handler);
    assert.equal(await guest.text("/count", { body: Buffer.alloc(1_000_000) }), "1000000 Ok(None)");
    assert.equal(await guest.text("/count", { body: new Uint8Array(0) }), "0 Ok(None)");
    assert.equal(await guest.text("/count"), "0 Ok(None)");
  });

  test("brings trailers through, in and out, seen or not", async () => {
    using guest = openGuest(handler);
    async function* body(): AsyncGenerator<Uint8Array, unknown> {
      yield Buffer.from("body");
      return [
        ["x-sum", "1"],
        ["connection", "x-sum"],
      ];
    }
    assert.equal(await guest.text("/count", { body: body() }), '4 Ok(Some([("x-sum", [49])]))');
    for (const path of ["/echo", "/copy"])
      assert.deepEqual(await whole(await guest.call(path, { body: body() })), ["body", [["x-sum", "1"]]]);
    const reply = await guest.call("/trailers");
    assert.deepEqual(reply.headers, [["trailer", "x-sum"]]);
    assert.deepEqual(await whole(reply), [
      "body",
      [
        ["x-sum", "1"],
        ["x-sum", "2"],
      ],
    ]);
  });

  test("tells the guest that the request body broke, after what it got of it", async () => {
    using guest = openGuest(handler);
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
      throw new CytoError("request-timeout", "too slow");
    }
    assert.match(await guest.text("/count", { body: body() }), /^10 Err\(ErrorCode::InternalError/);
    assert.equal(guest.instance.broken, undefined);
  });

  test("stops reading a body that the guest wants no more of", async () => {
    using guest = openGuest(handler);
    let stopped = false;
    async function* body(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.from("some and more");
      } finally {
        stopped = true;
      }
    }
    assert.equal(await guest.text("/first", { body: body() }), "some true");
    assert.equal(stopped, true);
  });

  test("makes the guest wait for a reader, and lets it go on when the reader leaves", async () => {
    using guest = openGuest(handler);
    const steps = iterator(await guest.call("/stream?chunks=100000"));
    await steps.next();
    assert.equal(guest.instance.active, 1);
    await steps.return?.();
    assert.equal(guest.instance.active, 0);
    await guest.instance.idle();
    assert.deepEqual(guest.lines, ["error stderr: left alone sent: false"]);
    assert.equal((await whole(await guest.call("/stream?chunks=2")))[0].length, 2 * 65_536);
    await guest.instance.idle();
    assert.equal(guest.lines.at(-1), "error stderr: through sent: true");
  });

  const invalid = ["/status?code=150", "/trailer-error", "/length?declared=x&actual=1"];
  for (const path of [
    ...invalid,
    "/length?declared=5&actual=3",
    "/length?declared=5&actual=0",
    "/length?declared=5&actual=7",
  ])
    test(`answers invalid-reply: ${path}`, async () => {
      using guest = openGuest(handler);
      await assert.rejects(guest.call(path), code("invalid-reply"));
      assert.equal(guest.instance.active, 0);
      assert.equal(await guest.text("/hello"), "Hello, WASI 0.3!");
      await guest.instance.idle();
    });

  test("tells the guest of a length that differs from what it declared", async () => {
    using guest = openGuest(handler);
    await assert.rejects(guest.call("/length?declared=5&actual=3"));
    await guest.instance.idle();
    assert.deepEqual(guest.lines, ["error stderr: sent: Err(ErrorCode::HttpResponseBodySize(Some(3)))"]);
    assert.equal(await guest.text("/length?declared=5&actual=5"), "xxxxx");
    await guest.instance.idle();
    assert.equal(guest.lines.at(-1), "error stderr: sent: Ok(())");
  });

  test("lets a reply to HEAD declare a body that it does not send", async () => {
    using guest = openGuest(handler);
    const reply = await guest.call("/length?declared=5&actual=0", { method: "HEAD" });
    assert.deepEqual(reply.headers, [["content-length", "5"]]);
    assert.equal(reply.body, undefined);
  });

  test("answers service-failed to an error of the guest, and keeps its words to itself", async () => {
    using guest = openGuest(handler);
    await assert.rejects(guest.call("/error"), (thrown) => {
      assert.ok(thrown instanceof CytoError && thrown.code === "service-failed");
      assert.match(thrown.message, /internal-error/);
      assert.doesNotMatch(thrown.message, /on purpose/);
      return true;
    });
    assert.equal(await guest.text("/hello"), "Hello, WASI 0.3!");
  });

  test("refuses headers with a line break, and those of the connection", async () => {
    using guest = openGuest(handler);
    assert.match(await guest.text("/header?name=x-a&value=b%0Ac"), /^Err\(HeaderError::InvalidSyntax\)/);
    assert.match(await guest.text("/header?name=Transfer-Encoding&value=b"), /^Err\(HeaderError::Forbidden\)/);
    assert.match(await guest.text(`/header?name=x-a&value=${"b".repeat(20_000)}`), /^Err\(HeaderError::SizeExceeded\)/);
    assert.equal(await guest.text("/header?name=X-A&value=b"), 'Ok(()) [("X-A", [98])]');
  });

  test("ends all its calls with a trap, and is never called again", async () => {
    using guest = openGuest(handler);
    const ended = finished(guest, 3);
    const asleep = guest.call("/sleep?ms=3600000");
    const streaming = iterator(await guest.call("/stream?chunks=100000"));
    await assert.rejects(guest.call("/trap"), code("instance-trapped"));
    await assert.rejects(asleep, code("instance-trapped"));
    await assert.rejects(async () => {
      for (;;) if ((await streaming.next()).done) return;
    }, code("instance-trapped"));
    await ended;
    assert.equal(guest.instance.active, 0);
    assert.ok(guest.instance.broken);
    await guest.instance.idle();
    await assert.rejects(guest.call("/hello"), code("instance-trapped"));
    assert.match(guest.lines.join("\n"), /error stderr: on purpose/);
  });

  test("breaks the body when the guest traps half way", async () => {
    using guest = openGuest(handler);
    const reply = await guest.call("/trap-late");
    await assert.rejects(whole(reply), code("instance-trapped"));
    assert.ok(guest.instance.broken);
  });

  test("is ended when it uses up its time, while other instances go on", async () => {
    const metering = createMetering({ monotonic: systemClock.cpu, nextTurn: setImmediate });
    const bytes = await readFile(new URL("../../../test/guests/handler.wasm", import.meta.url));
    const component = await load(bytes, { metered: true });
    const metered: Component = {
      ...component,
      instantiate: (imports, options) => component.instantiate(imports, { ...options, cpu: { metering, cpuMs: 400 } }),
    };
    using busy = openGuest(metered);
    using neighbour = openGuest(metered);
    let ended = false;
    const given = assert.rejects(busy.call("/busy"), code("cpu-exceeded")).then(() => {
      ended = true;
    });
    for (let count = 0; count < 3; count++) {
      assert.equal(await neighbour.text("/sleep?ms=1"), "slept");
      assert.equal(ended, false);
    }
    await given;
    assert.ok(busy.instance.broken);
    assert.equal(busy.instance.active, 0);
    using both = openGuest(metered);
    const other = both.call("/sleep?ms=3600000");
    const oneOfTwo = (error: CytoError) => {
      assert.match(error.message, /has used its CPU time of 400 ms$/);
      assert.match(error.hint ?? "", /one of them met the limit/);
      return error.code === "instance-trapped";
    };
    await assert.rejects(both.call("/busy"), oneOfTwo);
    await assert.rejects(other, oneOfTwo);
  });

  test("gives the reply before the guest has ended its work, which idle() waits for", async () => {
    using guest = openGuest(handler);
    assert.equal((await guest.call("/after?ms=5")).status, 200);
    assert.equal(guest.instance.active, 0);
    assert.deepEqual(guest.lines, []);
    await guest.instance.idle();
    assert.deepEqual(guest.lines, ["error stderr: after"]);
  });

  test("cancels the task of a caller that has gone, and no other", async () => {
    using guest = openGuest(handler);
    const left = finished(guest);
    const caller = new AbortController();
    const given = guest.call("/sleep?ms=3600000", { signal: caller.signal });
    const other = guest.text("/sleep?ms=50");
    await new Promise(setImmediate);
    caller.abort();
    await assert.rejects(given, code("cancelled"));
    await left;
    assert.equal(guest.instance.active, 1);
    assert.equal(await other, "slept");
    await guest.instance.idle();
    assert.equal(guest.instance.broken, undefined);
  });

  test("breaks both bodies of a caller that has gone", async () => {
    using guest = openGuest(handler);
    const caller = new AbortController();
    let cancelled = false;
    const body: Body = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<IteratorResult<Uint8Array>>(() => {}),
        return: async () => {
          cancelled = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const reply = await guest.call("/copy", { body, signal: caller.signal });
    const reading = whole(reply);
    caller.abort(new CytoError("deadline-exceeded", "late"));
    await assert.rejects(reading, code("deadline-exceeded"));
    await guest.instance.idle();
    assert.equal(cancelled, true);
    assert.equal(guest.instance.active, 0);
    assert.equal(await guest.text("/hello"), "Hello, WASI 0.3!");
  });

  test("says so when it traps between two calls, in what a guest does after its reply", async () => {
    let options: TaskOptions | undefined;
    const handle = async (_request: unknown, given: TaskOptions) => {
      options = given;
      return Response.new(new Fields(), undefined, futureOf<Trailers>({ tag: "ok", val: undefined }))[0];
    };
    const core = { exports: { "wasi:http/handler": { handle } }, memoryBytes: () => 0, [Symbol.dispose]: () => {} };
    using guest = openGuest({ ...handler, instantiate: () => core });
    assert.equal((await guest.call("/")).status, 200);
    const told = finished(guest);
    options!.ended!(new Error("unreachable"));
    await told;
    await guest.instance.idle();
    await assert.rejects(guest.call("/"), code("instance-trapped"));
  });

  test("is given up when nothing is left in it but calls whose guest does not let go of them", async () => {
    const clock = createSimulatedClock();
    const answers: ((response: Response) => void)[] = [];
    const handle = () => new Promise<Response>((resolve) => answers.push(resolve));
    const core = { exports: { "wasi:http/handler": { handle } }, memoryBytes: () => 0, [Symbol.dispose]: () => {} };
    using guest = openGuest({ ...handler, instantiate: () => core }, { clock });
    const caller = new AbortController();
    const stuck = [1, 2].map(() => guest.call("/", { signal: caller.signal }));
    const served = guest.call("/");
    caller.abort();
    for (const call of stuck) await assert.rejects(call, code("cancelled"));
    clock.advance(60_000);
    assert.equal(guest.instance.active, 3);
    assert.equal(guest.instance.broken, undefined, "one of its callers still waits");
    const [response] = Response.new(new Fields(), undefined, futureOf<Trailers>({ tag: "ok", val: undefined }));
    answers[2]!(response);
    assert.equal((await served).status, 200);
    assert.ok(guest.instance.broken);
    assert.equal(guest.instance.active, 0);
    assert.equal(clock.timers, 0);
  });

  test("refuses a call whose caller has gone already", async () => {
    using guest = openGuest(handler);
    await assert.rejects(guest.call("/hello", { signal: AbortSignal.abort() }), code("cancelled"));
  });

  test("lets nothing run on once disposed", async () => {
    const guest = openGuest(handler);
    const reply = guest.call("/sleep?ms=3600000");
    await guest.call("/after?ms=1");
    guest.instance[Symbol.dispose]();
    await assert.rejects(reply, code("draining"));
    await assert.rejects(guest.call("/hello"), code("draining"));
    await guest.instance.idle();
    assert.deepEqual(guest.lines, []);
  });

  test("writes to its log by standard output, and finds its input empty", async () => {
    using guest = openGuest(handler);
    assert.equal(await guest.text("/print?line=hello"), "Ok(()) 0 Ok(())");
    assert.deepEqual(guest.lines, ["info stdout: hello"]);
  });

  test("has clocks and chance", async () => {
    using guest = openGuest(handler);
    assert.equal(await guest.text("/clock"), "true true");
    assert.equal(await guest.text("/random"), "32 true");
  });

  test("tells whoever made a message what became of it", async () => {
    using guest = openGuest(handler);
    assert.equal(await guest.text("/unsent"), "true own Err(ErrorCode::LoopDetected)");
  });
});

describe("wasi:http/client", () => {
  async function listen(handle: RequestListener) {
    const server = createServer(handle).listen(0, "127.0.0.1");
    await once(server, "listening");
    const authority = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const outgoing = createOutgoing({ service: "guest", allow: [authority], clock: systemClock });
    const parents: (Call | undefined)[] = [];
    const grants: Partial<Grants> = {
      fetch(request, parent) {
        parents.push(parent);
        return outgoing.fetch(request, parent);
      },
    };
    return {
      authority,
      grants,
      parents,
      async [Symbol.asyncDispose]() {
        server.close().closeAllConnections();
        await outgoing[Symbol.asyncDispose]();
      },
    };
  }

  test("reaches a real server and streams through it, as part of the call that it is made for", async () => {
    await using upstream = await listen((request, response) => {
      response.writeHead(201, { "x-seen": `${request.headers["x-mine"]} ${request.headers["x-request-id"]}` });
      request.pipe(response);
    });
    using guest = openGuest(handler, upstream.grants);
    const headers = [
      ["x-target", `${upstream.authority}/echo`],
      ["x-mine", "yes"],
    ] as const;
    const other = guest.text("/sleep?ms=50");
    const reply = await guest.call("/fetch", { method: "POST", headers, body: pieces(64) });
    assert.equal(reply.status, 201);
    assert.ok(reply.headers.some(([name, value]) => name === "x-seen" && value === "yes test"));
    assert.equal(upstream.parents[0]?.url, "http://guest.test/fetch");
    assert.deepEqual(await gather(reply.body), await gather(pieces(64)));
    await other;
    await guest.instance.idle();
  });

  test("sends a body whole that was written before the guest waited", async () => {
    let sent: Body | undefined;
    using guest = openGuest(handler, {
      fetch: async (request) => {
        sent = request.body;
        return { status: 204, headers: [] };
      },
    });
    const headers = [["x-target", "upstream.test/x"]] as const;
    assert.equal((await guest.call("/fetch", { method: "POST", headers, body: Buffer.from("whole") })).status, 204);
    assert.ok(sent instanceof Uint8Array);
    assert.equal(String(await gather(sent)), "whole");
  });

  test("brings trailers both ways", async () => {
    await using upstream = await listen(async (request, response) => {
      let bytes = 0;
      for await (const chunk of request) bytes += (chunk as Uint8Array).length;
      response.writeHead(200, { trailer: "x-bytes" });
      response.write(JSON.stringify(request.rawTrailers));
      response.addTrailers({ "x-bytes": `${bytes}` });
      response.end();
    });
    using guest = openGuest(handler, upstream.grants);
    const target = `${upstream.authority}/`;
    assert.equal(await guest.text(`/fetch-text?target=${target}`), '200 [] Ok(Some([("x-bytes", [48])]))');
    assert.equal(await guest.text(`/upload?target=${target}&chunks=40`), "Ok(200) Ok(())");
  });

  test("lets a reply go that the guest drops unread", async () => {
    const gone = Promise.withResolvers<void>();
    await using upstream = await listen((request, response) => {
      response.on("close", () => gone.resolve());
      request.resume().on("end", () => response.write("and so on"));
    });
    using guest = openGuest(handler, upstream.grants);
    assert.equal(await guest.text(`/upload?target=${upstream.authority}/&chunks=1`), "Ok(200) Ok(())");
    await gone.promise;
  });

  test("gives a request up whose guest says that it is not whole", async () => {
    const broken = Promise.withResolvers<void>();
    await using upstream = await listen((request) => void request.on("error", () => broken.resolve()).resume());
    using guest = openGuest(handler, upstream.grants);
    assert.match(
      await guest.text(`/upload?target=${upstream.authority}/&chunks=40&fail=yes`),
      /^Err\(ErrorCode::InternalError\(None\)\) Err\(/,
    );
    await broken.promise;
  });

  test("tells the guest why it failed, in the words of wasi:http", async () => {
    const closed = await listen(() => {});
    await closed[Symbol.asyncDispose]();
    await using upstream = await listen(() => {});
    using denied = openGuest(handler);
    using elsewhere = openGuest(handler, upstream.grants);
    using refused = openGuest(handler, {
      async fetch() {
        throw new CytoError("upstream-failed", "no", {
          cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }),
        });
      },
    });
    const path = `/fetch-text?target=${closed.authority}/`;
    assert.equal(await denied.text(path), "ErrorCode::HttpRequestDenied");
    assert.equal(await elsewhere.text(path), "ErrorCode::HttpRequestDenied");
    assert.equal(await refused.text(path), "ErrorCode::ConnectionRefused");
  });

  test("gives up a reply that does not come in time, and one that the guest gives up", async () => {
    const gone: PromiseWithResolvers<void>[] = [Promise.withResolvers(), Promise.withResolvers()];
    let arrived = 0;
    await using upstream = await listen((_request, response) => {
      const { resolve } = gone[arrived++]!;
      response.on("close", () => resolve());
    });
    using guest = openGuest(handler, upstream.grants);
    assert.equal(
      await guest.text(`/fetch-timeout?target=${upstream.authority}/&ms=300`),
      "ErrorCode::HttpResponseTimeout",
    );
    await gone[0]!.promise;
    assert.equal(await guest.text(`/fetch-drop?target=${upstream.authority}/&ms=300`), "true");
    await gone[1]!.promise;
  });

  test("ends its requests when the caller has gone, and when the instance ends", async () => {
    const gone = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const arrived = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let count = 0;
    await using upstream = await listen((_request, response) => {
      const index = count++;
      response.on("close", () => gone[index]!.resolve());
      arrived[index]!.resolve();
    });
    const guest = openGuest(handler, upstream.grants);
    const caller = new AbortController();
    const target = `/fetch-text?target=${upstream.authority}/`;
    const first = guest.call(target, { signal: caller.signal });
    await arrived[0]!.promise;
    caller.abort();
    await assert.rejects(first, code("cancelled"));
    await gone[0]!.promise;
    const second = guest.call(target);
    await arrived[1]!.promise;
    guest.instance[Symbol.dispose]();
    await assert.rejects(second, code("draining"));
    await gone[1]!.promise;
  });
});

describe("a middleware of wasi:http", () => {
  let middleware: Component;
  before(async () => {
    middleware = await loadGuest("middleware");
  });

  /** The middleware in front of the service of the other tests. */
  function chain(): Disposable & Record<"outer" | "inner", ReturnType<typeof openGuest>> {
    const inner = openGuest(handler);
    const outer = openGuest(middleware, {
      next: ({ method, url, headers, body, signal }, parent) =>
        inner.instance.handle({ ...parent!, method, url, headers, ...(body !== undefined && { body }), signal }),
    });
    return {
      inner,
      outer,
      [Symbol.dispose]() {
        outer[Symbol.dispose]();
        inner[Symbol.dispose]();
      },
    };
  }

  test("hands requests on and replies back, as they are or changed, with bodies and trailers", async () => {
    using guests = chain();
    async function* body(): AsyncGenerator<Uint8Array, unknown> {
      yield* pieces(20);
      return [["x-sum", "1"]];
    }
    for (const path of ["/copy", "/marked/copy"]) {
      const reply = await guests.outer.call(path, { method: "POST", body: body() });
      assert.equal(reply.status, 200);
      assert.deepEqual(reply.headers, path === "/copy" ? [] : [["x-via", "middleware"]]);
      const [text, trailers] = await whole(reply);
      assert.equal(text.length, 20 * 65_536);
      assert.deepEqual(trailers, [["x-sum", "1"]]);
    }
    assert.equal((await guests.outer.call("/marked/nowhere")).status, 404);
    await guests.outer.instance.idle();
    await guests.inner.instance.idle();
    assert.equal(guests.outer.instance.active + guests.inner.instance.active, 0);
  });

  test("keeps a slow reader's pace through the chain, and lets all of it go when the reader leaves", async () => {
    using guests = chain();
    for (const path of ["/stream?chunks=1000000", "/marked/stream?chunks=1000000"]) {
      const steps = iterator(await guests.outer.call(path));
      await steps.next();
      await steps.return?.();
      await guests.inner.instance.idle();
      await guests.outer.instance.idle();
    }
    assert.deepEqual(guests.inner.lines, new Array(2).fill("error stderr: left alone sent: false"));
  });

  test("is cancelled with its caller, and cancels what it waits for", async () => {
    using guests = chain();
    const caller = new AbortController();
    const given = guests.outer.call("/sleep?ms=3600000", { signal: caller.signal });
    await new Promise(setImmediate);
    assert.equal(guests.inner.instance.active, 1);
    const left = Promise.all([finished(guests.inner), finished(guests.outer)]);
    caller.abort();
    await assert.rejects(given, code("cancelled"));
    await left;
    assert.equal(guests.outer.instance.active + guests.inner.instance.active, 0);
    assert.equal(guests.outer.instance.broken ?? guests.inner.instance.broken, undefined);
  });

  test("hears of a failure behind it, and may end with that", async () => {
    using guests = chain();
    await assert.rejects(guests.outer.call("/trap"), code("service-failed"));
    assert.ok(guests.inner.instance.broken);
    assert.equal(guests.outer.instance.broken, undefined);
  });

  test("does not start where nothing stands behind it", () => {
    assert.throws(() => openGuest(middleware), {
      code: "unbound-import",
      message: /nothing provides wasi:http\/handler#handle/,
    });
  });
});
