import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CytoError, type Headers, trailersOf } from "../../../../kernel/index.ts";
import { createStreamPipe, futureOf } from "../../../stream-pipe.ts";
import { HttpFault } from "../../http/error.ts";
import { chunkBytes } from "../../io.ts";
import type { Trailers } from "./contents.ts";
import { Fields } from "./fields.ts";
import { GuestBody, type GuestBodyParts } from "./guest-body.ts";

const none: Trailers = { tag: "ok", val: undefined };

/** A body with its other end, and what was told of its end. */
function open(given: Partial<GuestBodyParts> = {}) {
  const pipe = createStreamPipe<Uint8Array>();
  const trailers = futureOf<Trailers>(none);
  const told: unknown[] = [];
  const body = new GuestBody({
    subject: "response",
    stream: pipe.reader,
    trailers,
    declared: undefined,
    mayBeEmpty: false,
    ended: (failure) => told.push(failure),
    ...given,
  });
  return { body, pipe, told, trailers };
}

async function readAll(body: GuestBody): Promise<[Buffer, Headers | undefined]> {
  const chunks: Uint8Array[] = [];
  const steps = body[Symbol.asyncIterator]();
  for (;;) {
    const step = await steps.next();
    if (step.done) return [Buffer.concat(chunks), trailersOf(step)];
    chunks.push(step.value);
  }
}

const fault = (tag: string) => (thrown: unknown) => thrown instanceof HttpFault && thrown.errorCode.tag === tag;

describe("GuestBody", () => {
  test("brings every byte across in order, whole or streamed, gathered from before or not", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 3 * chunkBytes }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.boolean(), fc.boolean(), async (lengths, gathers, says) => {
        const sent = lengths.map((length, index) => Buffer.alloc(length, index + 1));
        const total = lengths.reduce((sum, length) => sum + length, 0);
        const { body, pipe, told } = open({ declared: says ? total : undefined });
        const writing = (async () => {
          for (const bytes of sent) assert.ok(await pipe.write(bytes));
          pipe.end();
        })();
        const gathered = gathers ? await body.gather(64) : body;
        const received =
          gathered === undefined || gathered instanceof Uint8Array
            ? Buffer.from(gathered ?? [])
            : (await readAll(gathered as GuestBody))[0];
        await writing;
        assert.ok(received.equals(Buffer.concat(sent)));
        assert.deepEqual(told, [undefined]);
      }),
      { numRuns: 50 },
    );
  });

  test("is whole when it ends soon, itself when it goes on or has trailers, and nothing when it is empty", async () => {
    const quick = open();
    void quick.pipe.write(Buffer.from("a")).then(() => quick.pipe.write(Buffer.from("b")).then(quick.pipe.end));
    assert.equal(String(await quick.body.gather(64)), "ab");

    const slow = open();
    void slow.pipe.write(Buffer.from("a"));
    assert.equal(await slow.body.gather(64), slow.body);
    slow.pipe.end();
    assert.equal(String((await readAll(slow.body))[0]), "a");

    const fields = Fields.fromList([["X-Sum", Buffer.from("1")]]);
    const trailing = open({ trailers: futureOf<Trailers>({ tag: "ok", val: fields }) });
    trailing.pipe.end();
    assert.equal(await trailing.body.gather(64), trailing.body);
    assert.deepEqual(await readAll(trailing.body), [Buffer.alloc(0), [["x-sum", "1"]]]);

    const empty = open({ stream: undefined });
    assert.equal(await empty.body.gather(64), undefined);
    assert.deepEqual(empty.told, [undefined]);
  });

  test("reads nothing ahead of its reader but what it gathers", async () => {
    const { body, pipe } = open();
    let taken = 0;
    const writing = (async () => {
      while (await pipe.write(Buffer.alloc(chunkBytes))) taken++;
    })();
    assert.equal(await body.gather(64), body);
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    assert.ok(taken <= 2, `${taken} chunks were taken`);
    await body[Symbol.asyncIterator]().return?.();
    await writing;
  });

  test("fails when it is shorter or longer than its message says, but not for want of a body that may be absent", async () => {
    for (const [declared, actual] of [
      [5, 3],
      [5, 0],
      [5, 7],
    ] as const) {
      const { body, pipe, told } = open({ declared });
      if (actual > 0) void pipe.write(Buffer.alloc(actual)).then(pipe.end);
      else pipe.end();
      await assert.rejects(readAll(body), fault("HTTP-response-body-size"));
      assert.ok(fault("HTTP-response-body-size")(told[0]));
      assert.equal(told.length, 1);
      assert.equal(await pipe.write(Buffer.from("more")), false);
    }
    const head = open({ declared: 5, mayBeEmpty: true });
    head.pipe.end();
    assert.equal(await head.body.gather(64), undefined);
  });

  test("fails as the trailers say", async () => {
    const { body, pipe, told } = open({ trailers: futureOf<Trailers>({ tag: "err", val: { tag: "loop-detected" } }) });
    void pipe.write(Buffer.from("some")).then(pipe.end);
    await assert.rejects(readAll(body), fault("loop-detected"));
    assert.equal(told.length, 1);
  });

  test("can be broken in the middle of a read, and tells the guest when nobody reads on", async () => {
    const broken = open();
    const reading = readAll(broken.body);
    await new Promise(setImmediate);
    broken.body.break(new Error("torn"));
    await assert.rejects(reading, /torn/);
    assert.equal(await broken.pipe.write(Buffer.from("x")), false);
    assert.equal(broken.trailers.dropped, true);

    const left = open();
    const writing = left.pipe.write(Buffer.alloc(10));
    await left.body[Symbol.asyncIterator]().return?.();
    assert.equal(await writing, false);
    assert.ok(left.told[0] instanceof CytoError && left.told[0].code === "cancelled");
  });

  test("fails with what its reading fails with: a trap", async () => {
    const reader = { ...createStreamPipe<Uint8Array>().reader, read: () => Promise.reject(new Error("trapped")) };
    const { body } = open({ stream: reader });
    await assert.rejects(readAll(body), /trapped/);
    await assert.rejects(open({ stream: reader }).body.gather(64), /trapped/);
  });
});
