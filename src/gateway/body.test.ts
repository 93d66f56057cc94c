import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import { request } from "undici";
import { type Body, type Call, type CytoError, type Service, trailersOf } from "../kernel/index.ts";
import type { Trial } from "./trial.ts";
import { routeTo, startTrial, textReply } from "./trial.ts";

async function bytesOf(body: Body | undefined): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0);
  return Buffer.concat(body instanceof Uint8Array ? [body] : await Array.fromAsync(body));
}

/** Says how a body came and answers with it. */
const echo: Service = async ({ body }) => ({
  status: 200,
  headers: [["x-came", body === undefined ? "absent" : body instanceof Uint8Array ? "whole" : "streamed"]],
  body: await bytesOf(body),
});

const routes = [routeTo("POST /echo", { bodyBytes: 256 * 1024 })];
const post = (trial: Trial, body: Buffer | AsyncIterable<Buffer> | null) =>
  request(`${trial.url}/echo`, { method: "POST", body: body as never });

describe("a request body", () => {
  test("comes whole when it is small, streamed when it is not or its length is unknown, absent when empty", async () => {
    await using trial = await startTrial(echo, routes);
    const small = Buffer.alloc(64 * 1024, "s");
    const large = Buffer.alloc(256 * 1024, "l");
    const parts = async function* () {
      yield Buffer.from("a");
      yield Buffer.from("b");
    };
    const cases: [Buffer | AsyncIterable<Buffer> | null, string, Buffer][] = [
      [null, "absent", Buffer.alloc(0)],
      [small, "whole", small],
      [large, "streamed", large],
      [parts(), "streamed", Buffer.from("ab")],
    ];
    for (const [sent, came, back] of cases) {
      const response = await post(trial, sent);
      assert.equal(response.headers["x-came"], came);
      assert.deepEqual(Buffer.from(await response.body.arrayBuffer()), back);
      const access = await trial.access();
      assert.deepEqual([access.bytesIn, access.bytesOut], [back.length, back.length]);
    }
  });

  test("that says it is too long is refused with 413 before a byte of it is read", async () => {
    let called = false;
    await using trial = await startTrial(async () => {
      called = true;
      return textReply("");
    }, routes);
    const head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 262145\r\nExpect: 100-continue\r\n\r\n";
    const client = await trial.socket();
    client.write(head);
    const [answer] = await once(client, "data");
    assert.match(String(answer), /^HTTP\/1.1 413 .*"code":"body-too-large".*262144 bytes/s);
    client.destroy();
    assert.equal(called, false);
  });

  test("that turns out too long is cut off with 413, whatever the service makes of it", async () => {
    let failure: unknown;
    await using trial = await startTrial(async ({ body }) => {
      try {
        await bytesOf(body);
      } catch (thrown) {
        failure = thrown;
      }
      return textReply("all is well");
    }, routes);
    const endless = async function* () {
      for (;;) yield Buffer.alloc(64 * 1024);
    };
    const response = await post(trial, endless()).catch((thrown) => thrown);
    // A client that is still sending may see the reply or the reset that follows it.
    if (!(response instanceof Error)) {
      assert.equal(response.statusCode, 413);
      await response.body.dump().catch(() => {});
    }
    const access = await trial.access();
    assert.deepEqual([access.status, access.error], [413, "body-too-large"]);
    assert.equal((failure as CytoError).code, "body-too-large");
  });

  test("of a client that asks first is asked for when the service reads it", async () => {
    await using trial = await startTrial(echo, routes);
    const head =
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    const client = await trial.socket();
    client.write(head);
    const [go] = await once(client, "data");
    assert.equal(String(go), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("2\r\nhi\r\n0\r\n\r\n");
    const rest = await Array.fromAsync(client as AsyncIterable<Buffer>);
    assert.match(Buffer.concat(rest).toString(), /^HTTP\/1.1 200 .*hi$/s);
  });

  test("that the service does not read leaves the reply and the connection whole", async () => {
    await using trial = await startTrial(async ({ body }) => {
      if (body !== undefined && !(body instanceof Uint8Array)) for await (const _ of body) break;
      return textReply("enough");
    }, routes);
    for (let i = 0; i < 2; i++) {
      const response = await post(trial, Buffer.alloc(256 * 1024));
      assert.equal(response.statusCode, 200);
      assert.equal(await response.body.text(), "enough");
    }
    const client = await trial.socket();
    client.write(`POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${"x".repeat(70_000)}`);
    const [first] = await once(client, "data");
    assert.match(String(first), /enough$/);
    client.write(
      `${"x".repeat(130_000)}POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    );
    const second = Buffer.concat(await Array.fromAsync(client as AsyncIterable<Buffer>)).toString();
    assert.match(second, /^HTTP\/1.1 200 .*enough$/s);
  });

  test("that stops half way aborts the call when the client leaves", async () => {
    const { promise: called, resolve: arrived } = Promise.withResolvers<Call>();
    await using trial = await startTrial(async (call) => {
      arrived(call);
      await bytesOf(call.body);
      return textReply("");
    }, routes);
    const client = await trial.socket();
    client.write("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
    const { signal } = await called;
    const aborted = once(signal, "abort");
    client.destroy();
    await aborted;
    assert.deepEqual([(await trial.access()).status, (signal.reason as CytoError).code], [400, "bad-request"]);
  });

  test("that stops moving is refused with 408 after the idle time", async () => {
    await using trial = await startTrial(echo, routes, { idleTimeoutMs: 100 });
    for (const framing of ["Content-Length: 5", "Transfer-Encoding: chunked"]) {
      const answer = await trial.raw(`POST /echo HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
      assert.match(answer, /^HTTP\/1.1 408 .*has not moved for 100 ms.*"code":"request-timeout"/s);
      assert.equal((await trial.access()).status, 408);
    }
  });

  test("is not the client's fault when it is the service that takes longer than the idle time", async () => {
    await using trial = await startTrial(
      async (call) => {
        await new Promise((resolve) => setTimeout(resolve, 200));
        return echo(call);
      },
      routes,
      { idleTimeoutMs: 50 },
    );
    const response = await post(trial, Buffer.alloc(256 * 1024, "x"));
    assert.equal(response.statusCode, 200);
    assert.equal((await response.body.arrayBuffer()).byteLength, 256 * 1024);
  });
});

describe("trailers", () => {
  const trailer = "Trailer: x-sum\r\n";
  const chunked = (extra: string, end: string): string =>
    `POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n${extra}\r\n2\r\nhi\r\n0\r\n${end}\r\n`;

  test("of a request reach the service as the end of its body, less what belongs before a body", async () => {
    let ended: IteratorReturnResult<unknown> | undefined;
    await using trial = await startTrial(async ({ body }) => {
      const steps = (body as AsyncIterable<Uint8Array, unknown>)[Symbol.asyncIterator]();
      for (let step = await steps.next(); ; step = await steps.next()) {
        if (!step.done) continue;
        ended = step;
        return textReply("");
      }
    }, routes);
    await trial.raw(chunked(trailer, "X-Sum: 1\r\nAuthorization: me\r\nTe: x\r\n"));
    assert.deepEqual(trailersOf(ended!), [["x-sum", "1"]]);
    await trial.raw(chunked("", ""));
    assert.equal(trailersOf(ended!), undefined);
  });

  async function* sums(...pairs: [string, string][]): AsyncGenerator<Uint8Array, unknown> {
    yield Buffer.from("body");
    return pairs;
  }

  test("of a reply follow its body where it is sent in chunks", async () => {
    await using trial = await startTrial(
      async () => ({ status: 200, headers: [["trailer", "x-sum"]], body: sums(["x-sum", "1"], ["connection", "x"]) }),
      routes,
    );
    const answer = await trial.raw(chunked("", ""));
    assert.match(answer, /\r\ntrailer: x-sum\r\n/);
    assert.ok(answer.endsWith("\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n"), answer);
  });

  test("of a reply end at the gateway where its length was said, or the client speaks HTTP/1.0", async () => {
    const headers = [["trailer", "x-sum"]] as [string, string][];
    await using trial = await startTrial(
      async ({ url }) => ({
        status: 200,
        headers: url.endsWith("?length") ? [...headers, ["content-length", "4"]] : headers,
        body: sums(["x-sum", "1"]),
      }),
      routes,
    );
    const said = await trial.raw("POST /echo?length HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.ok(said.endsWith("\r\n\r\nbody"), said);
    const old = await trial.raw("POST /echo HTTP/1.0\r\nHost: a\r\n\r\n");
    assert.ok(old.endsWith("\r\n\r\nbody"), old);
    assert.doesNotMatch(said + old, /x-sum/);
  });

  test("that are no fields break the reply off", async () => {
    await using trial = await startTrial(
      async () => ({ status: 200, headers: [], body: sums(["x-sum", "1\r\nx: 2"]) }),
      routes,
    );
    assert.doesNotMatch(await trial.raw(chunked("", "")), /x: 2|\r\n0\r\n/);
    assert.equal((await trial.access()).error, "invalid-reply");
  });
});
