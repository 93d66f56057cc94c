/** The programs of docs/engine.md do what the page says, where it says that they do. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
