import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, createServer as createRawServer, type Socket } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { tlsAuthority, tlsKey } from "../../../test/servers/tls.ts";
import {
  type Body,
  type Call,
  CytoError,
  type Headers,
  header,
  type Reply,
  systemClock,
  trailersOf,
} from "../../kernel/index.ts";
import type { OutgoingRequest } from "../request.ts";
import { createOutgoing, type OutgoingOptions } from "./outgoing.ts";

describe("outgoing", () => {
  test("sends a request whole, and answers the reply whole", async (t) => {
    const { host, url } = await serve(t, async (request, response) => {
      const body = await gather(request);
      response.writeHead(
        201,
        [
          ["x-a", "1"],
          ["x-a", "2"],
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"],
        ].flat(),
      );
      response.end(
        `${request.method} ${request.url} ${request.headers["content-length"]} ${request.headers["x-b"]} ${body}`,
      );
    });
    await using outgoing = create([host]);
    const reply = await outgoing.fetch(
      ask(`${url}/p?q=1`, { method: "POST", headers: [["X-B", "b"]], body: text("hi") }),
      undefined,
    );
    assert.equal(reply.status, 201);
    assert.deepEqual(
      reply.headers.filter(([name]) => name === "x-a" || name === "set-cookie"),
      [
        ["x-a", "1"],
        ["x-a", "2"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
      ],
    );
    assert.equal(await gather(reply.body), "POST /p?q=1 2 b hi");
  });

  test("refuses a host that the manifest does not list, before anything is sent", async (t) => {
    let requests = 0;
    const { host, url } = await serve(t, (_request, response) => {
      requests += 1;
      response.end();
    });
    await using outgoing = create(["api.example.com"]);
    await assert.rejects(outgoing.fetch(ask(url), undefined), {
      code: "not-permitted",
      message: `Cannot call ${host}: it is not in the egress of service shop`,
      hint: `Add "${host}" to services.shop.egress in the manifest.`,
    });
    assert.equal(requests, 0);
  });

  test("refuses URLs and methods that leave the rails, without showing credentials", async () => {
    await using outgoing = create(["example.com"]);
    const cases: [OutgoingRequest, RegExp][] = [
      [ask("/path"), /its URL is not absolute/],
      [ask("ftp://example.com/"), /scheme "ftp:"/],
      [ask("https://user:hunter2@example.com/"), /example\.com holds credentials/],
      [ask("https://example.com/", { method: "CONNECT" }), /its method is "CONNECT"/],
      [ask("https://example.com/", { method: "GET / HTTP/1.1\r\nx: y" }), /its method is/],
      [ask("https://example.com/", { headers: [["a b", "c"]] }), /invalid .*header/i],
      [ask("https://example.com/", { headers: [["a", "b\r\nc: d"]] }), /invalid a header|invalid .*header/i],
    ];
    for (const [request, message] of cases) {
      await assert.rejects(outgoing.fetch(request, undefined), (error: CytoError) => {
        assert.equal(error.code, "bad-request");
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      });
    }
  });

  test("passes on the trailers of a reply as the end of its body", async (t) => {
    const { host, url } = await serve(t, (_request, response) => {
      response.writeHead(200, { trailer: "x-sum" });
      response.write("body");
      response.addTrailers([
        ["X-Sum", "1"],
        ["X-Sum", "2"],
        ["Connection", "x-hop"],
      ]);
      response.end();
    });
    await using outgoing = create([host]);
    const { body } = await outgoing.fetch(ask(url), undefined);
    assert.deepEqual(await endOf(body), [
      ["x-sum", "1"],
      ["x-sum", "2"],
    ]);
  });

  test("sends announced trailers after a body in chunks", async (t) => {
    const { host, url } = await serve(t, async (request, response) => {
      const body = await gather(request);
      response.writeHead(200, {
        "x-seen": `${request.headers["transfer-encoding"]} ${request.headers["content-length"]}`,
      });
      response.end(`${body} ${JSON.stringify(request.rawTrailers)}`);
    });
    await using outgoing = create([host]);
    async function* parts(): AsyncGenerator<Uint8Array, unknown> {
      yield Buffer.from("a");
      yield Buffer.alloc(100_000, "b");
      return [
        ["x-sum", "1"],
        ["connection", "close"],
      ];
    }
    const headers: Headers = [
      ["trailer", "x-sum"],
      ["content-length", "100001"],
    ];
    for (let count = 0; count < 2; count++) {
      const reply = await outgoing.fetch(ask(url, { method: "POST", headers, body: parts() }), undefined);
      assert.equal(header(reply.headers, "x-seen"), "chunked undefined");
      assert.equal(await gather(reply.body), `a${"b".repeat(100_000)} ["x-sum","1"]`);
    }
  });

  test("bounds the wait for a connection by what the request says, and nothing after it", async (t) => {
    const { host, url } = await serve(t, (_request, response) => void setTimeout(() => response.end("late"), 80));
    await using outgoing = create([host]);
    const patient = await outgoing.fetch(ask(url, { connectTimeoutMs: 50 }), undefined);
    assert.equal(await gather(patient.body), "late");
    async function* trailed(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("a");
    }
    const announcing = { method: "POST", headers: [["trailer", "x-sum"]] as Headers, connectTimeoutMs: 50 };
    const again = await outgoing.fetch(ask(url, { ...announcing, body: trailed() }), undefined);
    assert.equal(await gather(again.body), "late");
    await using full = createOutgoing({ service: "shop", allow: [host], clock: systemClock, connections: 1 });
    const holding = full.fetch(ask(url), undefined);
    await assert.rejects(full.fetch(ask(url, { connectTimeoutMs: 5 }), undefined), (error: CytoError) => {
      assert.equal(error.code, "upstream-failed");
      assert.match(error.message, /no connection to it in the time/);
      return true;
    });
    await gather((await holding).body);
  });

  test("breaks off a request whose body fails before its announced trailers", async (t) => {
    const arrived = Promise.withResolvers<void>();
    const broken = Promise.withResolvers<void>();
    const { host, url } = await serve(t, (request) => {
      request.on("data", () => arrived.resolve()).on("error", () => broken.resolve());
    });
    await using outgoing = create([host]);
    async function* parts(): AsyncGenerator<Uint8Array, unknown> {
      yield Buffer.from("a");
      await arrived.promise;
      throw new CytoError("cancelled", "no more");
    }
    const request = ask(url, { method: "POST", headers: [["trailer", "x-sum"]], body: parts() });
    await assert.rejects(outgoing.fetch(request, undefined), { code: "cancelled", message: "no more" });
    await broken.promise;
    await assert.rejects(
      outgoing.fetch(ask(url, { method: "POST", headers: [["trailer", "a\nb"]], body: parts() }), undefined),
      { code: "upstream-failed" },
    );
  });

  test("does not follow a redirect, wherever it leads", async (t) => {
    const { host, url } = await serve(t, (_request, response) => {
      response.writeHead(302, { location: "http://169.254.169.254/" }).end();
    });
    await using outgoing = create([host]);
    const reply = await outgoing.fetch(ask(url), undefined);
    assert.equal(reply.status, 302);
    assert.equal(header(reply.headers, "location"), "http://169.254.169.254/");
    await gather(reply.body);
  });

  test("keeps fields of one connection from going on, both ways", async (t) => {
    const { host, url } = await serve(t, (request, response) => {
      response.writeHead(200, { connection: "keep-alive, x-hop", "x-hop": "1", "x-end": "1" });
      response.end(JSON.stringify(request.headers));
    });
    await using outgoing = create([host]);
    const headers: Headers = [
      ["connection", "x-secret"],
      ["x-secret", "1"],
      ["host", "evil.test"],
      ["transfer-encoding", "gzip"],
      ["proxy-authorization", "x"],
      ["te", "trailers"],
      ["expect", "100-continue"],
      ["content-length", "999"],
      ["accept", "text/plain"],
    ];
    const reply = await outgoing.fetch(ask(url, { headers }), undefined);
    assert.deepEqual(
      reply.headers.map(([name]) => name).filter((name) => name.startsWith("x-") || name === "connection"),
      ["x-end"],
    );
    const seen = JSON.parse(await gather(reply.body));
    assert.deepEqual(Object.keys(seen).sort(), ["accept", "connection", "host"]);
    assert.equal(seen.host, host);
  });

  test("passes on the request id and the trace of its cause", async (t) => {
    const { host, url } = await serve(t, (request, response) => void response.end(JSON.stringify(request.headers)));
    await using outgoing = create([host]);
    const parent = call({
      headers: [
        ["traceparent", "00-aa-bb-01"],
        ["tracestate", "v=1"],
      ],
    });
    const headers: Headers = [
      ["traceparent", "forged"],
      ["X-Request-Id", "forged"],
    ];
    const seen = JSON.parse(await gather((await outgoing.fetch(ask(url, { headers }), parent)).body));
    assert.deepEqual([seen["x-request-id"], seen.traceparent, seen.tracestate], ["id-1", "00-aa-bb-01", "v=1"]);
    const untraced = JSON.parse(await gather((await outgoing.fetch(ask(url, { headers }), call({}))).body));
    assert.deepEqual([untraced["x-request-id"], untraced.traceparent], ["id-1", "forged"]);
  });

  test("has no body for HEAD, 204 and 304, and keeps no connection busy with it", async (t) => {
    const { host, url } = await serve(t, (request, response) => {
      response.writeHead(Number(request.url?.slice(1)), { "x-a": "1" }).end();
    });
    await using outgoing = create([host], { connections: 1 });
    for (const [method, status] of [
      ["HEAD", 200],
      ["GET", 204],
      ["GET", 304],
    ] as const) {
      const reply = await outgoing.fetch(ask(`${url}/${status}`, { method }), undefined);
      assert.deepEqual([reply.status, reply.body], [status, undefined]);
    }
  });

  test("streams a reply at the reader's pace, and stops the sender when the reader goes", async (t) => {
    let sent = 0;
    const closed = Promise.withResolvers<void>();
    const { host, url } = await serve(t, (_request, response) => {
      response.on("close", () => closed.resolve());
      const chunk = Buffer.alloc(64 * 1024);
      const more = () => {
        while (!response.destroyed && response.write(chunk)) sent += chunk.length;
      };
      response.on("drain", more);
      more();
    });
    await using outgoing = create([host]);
    const iterator = iteratorOf(await outgoing.fetch(ask(url), undefined));
    await iterator.next();
    let before = -1;
    while (sent > before) {
      before = sent;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were taken in without a reader`);
    await iterator.return?.();
    await closed.promise;
  });

  test("gives up the connection when a reply is abandoned before its first chunk", async (t) => {
    const closed = Promise.withResolvers<void>();
    const { host, url } = await serve(t, (_request, response) => {
      response.on("close", () => closed.resolve());
      response.write("x");
    });
    await using outgoing = create([host]);
    await iteratorOf(await outgoing.fetch(ask(url), undefined)).return?.();
    await closed.promise;
  });

  test("streams a request at the host's pace, and stops the producer when the reply has ended", async (t) => {
    const { host, url } = await serve(t, (request, response) => {
      request.once("data", () => response.writeHead(413).end("enough"));
      request.on("data", () => request.pause());
    });
    await using outgoing = create([host]);
    let produced = 0;
    const stopped = Promise.withResolvers<void>();
    const body = endless(() => (produced += 64 * 1024), stopped.resolve);
    const reply = await outgoing.fetch(ask(url, { method: "POST", body }), undefined);
    assert.equal(reply.status, 413);
    await gather(reply.body).catch((error: CytoError) => assert.equal(error.code, "upstream-failed"));
    await stopped.promise;
    assert.ok(produced < 64 * 1024 * 1024, `${produced} bytes were produced for nobody`);
  });

  test("stops a producer that is waiting, and the request, when the guest gives up", async (t) => {
    const arrived = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    const { host, url } = await serve(t, (request) => {
      request.on("data", () => arrived.resolve());
      request.on("error", () => aborted.resolve());
    });
    await using outgoing = create([host]);
    const stopped = Promise.withResolvers<void>();
    let pulled = 0;
    const body: Body = {
      [Symbol.asyncIterator]: () => ({
        next: () => (pulled++ === 0 ? Promise.resolve({ done: false, value: text("x") }) : new Promise(() => {})),
        return: async () => {
          stopped.resolve();
          return { done: true, value: undefined };
        },
      }),
    };
    const abort = new AbortController();
    const reply = outgoing.fetch(ask(url, { method: "POST", body, signal: abort.signal }), undefined);
    const refused = assert.rejects(reply, { code: "cancelled", message: /nobody waits for it/ });
    await arrived.promise;
    abort.abort();
    await refused;
    await stopped.promise;
    await aborted.promise;
  });

  test("holds to the deadline of its cause: before the reply, and in its body", async (t) => {
    const { host, url } = await serve(t, (request, response) => {
      if (request.url === "/body") response.write("begin");
    });
    await using outgoing = create([host]);
    const late = { code: "deadline-exceeded", message: new RegExp(`Cannot get a reply from ${host}`) };
    await assert.rejects(outgoing.fetch(ask(url), call({ deadlineMs: Date.now() + 40 })), late);
    await assert.rejects(outgoing.fetch(ask(url), call({ deadlineMs: Date.now() - 1 })), late);
    const reply = await outgoing.fetch(ask(`${url}/body`), call({ deadlineMs: Date.now() + 100 }));
    await assert.rejects(gather(reply.body), late);
  });

  test("uses timeoutMs where no call is the cause", async (t) => {
    const { host, url } = await serve(t, () => {});
    await using outgoing = create([host], { limits: { timeoutMs: 30 } });
    await assert.rejects(outgoing.fetch(ask(url), undefined), { code: "deadline-exceeded" });
  });

  test("is over when the caller of its cause goes, with the reason that was given", async (t) => {
    const { host, url } = await serve(t, () => {});
    await using outgoing = create([host]);
    const abort = new AbortController();
    const reply = outgoing.fetch(ask(url), call({ signal: abort.signal }));
    const refused = assert.rejects(reply, { code: "draining", message: "Cannot go on: x" });
    abort.abort(new CytoError("draining", "Cannot go on: x"));
    await refused;
    await assert.rejects(outgoing.fetch(ask(url), call({ signal: AbortSignal.abort() })), { code: "cancelled" });
  });

  test("names the host that is down, unknown, garbled or gone", async (t) => {
    const garbage = await serveRaw(t, (socket) => void socket.end("hello there, this is no HTTP\r\n\r\n"));
    const reset = await serveRaw(t, (socket) => void socket.once("data", () => socket.resetAndDestroy()));
    const short = await serveRaw(t, (socket) => void socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"));
    const wide = await serveRaw(t, (socket) => void socket.end(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(40_000)}\r\n\r\n`));
    const down = await serveRaw(t, () => {});
    await down.close();
    const cases: [string, RegExp][] = [
      [garbage.host, /its reply is not HTTP/],
      [reset.host, /the connection broke off/],
      [short.host, /the connection broke off|another length/],
      [wide.host, /larger than headerBytes/],
      [down.host, /it refuses connections/],
      ["nowhere.invalid", /its name (is not known|cannot be looked up)/],
    ];
    await using outgoing = create(cases.map(([host]) => host));
    for (const [host, message] of cases) {
      const whole = async () => gather((await outgoing.fetch(ask(`http://${host}/`), undefined)).body);
      await assert.rejects(whole, (error: CytoError) => {
        assert.equal(error.code, "upstream-failed", error.message);
        assert.ok(error.message.startsWith(`Cannot call ${host}: `), error.message);
        assert.match(error.message, message);
        return true;
      });
    }
  });

  test("breaks off a reply that is longer than replyBytes", async (t) => {
    const { host, url } = await serve(t, (_request, response) => void response.end(Buffer.alloc(2000)));
    await using outgoing = create([host], { replyBytes: 1000 });
    const whole = async () => gather((await outgoing.fetch(ask(url), undefined)).body);
    await assert.rejects(whole, { code: "upstream-failed", message: /larger than what is taken/ });
  });

  test("speaks TLS, and only with who proves to be the host", async (t) => {
    const server = createSecureServer(
      { key: await readFile(tlsKey), cert: await readFile(tlsAuthority) },
      (_, response) => void response.end("secure"),
    );
    const { host } = await listen(t, server);
    await using trusting = create([`https://${host}`], { ca: await readFile(tlsAuthority, "utf8") });
    assert.equal(await gather((await trusting.fetch(ask(`https://${host}/`), undefined)).body), "secure");
    await using outgoing = create([`https://${host}`]);
    await assert.rejects(outgoing.fetch(ask(`https://${host}/`), undefined), {
      code: "upstream-failed",
      message: /certificate/,
    });
    await assert.rejects(outgoing.fetch(ask(`http://${host}/`), undefined), { code: "not-permitted" });
  });

  test("opens no more than its connections, and closes them when disposed", async (t) => {
    const waiting: (() => void)[] = [];
    const { host, url, server } = await serve(t, (_request, response) => void waiting.push(() => response.end("x")));
    let open = 0;
    let most = 0;
    const closed: Promise<unknown>[] = [];
    server.on("connection", (socket) => {
      most = Math.max(most, ++open);
      closed.push(once(socket, "close").then(() => open--));
    });
    const outgoing = create([host], { connections: 2 });
    const replies = Array.from({ length: 6 }, async () => gather((await outgoing.fetch(ask(url), undefined)).body));
    let answered = 0;
    while (answered < 6) {
      for (const answer of waiting.splice(0)) {
        answer();
        answered += 1;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await Promise.all(replies), Array(6).fill("x"));
    assert.equal(most, 2);
    await outgoing[Symbol.asyncDispose]();
    await Promise.all(closed);
    await assert.rejects(outgoing.fetch(ask(url), undefined), { code: "upstream-failed", message: /shutting down/ });
  });

  test("refuses more origins than it may have at a time", async (t) => {
    const slow = await serve(t, () => {});
    const other = await serve(t, (_request, response) => void response.end());
    await using outgoing = create([slow.host, other.host], { origins: 1 });
    const abort = new AbortController();
    const first = outgoing.fetch(ask(slow.url, { signal: abort.signal }), undefined);
    await assert.rejects(outgoing.fetch(ask(other.url), undefined), {
      code: "overloaded",
      message: new RegExp(other.host),
    });
    abort.abort();
    await assert.rejects(first, { code: "cancelled" });
  });
});

function create(allow: readonly string[], options: Partial<OutgoingOptions> = {}) {
  return createOutgoing({ service: "shop", allow, clock: systemClock, ...options });
}

function ask(url: string, request: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return { method: "GET", url, headers: [], signal: new AbortController().signal, ...request };
}

function call(parent: Partial<Call>): Call {
  const { signal } = new AbortController();
  const deadlineMs = Date.now() + 60_000;
  return {
    id: "id-1",
    service: "shop",
    method: "GET",
    url: "http://shop/",
    headers: [],
    deadlineMs,
    hops: 0,
    signal,
    ...parent,
  };
}

async function serve(t: TestContext, listener: RequestListener) {
  const server = createServer(listener);
  return { ...(await listen(t, server)), server };
}

async function listen(t: TestContext, server: Server) {
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { host, url: `http://${host}` };
}

async function serveRaw(t: TestContext, listener: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createRawServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    listener(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  t.after(close);
  return { host, close };
}

async function* endless(produced: () => void, stopped: () => void): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      produced();
      yield new Uint8Array(64 * 1024);
    }
  } finally {
    stopped();
  }
}

async function gather(body: Body | IncomingMessage | undefined): Promise<string> {
  const chunks: Uint8Array[] = [];
  if (body instanceof Uint8Array) chunks.push(body);
  else if (body !== undefined) for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function iteratorOf(reply: Reply): AsyncIterator<Uint8Array> {
  assert.ok(reply.body !== undefined && !(reply.body instanceof Uint8Array));
  return reply.body[Symbol.asyncIterator]();
}

function text(value: string): Uint8Array {
  return Buffer.from(value);
}

/** The trailers with which a body ends. */
async function endOf(body: Body | undefined): Promise<Headers | undefined> {
  const steps = (body as AsyncIterable<Uint8Array, unknown>)[Symbol.asyncIterator]();
  for (let step = await steps.next(); ; step = await steps.next()) if (step.done) return trailersOf(step);
}
