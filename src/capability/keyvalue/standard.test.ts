import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "../../kernel/index.ts";
import { createKeyValueProviders, readKeyValueChoice } from "./standard.ts";

describe("readKeyValueChoice()", () => {
  test("reads the short forms of a manifest", () => {
    assert.deepEqual(readKeyValueChoice("sqlite"), { provider: "sqlite", options: {} });
    assert.deepEqual(readKeyValueChoice("memory"), { provider: "memory", options: {} });
    for (const url of ["redis://cache:6379", "rediss://u:p@cache:6380/1", "unix:///run/redis.sock"]) {
      assert.deepEqual(readKeyValueChoice(url), { provider: "redis", options: { url } });
    }
  });

  test("refuses other words, with the nearest right one, and shows no credentials", () => {
    assert.throws(() => readKeyValueChoice("sqlit"), { code: "invalid-manifest", hint: /^Did you mean "sqlite"\?/ });
    assert.throws(() => readKeyValueChoice("redis"), { hint: /Redis needs its address/ });
    assert.throws(() => readKeyValueChoice("postgres://u:hunter2@db/x"), {
      message: 'Cannot bind keyvalue: no provider is named "postgres:"',
    });
  });

  test("names only providers that ship", () => {
    const providers = createKeyValueProviders({ clock: systemClock });
    for (const written of ["sqlite", "memory", "redis://x"]) assert.ok(providers[readKeyValueChoice(written).provider]);
  });
});
