import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, test } from "node:test";
import { Client, request } from "undici";
import type { Call, Reply, Service } from "../kernel/index.ts";
import { routeTo, startTrial, type Trial, textReply } from "./trial.ts";

/** A service that answers when it is told to. */
function gated(): { service: Service; called: Promise<Call>; answer(reply: Reply): void } {
  const called = Promise.withResolvers<Call>();
  const answered = Promise.withResolvers<Reply>();
  const service: Service = (call) => {
    called.resolve(call);
    return answered.promise;
  };
  return { service, called: called.promise, answer: answered.resolve };
}

/** All that comes until the connection closes. */
async function collect(client: Socket): Promise<string> {
  return Buffer.concat(await Array.fromAsync(client as AsyncIterable<Buffer>)).toString();
}

async function refusesConnections(trial: Trial): Promise<void> {
  const { port, hostname } = new URL(trial.url);
  const [error] = await once(connect(Number(port), hostname), "error");
  assert.equal((error as NodeJS.ErrnoException).code, "ECONNREFUSED");
}

describe("close()", () => {
  test("lets requests in flight finish, tells them to close, and turns others away", async () => {
    const { service, called, answer } = gated();
    await using trial = await startTrial(service);
    const inFlight = await trial.socket();
    inFlight.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    await called;
    const closing = trial.gateway.close();
    await refusesConnections(trial);
    answer(textReply("in time"));
    assert.match(await collect(inFlight), /^HTTP\/1.1 200 .*connection: close\r\n.*in time$/s);
    await closing;
  });

  test("ends connections that carry nothing: fresh ones and those kept alive", async () => {
    await using trial = await startTrial(async () => textReply("hello"));
    const fresh = await trial.socket();
    const kept = await trial.socket();
    kept.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(kept, "data");
    await trial.access();
    const gone = Promise.all([once(fresh.resume(), "close"), once(kept.resume(), "close")]);
    await trial.gateway.close();
    await gone;
  });

  test("ends a connection after a reply that had begun before", async () => {
    const { promise, resolve: finish } = Promise.withResolvers<void>();
    await using trial = await startTrial(async () => ({
      status: 200,
      headers: [],
      body: (async function* () {
        yield Buffer.from("begun ");
        await promise;
        yield Buffer.from("ended");
      })(),
    }));
    const client = new Client(trial.url);
    const { body } = await client.request({ method: "GET", path: "/hello" });
    const closing = trial.gateway.close();
    finish();
    assert.equal(await body.text(), "begun ended");
    await closing;
    await client.close();
  });

  test("cuts off what has not finished by drainTimeoutMs", async () => {
    const { service, called } = gated();
    await using trial = await startTrial(service, undefined, { drainTimeoutMs: 50 });
    const client = await trial.socket();
    client.on("error", () => {});
    client.resume();
    client.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    const { signal } = await called;
    await Promise.all([trial.gateway.close(), once(client, "close"), once(signal, "abort")]);
    assert.equal((await trial.access()).error, "cancelled");
  });

  test("is done once however often it is asked for", async () => {
    await using trial = await startTrial(async () => textReply(""));
    const first = trial.gateway.close();
    assert.equal(trial.gateway.close(), first);
    await first;
  });
});

describe("replace()", () => {
  test("is seen by the next request on the same connection; one in flight ends with the old routes", async () => {
    const { service, called, answer } = gated();
    await using trial = await startTrial(service);
    const old = request(`${trial.url}/hello`);
    await called;
    trial.gateway.replace([routeTo("GET /new")], async () => textReply("new"));
    assert.equal(await (await request(`${trial.url}/new`)).body.text(), "new");
    assert.equal((await request(`${trial.url}/hello`)).statusCode, 404);
    answer(textReply("old"));
    assert.equal(await (await old).body.text(), "old");
  });

  test("drops nothing under load", async () => {
    const version =
      (text: string): Service =>
      async () =>
        textReply(text);
    await using trial = await startTrial(version("0"));
    const client = new Client(trial.url, { pipelining: 4 });
    const answers: string[] = [];
    const load = Array.from({ length: 4 }, async () => {
      for (let i = 0; i < 100; i++) {
        const { statusCode, body } = await client.request({ method: "GET", path: "/hello" });
        assert.equal(statusCode, 200);
        answers.push(await body.text());
        if (i % 10 === 0) trial.gateway.replace([routeTo("GET /hello")], version(String(i)));
      }
    });
    await Promise.all(load);
    assert.equal(answers.length, 400);
    assert.equal(answers.at(-1), "90");
    await client.close();
  });

  test("refuses routes that conflict and keeps the old ones", async () => {
    await using trial = await startTrial(async () => textReply("kept"));
    const routes = [routeTo("GET /a/{x}"), routeTo("GET /a/{y}")];
    assert.throws(() => trial.gateway.replace(routes, async () => textReply("never")), { code: "invalid-manifest" });
    assert.equal(await (await request(`${trial.url}/hello`)).body.text(), "kept");
  });
});
