import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createShared } from "./shared.ts";

describe("createShared()", () => {
  test("opens once for all who ask, and closes when the last has left", async () => {
    const events: string[] = [];
    const join = createShared(async (key) => {
      events.push(`open ${key}`);
      return { [Symbol.asyncDispose]: async () => void events.push(`close ${key}`) };
    });
    const [a, b] = await Promise.all([join("x"), join("x")]);
    assert.equal(a.value, b.value);
    await a[Symbol.asyncDispose]();
    await a[Symbol.asyncDispose]();
    assert.deepEqual(events, ["open x"]);
    await b[Symbol.asyncDispose]();
    const c = await join("x");
    await c[Symbol.asyncDispose]();
    assert.deepEqual(events, ["open x", "close x", "open x", "close x"]);
  });

  test("tries again after an opening that failed", async () => {
    let attempts = 0;
    const join = createShared(async () => {
      attempts += 1;
      if (attempts === 1) throw new Error("not yet");
      return { [Symbol.asyncDispose]: async () => undefined };
    });
    const first = await Promise.allSettled([join("x"), join("x")]);
    assert.deepEqual(
      first.map((result) => result.status),
      ["rejected", "rejected"],
    );
    await join("x");
    assert.equal(attempts, 2);
  });
});
