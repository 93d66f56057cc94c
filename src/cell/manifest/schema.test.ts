import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
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

test("docs/manifest.md lists every limit with its default", () => {
  const file = new URL("../../../docs/manifest.md", import.meta.url);
  const app = manifestSchema.properties?.limits?.properties ?? {};
  const ofService = manifestSchema.$defs?.service?.properties?.limits?.properties ?? {};
  const rows = Object.entries(app).map(([name, { default: value, description }]) => {
    return `| \`${name}\` | ${value} | ${name in ofService ? "app, service" : "app"} | ${description} |`;
  });
  const [begin, end] = ["<!-- limits: begin -->", "<!-- limits: end -->"];
  const text = readFileSync(file, "utf8");
  const [before = "", rest = ""] = text.split(begin);
  assertGolden(file, [before, begin, "\n", rows.join("\n"), "\n", end, rest.split(end)[1]].join(""));
});
