/** The programs of docs/engine.md do what the page says, where it says that they do. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { repository } from "./modules.ts";

// Inside of the repository, where the package finds itself by its name.
mkdirSync(join(repository, ".cyto"), { recursive: true });
const folder = mkdtempSync(join(repository, ".cyto/docs-"));
after(() => rmSync(folder, { recursive: true }));

const page = readFileSync(join(repository, "docs/engine.md"), "utf8");
const programs = [...page.matchAll(/^## (.+)$|```ts\n([\s\S]*?)```\n\n```text\n([\s\S]*?)```/gm)];

describe("docs/engine.md", () => {
  test("says of every program what it prints", () => {
    const shown = programs.filter(([, heading]) => heading === undefined);
    assert.equal(shown.length, page.split("```ts\n").length - 1);
  });

  test("shows programs that tsc takes", () => {
    copyFileSync(join(repository, "examples/embed/checksum.d.ts"), join(folder, "checksum.d.ts"));
    const files = programs.flatMap(([, heading, program], i) => {
      if (heading !== undefined) return [];
      writeFileSync(join(folder, `program${i}.ts`), program!);
      return [`program${i}.ts`];
    });
    files.push(join(repository, "src/component/webassembly.d.ts"));
    const compilerOptions = {
      module: "nodenext",
      target: "esnext",
      lib: ["esnext"],
      strict: true,
      exactOptionalPropertyTypes: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      types: ["node"],
      noEmit: true,
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
    const tsc = spawnSync(join(repository, "node_modules/.bin/tsc"), ["-p", folder], { encoding: "utf8" });
    assert.equal(tsc.stdout, "");
  });

  let under = "the beginning";
  for (const [, heading, program, printed] of programs) {
    if (program === undefined) {
      under = heading!;
      continue;
    }
    test(`${under}: prints what is shown`, () => {
      const file = join(folder, `${under.replaceAll(/\W+/g, "-")}.ts`);
      writeFileSync(file, program);
      const cwd = join(repository, "examples/embed");
      assert.equal(execFileSync(process.execPath, [file], { cwd, encoding: "utf8" }), printed);
    });
  }
});
