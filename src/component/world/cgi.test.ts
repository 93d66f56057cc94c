import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { gather, grantsOf, loadComponent, toCall } from "../../../test/guests/open.ts";
import type { Call, CytoError } from "../../kernel/index.ts";
import type { Component } from "../contract.ts";
import { openCgiInstance } from "./cgi.ts";

describe("a command as CGI", () => {
  let component: Component;
  before(async () => {
    component = await loadComponent(new URL("../../../test/guests/cgi.wasm", import.meta.url));
  });

  function open(environment: readonly (readonly [string, string])[] = []) {
    const lines: string[] = [];
    const instance = openCgiInstance(component, grantsOf(lines, { environment, args: ["cgi"] }));
    const call = (target: string, options: Partial<Call> = {}) => instance.handle(toCall(target, options));
    return { lines, instance, call };
  }

  /** The instance tells when a call has left it. */
  const left = (instance: ReturnType<typeof openCgiInstance>) =>
    new Promise<void>((resolve) => {
      instance.onFinish = resolve;
    });

  test("tells it of the request by its environment", async () => {
    const { call } = open([["GREETING", "hello"]]);
    const headers = [
      ["content-type", "text/css"],
      ["x-sample", "one"],
      ["x-sample", "two"],
      ["x_sample", "three"],
      ["greeting", "mine"],
      ["cookie", "a=1"],
      ["cookie", "b=2"],
      ["proxy", "http://evil.test"],
    ] as const;
    const {
      status,
      headers: answered,
      body,
    } = await call("/any?q=%20x&y", { method: "PUT", headers, body: Buffer.from("four") });
    assert.equal(status, 200);
    assert.deepEqual(answered, [["content-type", "text/plain"]]);
    assert.deepEqual(
      String(await gather(body))
        .trim()
        .split("\n"),
      [
        "REQUEST_METHOD=PUT",
        "QUERY_STRING=q=%20x&y",
        "CONTENT_LENGTH=4",
        "CONTENT_TYPE=text/css",
        "SERVER_NAME=guest.test",
        "SERVER_PORT=80",
        "HTTP_X_SAMPLE=one, two",
        "HTTP_COOKIE=a=1; b=2",
        "HTTP_PROXY=-",
        "GREETING=hello",
      ],
    );
  });

  test("lets no client set a variable that was declared", async () => {
    const { call } = open([["HTTP_X_SAMPLE", "declared"]]);
    const { body } = await call("/", { headers: [["x-sample", "mine"]] });
    assert.match(String(await gather(body)), /^HTTP_X_SAMPLE=declared$/m);
  });

  test("is a fresh run for each request, one at a time", async () => {
    const { call, instance } = open();
    assert.equal((await call("/")).status, 200);
    assert.equal((await call("/missing")).status, 404);
    const hanging = new AbortController();
    const waiting = call("/hangs", { signal: hanging.signal });
    assert.equal(instance.active, 1);
    await assert.rejects(call("/"), (error: CytoError) => error.code === "overloaded");
    hanging.abort();
    await assert.rejects(waiting, (error: CytoError) => error.code === "cancelled");
    await instance.idle();
    assert.equal((await call("/")).status, 200, "the one before left nothing behind");
  });

  test("passes bodies both ways, streamed where they are large", async () => {
    const { call } = open();
    const whole = await call("/echo", { method: "POST", body: Buffer.from("ping") });
    assert.deepEqual([String(whole.body), whole.headers[0]![1]], ["ping", "application/octet-stream"]);
    async function* pieces() {
      for (let piece = 0; piece < 30; piece++) yield Buffer.alloc(10_000, String(piece % 10));
    }
    const streamed = await call("/echo", { method: "POST", body: pieces() });
    const echoed = await gather(streamed.body);
    assert.equal(echoed.length, 300_000);
    assert.equal(echoed[299_999], "9".charCodeAt(0));
    const large = String(await gather((await call("/large")).body));
    assert.ok(large.startsWith("line 0\n") && large.endsWith("line 99999\n"));
  });

  test("ends one whose reader has gone", async () => {
    const { call, instance } = open();
    const { body } = await call("/endless");
    const finished = left(instance);
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      assert.equal(String(chunk.subarray(0, 4)), "more");
      break;
    }
    await finished;
    assert.equal(instance.active, 0);
  });

  test("makes a redirect of a location", async () => {
    const { call } = open();
    const { status, headers, body } = await call("/elsewhere");
    assert.deepEqual(
      { status, headers, body },
      { status: 302, headers: [["location", "https://example.com/"]], body: undefined },
    );
  });

  const wrong: readonly (readonly [target: string, code: string, message: RegExp])[] = [
    ["/silent", "invalid-reply", /ended before its header was whole/],
    ["/chatter", "invalid-reply", /"hello, this is no header" is no header field/],
    ["/fails", "service-failed", /ended with 3/],
  ];
  for (const [target, code, message] of wrong) {
    test(`${target} is ${code}`, async () => {
      const { call, lines } = open();
      await assert.rejects(call(target), (error: CytoError) => error.code === code && message.test(error.message));
      if (target === "/fails") assert.deepEqual(lines, ["error stderr: cannot go on"]);
    });
  }

  test("breaks a body whose command fails in the middle", async () => {
    const { call } = open();
    await assert.rejects(
      async () => gather((await call("/breaks")).body),
      (error: CytoError) => error.code === "service-failed",
    );
  });

  test("is refused once it is disposed, and what was under way ends", async () => {
    const { call, instance } = open();
    const waiting = call("/hangs");
    instance[Symbol.dispose]();
    await assert.rejects(waiting, (error: CytoError) => error.code === "draining");
    await assert.rejects(call("/"), (error: CytoError) => error.code === "draining");
  });
});
