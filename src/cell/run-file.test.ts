import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type RunFile, readRunFile, writeRunFile } from "./run-file.ts";

describe("the run file", () => {
  let state: string;
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), "cyto-run-"));
  });
  afterEach(() => rmSync(state, { recursive: true }));

  const run = (changes: Partial<RunFile> = {}): RunFile => ({
    pid: process.pid,
    environment: "local",
    gateway: "http://127.0.0.1:8080",
    admin: "http://127.0.0.1:9090",
    ...changes,
  });

  test("is there while the cell runs", () => {
    const file = writeRunFile(state, run());
    assert.deepEqual(readRunFile(state), run());
    file[Symbol.dispose]();
    assert.equal(readRunFile(state), undefined);
  });

  test("of another cell stays when this one ends", () => {
    const file = writeRunFile(state, run());
    const other = run({ gateway: "http://127.0.0.1:8081" });
    writeRunFile(state, other);
    file[Symbol.dispose]();
    assert.deepEqual(readRunFile(state), other);
  });

  test("of a process that was killed counts as none", () => {
    const { pid } = spawnSync(process.execPath, ["--version"]);
    writeRunFile(state, run({ pid }));
    assert.equal(readRunFile(state), undefined);
  });

  test("that is none, or half written, counts as none", () => {
    for (const text of ["", "null", "{", '{"pid":1}', `{"pid":${process.pid},"gateway":"x","admin":"y"}`]) {
      writeFileSync(join(state, "run.json"), text);
      assert.equal(readRunFile(state), undefined, text);
    }
  });
});
