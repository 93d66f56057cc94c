import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { permits, readEgress } from "./egress.ts";

describe("permits()", () => {
  const cases: [entry: string, permitted: string[], refused: string[]][] = [
    [
      "api.example.com",
      ["https://api.example.com/x", "http://api.example.com", "https://API.example.com:443/"],
      [
        "https://api.example.com:8443/",
        "http://api.example.com:443/",
        "https://example.com/",
        "https://x.api.example.com/",
        "https://api.example.com.evil.test/",
        "https://api.example.com./",
        "https://evilapi.example.com/",
      ],
    ],
    [
      "*.example.com",
      ["https://a.example.com/", "http://a.b.example.com/"],
      [
        "https://example.com/",
        "https://aexample.com/",
        "https://a.example.com:8443/",
        "https://a.example.com.evil.test/",
      ],
    ],
    ["*.example.com:8443", ["https://a.example.com:8443/"], ["https://a.example.com/"]],
    [
      "127.0.0.1:9000",
      ["http://127.0.0.1:9000/", "https://127.0.0.1:9000/", "http://0x7f.1:9000/"],
      ["http://127.0.0.1/", "http://localhost:9000/"],
    ],
    ["example.com:443", ["https://example.com/", "http://example.com:443/"], ["http://example.com/"]],
    ["example.com:80", ["http://example.com/", "https://example.com:80/"], ["https://example.com/"]],
    ["https://example.com", ["https://example.com/"], ["http://example.com/", "https://example.com:8443/"]],
    ["http://example.com:8080", ["http://example.com:8080/"], ["https://example.com:8080/", "http://example.com/"]],
    ["[::1]:9000", ["http://[::1]:9000/", "http://[0:0:0:0:0:0:0:1]:9000/"], ["http://[::2]:9000/"]],
    ["bücher.example", ["https://bücher.example/", "https://xn--bcher-kva.example/"], ["https://bucher.example/"]],
  ];
  for (const [entry, permitted, refused] of cases) {
    test(`"${entry}" permits what it says and nothing else`, () => {
      const egress = readEgress("s", [entry]);
      for (const url of permitted) assert.ok(permits(egress, new URL(url)), url);
      for (const url of refused) assert.ok(!permits(egress, new URL(url)), url);
    });
  }

  test("permits nothing by default", () => {
    fc.assert(fc.property(fc.domain(), (host) => !permits([], new URL(`https://${host}/`))));
  });

  test("permits every host that is listed, and with it no other", () => {
    fc.assert(
      fc.property(fc.domain(), fc.domain(), fc.webPath(), (listed, other, path) => {
        const egress = readEgress("s", [listed]);
        assert.ok(permits(egress, new URL(`https://${listed}${path}`)));
        assert.equal(permits(egress, new URL(`https://${other}${path}`)), other === listed);
      }),
    );
  });
});

describe("readEgress()", () => {
  for (const entry of [
    "",
    "*",
    "*.",
    "*.*.com",
    "a b",
    "ftp://x",
    "https://",
    "x/y",
    "u@x",
    "x:99999",
    "x:",
    "*.127.0.0.1",
    "*.[::1]",
  ]) {
    test(`refuses "${entry}" by its place`, () => {
      assert.throws(() => readEgress("shop", ["example.com", entry]), {
        code: "invalid-manifest",
        message: /services\.shop\.egress\[1\]/,
      });
    });
  }

  test("shows no credentials of an entry", () => {
    assert.throws(() => readEgress("shop", ["https://user:hunter2@example.com"]), {
      message: 'Cannot read services.shop.egress[0]: "https://…@example.com" names no host',
    });
  });
});
