import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { chunkBytes } from "../io.ts";
import { BodyPipe, OutgoingBody } from "./body.ts";
import { Fields } from "./fields.ts";

const always = () => true;
const never = () => false;

describe("BodyPipe", () => {
  test("brings every byte across in order and holds no more than one chunk", async () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 3 * chunkBytes }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(sizes, async (lengths) => {
        const pipe = new BodyPipe("response", undefined);
        const stream = pipe.open()!;
        const sent = lengths.map((length, index) => Buffer.alloc(length, index + 1));
        const writing = (async () => {
          for (const bytes of sent) await stream.blockingWriteAndFlush(bytes);
          pipe.end();
        })();
        const received: Uint8Array[] = [];
        for await (const bytes of pipe) {
          assert.ok(bytes.length > 0 && bytes.length <= chunkBytes);
          received.push(bytes);
        }
        await writing;
        assert.ok(Buffer.concat(received).equals(Buffer.concat(sent)));
      }),
      { numRuns: 50 },
    );
  });

  test("gives all of it when it is whole, and itself when it is not", () => {
    const pipe = new BodyPipe("response", undefined);
    const stream = pipe.open()!;
    assert.equal(pipe.open(), undefined);
    stream.write(Buffer.from("a"));
    assert.equal(pipe.body(), pipe);
    stream.write(Buffer.from("b"));
    pipe.end();
    assert.equal(String(pipe.body()), "ab");
  });

  test("wakes a reader when it breaks, and a writer when nobody reads on", async () => {
    const broken = new BodyPipe("response", undefined);
    const reading = broken[Symbol.asyncIterator]().next();
    broken.break(new Error("torn"));
    await assert.rejects(reading, /torn/);

    const left = new BodyPipe("response", undefined);
    const stream = left.open()!;
    stream.write(Buffer.alloc(chunkBytes));
    assert.equal(stream.checkWrite(), 0n);
    const writing = stream.blockingWriteAndFlush(Buffer.from("x")) as Promise<undefined>;
    await left[Symbol.asyncIterator]().return?.();
    await assert.rejects(writing, (thrown) => (thrown as { tag: string }).tag === "closed");
  });
});

describe("OutgoingBody", () => {
  test("finishes with what it declared, or with nothing where that is allowed", () => {
    for (const [declared, written, mayBeEmpty, whole] of [
      [undefined, "", never, true],
      [3, "abc", never, true],
      [3, "", always, true],
      [3, "", never, false],
      [3, "ab", always, false],
    ] as const) {
      const pipe = new BodyPipe("response", declared);
      const body = new OutgoingBody(pipe, mayBeEmpty);
      body.write().write(Buffer.from(written));
      const finish = () => OutgoingBody.finish(body, undefined);
      if (whole) finish();
      else assert.throws(finish, (thrown) => (thrown as { tag: string }).tag === "HTTP-response-body-size");
      assert.equal(pipe.ended, whole);
      assert.equal(pipe.failure === undefined, whole);
    }
  });

  test("refuses more than it declared at the write that exceeds it", () => {
    const pipe = new BodyPipe("request", 2);
    const stream = new OutgoingBody(pipe, never).write();
    stream.write(Buffer.from("ab"));
    assert.throws(
      () => stream.write(Buffer.from("c")),
      (thrown) => (thrown as { tag: string }).tag === "last-operation-failed",
    );
    assert.ok(pipe.failure);
  });
});

describe("Fields", () => {
  const error = (tag: string) => (thrown: unknown) => (thrown as { tag: string }).tag === tag;
  const bytes = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));

  test("keeps any value that HTTP allows, byte for byte, under any spelling of its name", () => {
    const allowed = fc.integer({ min: 0, max: 255 }).filter((byte) => byte === 9 || (byte >= 32 && byte !== 127));
    fc.assert(
      fc.property(fc.array(allowed, { maxLength: 40 }), (value) => {
        const fields = Fields.fromList([["X-Any", Uint8Array.from(value)]]);
        assert.deepEqual(
          fields.get("x-aNY").map((got) => [...got]),
          [value],
        );
      }),
    );
  });

  test("refuses what HTTP does not allow, and what is the platform's", () => {
    const fields = new Fields();
    for (const bad of ["a\nb", "a\rb", "a\0b", "\x7f"])
      assert.throws(() => fields.append("x", bytes(bad)), error("invalid-syntax"));
    for (const name of ["", "a b", "a:b", "é"])
      assert.throws(() => fields.append(name, bytes("v")), error("invalid-syntax"));
    for (const name of ["Host", "connection", "Transfer-Encoding", "keep-alive"])
      assert.throws(() => fields.set(name, [bytes("v")]), error("forbidden"));
    assert.deepEqual(fields.entries(), []);
  });

  test("sets, deletes and clones; what was received cannot be changed, its clone can", () => {
    const received = Fields.received([
      ["a", "1"],
      ["connection", "close"],
      ["a", "2"],
    ]);
    assert.throws(() => received.delete("a"), error("immutable"));
    assert.equal(received.has("connection"), false);
    const copy = received.clone();
    copy.set("A", [bytes("3")]);
    copy.append("b", bytes("4"));
    assert.deepEqual(copy.headers(), [
      ["a", "3"],
      ["b", "4"],
    ]);
    copy.delete("B");
    assert.equal(copy.has("b"), false);
    assert.equal(received.get("a").length, 2);
  });

  test("is bounded by what it holds, not by how often it was set", () => {
    const fields = new Fields();
    const value = new Uint8Array(1_000).fill(97);
    for (let count = 0; count < 100; count++) fields.set("x", [value]);
    assert.throws(() => {
      for (let count = 0; count < 100; count++) fields.append("x", value);
    }, /the limit is \d+ bytes/);
    const held = fields.get("x").length;
    assert.throws(() => fields.set("y", [value]), /the limit/);
    assert.equal(fields.has("y"), false);
    fields.delete("x");
    fields.set("y", new Array(held).fill(value));
  });

  test("tells all names as they were first written, and HTTP has them in lower case", () => {
    const fields = Fields.fromList([
      ["X-Tag", bytes("1")],
      ["x-tag", bytes("2")],
      ["plain", bytes("3")],
    ]);
    const names = (of: Fields) => of.entries().map(([name]) => name);
    assert.deepEqual(names(fields), ["X-Tag", "X-Tag", "plain"]);
    assert.deepEqual(names(fields.clone()), names(fields));
    assert.deepEqual(names(fields.frozen()), names(fields));
    assert.deepEqual(
      fields.headers().map(([name]) => name),
      ["x-tag", "x-tag", "plain"],
    );
    fields.delete("x-TAG");
    fields.append("x-tag", bytes("4"));
    assert.deepEqual(names(fields), ["plain", "x-tag"]);
  });
});
