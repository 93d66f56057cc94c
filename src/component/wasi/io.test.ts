import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type ByteSink,
  type ByteSource,
  chunkBytes,
  InputStream,
  OutputStream,
  Pollable,
  poll,
  Waitable,
} from "./io.ts";

const closed = { tag: "closed" };

/** A source that is fed by hand: each `pull` waits for one of `next`. */
function fed() {
  const asked: PromiseWithResolvers<Uint8Array | undefined>[] = [];
  let cancelled = false;
  const source: ByteSource = {
    pull() {
      asked.push(Promise.withResolvers());
      return asked.at(-1)!.promise;
    },
    cancel: () => {
      cancelled = true;
    },
  };
  return { source, asked, cancelled: () => cancelled };
}

/** A sink whose room is what is left of it, and set by hand. */
function roomy(room: number) {
  const state = { room, written: [] as Uint8Array[] };
  const sink: ByteSink = {
    room: () => state.room,
    write(bytes) {
      state.room -= bytes.length;
      state.written.push(bytes);
    },
  };
  return Object.assign(state, { stream: new OutputStream(sink) });
}

class Flag extends Waitable {
  up = false;

  override ready(): boolean {
    return this.up;
  }

  raise(): void {
    this.up = true;
    this.wake();
  }
}

describe("InputStream", () => {
  test("answers at once what is at hand, never more than was asked for", () => {
    const parts: (Uint8Array | undefined)[] = [new Uint8Array(0), Buffer.from("abcdef")];
    const stream = new InputStream({ pull: () => parts.shift(), cancel: () => {} });
    assert.equal(String(stream.blockingRead(2n)), "ab");
    assert.equal(String(stream.read(2n ** 63n)), "cdef");
    assert.throws(() => stream.blockingRead(1n), closedError);
    assert.throws(() => stream.read(1n), closedError);
  });

  test("waits only when nothing has arrived, and asks for one chunk at a time", async () => {
    const { source, asked } = fed();
    const stream = new InputStream(source);
    assert.equal(stream.read(10n).length, 0);
    const waiting = stream.blockingRead(10n);
    assert.ok(waiting instanceof Promise);
    assert.equal(asked.length, 1);
    asked[0]!.resolve(Buffer.from("x"));
    assert.equal(String(await waiting), "x");
    assert.equal(asked.length, 1, "nothing is read ahead");
  });

  test("tells a failure once and is closed after it", async () => {
    const { source, asked } = fed();
    const stream = new InputStream(source);
    const waiting = stream.blockingRead(10n) as Promise<Uint8Array>;
    asked[0]!.reject(new Error("torn"));
    await assert.rejects(waiting, (thrown) => {
      const { tag, val } = thrown as { tag: string; val: { toDebugString(): string } };
      return tag === "last-operation-failed" && val.toDebugString() === "torn";
    });
    assert.throws(() => stream.read(1n), closedError);
  });

  test("wakes whoever waits when it is broken from outside, and ignores what comes after", async () => {
    const { source, asked, cancelled } = fed();
    const stream = new InputStream(source);
    const waiting = stream.blockingRead(10n) as Promise<Uint8Array>;
    stream.fail(new Error("gone"));
    asked[0]!.resolve(Buffer.from("late"));
    await assert.rejects(waiting, (thrown) => (thrown as { tag: string }).tag === "last-operation-failed");
    assert.throws(() => stream.read(1n), closedError);
    assert.ok(cancelled());
  });

  test("skips, and cancels its source when dropped", async () => {
    const stream = new InputStream({ pull: () => Buffer.from("abc"), cancel: () => {} });
    assert.equal(stream.skip(2n), 2n);
    assert.equal(await stream.blockingSkip(2n), 1n);
    const { source, cancelled } = fed();
    new InputStream(source)[Symbol.dispose]();
    assert.ok(cancelled());
  });
});

describe("OutputStream", () => {
  test("permits what its sink has room for, and traps more", () => {
    const state = roomy(4);
    const { stream, written } = state;
    assert.equal(stream.checkWrite(), 4n);
    stream.write(Buffer.from("abcd"));
    assert.equal(written.length, 1);
    state.room = 4;
    assert.throws(() => stream.write(Buffer.from("abcde")), Error);
    assert.throws(() => stream.writeZeroes(5n), Error);
    stream.writeZeroes(4n);
    assert.deepEqual(written[1], new Uint8Array(4));
  });

  test("blocking writes go on piece by piece as room comes", async () => {
    const state = roomy(2);
    const writing = state.stream.blockingWriteAndFlush(Buffer.from("abcde"));
    assert.deepEqual(state.written.map(String), ["ab"]);
    state.room = 10;
    state.stream.progress();
    await writing;
    assert.deepEqual(state.written.map(String), ["ab", "cde"]);
    assert.equal(state.stream.blockingFlush(), undefined);
    state.room = 0;
    const zeroes = state.stream.blockingWriteZeroesAndFlush(3n);
    state.room = 3;
    state.stream.progress();
    await zeroes;
    assert.equal(state.written.at(-1)!.length, 3);
  });

  test("blocking writes of any length go through a sink that always has room", () => {
    let written = 0;
    const count = (bytes: Uint8Array): void => {
      written += bytes.length;
    };
    const stream = new OutputStream({ room: () => 10, write: count });
    assert.equal(stream.blockingWriteAndFlush(Buffer.alloc(101)), undefined);
    assert.equal(stream.blockingWriteZeroesAndFlush(99n), undefined);
    assert.equal(written, 200);
  });

  test("wakes and refuses a writer when it is closed", async () => {
    const state = roomy(0);
    const writing = state.stream.blockingWriteAndFlush(Buffer.from("a")) as Promise<undefined>;
    state.stream.close();
    await assert.rejects(writing, closedError);
    assert.ok(state.stream.ready());
  });

  test("fails once with what its sink throws", () => {
    const stream = new OutputStream({
      room: () => chunkBytes,
      write: () => {
        throw new Error("full");
      },
    });
    assert.throws(
      () => stream.write(Buffer.from("a")),
      (thrown) => (thrown as { tag: string }).tag === "last-operation-failed",
    );
    assert.throws(() => stream.checkWrite(), closedError);
  });

  test("splices no more than it has room for, waiting for both sides", async () => {
    const { source, asked } = fed();
    const state = roomy(3);
    const input = new InputStream(source);
    assert.equal(state.stream.splice(input, 10n), 0n);
    const splicing = state.stream.blockingSplice(input, 10n);
    asked[0]!.resolve(Buffer.from("abcdef"));
    assert.equal(await splicing, 3n);
    assert.equal(String(state.written.at(-1)), "abc");
  });
});

describe("poll()", () => {
  test("answers at once with all that are ready", () => {
    const [up, down] = [new Flag(), new Flag()];
    up.raise();
    const list = [new Pollable(down), new Pollable(up), new Pollable(up)];
    assert.deepEqual(poll(list), Uint32Array.of(1, 2));
  });

  test("waits for the first, and leaves nothing behind at the others", async () => {
    const [first, second] = [new Flag(), new Flag()];
    for (let round = 0; round < 3; round++) {
      first.up = false;
      const ready = poll([new Pollable(second), new Pollable(first)]);
      assert.ok(second.watched);
      first.raise();
      assert.deepEqual(await ready, Uint32Array.of(1));
      assert.equal(second.watched, false);
    }
  });

  test("traps on an empty list", () => {
    assert.throws(() => poll([]), /the list is empty/);
  });
});

function closedError(thrown: unknown): boolean {
  assert.deepEqual(thrown, closed);
  return true;
}
