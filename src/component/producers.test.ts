import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import { readProvenance } from "./producers.ts";

describe("readProvenance()", () => {
  test("finds the tools behind a component, and behind the core modules in it", () => {
    const bytes = readFileSync(new URL("../../test/guests/wstd.wasm", import.meta.url));
    const { producers } = readProvenance(bytes);
    const names = producers.map(({ field, name }) => `${field} ${name}`);
    assert.ok(names.includes("processed-by wit-component"), "of the component");
    assert.ok(names.includes("processed-by wit-bindgen-rust"), "of a core module");
    assert.equal(new Set(producers.map((producer) => JSON.stringify(producer))).size, producers.length);
  });

  test("reads the component's name", async () => {
    assert.equal(readProvenance(await parse("(component $shop)")).name, "shop");
    assert.equal(readProvenance(await parse("(component)")).name, undefined);
  });

  test("passes over damaged sections", async () => {
    const custom = (name: string, bytes: string) => `(@custom "${name}" "${bytes}")`;
    const text = `(component ${custom("producers", "\\05")} ${custom("component-name", "\\00\\7f")})`;
    assert.deepEqual(readProvenance(await parse(text)), { name: undefined, producers: [] });
  });
});
