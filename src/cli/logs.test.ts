import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { openLogs } from "./log-reader.ts";
import { begin, run } from "./terminal-fixture.ts";

const cwd = mkdtempSync(join(tmpdir(), "cyto-logs-"));
const folder = join(cwd, ".cyto/logs");
const file = join(folder, "shop.jsonl");
writeFileSync(join(cwd, "cyto.yaml"), "app: shop\n");
after(() => rmSync(cwd, { recursive: true }));

const line = (time: number, message: string, more: object = {}) =>
  `${JSON.stringify({ time, level: "info", service: "catalog", message, ...more })}\n`;

beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${file}.1`, line(1, "oldest"));
  writeFileSync(
    file,
    line(3, "third", { level: "error", stack: "Error\n  at x.ts:1" }) + line(2, "second", { requestId: "r1" }),
  );
});

const messages = (stdout: string) =>
  stdout
    .trim()
    .split("\n")
    .map((text) => JSON.parse(text).message);

describe("cyto logs", () => {
  test("shows all files in the order of time", async () => {
    const { code, stdout } = await run(["logs", "--json"], { cwd });
    assert.equal(code, 0);
    assert.deepEqual(messages(stdout), ["oldest", "second", "third"]);
  });

  test("filters by level, service and request, and shows the last", async () => {
    const shown = async (...args: string[]) => messages((await run(["logs", "--json", ...args], { cwd })).stdout);
    assert.deepEqual(await shown("--level", "warn"), ["third"]);
    assert.deepEqual(await shown("--request", "r1"), ["second"]);
    assert.deepEqual(await shown("-n", "1"), ["third"]);
    assert.equal((await run(["logs", "--service", "cart"], { cwd })).stderr, "nothing has been logged\n");
  });

  test("shows stacks for people, and lets no text steer the terminal", async () => {
    appendFileSync(file, line(4, "\u001b[2Jgone"));
    const { stdout } = await run(["logs"], { cwd });
    assert.match(stdout, /error catalog third\n {2}Error\n {4}at x\.ts:1\n/);
    assert.equal(stdout.includes("\u001b"), false);
  });

  test("tells a line that is no JSON as it is", async () => {
    appendFileSync(file, '{"time":5,"mess\n');
    assert.match((await run(["logs"], { cwd })).stdout, /--:--:--\.--- info {2}\{"time":5,"mess/);
  });

  test("-f goes on with what is logged, until it is stopped", async () => {
    const following = begin(["logs", "-f", "--json"], { cwd });
    await following.until(/third/);
    appendFileSync(file, line(6, "later"));
    await following.until(/later/);
    following.stop();
    assert.equal((await following.ended).code, 0);
  });
});

describe("openLogs()", () => {
  test("tells each line once, also when the file is renamed and begun anew", () => {
    const reader = openLogs(folder);
    assert.equal(reader.read().length, 3);
    appendFileSync(file, line(7, "before"));
    renameSync(file, `${file}.1`);
    writeFileSync(file, line(8, "after"));
    assert.deepEqual(
      reader.read().map(({ message }) => message),
      ["before", "after"],
    );
    assert.deepEqual(reader.read(), []);
  });

  test("waits for the end of a line, also inside a character", () => {
    const reader = openLogs(folder);
    reader.read();
    const bytes = Buffer.from(line(9, "über"));
    const middle = bytes.indexOf(0xc3) + 1;
    appendFileSync(file, bytes.subarray(0, middle));
    assert.deepEqual(reader.read(), []);
    appendFileSync(file, bytes.subarray(middle));
    assert.deepEqual(
      reader.read().map(({ message }) => message),
      ["über"],
    );
  });
});
