/**
 * Golden files: what a run printed once, kept, and compared with what it prints now.
 *
 * `UPDATE_GOLDEN=1 npm test` writes them anew; the difference is then read in review.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

/** Fails unless the file holds exactly `actual`. */
export function assertGolden(file: string | URL, actual: string): void {
  if (process.env.UPDATE_GOLDEN === "1") writeFileSync(file, actual);
  assert.ok(existsSync(file), `${file} is missing: run the tests with UPDATE_GOLDEN=1`);
  assert.equal(actual, readFileSync(file, "utf8"), `${file} differs: run the tests with UPDATE_GOLDEN=1, and review`);
}
