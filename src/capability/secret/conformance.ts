/** What every store of secrets does, as a suite: call it in the store's test with a way to make an empty one. */
import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { inspect } from "node:util";
import { type Clock, type CytoError, systemClock } from "../../kernel/index.ts";
import type { SecretStore } from "./contract.ts";

export interface SecretSubject {
  readonly name: string;
  create(t: TestContext, clock: Clock): Promise<SecretStore>;
}

export function secretConformance({ name, create }: SecretSubject): void {
  describe(`secret ${name}`, () => {
    test("gets what was set last", async (t) => {
      const store = await create(t, systemClock);
      await store.set("token", "one");
      await store.set("token", "two\nlines 🔑");
      assert.equal(await store.get("token"), "two\nlines 🔑");
    });

    test("says how to set one that is missing", async (t) => {
      const store = await create(t, systemClock);
      const missing = {
        code: "missing-secret",
        message: "Cannot read secret stripe.key: it is not set",
        hint: "Set it: cyto secret set stripe.key",
      };
      await assert.rejects(store.get("stripe.key"), missing);
      await assert.rejects(store.remove("stripe.key"), missing);
      await store.set("other", "x");
      await assert.rejects(store.get("stripe.key"), missing);
      await assert.rejects(store.remove("stripe.key"), missing);
      await assert.rejects(store.get("__proto__"), { code: "missing-secret" });
    });

    test("lists names and times in order, and never a value", async (t) => {
      let now = 100;
      const store = await create(t, { ...systemClock, now: () => now });
      assert.deepEqual(await store.list(), []);
      await store.set("b", "hunter2");
      now = 200;
      await store.set("a", "hunter3");
      now = 300;
      await store.set("b", "hunter4");
      assert.deepEqual(await store.list(), [
        { name: "a", updatedMs: 200 },
        { name: "b", updatedMs: 300 },
      ]);
    });

    test("forgets what was removed", async (t) => {
      const store = await create(t, systemClock);
      await store.set("a", "x");
      await store.set("b", "y");
      await store.remove("a");
      await assert.rejects(store.get("a"), { code: "missing-secret" });
      assert.equal(await store.get("b"), "y");
    });

    test("refuses names and values that cannot be, without showing the value", async (t) => {
      const store = await create(t, systemClock);
      const long = "hunter2".repeat(10_000);
      const cases = [
        ["", "hunter2"],
        ["a b", "hunter2"],
        ["a/b", "hunter2"],
        ["1a", "hunter2"],
        ["a".repeat(129), "hunter2"],
        ["a", ""],
        ["a", long],
        ["a", "hunter2\ud800"],
      ] as const;
      for (const [name, value] of cases) {
        await assert.rejects(store.set(name, value), (error: CytoError) => {
          assert.equal(error.code, "bad-request");
          assert.doesNotMatch(inspect(error), /hunter2/);
          return true;
        });
      }
      assert.deepEqual(await store.list(), []);
    });

    test("loses none of many set at once", async (t) => {
      const store = await create(t, systemClock);
      const names = Array.from({ length: 20 }, (_, n) => `s${String(n).padStart(2, "0")}`);
      await Promise.all(names.map((name) => store.set(name, `value of ${name}`)));
      assert.deepEqual(
        (await store.list()).map(({ name }) => name),
        names,
      );
      assert.equal(await store.get("s07"), "value of s07");
    });
  });
}
