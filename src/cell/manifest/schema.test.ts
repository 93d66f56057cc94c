import assert from "node:assert/strict";
import { test } from "node:test";
import { assertGolden } from "../../../test/golden.ts";
import { limits } from "../../kernel/index.ts";
import { manifestSchema } from "./schema.ts";

test("docs/manifest.schema.json is the schema that the platform validates with", () => {
  const file = new URL("../../../docs/manifest.schema.json", import.meta.url);
  assertGolden(file, `${JSON.stringify(manifestSchema, null, 2)}\n`);
});

test("every limit of the kernel has a name in the manifest", () => {
  assert.deepEqual(Object.keys(manifestSchema.properties?.limits?.properties ?? {}).sort(), Object.keys(limits).sort());
});
