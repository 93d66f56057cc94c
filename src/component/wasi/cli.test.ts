import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemRandom } from "../../kernel/index.ts";
import type { Grants } from "../contract.ts";
import { cli } from "./cli.ts";
import { random } from "./random.ts";
import { createHostState } from "./state.ts";
import { standardIo } from "./stdio.ts";

function hosts() {
  const lines: string[] = [];
  const grants = {
    service: "s",
    log: (level: string, context: string, line: string) => lines.push(`${level} ${context} ${line}`),
  };
  const state = createHostState(grants as unknown as Grants);
  return { lines, state, ...cli(state.grants, standardIo(state.grants, state)) };
}

describe("wasi:cli", () => {
  test("makes lines of what is written, wherever it is cut, even inside of a letter", () => {
    const { lines, state, "wasi:cli/stdout": stdout } = hosts();
    const bytes = Buffer.from("grüße\n\nzwei\nrest");
    for (const byte of bytes) stdout.getStdout().write(Uint8Array.of(byte));
    assert.deepEqual(lines, ["info stdout grüße", "info stdout zwei"]);
    for (const finish of state.afterCall) finish();
    assert.equal(lines.at(-1), "info stdout rest");
  });

  test("cuts a line that has no end", () => {
    const { lines, "wasi:cli/stderr": stderr } = hosts();
    for (let count = 0; count < 10; count++) stderr.getStderr().write(Buffer.alloc(10_000, "x"));
    assert.equal(lines.length, 6);
    assert.ok(lines.every((line) => line.length < 17_000));
  });

  test("has an empty standard input and no terminal", () => {
    const { "wasi:cli/stdin": stdin, "wasi:cli/terminal-stdout": terminal } = hosts();
    assert.throws(
      () => stdin.getStdin().blockingRead(1n),
      (thrown) => (thrown as { tag: string }).tag === "closed",
    );
    assert.equal(terminal.getTerminalStdout(), undefined);
  });
});

describe("wasi:random", () => {
  test("gives as many bytes as asked for, up to a bound", () => {
    const { getRandomBytes, getRandomU64 } = random(systemRandom)["wasi:random/random"];
    assert.equal(getRandomBytes(33n).length, 33);
    assert.equal(typeof getRandomU64(), "bigint");
    assert.throws(() => getRandomBytes(2n ** 40n), /one call may ask for/);
  });
});
