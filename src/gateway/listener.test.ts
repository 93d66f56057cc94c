import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, test } from "node:test";
import fc from "fast-check";
import { request } from "undici";
import { CytoError, type Reply } from "../kernel/index.ts";
import { canSharePorts, requireFreePort } from "./port.ts";
import { startTrial, textReply } from "./trial.ts";

const hello = async (): Promise<Reply> => textReply("hello");
const last = "Connection: close\r\n\r\n";

describe("the listener", () => {
  test("refuses what is not HTTP, or HTTP that two readers could read differently, with 400", async () => {
    await using trial = await startTrial(hello);
    const malformed: Record<string, string> = {
      "not HTTP": "what is this\r\n\r\n",
      "TLS to a plain port": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
      "no such version": "GET /hello HTTP/9.9\r\nHost: a\r\n\r\n",
      "both framings": `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      "two lengths": "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      "a length that is no number": "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5x\r\n\r\nhello",
      "a signed length": "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
      "another encoding": `POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n${last}0\r\n\r\n`,
      "chunked not last": "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
      "a folded field": `GET /hello HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n${last}`,
      "a space before the colon": `GET /hello HTTP/1.1\r\nHost: a\r\nX-A : b\r\n${last}`,
      "a nul in a field": `GET /hello HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n${last}`,
      "a bare carriage return": `GET /hello HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n${last}`,
      "no host": `GET /hello HTTP/1.1\r\n${last}`,
      "two hosts": `GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n${last}`,
      "a host that is none": `GET /hello HTTP/1.1\r\nHost: a/b@c\r\n${last}`,
      "an empty host": `GET /hello HTTP/1.1\r\nHost:\r\n${last}`,
      "a path that is none": `GET hello HTTP/1.1\r\nHost: a\r\n${last}`,
      "a path that cannot be decoded": `GET /%zz HTTP/1.1\r\nHost: a\r\n${last}`,
      "raw bytes in the target": `GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n${last}`,
      "a chunk size that is none": "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    for (const [what, bytes] of Object.entries(malformed)) {
      const answer = await trial.raw(Buffer.from(bytes, "latin1"));
      assert.match(answer, /^HTTP\/1.1 400 Bad Request\r\n/, what);
      assert.match(answer, /application\/problem\+json/i, what);
      assert.match(answer, /"code":"bad-request".*"requestId":"[\da-f]{32}"/, what);
      assert.equal(answer.match(/^HTTP\/1.1 /gm)!.length, 1, what);
      const access = await trial.access();
      assert.deepEqual([access.status, access.error], [400, "bad-request"], what);
    }
  });

  test("never falls over any bytes, and goes on serving", async () => {
    await using trial = await startTrial(hello);
    const token = fc.constantFrom(
      "GET ",
      "POST ",
      "/hello",
      " HTTP/1.1",
      "\r\n",
      "\r\n\r\n",
      "Host: a",
      "Content-Length: 3",
      "Transfer-Encoding: chunked",
      "3\r\nabc\r\n",
      "0\r\n\r\n",
      "Connection: close",
      "Expect: 100-continue",
      "\n",
      "\0",
      "a",
    );
    const bytes = fc
      .array(fc.oneof(token, fc.string({ maxLength: 4 })), { maxLength: 14 })
      .map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(bytes, async (sent) => {
        const client = await trial.socket();
        client.on("error", () => {});
        client.resume();
        client.end(sent);
        await once(client, "close");
      }),
      { numRuns: 150 },
    );
    assert.match(await trial.raw(`GET /hello HTTP/1.1\r\nHost: a\r\n${last}`), /hello$/);
  });

  test("answers what came before on the connection, then refuses the rest", async () => {
    const called = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<Reply>();
    await using trial = await startTrial(() => {
      called.resolve();
      return answered.promise;
    });
    const answer = trial.raw("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n");
    await called.promise;
    answered.resolve(textReply("first"));
    assert.match(await answer, /^HTTP\/1.1 200 .*firstHTTP\/1.1 400 .*"code":"bad-request"/s);
  });

  test("refuses a header above headerBytes with 431", async () => {
    await using trial = await startTrial(hello, undefined, { headerBytes: 2_048 });
    const answer = await trial.raw(`GET /hello HTTP/1.1\r\nHost: a\r\nX-Long: ${"x".repeat(2_048)}\r\n${last}`);
    assert.match(answer, /^HTTP\/1.1 431 .*2048 bytes.*"code":"header-too-large"/s);
    assert.equal((await trial.access()).status, 431);
    const many = Array.from({ length: 150 }, (_, i) => `x${i}: y\r\n`).join("");
    assert.match(await trial.raw(`GET /hello HTTP/1.1\r\nHost: a\r\n${many}${last}`), /^HTTP\/1.1 200 /);
  });

  test("closes a connection whose header comes too slowly with 408, however it trickles", async () => {
    await using trial = await startTrial(hello, undefined, { headerTimeoutMs: 150 });
    const client = await trial.socket();
    client.write("GET /hello HTTP/1.1\r\nHost: a\r\n");
    const drip = setInterval(() => client.writable && client.write("x: y\r\n"), 20);
    client.on("error", () => {});
    const chunks: Buffer[] = [];
    client.on("data", (chunk) => chunks.push(chunk as Buffer));
    await once(client, "close");
    clearInterval(drip);
    assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1.1 408 .*150 ms.*"code":"request-timeout"/s);
    assert.equal((await trial.access()).status, 408);
  });

  test("closes a connection that carries nothing after the idle time", async () => {
    await using trial = await startTrial(hello, undefined, { idleTimeoutMs: 50 });
    const client = await trial.socket();
    client.resume();
    await once(client, "close");
  });

  test("closes connections above its limit at once", async () => {
    await using trial = await startTrial(hello, undefined, { connections: 1 });
    const first = await trial.socket();
    const second = await trial.socket();
    second.on("error", () => {});
    second.resume();
    await once(second, "close");
    first.destroy();
  });

  test("is no proxy: CONNECT is refused, an upgrade is not made", async () => {
    await using trial = await startTrial(hello);
    assert.match(await trial.raw("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), /^HTTP\/1.1 405 /);
    const upgrade = `GET /hello HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: close, upgrade\r\n\r\n`;
    assert.match(await trial.raw(upgrade), /^HTTP\/1.1 200 .*hello$/s);
  });
});

describe("createGateway()", () => {
  const cannotListen = (state: RegExp) => (error: CytoError) =>
    error instanceof CytoError && error.code === "cannot-listen" && state.test(`${error.message} ${error.hint}`);

  test("says which port is in use and what to do", async () => {
    await using trial = await startTrial(hello);
    const port = Number(new URL(trial.url).port);
    await assert.rejects(
      startTrial(hello, undefined, { port }),
      cannotListen(new RegExp(`gateway on 127.0.0.1 port ${port}: another process.* 0 for any`)),
    );
  });

  test("shares a port with those that share it, and with nobody else", {
    skip: !canSharePorts(process.platform),
  }, async () => {
    await using first = await startTrial(hello, undefined, { reusePort: true });
    const port = Number(new URL(first.url).port);
    await using second = await startTrial(hello, undefined, { reusePort: true, port });
    const replies = await Promise.all(Array.from({ length: 40 }, () => request(`${first.url}/hello`, { reset: true })));
    for (const reply of replies) assert.equal(await reply.body.text(), "hello");
    assert.ok(first.observed.length > 0 && second.observed.length > 0);
    assert.equal(first.observed.length + second.observed.length, 40);
    const taken = cannotListen(new RegExp(`gateway on 127.0.0.1 port ${port}: another process`));
    await assert.rejects(startTrial(hello, undefined, { port }), taken);
    await assert.rejects(requireFreePort({ host: "127.0.0.1", port }), taken);
  });

  test("says when the machine has no such address", async () => {
    await assert.rejects(startTrial(hello, undefined, { host: "192.0.2.1" }), cannotListen(/no such address/));
  });
});
