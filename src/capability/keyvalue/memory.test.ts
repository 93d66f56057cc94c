import assert from "node:assert/strict";
import { test } from "node:test";
import { keyValueConformance } from "./conformance.ts";
import { createMemoryKeyValue } from "./memory.ts";

const provider = createMemoryKeyValue();
const dataDirectory = "/nowhere";

keyValueConformance({
  name: "memory",
  open: (config) => provider.open({ ...config, dataDirectory, options: {} }),
});

test("memory keeps a namespace when its last binding is disposed", async () => {
  const config = { namespace: "shop/cart/carts", dataDirectory, options: {} };
  await (await provider.open(config)).set("a", new Uint8Array([1]));
  assert.deepEqual(await (await provider.open(config)).get("a"), new Uint8Array([1]));
});

test("memory refuses options", async () => {
  await assert.rejects(provider.open({ namespace: "n", dataDirectory, options: { path: "x" } }), {
    code: "invalid-manifest",
    message: /unknown option "path"/,
  });
});
