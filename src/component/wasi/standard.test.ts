import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { systemClock, systemRandom } from "../../kernel/index.ts";
import type { Grants } from "../contract.ts";
import { wasiImports } from "./standard.ts";
import { createHostState } from "./state.ts";

const grants = {
  clock: systemClock,
  random: systemRandom,
  keyvalue: {},
  config: {},
  directories: [],
  environment: [],
  args: [],
} as unknown as Grants;

/** Not offered: no host of ours, and unstable in the standard. */
const left = new Set(["wasi:clocks/timezone", "wasi:http/incoming-handler", "wasi:http/handler", "wasi:cli/run"]);

/** What a name of an interface goes by where it is of 0.3. */
const of03 = (path: string) => path.replace("#", "@0.3#");

/** Every function of a WIT package, as `interface#function` or `interface#Resource.method`. */
function functionsOf(wit: string): string[] {
  const found: string[] = [];
  let [name, owner, resource] = ["", "", ""];
  for (const line of wit.split("\n").map((text) => text.replace(/\/\/.*/, "").trim())) {
    const [, opened, named] =
      /^(package|interface|world|resource|variant|record|enum|flags) %?([\w:-]+)/.exec(line) ?? [];
    if (opened === "package") name = named!;
    else if (opened === "resource") {
      resource = line.endsWith("{") ? named! : "";
      if (resource === "") found.push(`${owner}#${pascal(named!)}`);
    } else if (opened === "interface") owner = `${name}/${named}`;
    else if (opened === "world") owner = "";
    if (line === "}") resource = "";
    const member = /^%?([\w-]+): (static )?(?:async )?func\(/.exec(line);
    if (owner === "" || member === null) continue;
    const method = camel(member[1]!);
    if (resource === "") found.push(`${owner}#${method}`);
    else found.push(`${owner}#${pascal(resource)}.${member[2] === undefined ? "prototype." : ""}${method}`);
  }
  return found.filter((path) => !left.has(path.split("#")[0]!));
}

function camel(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function pascal(name: string): string {
  return camel(`-${name}`);
}

describe("wasiImports()", () => {
  const imports: Record<string, object> = wasiImports(grants, createHostState(grants));

  /** Whether the host objects have what such a path names. */
  function has(path: string): boolean {
    const [owner, member] = path.split("#") as [string, string];
    return (
      typeof member
        .split(".")
        .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], imports[owner]) === "function"
    );
  }

  async function functionsOfWasi(version: string): Promise<string[]> {
    const folder = new URL(`../lib/wit/builtin/${version}/`, import.meta.resolve("@bytecodealliance/jco"));
    const packages = await readdir(folder);
    const wits = await Promise.all(packages.map((name) => readFile(new URL(`${name}/package.wit`, folder), "utf8")));
    return wits.flatMap(functionsOf);
  }

  test("has every function of every interface of WASI 0.2", async () => {
    const wanted = await functionsOfWasi("0.2.12");
    assert.ok(wanted.length > 150, `${wanted.length} were found`);
    assert.deepEqual(
      wanted.filter((path) => !has(path)),
      [],
    );
  });

  test("has every function of every interface of WASI 0.3, and of a middleware what it stands before", async () => {
    const wanted = (await functionsOfWasi("0.3.0")).map(of03);
    assert.ok(wanted.length > 100, `${wanted.length} were found`);
    assert.deepEqual(
      wanted.filter((path) => !has(path)),
      [],
    );
    const next: Grants["next"] = async () => ({ status: 204, headers: [] });
    const middleware = { ...grants, next };
    assert.ok("wasi:http/handler@0.3" in wasiImports(middleware, createHostState(middleware)));
  });

  for (const name of ["keyvalue", "config", "logging", "secrets"])
    test(`has every function of wit/${name}.wit`, async () => {
      const wit = await readFile(new URL(`../../../wit/${name}.wit`, import.meta.url), "utf8");
      const wanted = functionsOf(wit);
      assert.ok(wanted.length > 0);
      assert.deepEqual(
        wanted.filter((path) => !has(path)),
        [],
      );
    });

  test("offers nothing else by accident", () => {
    assert.deepEqual(
      Object.keys(imports).filter(
        (name) => !/^(wasi|cytoplane):[a-z]+\/[a-z-]+(@0\.3)?$|^wasi_snapshot_preview1$/.test(name),
      ),
      [],
    );
  });
});
