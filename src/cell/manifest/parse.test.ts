import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { assertGolden } from "../../../test/golden.ts";
import type { App, ServiceDeclaration } from "./contract.ts";
import { type ManifestOptions, parseManifest, readManifest } from "./parse.ts";
import { renderDiagnostics } from "./render.ts";

const golden = new URL("./golden/", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "cyto-manifest-"));
writeFileSync(join(folder, "service.ts"), "");
writeFileSync(join(folder, "service.wasm"), "");
mkdirSync(join(folder, "data"));
after(() => rmSync(folder, { recursive: true }));

const parse = (source: string, options?: ManifestOptions) => parseManifest(source, join(folder, "cyto.yaml"), options);

/** The app of a manifest that is expected to be sound. */
function appOf(source: string, options?: ManifestOptions): App {
  const { app, diagnostics } = parse(source, options);
  assert.ok(app, JSON.stringify(diagnostics, null, 2));
  return app;
}

function serviceOf(source: string, name: string, options?: ManifestOptions): ServiceDeclaration {
  const service = appOf(source, options).services[name];
  assert.ok(service);
  return service;
}

function messagesOf(source: string, options?: ManifestOptions): string[] {
  return parse(source, options).diagnostics.map((d) => `${d.line}:${d.column} ${d.path} ${d.message}`);
}

describe("readManifest() words every fault, golden", () => {
  for (const file of readdirSync(golden).filter((name) => name.endsWith(".input"))) {
    test(file, () => {
      const { app, diagnostics } = readManifest(join(golden, file), { variables: { PLACE: "here" } });
      assert.equal(app, undefined);
      const source = (path: string) => readFileSync(path, "utf8");
      const text = renderDiagnostics(diagnostics, { source, directory: golden });
      assert.doesNotMatch(text, /hunter2/);
      assertGolden(join(golden, file.replace(".input", ".txt")), text.replaceAll(golden, "<folder>/"));
    });
  }
});

const minimal = `app: shop
services:
  catalog:
    source: service.ts
    routes: ["GET /products"]
`;

describe("readManifest() reads", () => {
  test("the smallest manifest, with its defaults", () => {
    const { app, diagnostics, environments } = parse(minimal);
    assert.deepEqual(diagnostics, []);
    assert.deepEqual(environments, ["local"]);
    assert.deepEqual(app, {
      name: "shop",
      environment: "local",
      directory: folder,
      limits: {},
      services: {
        catalog: {
          name: "catalog",
          source: join(folder, "service.ts"),
          engine: "quickjs",
          routes: [{ id: "GET /products", methods: ["GET"], path: "/products", query: {}, headers: {}, priority: 0 }],
          bindings: {},
          config: {},
          secrets: [],
          egress: [],
          listen: [],
          calls: [],
          directories: [],
          environment: {},
          policy: {},
          limits: {},
          instances: {},
        },
      },
    });
  });

  test("every form of every key", () => {
    const source = `
app: shop
limits: { bodyBytes: 1MB, headerBytes: 8KiB, hops: 4 }
policy: { timeout: 1m, retry: { attempts: 3 } }
instances: { requests: 50, age: 2h, ready: 1 }
services:
  catalog:
    component: ./service.wasm
    routes:
      - /any
      - "* /all/*"
      - GET|POST /two/{rest...}
      - { match: GET /x, host: "*.Example.com", query: { page: 1, q: true }, headers: { X-Beta: true }, priority: 5 }
    bindings:
      products: { keyvalue: sqlite }
      carts: { keyvalue: "redis://cache:6379/2", namespace: shared }
      scratch: { keyvalue: memory }
    config: { size: 1.10, on: true, name: "007", exp: 1e3 }
    secrets: [API_KEY]
    egress: [api.example.com, "*.example.com", "127.0.0.1:9000", "[::1]:80"]
    directories: { /data: ./data, /out: { host: data, readOnly: false } }
    environment: { MODE: fast }
    policy: { timeout: 2.5s }
    limits: { bodyBytes: 10MB, memoryBytes: 64MiB, timeoutMs: 500, instances: 2 }
    instances: { policy: fresh, idle: 1.5m, ready: 4 }
`;
    const app = appOf(source);
    assert.deepEqual(app.limits, { bodyBytes: 1_000_000, headerBytes: 8192, hops: 4 });
    const service = app.services.catalog;
    assert.equal(service?.component, join(folder, "service.wasm"));
    assert.equal(service.source, undefined);
    const brief = service.routes.map(({ id, methods, path }) => [id, methods.join(), path]);
    assert.deepEqual(brief, [
      ["/any", "", "/any"],
      ["* /all/*", "", "/all/*"],
      ["GET|POST /two/{rest...}", "GET,POST", "/two/{rest...}"],
      ["GET /x", "GET", "/x"],
    ]);
    const { host, query, headers, priority } = service.routes[3] ?? {};
    assert.deepEqual(
      { host, query, headers, priority },
      {
        host: "*.example.com",
        query: { page: "1", q: true },
        headers: { "x-beta": true },
        priority: 5,
      },
    );
    assert.deepEqual(service.bindings, {
      products: { kind: "keyvalue", provider: "sqlite", options: {}, namespace: "shop/catalog/products" },
      carts: { kind: "keyvalue", provider: "redis", options: { url: "redis://cache:6379/2" }, namespace: "shared" },
      scratch: { kind: "keyvalue", provider: "memory", options: {}, namespace: "shop/catalog/scratch" },
    });
    assert.deepEqual(service.config, { size: "1.10", on: "true", name: "007", exp: "1e3" });
    assert.deepEqual(service.directories, [
      { guest: "/data", host: join(folder, "data"), readOnly: true },
      { guest: "/out", host: join(folder, "data"), readOnly: false },
    ]);
    assert.deepEqual(service.policy, { timeoutMs: 2500, retry: { attempts: 3 } });
    assert.deepEqual(service.limits, {
      bodyBytes: 10_000_000,
      headerBytes: 8192,
      hops: 4,
      memoryBytes: 64 * 2 ** 20,
      timeoutMs: 500,
      instances: 2,
    });
    assert.deepEqual(service.instances, { policy: "fresh", requests: 50, ageMs: 7_200_000, idleMs: 90_000, ready: 4 });
  });

  test("anchors, aliases and merge keys", () => {
    const source = `app: shop
services:
  a: &base { source: service.ts, routes: ["GET /a"], config: { x: "1" } }
  b: { <<: *base, routes: ["GET /b"] }
`;
    const b = serviceOf(source, "b");
    assert.deepEqual(b.config, { x: "1" });
    assert.deepEqual(
      b.routes.map((route) => route.id),
      ["GET /b"],
    );
  });

  test("a file with a byte order mark and CRLF", () => {
    const file = join(folder, "bom.yaml");
    writeFileSync(file, `\uFEFF${minimal.replaceAll("\n", "\r\n")}`);
    assert.equal(readManifest(file).app?.name, "shop");
  });
});

const layered = `app: shop
policy: { timeout: 9s }
services:
  catalog:
    source: service.ts
    routes: ["GET /c"]
    bindings: { products: { keyvalue: sqlite, namespace: ours }, other: { keyvalue: memory } }
    config: { a: "1", b: "1" }
    egress: [a.example.com]
  cart:
    source: service.ts
    routes: ["GET /d"]
    bindings: { products: { keyvalue: sqlite } }
environments:
  production:
    bindings: { products: { keyvalue: "redis://cache:6379" } }
    policy: { retry: { attempts: 2 } }
    limits: { hops: 3 }
    services:
      catalog:
        config: { b: "2" }
        egress: [b.example.com]
        component: service.wasm
      cart: { bindings: { products: { keyvalue: memory } } }
  local: { services: { cart: { config: { here: yes } } } }
`;

describe("environments", () => {
  test("lay maps over maps, replace everything else, and the more precise wins", () => {
    const { catalog, cart } = appOf(layered, { environment: "production" }).services;
    assert.deepEqual(catalog?.bindings.products, {
      kind: "keyvalue",
      provider: "redis",
      options: { url: "redis://cache:6379" },
      namespace: "ours",
    });
    assert.equal(catalog?.bindings.other?.provider, "memory");
    assert.equal(cart?.bindings.products?.provider, "memory");
    assert.deepEqual(catalog.config, { a: "1", b: "2" });
    assert.deepEqual(catalog.egress, ["b.example.com"]);
    assert.deepEqual(catalog.policy, { timeoutMs: 9000, retry: { attempts: 2 } });
    assert.equal(catalog.limits.hops, 3);
    assert.equal(catalog.source, undefined, "a component replaces a source");
    assert.equal(catalog.component, join(folder, "service.wasm"));
  });

  test("`local` holds when none is named", () => {
    const { cart, catalog } = appOf(layered).services;
    assert.deepEqual(cart?.config, { here: "yes" });
    assert.equal(catalog?.bindings.products?.provider, "sqlite");
    assert.deepEqual(parse(layered).environments, ["local", "production"]);
  });

  test("one that is not declared is refused with the nearest name", () => {
    const { app, diagnostics } = parse(layered, { environment: "prodction" });
    assert.equal(app, undefined);
    assert.equal(diagnostics[0]?.hint, 'did you mean "production"?');
  });

  test("a fault in an overlay is placed in the overlay", () => {
    const broken = layered.replace("component: service.wasm", "component: missing.wasm");
    const [message] = messagesOf(broken, { environment: "production" });
    assert.match(message ?? "", /^\d+:20 environments\.production\.services\.catalog\.component .*does not exist/);
    assert.deepEqual(messagesOf(broken), []);
  });
});

describe("variables", () => {
  const source = minimal.replace("products", `\${PATH_NAME:-none}`);
  const idOf = (variables: Record<string, string>) => serviceOf(source, "catalog", { variables }).routes[0]?.id;

  test("come from outside, or from the default", () => {
    assert.equal(idOf({ PATH_NAME: "x" }), "GET /x");
    assert.equal(idOf({}), "GET /none");
    assert.equal(idOf({ PATH_NAME: "" }), "GET /none");
  });

  test("are numbers where they stand alone and unquoted", () => {
    const limited = `${minimal}    limits:\n      instances: \${N}\n`;
    assert.equal(serviceOf(limited, "catalog", { variables: { N: "3" } }).limits.instances, 3);
  });

  test("of another environment need not be set", () => {
    const text = `${minimal}environments: { production: { policy: { timeout: "\${LATER}" } } }\n`;
    assert.deepEqual(messagesOf(text), []);
    assert.match(messagesOf(text, { environment: "production" }).join("\n"), /the variable LATER is not set/);
  });
});

describe("readManifest() refuses a file", () => {
  const read = (name: string, content?: string | Uint8Array) => {
    const file = join(folder, name);
    if (content !== undefined) writeFileSync(file, content);
    const { app, diagnostics } = readManifest(file);
    assert.equal(app, undefined);
    assert.equal(diagnostics.length, 1);
    const [found] = diagnostics;
    assert.equal(basename(found?.file ?? ""), name);
    return `${found?.line}:${found?.column} ${found?.message}`;
  };

  test("that is not there", () => assert.equal(read("none.yaml"), "1:1 there is no such file"));
  test("that is a directory", () => assert.equal(read("data"), "1:1 is a directory, not a manifest"));
  test("of more than 1 MiB", () => {
    assert.equal(read("big.yaml", "#".repeat(2 ** 20 + 1)), "1:1 is larger than 1 MiB");
  });
  test("that is not UTF-8, at its first bad byte", () => {
    const bytes = Buffer.concat([Buffer.from("app: shop\nx: ä"), Buffer.from([0xff, 0x41])]);
    assert.equal(read("latin.yaml", bytes), "2:5 is not UTF-8 text");
  });
});

describe("readManifest() holds against hostile text", () => {
  const hostile = {
    "brackets to the limit": "[".repeat(60_000),
    "maps to the limit": "{a: ".repeat(20_000),
    "thousands of keys": Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join("\n"),
    "thousands of aliases": `a: &a 1\n${Array.from({ length: 10_000 }, (_, i) => `k${i}: *a`).join("\n")}`,
  };
  for (const [name, text] of Object.entries(hostile)) {
    test(name, () => {
      const { app, diagnostics } = parse(text);
      assert.equal(app, undefined);
      assert.ok(diagnostics.length > 0);
    });
  }

  test("names that objects carry already stay names", () => {
    const { app, diagnostics } = parse(`${minimal}    config: { __proto__: x, toString: y }\n`);
    assert.equal(app, undefined);
    assert.equal(diagnostics.length, 2);
    assert.equal(({} as Record<string, unknown>).x, undefined);
  });

  const words = ["app", "services", "catalog", "routes", "bindings", "calls", "environments", "local", "GET /a", "<<"];
  const scalar = fc.oneof(
    fc.constantFrom(...words, "*a", "&a x", `\${X}`, "2s", "sqlite", "null", "~", "1.5", "true", "service.ts"),
    fc.string({ maxLength: 8 }),
    fc.double().map(String),
  );
  const yaml: fc.Arbitrary<string> = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { depthSize: "medium", withCrossShrink: true },
      scalar,
      fc.array(tie("node"), { maxLength: 4 }).map((list) => `[${list.join(", ")}]`),
      fc
        .array(fc.tuple(fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...words) }, scalar), tie("node")), {
          maxLength: 5,
        })
        .map((pairs) => `{${pairs.map(([key, value]) => `${key}: ${value}`).join(", ")}}`),
    ),
  })).node;
  const sound = ({ app, diagnostics }: ReturnType<typeof parse>, text: string) => {
    const errors = diagnostics.filter((diagnostic) => diagnostic.severity === "error");
    assert.equal(app === undefined, errors.length > 0);
    for (const { line, column } of diagnostics) assert.ok(line >= 1 && column >= 1);
    renderDiagnostics(diagnostics, { source: () => text, directory: folder });
  };

  test("random text never throws, and there is an app exactly when there is no error", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => sound(parse(text), text)));
  });

  test("random YAML never throws, and there is an app exactly when there is no error", () => {
    fc.assert(
      fc.property(yaml, yaml, (services, rest) => {
        const text = `app: shop\nservices: ${services}\nenvironments: ${rest}\n`;
        sound(parse(text, { environment: "local", variables: { X: "1" } }), text);
      }),
      { numRuns: 300 },
    );
  });
});
