import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bundle } from "./bundle.ts";
import { BuildError, type SourceDiagnostic } from "./contract.ts";
import { tracedFiles } from "./footprint.ts";
import { createProject, type Project } from "./project.fixture.ts";

const fetch = "export default { fetch() { return String(value); } };\n";
const bundleOf = (project: Project, source = "service.ts") =>
  bundle(project.request(source), { toolchain: project.toolchain, nowMs: 0 });

/** Builds and must fail; diagnostics as `file:line:column message [hint]`, files relative to the project. */
async function complaints(files: Record<string, string | Uint8Array>): Promise<string[]> {
  using project = createProject(files);
  const error = await bundleOf(project).then(
    () => assert.fail("It was bundled"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BuildError)) throw error;
  assert.ok(error.inputs.includes(project.path("service.ts")));
  return error.diagnostics.map((each) => line(each, project.directory));
}

function line({ file, line, column, message, hint }: SourceDiagnostic, root: string): string {
  return `${file.replace(`${root}/`, "")}:${line}:${column} ${message}${hint === undefined ? "" : ` [${hint}]`}`;
}

describe("bundle()", () => {
  test("makes one module of TypeScript, packages, JSON and text, and leaves the world outside", async () => {
    using project = createProject({
      "service.ts": `import { call } from "@cytoplane/sdk";
import cjs from "cjs";
import { used } from "esm";
import { items } from "./data.json";
import page from "./page.html";
enum Color { Red }
export default { async fetch() { call(() => {}); const late = await import("./late.js"); return [page, items, used, cjs.name, late.late, Color.Red]; } };`,
      "data.json": `{ "items": [1, 2] }`,
      "page.html": "<h1>héllo</h1>",
      "late.ts": "export const late: string = 'late';",
      "node_modules/cjs/package.json": `{ "name": "cjs", "main": "index.js" }`,
      "node_modules/cjs/index.js": `exports.name = process.env.NODE_ENV === "production" ? "common" : require("./dev.js");`,
      "node_modules/esm/package.json": `{ "name": "esm", "type": "module", "exports": "./index.js", "sideEffects": false }`,
      "node_modules/esm/index.js": `import fs from "fs"; export const used = "used"; export const unused = () => fs.readFileSync("x");`,
    });
    const { code, footprint } = await bundleOf(project);
    assert.match(code, /<h1>héllo/);
    assert.match(code, /"used"/);
    assert.match(code, /"common"/);
    assert.doesNotMatch(code, /readFileSync|dev\.js|import\(/);
    const imports = [...code.matchAll(/^import .* from "(.*)";$/gm)].map(([, name]) => name);
    assert.deepEqual(imports, ["cytoplane:service/reply@0.1.0"]);
    const files = tracedFiles(footprint).map((file) => file.replace(`${project.directory}/`, ""));
    for (const file of ["service.ts", "late.ts", "data.json", "page.html", "node_modules/cjs/index.js"]) {
      assert.ok(files.includes(file), file);
    }
  });

  test("the author's own copy of the SDK never takes the platform's place", async () => {
    using project = createProject({
      "service.ts": `import { call } from "@cytoplane/sdk"; export default { fetch() { call(() => {}); } };`,
      "node_modules/@cytoplane/sdk/package.json": `{ "name": "@cytoplane/sdk", "main": "index.js" }`,
      "node_modules/@cytoplane/sdk/index.js": "export const call = 'an old one';",
    });
    assert.doesNotMatch((await bundleOf(project)).code, /an old one/);
  });

  test("honours the paths of the author's tsconfig.json, and restores the platform's where it is gone", async () => {
    using project = createProject({
      "src/service.ts": `import { value } from "~/value"; ${fetch}`,
      "src/value.ts": "export const value = 'by path';",
      "tsconfig.json": `{ "extends": "./.cyto/tsconfig.json", "compilerOptions": { "paths": { "~/*": ["./src/*"] } } }`,
    });
    assert.match((await bundleOf(project, "src/service.ts")).code, /by path/);
  });

  test("points at a syntax error", async () => {
    assert.deepEqual(await complaints({ "service.ts": `export default {\n  fetch() { return f("x" };\n};` }), [
      "service.ts:2:26 Expected `,` or `)` but found `}`",
    ]);
  });

  test("points at every import that leads nowhere, and says what to do", async () => {
    const found = await complaints({
      "service.ts": `import { a } from "./dta.ts";
import b from "@scope/missing/deep";
import c from "@cytoplane/sdk/nope";
import d from "https://esm.sh/d";
import e from "half/way";
export default { fetch: () => [a, b, c, d, e] };`,
      "data.ts": "",
      "node_modules/half/package.json": `{ "name": "half", "exports": { ".": "./index.js" } }`,
    });
    assert.deepEqual(
      found.map((each) => each.replace(/\/\S*\/app\//, "")),
      [
        `service.ts:1:19 There is no file "./dta.ts" [Did you mean "./data.ts"?]`,
        `service.ts:2:15 The package "@scope/missing" is not installed [Install it: npm install @scope/missing]`,
        `service.ts:3:15 The SDK has no "@cytoplane/sdk/nope" [It has @cytoplane/sdk, @cytoplane/sdk/globals, @cytoplane/sdk/runtime]`,
        `service.ts:4:15 "https://esm.sh/d" is on the network [Install the package with npm and import it by name]`,
        `service.ts:5:15 The package "half" has no "half/way" to import [See "exports" in node_modules/half/package.json]`,
      ],
    );
  });

  test("refuses what only Node.js has, and says what to use", async () => {
    assert.deepEqual(
      await complaints({
        "service.ts": `import { readFile } from "node:fs/promises";\nimport { value } from "./deep/helper.ts";\nreadFile;${fetch}`,
        "deep/helper.ts": `const x = 1;\nimport { createHash } from "crypto";\nexport const value = createHash;`,
      }),
      [
        `deep/helper.ts:2:28 "crypto" is a module of Node.js, which a component does not have [Use the global crypto: crypto.subtle, crypto.getRandomValues(), crypto.randomUUID()]`,
        `service.ts:1:26 "node:fs/promises" is a module of Node.js, which a component does not have [Keep data in a keyvalue binding, or import a file when building: import data from './data.json']`,
      ],
    );
  });

  test("refuses a package that needs Node.js, but not one that is ready for its absence", async () => {
    const needy = {
      "node_modules/needy/package.json": `{ "name": "needy", "main": "index.js" }`,
      "node_modules/needy/index.js": `try { require("node:zlib") } catch {}\nconst net = require("net");\nmodule.exports = net;`,
    };
    const found = await complaints({ "service.ts": `import value from "needy";\n${fetch}`, ...needy });
    assert.equal(found.length, 1);
    assert.match(found[0]!, /^node_modules\/needy\/index\.js:2:21 "net" .*; the package needy needs it \[Use fetch/);
    using project = createProject({
      "service.ts": `import value from "needy";\n${fetch}`,
      ...needy,
      "node_modules/needy/index.js": `try { require("node:zlib") } catch {}\nmodule.exports = 1;`,
    });
    await bundleOf(project);
  });

  test("an npm package may have the name of a Node.js module", async () => {
    using project = createProject({
      "service.ts": `import value from "events";\n${fetch}`,
      "node_modules/events/package.json": `{ "name": "events", "main": "index.js" }`,
      "node_modules/events/index.js": `module.exports = "from npm";`,
    });
    assert.match((await bundleOf(project)).code, /from npm/);
  });

  test("points at the other things that cannot be bundled", async () => {
    assert.deepEqual(await complaints({ "service.ts": "export const a = 1;" }), [
      "service.ts:1:1 There is no default export [Write: export default { async fetch(request) { return new Response('hello') } }]",
    ]);
    assert.deepEqual(
      await complaints({ "service.ts": `import value from "./a.json";\n${fetch}`, "a.json": `{"a":\n 1,,}` }),
      ["a.json:2:4 key must be a string at line 2 column 4"],
    );
    assert.deepEqual(
      await complaints({
        "service.ts": `import value from "./a.png";\n${fetch}`,
        "a.png": new Uint8Array([0x89, 0xff]),
      }),
      ["a.png:1:1 The file is imported, but is not text"],
    );
    assert.deepEqual(
      await complaints({ "service.ts": `import { value } from "./a.ts";\n${fetch}`, "a.ts": "export {};" }),
      [`service.ts:1:10 "value" is not exported by "a.ts".`],
    );
    assert.deepEqual(await complaints({ "service.ts": fetch, "tsconfig.json": `{ "extends": "./nope.json" }` }), [
      "tsconfig.json:1:1 The configuration, or one that it extends, cannot be read",
    ]);
  });

  test("says so when there is no source", async () => {
    using project = createProject();
    await assert.rejects(bundleOf(project), (error: BuildError) => {
      assert.equal(error.message, `Cannot build catalog: ${project.path("service.ts")}:1:1: There is no such file`);
      return true;
    });
  });
});
