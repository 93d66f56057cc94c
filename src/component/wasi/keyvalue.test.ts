import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mapBucket } from "../../../test/guests/open.ts";
import type { Grants, KeyPage } from "../contract.ts";
import { keyvalue } from "./keyvalue.ts";
import { createHostState, endState } from "./state.ts";

function hosts(late = false) {
  const grants = { service: "s", keyvalue: { mine: mapBucket(late) } } as unknown as Grants;
  const state = createHostState(grants);
  return { state, ...keyvalue(grants, state) };
}

const other = (thrown: unknown) => (thrown as { tag: string }).tag === "other";

describe("wasi:keyvalue", () => {
  test("lists page by page with cursors that are strings to one draft and numbers to the other", () => {
    const bucket = hosts()["wasi:keyvalue/store"].open("mine");
    for (const key of ["a", "b", "c", "d", "e"]) bucket.set(key, new Uint8Array(1));
    const first = bucket.listKeys(undefined) as KeyPage;
    assert.deepEqual(first, { keys: ["a", "b"], cursor: "1" });
    assert.deepEqual(bucket.listKeys(BigInt(first.cursor!)), { keys: ["c", "d"], cursor: "2" });
    assert.deepEqual(bucket.listKeys("2"), { keys: ["e"] });
    assert.throws(() => bucket.listKeys("99"), other);
  });

  test("answers at once where the binding does, and later where it does not", async () => {
    const now = hosts()["wasi:keyvalue/store"].open("mine");
    assert.equal(now.exists("x"), false);
    const later = hosts(true)["wasi:keyvalue/store"].open("mine").exists("x");
    assert.ok(later instanceof Promise);
    assert.equal(await later, false);
  });

  test("says what it does not have", () => {
    const { Cas, swap } = hosts()["wasi:keyvalue/atomics"];
    assert.throws(() => Cas.new(), other);
    assert.throws(() => Cas.newWithRead(), other);
    assert.throws(
      () => swap(),
      (thrown) => (thrown as { tag: string }).tag === "store-error",
    );
  });

  test("traps whoever goes on after the instance has ended", () => {
    const { state, "wasi:keyvalue/store": store } = hosts();
    const bucket = store.open("mine");
    endState(state);
    assert.throws(() => bucket.get("a"), /the instance has ended/);
  });
});
