import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Body, CytoError } from "../../../../kernel/index.ts";
import type { StreamSource } from "../../../contract.ts";
import { createStreamPipe, futureOf } from "../../../stream-pipe.ts";
import { type Consumed, MadeContents, type Outcome, ReceivedContents, type Trailers } from "./contents.ts";
import { Fields } from "./fields.ts";
import { Request, RequestOptions, Response } from "./message.ts";

const ok: Outcome = { tag: "ok", val: undefined };
const head = { declared: undefined, mayBeEmpty: false, announces: false };
const none: Trailers = { tag: "ok", val: undefined };

async function read([stream, trailers]: Consumed): Promise<[string, unknown]> {
  const source = stream as StreamSource<Uint8Array>;
  const chunks: Uint8Array[] = [];
  for (let chunk = await source.pull(); chunk !== undefined; chunk = await source.pull()) chunks.push(chunk);
  const last = (await trailers) as Trailers;
  return [String(Buffer.concat(chunks)), last.tag === "ok" ? last.val?.copyAll() : last.val];
}

describe("ReceivedContents", () => {
  async function* body(): AsyncGenerator<Uint8Array, unknown> {
    yield Buffer.from("a");
    yield Buffer.from("b");
    return [
      ["x-sum", "1"],
      ["connection", "x"],
    ];
  }

  test("gives a guest the body, then its trailers without those of the connection", async () => {
    for (const [given, expected] of [
      [undefined, ["", undefined]],
      [Buffer.from("whole"), ["whole", undefined]],
      [body(), ["ab", [["x-sum", Buffer.from("1")]]]],
    ] as const)
      assert.deepEqual(await read(new ReceivedContents(given).consume(futureOf(ok))), expected);
  });

  test("passes on a body that no guest consumes, untouched", () => {
    const given = body();
    assert.equal(new ReceivedContents(given).transmit(), given);
  });

  /** One that never comes to an end; `left` settles when its reader has gone. */
  function endless(): { readonly body: Body; readonly left: Promise<void> } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const body: Body = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<IteratorResult<Uint8Array>>(() => {}),
        return: async () => {
          resolve();
          return { done: true, value: undefined };
        },
      }),
    };
    return { body, left: promise };
  }

  test("ends for a guest when it is broken from outside, before and while it is read", async () => {
    const reason = new CytoError("cancelled", "gone");
    const early = new ReceivedContents(endless().body);
    early.fail(reason);
    assert.deepEqual(await read(early.consume(futureOf(ok))), ["", { tag: "connection-terminated" }]);

    const { body, left } = endless();
    const late = new ReceivedContents(body);
    const reading = read(late.consume(futureOf(ok)));
    late.fail(reason);
    assert.deepEqual(await reading, ["", { tag: "connection-terminated" }]);
    await left;
  });

  test("is read no further once its guest has dropped it, or has said that handling it failed", async () => {
    const dropped = endless();
    const [stream, trailers] = new ReceivedContents(dropped.body).consume(futureOf(ok));
    void (stream as StreamSource).pull();
    (stream as StreamSource).cancel();
    await dropped.left;
    assert.deepEqual(await trailers, none);

    const failed = endless();
    const handled = Promise.withResolvers<Outcome>();
    const [unread] = new ReceivedContents(failed.body).consume(futureOf<Outcome>(handled.promise));
    void (unread as StreamSource).pull();
    handled.resolve({ tag: "err", val: { tag: "loop-detected" } });
    await failed.left;
  });
});

describe("MadeContents", () => {
  function made(subject: "request" | "response") {
    const pipe = createStreamPipe<Uint8Array>();
    const trailers = futureOf<Trailers>(none);
    return { pipe, trailers, contents: new MadeContents(subject, pipe.reader, trailers) };
  }

  test("of a response are sent with the last byte, of a request only when that was answered", async () => {
    for (const subject of ["request", "response"] as const) {
      const { contents, pipe } = made(subject);
      pipe.end();
      await contents.transmit(head)?.gather(64);
      let sent: Outcome | undefined;
      void contents.sent.then((outcome) => {
        sent = outcome;
      });
      await new Promise(setImmediate);
      assert.deepEqual(sent, subject === "response" ? ok : undefined);
      contents.answered();
      assert.deepEqual(await contents.sent, ok);
    }
  });

  test("go to whoever consumes them as they are, whose verdict is the transmission's", async () => {
    const { contents, pipe, trailers } = made("request");
    const failed: Outcome = { tag: "err", val: { tag: "loop-detected" } };
    assert.deepEqual(contents.consume(futureOf(failed)), [pipe.reader, trailers]);
    assert.deepEqual(await contents.sent, failed);
  });

  test("that are none wait for nothing, unless trailers were announced", async () => {
    const late = Promise.withResolvers<Trailers>();
    const bare = new MadeContents("response", undefined, futureOf(late.promise));
    assert.equal(bare.transmit(head), undefined);
    late.resolve({ tag: "err", val: { tag: "loop-detected" } });
    assert.deepEqual(await bare.sent, { tag: "err", val: { tag: "loop-detected" } });

    const announced = new MadeContents("response", undefined, futureOf<Trailers>(none));
    assert.ok(announced.transmit({ ...head, announces: true }) !== undefined);

    const short = new MadeContents("response", undefined, futureOf<Trailers>(none));
    assert.throws(() => short.transmit({ ...head, declared: 5 }), /0 bytes are not the 5/);
    assert.deepEqual(await short.sent, { tag: "err", val: { tag: "HTTP-response-body-size", val: 0n } });
  });

  test("that nobody takes are not sent, and their guest's writes end", async () => {
    const { contents, pipe, trailers } = made("request");
    const writing = pipe.write(Buffer.from("x"));
    contents.discard();
    assert.equal(await writing, false);
    assert.equal(trailers.dropped, true);
    assert.equal((await contents.sent).tag, "err");
  });
});

describe("messages", () => {
  const trailers = () => futureOf<Trailers>(none);

  test("have the defaults of the standard, and read-only heads", () => {
    const headers = new Fields();
    headers.append("X-A", Buffer.from("1"));
    const options = new RequestOptions();
    options.setFirstByteTimeout(5n);
    const [request] = Request.new(headers, undefined, trailers(), options);
    assert.deepEqual(
      [request.getMethod(), request.getScheme(), request.getAuthority(), request.getPathWithQuery()],
      [{ tag: "get" }, undefined, undefined, undefined],
    );
    assert.equal(request.getOptions()?.getFirstByteTimeout(), 5n);
    assert.throws(
      () => request.getOptions()?.setConnectTimeout(1n),
      (thrown) => (thrown as { tag: string }).tag === "immutable",
    );
    assert.deepEqual(request.getHeaders().copyAll(), [["X-A", Buffer.from("1")]]);
    assert.throws(
      () => request.getHeaders().getAndDelete("x-a"),
      (thrown) => (thrown as { tag: string }).tag === "immutable",
    );
    const [response] = Response.new(new Fields(), undefined, trailers());
    assert.equal(response.getStatusCode(), 200);
    for (const status of [99, 600]) assert.throws(() => response.setStatusCode(status));
    response.setStatusCode(404);
    assert.equal(response.getStatusCode(), 404);
  });

  test("know one method and one scheme by whatever way they were named", () => {
    const [request] = Request.new(new Fields(), undefined, trailers(), undefined);
    request.setMethod({ tag: "other", val: "PATCH" });
    assert.deepEqual(request.getMethod(), { tag: "patch" });
    request.setScheme({ tag: "other", val: "HTTPS" });
    assert.deepEqual(request.getScheme(), { tag: "HTTPS" });
    assert.throws(() => request.setScheme({ tag: "other", val: "a b" }));
  });

  test("go to a URL, or nowhere", () => {
    const [request] = Request.new(new Fields(), undefined, trailers(), undefined);
    assert.equal(request.url(), undefined);
    request.setAuthority("example.com:8080");
    assert.equal(request.url(), "https://example.com:8080/");
    request.setScheme({ tag: "HTTP" });
    for (const [path, url] of [
      ["", "/"],
      ["?a=1", "/?a=1"],
      ["/a?b=%20c", "/a?b=%20c"],
    ] as const) {
      request.setPathWithQuery(path);
      assert.equal(request.url(), `http://example.com:8080${url}`);
    }
    for (const authority of ["", "a b", "::", "a:port", "@@"]) assert.throws(() => request.setAuthority(authority));
    for (const path of [" ", "/a b", "/#a", "/<"]) assert.throws(() => request.setPathWithQuery(path));
    request.setAuthority("user:word@example.com");
    assert.equal(request.getAuthority(), "user:word@example.com");
  });

  test("refuse fields that are too many, and stay as they were", () => {
    const fields = new Fields();
    assert.throws(
      () => fields.append("x", Buffer.alloc(20_000, "x")),
      (thrown) => (thrown as { tag: string }).tag === "size-exceeded",
    );
    assert.deepEqual(fields.copyAll(), []);
  });
});
