/**
 * What every keyvalue provider does, as a suite: call it in the provider's test with a way to
 * open it. Every test has namespaces of its own, so that one server can serve all.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { KeyValue, KeyValueConfig } from "./contract.ts";

type Opened = KeyValue & AsyncDisposable;

export interface KeyValueSubject {
  readonly name: string;
  /** Opens a namespace; the same name finds the same data as long as the suite runs. */
  open(config: Pick<KeyValueConfig, "namespace" | "limits">): Promise<Opened>;
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

export function keyValueConformance({ name, open }: KeyValueSubject): void {
  const fresh = (limits?: KeyValueConfig["limits"]) =>
    open({ namespace: `conformance/${randomUUID()}`, ...(limits === undefined ? {} : { limits }) });

  describe(`keyvalue ${name}`, () => {
    test("gets what was set, and nothing for a key that was not", async () => {
      await using kv = await fresh();
      assert.equal(await kv.get("a"), undefined);
      assert.equal(await kv.exists("a"), false);
      await kv.set("a", bytes("one"));
      assert.deepEqual(await kv.get("a"), bytes("one"));
      assert.equal(await kv.exists("a"), true);
      await kv.set("a", bytes("two"));
      assert.deepEqual(await kv.get("a"), bytes("two"));
      await kv.delete("a");
      await kv.delete("a");
      assert.equal(await kv.get("a"), undefined);
      assert.deepEqual(await kv.keys(), { keys: [] });
    });

    test("tells an empty value from none, and takes an empty key", async () => {
      await using kv = await fresh();
      await kv.set("", new Uint8Array());
      assert.deepEqual(await kv.get(""), new Uint8Array());
      assert.equal(await kv.exists(""), true);
      assert.deepEqual(await kv.keys(), { keys: [""] });
    });

    test("keeps every byte of a value and every character of a key", async () => {
      await using kv = await fresh();
      const value = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const keys = ["\0", "a\0b", "*", "a b", "ключ", "鍵", "🔑", "(", "[", "é", "e\u0301", "\r\n", "{x}:values"];
      for (const key of keys) await kv.set(key, value);
      for (const key of keys) assert.deepEqual(await kv.get(key), value);
      assert.deepEqual((await kv.keys()).keys, keys.toSorted(byBytes));
    });

    test("takes keys and values up to their limits, and refuses longer ones by name", async () => {
      await using kv = await fresh({ keyBytes: 8, valueBytes: 1000 });
      await kv.set("éééé", new Uint8Array(1000).fill(7));
      assert.deepEqual(await kv.get("éééé"), new Uint8Array(1000).fill(7));
      const tooLong = { code: "bad-request", message: /9 bytes, more than 8/, hint: /limits\.keyBytes/ };
      await assert.rejects(kv.set("ééééa", bytes("x")), tooLong);
      await assert.rejects(async () => kv.get("ééééa"), tooLong);
      await assert.rejects(async () => kv.exists("ééééa"), tooLong);
      await assert.rejects(kv.delete("ééééa"), tooLong);
      await assert.rejects(kv.increment("ééééa", 1n), tooLong);
      await assert.rejects(kv.set("a", new Uint8Array(1001)), {
        code: "bad-request",
        message: /1001 bytes, more than 1000/,
        hint: /limits\.valueBytes/,
      });
      await assert.rejects(kv.set("\ud800", bytes("x")), { code: "bad-request", message: /well-formed/ });
      assert.deepEqual(await kv.keys(), { keys: ["éééé"] });
    });

    test("takes a value of the default limit", async () => {
      await using kv = await fresh();
      const value = new Uint8Array(8 * 1024 * 1024).fill(0x5a);
      await kv.set("k".repeat(1024), value);
      assert.equal(Buffer.compare((await kv.get("k".repeat(1024))) ?? bytes(""), value), 0);
      await assert.rejects(kv.set("a", new Uint8Array(value.length + 1)), { code: "bad-request" });
      await assert.rejects(kv.set("k".repeat(1025), value), { code: "bad-request" });
    });

    test("holds values of its own: whoever set or got one may change it", async () => {
      await using kv = await fresh();
      const value = bytes("abc");
      const setting = kv.set("a", value);
      value.fill(0);
      await setting;
      (await kv.get("a"))?.fill(1);
      assert.deepEqual(await kv.get("a"), bytes("abc"));
    });

    test("gives keys in the order of their bytes, page by page, each once", async () => {
      await using kv = await fresh();
      const keys = Array.from({ length: 1203 }, (_, n) => `${["a", "é", "\uffee", "🔑"][n % 4]}${n}`);
      await Promise.all(keys.map((key) => kv.set(key, bytes(key))));
      const pages: (readonly string[])[] = [];
      let cursor: string | undefined;
      do {
        const page = await kv.keys(cursor);
        pages.push(page.keys);
        cursor = page.cursor;
        await kv.delete(page.keys[0] ?? "");
      } while (cursor !== undefined);
      assert.ok(pages.length > 1);
      assert.deepEqual(pages.flat(), keys.toSorted(byBytes));
    });

    test("ends the pages when a page is exactly full", async () => {
      await using kv = await fresh();
      await Promise.all(Array.from({ length: 500 }, (_, n) => kv.set(String(n), bytes(""))));
      const page = await kv.keys();
      assert.equal(page.keys.length, 500);
      assert.equal(page.cursor, undefined);
    });

    test("increments without losing one, from several bindings at a time", async () => {
      const namespace = `conformance/${randomUUID()}`;
      await using one = await open({ namespace });
      await using two = await open({ namespace });
      const sums = await Promise.all(
        Array.from({ length: 100 }, (_, n) => (n % 2 === 0 ? one : two).increment("n", n % 10 === 0 ? 3n : 1n)),
      );
      assert.equal(new Set(sums).size, 100);
      assert.equal(await one.increment("n", 0n), 120n);
      assert.deepEqual(await two.get("n"), bytes("120"));
      assert.deepEqual(await two.keys(), { keys: ["n"] });
    });

    test("counts over the whole range of 64 bits, and refuses to leave it", async () => {
      await using kv = await fresh();
      const max = 2n ** 63n - 1n;
      assert.equal(await kv.increment("n", max - 1n), max - 1n);
      assert.equal(await kv.increment("n", 1n), max);
      const overflow = { code: "bad-request", message: /does not fit in 64 bits/ };
      await assert.rejects(kv.increment("n", 1n), overflow);
      await assert.rejects(kv.increment("n", 2n ** 64n), overflow);
      assert.equal(await kv.increment("n", -max), 0n);
      assert.equal(await kv.increment("n", -(2n ** 63n)), -(2n ** 63n));
      await assert.rejects(kv.increment("n", -1n), overflow);
    });

    test("increments decimal text that was set, and refuses what is none", async () => {
      await using kv = await fresh();
      await kv.set("n", bytes("-41"));
      assert.equal(await kv.increment("n", 42n), 1n);
      for (const text of ["", "abc", "1.5", "+1", "01", "-0", " 1", "1\0", "9223372036854775808"]) {
        await kv.set("n", bytes(text));
        await assert.rejects(kv.increment("n", 1n), { code: "bad-request", message: /no whole number/ }, text);
        assert.deepEqual(await kv.get("n"), bytes(text));
      }
    });

    test("keeps namespaces apart", async () => {
      const base = `conformance/${randomUUID()}`;
      const namespaces = [base, `${base}/a`, `${base}}`, `${base}:values`, `${base}'`];
      for (const namespace of namespaces) {
        await using kv = await open({ namespace });
        await kv.set("k", bytes(namespace));
        await kv.increment("n", 1n);
      }
      for (const namespace of namespaces) {
        await using kv = await open({ namespace });
        assert.deepEqual(await kv.get("k"), bytes(namespace));
        assert.equal(await kv.increment("n", 0n), 1n);
        await kv.delete("k");
        assert.deepEqual(await kv.keys(), { keys: ["n"] });
      }
    });

    test("shows one binding what another of the same namespace has set", async () => {
      const namespace = `conformance/${randomUUID()}`;
      await using one = await open({ namespace });
      await using two = await open({ namespace });
      await one.set("k", bytes("v"));
      assert.deepEqual(await two.get("k"), bytes("v"));
    });

    test("keeps many writes made at once, and each in the order it was asked for", async () => {
      await using kv = await fresh();
      const writes = Array.from({ length: 300 }, (_, n) => kv.set(`k${n % 3}`, bytes(String(n))));
      await Promise.all(writes);
      assert.deepEqual(
        await Promise.all(["k0", "k1", "k2"].map((key) => kv.get(key))),
        ["297", "298", "299"].map(bytes),
      );
    });

    test("behaves like a map, whatever is done to it", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
          await using kv = await fresh();
          const model = new Map<string, string>();
          for (const [verb, key, text] of actions) await check(kv, model, verb, key, text);
          assert.deepEqual((await kv.keys()).keys, [...model.keys()].sort(byBytes));
        }),
        { numRuns: 40 },
      );
    });
  });
}

const action = fc.tuple(
  fc.constantFrom("get", "set", "delete", "exists", "increment", "keys"),
  fc.oneof(fc.constantFrom("a", "b", "c"), fc.string({ unit: "binary", maxLength: 12 })),
  fc.oneof(fc.maxSafeInteger().map(String), fc.string({ maxLength: 20 })),
);

async function check(kv: KeyValue, model: Map<string, string>, verb: string, key: string, text: string): Promise<void> {
  const held = model.get(key);
  if (verb === "set") {
    await kv.set(key, bytes(text));
    model.set(key, text);
  } else if (verb === "get") {
    assert.deepEqual(await kv.get(key), held === undefined ? undefined : bytes(held));
  } else if (verb === "delete") {
    await kv.delete(key);
    model.delete(key);
  } else if (verb === "exists") {
    assert.equal(await kv.exists(key), held !== undefined);
  } else if (verb === "keys") {
    const keys = [...model.keys()].filter((other) => byBytes(other, key) > 0);
    assert.deepEqual((await kv.keys(key)).keys, keys.sort(byBytes));
  } else if (held === undefined || /^(0|-?[1-9][0-9]*)$/.test(held)) {
    const sum = BigInt(held ?? 0) + 5n;
    assert.equal(await kv.increment(key, 5n), sum);
    model.set(key, String(sum));
  } else {
    await assert.rejects(kv.increment(key, 5n), { code: "bad-request" });
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
