import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { overrideVariable, resolveConfig } from "./config.ts";

describe("resolveConfig()", () => {
  const declared = { catalog: { currency: "EUR", "page-size": "20" }, cart: { currency: "EUR" } };

  test("leaves what the manifest says", () => {
    assert.deepEqual(resolveConfig(declared, { PATH: "/bin", currency: "USD" }), { values: declared, unused: [] });
  });

  test("lets a variable set a declared key of one service", () => {
    const { values, unused } = resolveConfig(declared, {
      CYTO_CONFIG_CATALOG_PAGE_SIZE: "50",
      CYTO_CONFIG_CART_CURRENCY: "",
      CYTO_CONFIG_CATALOG_CURRENCY: undefined,
    });
    assert.deepEqual(values, { catalog: { currency: "EUR", "page-size": "50" }, cart: { currency: "" } });
    assert.deepEqual(unused, []);
    assert.equal(declared.catalog["page-size"], "20");
  });

  test("takes a value as it is, whatever it looks like", () => {
    const { values } = resolveConfig(declared, { CYTO_CONFIG_CATALOG_CURRENCY: "$" + "{HOME}" });
    assert.equal(values.catalog?.currency, "$" + "{HOME}");
  });

  test("names overrides that mean nothing, and does not add their keys", () => {
    const { values, unused } = resolveConfig(declared, {
      CYTO_CONFIG_CATALOG_CURENCY: "x",
      CYTO_CONFIG_MAIL_FROM: "y",
    });
    assert.deepEqual(values, declared);
    assert.deepEqual(unused, ["CYTO_CONFIG_CATALOG_CURENCY", "CYTO_CONFIG_MAIL_FROM"]);
  });

  test("refuses an override that means two keys, and only when it is set", () => {
    const twice = { a: { b_c: "1" }, "a-b": { c: "2" } };
    assert.deepEqual(resolveConfig(twice, {}).values, twice);
    assert.throws(() => resolveConfig(twice, { CYTO_CONFIG_A_B_C: "3" }), {
      code: "invalid-manifest",
      message: "Cannot apply CYTO_CONFIG_A_B_C: it means both services.a.config.b_c and services.a-b.config.c",
    });
  });

  test("keeps names of objects from meaning anything", () => {
    const { values } = resolveConfig({ s: JSON.parse('{"__proto__":"x"}') }, {});
    assert.equal(Object.hasOwn(values.s ?? {}, "__proto__"), true);
  });
});

test("overrideVariable() writes any name as a variable", () => {
  assert.equal(overrideVariable("my-shop2", "page.size"), "CYTO_CONFIG_MY_SHOP2_PAGE_SIZE");
});
