/**
 * The package as it is published: packed, unpacked beside its dependencies, and used by a program that
 * is outside of the repository. Node takes no TypeScript from there.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { repository } from "../modules.ts";

const folder = mkdtempSync(join(tmpdir(), "cyto-package-"));
after(() => rmSync(folder, { recursive: true }));
const installed = join(folder, "node_modules/cytoplane");

const node = (...args: string[]) => execFileSync(process.execPath, args, { cwd: folder, encoding: "utf8" });
const tsc = (...args: string[]) => node(join(repository, "node_modules/typescript/bin/tsc"), ...args);

before(() => {
  // The compiler's part of `npm pack`, in a folder of its own: others run from the repository meanwhile.
  const manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  assert.equal(manifest.scripts.prepack, "tsc -p tsconfig.dist.json");
  tsc("-p", join(repository, "tsconfig.dist.json"), "--outDir", join(installed, "dist"));
  mkdirSync(join(installed, "bin"), { recursive: true });
  for (const file of ["package.json", "bin/component.js", "bin/cyto.js"])
    copyFileSync(join(repository, file), join(installed, file));
  for (const name of Object.keys(manifest.dependencies)) {
    const at = join(folder, "node_modules", name);
    mkdirSync(dirname(at), { recursive: true });
    if (!existsSync(at)) symlinkSync(join(repository, "node_modules", name), at);
  }
  for (const name of ["main.ts", "checksum.wasm", "checksum.wat", "checksum.d.ts"])
    copyFileSync(join(repository, "examples/embed", name), join(folder, name));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
});

describe("the published package", () => {
  test("a program uses the engine by itself", () => {
    assert.match(node("main.ts"), /^of a text: 11e60398\n[\s\S]*an endless loop: cpu-exceeded\n$/);
  });

  test("its types are those of the program's calls", () => {
    const options = "--noEmit --module nodenext --target esnext --strict --skipLibCheck --types node".split(" ");
    const types = ["--typeRoots", join(repository, "node_modules/@types")];
    assert.equal(tsc(...options, ...types, "main.ts"), "");
    const wrong = readFileSync(join(folder, "main.ts"), "utf8").replace('ofText("Wikipedia")', "ofText(7)");
    writeFileSync(join(folder, "wrong.ts"), wrong);
    assert.throws(
      () => tsc(...options, ...types, "wrong.ts"),
      ({ stdout }: { readonly stdout: string }) => /^wrong\.ts\(\d+,\d+\): error TS2345: .*'number'/.test(stdout),
    );
  });

  test("every name of the engine is there, compiled and from its sources", async () => {
    const names = "Object.keys(await import('cytoplane/component')).sort().join()";
    const print = `console.log(${names})`;
    const sources = await import("../../src/component/embed.ts");
    for (const cwd of [folder, repository]) {
      const printed = execFileSync(process.execPath, ["--input-type=module", "-e", print], { cwd, encoding: "utf8" });
      assert.equal(printed.trim(), Object.keys(sources).sort().join());
    }
  });

  test("the command starts", () => {
    assert.match(node(join(installed, "bin/cyto.js"), "--version"), /\d+\.\d+\.\d+/);
  });
});
