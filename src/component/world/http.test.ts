import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { before, describe, test } from "node:test";
import { gather, loadComponent, loadGuest, mapBucket, openGuest } from "../../../test/guests/open.ts";
import { type Body, CytoError, type Reply } from "../../kernel/index.ts";
import type { Component, Grants } from "../contract.ts";

let probe: Component;
before(async () => {
  probe = await loadGuest("probe");
});

const code = (expected: string) => (thrown: unknown) => thrown instanceof CytoError && thrown.code === expected;

async function* pieces(count: number, bytes = 65_536): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield Buffer.alloc(bytes, index);
}

function iterator(reply: Reply): AsyncIterator<Uint8Array> {
  assert.ok(reply.body !== undefined && !(reply.body instanceof Uint8Array), "the body is streamed");
  return reply.body[Symbol.asyncIterator]();
}

function text(step: IteratorResult<Uint8Array>): string {
  return Buffer.from(step.value).toString();
}

describe("openHttpInstance()", () => {
  test("answers in one piece what the guest wrote in one, call after call", async () => {
    using guest = openGuest(probe);
    for (let count = 0; count < 100; count++) {
      const reply = await guest.call("/hello");
      assert.equal(reply.status, 200);
      assert.ok(reply.body instanceof Uint8Array);
      assert.equal(String(Buffer.from(reply.body)), "Hello, WASI!");
      assert.equal(guest.instance.active, 0, "ready for the next call at once");
    }
    assert.ok(guest.instance.memoryBytes() > 0);
  });

  test("refuses a component without the handler", () => {
    using guest = openGuest(probe);
    assert.equal(guest.instance.concurrency, 1);
    const core = { exports: {}, memoryBytes: () => 0, [Symbol.dispose]: () => {} };
    assert.throws(() => openGuest({ ...probe, instantiate: () => core }), code("invalid-component"));
  });

  test("gives the guest the request as it is, less what belongs to the connection", async () => {
    using guest = openGuest(probe);
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
      "immutable: Err(HeaderError::Immutable)",
      "",
    ]);
  });

  test("streams 10 MB both ways and holds little of it, however slow the reader", async () => {
    using guest = openGuest(probe);
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
    const reply = await guest.call("/echo", { method: "POST", body: body() });
    const actual = createHash("sha256");
    for (let step = iterator(reply), next = await step.next(); !next.done; next = await step.next()) {
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
    using guest = openGuest(probe);
    const second = Promise.withResolvers<void>();
    async function* body() {
      yield Buffer.from("first");
      await second.promise;
      yield Buffer.from("second");
    }
    const step = iterator(await guest.call("/echo", { method: "POST", body: body() }));
    assert.equal(text(await step.next()), "first");
    second.resolve();
    assert.equal(text(await step.next()), "second");
    assert.equal((await step.next()).done, true);
  });

  test("splices one body into another", async () => {
    using guest = openGuest(probe);
    const echoed = await gather((await guest.call("/splice", { method: "POST", body: pieces(16) })).body);
    assert.deepEqual(echoed, await gather(pieces(16)));
  });

  test("reads a body that is at hand, an empty one, and none", async () => {
    using guest = openGuest(probe);
    assert.equal(await guest.text("/count", { body: Buffer.alloc(1_000_000) }), "1000000");
    assert.equal(await guest.text("/count", { body: new Uint8Array(0) }), "0");
    assert.equal(await guest.text("/count"), "0");
  });

  test("fails the guest's read when the request body breaks", async () => {
    using guest = openGuest(probe);
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.alloc(10);
      throw new CytoError("request-timeout", "too slow");
    }
    assert.equal(await guest.text("/count", { body: body() }), "10");
    assert.equal(guest.instance.broken, undefined);
  });

  test("makes the guest wait for a reader, and ends it when the reader leaves", async () => {
    using guest = openGuest(probe);
    const step = iterator(await guest.call("/stream?chunks=100000"));
    await step.next();
    assert.equal(guest.instance.active, 1);
    await step.return?.();
    await guest.instance.idle();
    assert.equal(guest.instance.broken, undefined);
    assert.equal(await guest.text("/hello"), "Hello, WASI!");
  });

  test("accepts trailers", async () => {
    using guest = openGuest(probe);
    assert.equal(await guest.text("/trailers"), "with trailers");
  });

  for (const path of ["/none", "/drop"])
    test(`answers no-reply to a guest that gives none: ${path}`, async () => {
      using guest = openGuest(probe);
      await assert.rejects(guest.call(path), code("no-reply"));
      assert.equal(await guest.text("/hello"), "Hello, WASI!");
    });

  const invalid = ["/abandon", "/status?code=150", "/length?declared=5&actual=3", "/length?declared=5&actual=0"];
  for (const path of [...invalid, "/length?declared=5&actual=7"])
    test(`answers invalid-reply: ${path}`, async () => {
      using guest = openGuest(probe);
      await assert.rejects(guest.call(path), code("invalid-reply"));
      assert.equal(await guest.text("/hello"), "Hello, WASI!");
    });

  test("tells the guest of a length that differs from what it declared", async () => {
    using guest = openGuest(probe);
    await assert.rejects(guest.call("/length?declared=5&actual=3"));
    assert.deepEqual(guest.lines, ["info length: Err(ErrorCode::HttpResponseBodySize(Some(3)))"]);
    assert.equal(await guest.text("/length?declared=5&actual=5"), "xxxxx");
  });

  test("lets a reply to HEAD declare a body that it does not send", async () => {
    using guest = openGuest(probe);
    const reply = await guest.call("/length?declared=5&actual=0", { method: "HEAD" });
    assert.deepEqual(reply.headers, [["content-length", "5"]]);
    assert.equal(reply.body, undefined);
  });

  test("answers service-failed to an error of the guest, and keeps its words to itself", async () => {
    using guest = openGuest(probe);
    await assert.rejects(guest.call("/error"), (thrown) => {
      assert.ok(thrown instanceof CytoError && thrown.code === "service-failed");
      assert.doesNotMatch(thrown.message, /on purpose/);
      return true;
    });
  });

  test("refuses headers with a line break, and those of the connection", async () => {
    using guest = openGuest(probe);
    assert.match(await guest.text("/header?name=x-a&value=b%0Ac"), /^Err\(HeaderError::InvalidSyntax\)/);
    assert.match(await guest.text("/header?name=x:a&value=b"), /^Err\(HeaderError::InvalidSyntax\)/);
    assert.match(await guest.text("/header?name=Transfer-Encoding&value=b"), /^Err\(HeaderError::Forbidden\)/);
    assert.match(await guest.text("/header?name=x-a&value=b"), /^Ok\(\(\)\) \[\[98\]\] true/);
  });

  test("ends with a trap, saying so once and never being called again", async () => {
    using guest = openGuest(probe);
    let finished = 0;
    guest.instance.onFinish = () => finished++;
    await assert.rejects(guest.call("/trap"), code("instance-trapped"));
    assert.equal(finished, 1);
    assert.equal(guest.instance.active, 0);
    assert.ok(guest.instance.broken);
    await assert.rejects(guest.call("/hello"), code("instance-trapped"));
    assert.match(guest.lines.join("\n"), /error stderr: on purpose/);
  });

  test("breaks the body when the guest traps half way", async () => {
    using guest = openGuest(probe);
    const reply = await guest.call("/trap-late");
    await assert.rejects(gather(reply.body), code("instance-trapped"));
    assert.ok(guest.instance.broken);
  });

  test("gives the reply before the guest has ended its work", async () => {
    using guest = openGuest(probe, { keyvalue: { visits: mapBucket(true) } });
    assert.equal(await guest.text("/after?ms=5"), "answered");
    assert.equal(guest.instance.active, 1);
    await assert.rejects(guest.call("/hello"), code("overloaded"));
    await guest.instance.idle();
    assert.equal(await guest.text("/visit"), "2");
  });

  test("is given up when its caller has gone and it stays inside", async () => {
    using guest = openGuest(probe);
    const finished = new Promise<void>((resolve) => {
      guest.instance.onFinish = resolve;
    });
    const caller = new AbortController();
    const reply = guest.call("/sleep?ms=3600000", { signal: caller.signal });
    await new Promise(setImmediate);
    caller.abort();
    await assert.rejects(reply, code("cancelled"));
    await finished;
    assert.ok(guest.instance.broken);
    assert.equal(guest.instance.active, 0);
  });

  test("goes on when its caller has gone and it returned", async () => {
    using guest = openGuest(probe);
    const caller = new AbortController();
    const never = new Promise<IteratorResult<Uint8Array>>(() => {});
    let cancelled = false;
    const body: Body = {
      [Symbol.asyncIterator]: () => ({
        next: () => never,
        return: async () => {
          cancelled = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const reply = await guest.call("/echo", { body, signal: caller.signal });
    const reading = gather(reply.body);
    caller.abort(new CytoError("deadline-exceeded", "late"));
    await assert.rejects(reading, code("deadline-exceeded"));
    await guest.instance.idle();
    assert.equal(guest.instance.broken, undefined);
    assert.equal(cancelled, true);
    assert.equal(await guest.text("/hello"), "Hello, WASI!");
  });

  test("refuses a call whose caller has gone already", async () => {
    using guest = openGuest(probe);
    await assert.rejects(guest.call("/hello", { signal: AbortSignal.abort() }), code("cancelled"));
  });

  test("lets nothing run on once disposed", async () => {
    const visits = mapBucket(false);
    const guest = openGuest(probe, { keyvalue: { visits } });
    const reply = guest.call("/sleep?ms=3600000");
    await new Promise(setImmediate);
    guest.instance[Symbol.dispose]();
    await assert.rejects(reply, code("draining"));
    await assert.rejects(guest.call("/visit"), code("draining"));
    assert.equal(await visits.get("count"), undefined);
  });
});

describe("wasi:http/outgoing-handler", () => {
  /** Grants that go out through the platform's own client. */
  const out: Partial<Grants> = {
    async fetch(request) {
      const { body } = request;
      const reply = await fetch(request.url, {
        method: request.method,
        headers: request.headers.map(([name, value]): [string, string] => [name, value]),
        ...(body === undefined ? {} : { body: body as NodeJS.ReadableStream | Uint8Array as never, duplex: "half" }),
        signal: request.signal,
      });
      return { status: reply.status, headers: [...reply.headers], ...(reply.body && { body: reply.body as never }) };
    },
  };

  async function listen(
    handler: RequestListener,
  ): Promise<Disposable & { readonly url: string; readonly server: Server }> {
    const server = createServer(handler).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { url, server, [Symbol.dispose]: () => void server.close().closeAllConnections() };
  }

  test("reaches a real server and streams through it", async () => {
    using upstream = await listen((request, response) => {
      response.writeHead(201, { "x-seen": request.headers["x-mine"] });
      request.pipe(response);
    });
    using guest = openGuest(probe, out);
    const headers = [
      ["x-target", `${upstream.url}/echo`],
      ["x-mine", "yes"],
    ] as const;
    const reply = await guest.call("/fetch", { method: "POST", headers, body: pieces(64) });
    assert.equal(reply.status, 201);
    assert.ok(reply.headers.some(([name, value]) => name === "x-seen" && value === "yes"));
    assert.deepEqual(await gather(reply.body), await gather(pieces(64)));
    await guest.instance.idle();
  });

  test("sends a body whole that was written before the guest waited", async () => {
    let sent: Body | undefined;
    using guest = openGuest(probe, {
      fetch: async (request) => {
        sent = request.body;
        return { status: 204, headers: [] };
      },
    });
    const headers = [["x-target", "http://upstream.test/x"]] as const;
    assert.equal((await guest.call("/fetch", { method: "POST", headers, body: Buffer.from("whole") })).status, 204);
    assert.ok(sent instanceof Uint8Array);
    assert.equal(String(await gather(sent)), "whole");
  });

  test("tells the guest why it failed, in the words of wasi:http", async () => {
    using closed = await listen(() => {});
    const { url } = closed;
    closed.server.close();
    await once(closed.server, "close");
    using guest = openGuest(probe, out);
    using denied = openGuest(probe);
    const to = (target: string) => ({ headers: [["x-target", target]] as const });
    assert.equal(await guest.text("/fetch", to(`${url}/`)), "ErrorCode::ConnectionRefused");
    assert.equal(await denied.text("/fetch", to(`${url}/`)), "ErrorCode::HttpRequestDenied");
  });

  test("gives up a reply that does not come in time, and ends the request", async () => {
    const gone = Promise.withResolvers<void>();
    using upstream = await listen((_request, response) => void response.on("close", gone.resolve));
    using guest = openGuest(probe, out);
    const target = upstream.url.replace("http://", "");
    assert.equal(
      await guest.text(`/fetch-early?target=${target}&ms=500`),
      "Err(ErrorCode::HttpResponseTimeout) Some(true)",
    );
    await gone.promise;
  });

  test("ends its requests when the caller has gone", async () => {
    const gone = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    using upstream = await listen((_request, response) => {
      response.on("close", gone.resolve);
      arrived.resolve();
    });
    using guest = openGuest(probe, out);
    const caller = new AbortController();
    const headers = [["x-target", `${upstream.url}/`]] as const;
    const reply = guest.call("/fetch", { headers, signal: caller.signal });
    await arrived.promise;
    caller.abort();
    await assert.rejects(reply, code("cancelled"));
    await gone.promise;
    await guest.instance.idle();
    assert.equal(guest.instance.broken, undefined, "the guest was told, and returned");
  });
});

describe("the other hosts, from a guest", () => {
  for (const late of [false, true])
    test(`keyvalue that answers ${late ? "later" : "at once"}`, async () => {
      using guest = openGuest(probe, { keyvalue: { mine: mapBucket(late) } });
      assert.deepEqual((await guest.text("/keyvalue?bucket=mine")).split("\n"), [
        "Some([49]) Some([0, 255]) None true",
        "None 5",
        '[Some(("x", [49, 48])), None, Some(("y", [50, 48]))]',
        '["b", "n"]["y"]',
      ]);
    });

  test("keyvalue that is not bound, and one whose backend fails", async () => {
    const broken = {
      ...mapBucket(true),
      set: async () => Promise.reject(new CytoError("backend-unavailable", "Redis is away")),
    };
    using guest = openGuest(probe, { keyvalue: { broken } });
    assert.equal(await guest.text("/keyvalue?bucket=toString"), "Error::NoSuchStore");
    assert.equal(await guest.text("/keyvalue?bucket=broken"), 'Error::Other("Redis is away")');
  });

  test("configuration and secrets", async () => {
    using guest = openGuest(probe, { config: { greeting: "hi" }, secret: async (name) => `the ${name}` });
    using denied = openGuest(probe);
    assert.equal(await guest.text("/config"), 'Ok(Some("hi")) Ok(None) Ok([("greeting", "hi")])');
    assert.equal(await guest.text("/secret?name=key"), 'Ok("the key")');
    assert.match(await denied.text("/secret?name=key"), /^Err\("Cannot read the secret/);
  });

  test("clocks, chance and polling", async () => {
    using guest = openGuest(probe);
    assert.match(await guest.text("/clock"), /^\d{10} true$/);
    assert.equal(await guest.text("/random"), "16 3");
    assert.equal(await guest.text("/poll"), "[1] false true");
    assert.equal(await guest.text("/sleep?ms=1"), "slept");
  });

  test("standard streams, environment, sockets and exit, through a standard library", async () => {
    using guest = openGuest(await loadGuest("system"), { environment: [["A", "b"]], args: ["guest", "x"] });
    assert.equal(await guest.text("/log"), "logged");
    assert.deepEqual(guest.lines.toSorted(), [
      "error stderr: an error",
      "info stdout: no newline",
      "info stdout: one",
      "info stdout: two",
    ]);
    assert.equal(await guest.text("/env"), '[("A", "b")] ["guest", "x"]');
    assert.equal(await guest.text("/stdin"), "Ok(0)");
    assert.equal(await guest.text("/socket?to=127.0.0.1:9"), "Err(PermissionDenied)");
    await assert.rejects(guest.call("/exit"), /called exit\(1\)/);
    assert.ok(guest.instance.broken);
  });
});

describe("components of other people's", () => {
  test("an asynchronous server of the crate wstd answers, echoes and streams", async () => {
    using guest = openGuest(await loadGuest("wstd"));
    assert.equal(await guest.text("/"), "Hello, wasi:http/proxy world!\n");
    assert.deepEqual(
      await gather((await guest.call("/echo", { method: "POST", body: pieces(8) })).body),
      await gather(pieces(8)),
    );
    await guest.instance.idle();
    const headers = [["x-mine", "yes"]] as const;
    assert.deepEqual((await guest.call("/echo-headers", { headers })).headers, headers);
    await guest.instance.idle();
    assert.equal((await guest.call("/response-status", { headers: [["x-response-status", "418"]] })).status, 418);
    assert.equal((await guest.call("/nowhere")).status, 404);
    assert.match(await guest.text("/stream-body"), /^(stream started \d+ millis ago\n){5}$/);
    await guest.instance.idle();
    assert.ok(guest.lines.includes("info stdout: serving /echo"));
    assert.equal(guest.instance.broken, undefined);
  });

  test("the example in Rust greets and counts", async () => {
    const hello = await loadComponent(new URL("../../../examples/rust-hello/hello.wasm", import.meta.url));
    using guest = openGuest(hello, { keyvalue: { visits: mapBucket(true) } });
    assert.equal(await guest.text("/"), "Hello from Rust!\n");
    assert.equal(await guest.text("/hello/ada"), '{"hello":"ada","visits":1}');
    assert.equal(await guest.text("/hello/ada?again"), '{"hello":"ada","visits":2}');
    assert.equal(await guest.text("/visits/ada"), '{"name":"ada","visits":2}');
    assert.equal(await guest.text('/visits/"b'), '{"name":"\\"b","visits":0}');
    assert.equal((await guest.call("/elsewhere")).status, 404);
    using unbound = openGuest(hello);
    assert.equal((await unbound.call("/hello/ada")).status, 503);
  });
});
