import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { concerns, createWatcher } from "./watcher.ts";

describe("concerns()", () => {
  const files = new Set(["/app/service.ts", "/app/cyto.yaml"]);
  const names = ["service.ts", "cyto.yaml", "out.log", "out", "other.ts", ".other.ts.swp", ".hidden.ts"];
  const told = (neighbours: boolean) => names.filter((name) => concerns(`/app/${name}`, files, neighbours));

  test("tells of the files that are watched, and of nothing else", () => {
    assert.deepEqual(told(false), ["service.ts", "cyto.yaml"]);
  });

  test("tells of what a service can be made of beside them, while something is missing", () => {
    assert.deepEqual(told(true), ["service.ts", "cyto.yaml", "other.ts"]);
  });
});

describe("createWatcher()", () => {
  test("tells once of changes that come together, and of later ones again", async () => {
    const directory = mkdtempSync(join(tmpdir(), "cyto-watch-"));
    const file = join(directory, "service.ts");
    let count = 0;
    let told = Promise.withResolvers<void>();
    using watcher = createWatcher(() => {
      count++;
      told.resolve();
    });
    try {
      watcher.update([file], { neighbours: false });
      for (const text of ["one", "two", "three"]) writeFileSync(file, text);
      await told.promise;
      assert.equal(count, 1);
      told = Promise.withResolvers();
      writeFileSync(file, "four");
      await told.promise;
      assert.equal(count, 2);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
