import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import { printDeclarations, readWit } from "cytoplane/component";

const inFolder = (name: string) => new URL(name, import.meta.url).pathname;

function adler32(bytes: Uint8Array): string {
  let [a, b] = [1, 0];
  for (const byte of bytes) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return (b * 65_536 + a).toString(16).padStart(8, "0");
}

describe("examples/embed", () => {
  test("calls, streams, and is kept within its limits", () => {
    const file = inFolder("main.ts");
    const content = readFileSync(file);
    const printed = execFileSync(process.execPath, [file, file], { encoding: "utf8" });
    assert.deepEqual(printed.trimEnd().split("\n"), [
      "of a text: 11e60398",
      `of a file: ${adler32(content)}, ${content.length} bytes`,
      "64 MiB more memory: refused",
      "an endless loop: cpu-exceeded",
    ]);
  });

  test("what is committed is what its source makes", async () => {
    const bytes = await parse(readFileSync(inFolder("checksum.wat"), "utf8"));
    assert.deepEqual(Buffer.from(bytes), readFileSync(inFolder("checksum.wasm")));
    assert.equal(printDeclarations((await readWit(bytes))!), readFileSync(inFolder("checksum.d.ts"), "utf8"));
  });
});
