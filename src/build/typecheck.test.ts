import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { describe, test } from "node:test";
import type { SourceDiagnostic } from "./contract.ts";
import { writeEditorConfig } from "./editor-config.ts";
import { createProject } from "./project.fixture.ts";
import { typecheck } from "./typecheck.ts";

const line = (root: string) => (each: SourceDiagnostic) =>
  `${each.file.replace(`${root}/`, "")}:${each.line}:${each.column} ${each.code}: ${each.message}`;

const wrong = `import { now } from "@cytoplane/sdk";
import page from "./page.html";
import { items } from "./data.json";
const text: string = now();
export default { fetch: async (request: Request): Promise<Response> => new Response(page + items.length + text) };
`;
const files = { "service.ts": wrong, "page.html": "<b>", "data.json": `{ "items": [] }` };
const found = "service.ts:4:7 TS2322: Type 'number' is not assignable to type 'string'.";

describe("typecheck()", () => {
  test("checks a project that has no tsconfig.json, with the platform's SDK", async () => {
    using project = createProject({ ...files, "other.ts": "process.exit(1);" });
    const diagnostics = await typecheck(project.directory, project.toolchain);
    assert.deepEqual(diagnostics.map(line(project.directory)).sort(), [
      "other.ts:1:1 TS2591: Cannot find name 'process'.",
      found,
    ]);
    const hints = diagnostics.flatMap(({ hint }) => hint ?? []);
    assert.deepEqual(hints, ["Read values with config and secret of @cytoplane/sdk"]);
  });

  test("follows a tsconfig.json that extends the platform's", async () => {
    using project = createProject({
      "service.ts": "const unused = 1;\nexport {};",
      "tsconfig.json": `{ "extends": "./.cyto/tsconfig.json", "compilerOptions": { "noUnusedLocals": true } }`,
    });
    const diagnostics = await typecheck(project.directory, project.toolchain);
    assert.deepEqual(diagnostics.map(line(project.directory)), [
      "service.ts:1:7 TS6133: 'unused' is declared but its value is never read.",
    ]);
  });

  test("adds the SDK to a tsconfig.json that knows nothing of it", async () => {
    using project = createProject({
      ...files,
      "lib/value.ts": "export const value = 1;",
      "second.ts": `import { value } from "~/value"; export const text: string = value;`,
      "tsconfig.json": JSON.stringify({
        compilerOptions: {
          module: "esnext",
          moduleResolution: "bundler",
          lib: ["esnext", "dom"],
          strict: true,
          types: [],
          paths: { "~/*": ["./lib/*"] },
        },
      }),
    });
    const diagnostics = await typecheck(project.directory, project.toolchain);
    assert.deepEqual(diagnostics.map(line(project.directory)).sort(), [
      "second.ts:1:47 TS2322: Type 'number' is not assignable to type 'string'.",
      found,
    ]);
  });

  test("joins a message of many lines, and names a configuration that is broken", async () => {
    using project = createProject({
      "service.ts": "export const f: (a: { b: string }) => void = (a: { b: number }) => a;",
    });
    const [diagnostic] = await typecheck(project.directory, project.toolchain);
    assert.match(diagnostic!.message, /^Type .*\n {2}Types of parameters .*\n/);
    project.write({ "tsconfig.json": `{ "extends": "./nope.json" }` });
    const [broken] = await typecheck(project.directory, project.toolchain);
    assert.equal(broken!.file, project.path("tsconfig.json"));
    assert.match(broken!.message, /nope\.json/);
  });
});

test("writeEditorConfig() touches nothing that is as it should be", () => {
  using project = createProject();
  const path = writeEditorConfig(project.directory, project.toolchain);
  const config = JSON.parse(readFileSync(path, "utf8"));
  assert.deepEqual(config.compilerOptions.paths["@cytoplane/sdk"], [`${project.toolchain.sdkDirectory}/src/index.ts`]);
  const { mtimeNs } = statSync(path, { bigint: true });
  writeEditorConfig(project.directory, project.toolchain);
  assert.equal(statSync(path, { bigint: true }).mtimeNs, mtimeNs);
});
