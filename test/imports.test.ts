/** The rules of the house that a machine can judge. Each fault names its file and line. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { basename, dirname, join } from "node:path";
import { describe, test } from "node:test";
import { catalog } from "../src/kernel/index.ts";
import { assertGolden } from "./golden.ts";
import { printHouse, refusal, rooms } from "./house.ts";
import { type Module, parseModule, readModules, repository } from "./modules.ts";

const source = readModules("src");
const sdk = readModules("sdk/src");
const around = ["test", "bench", "examples"]
  .filter((folder) => existsSync(join(repository, folder)))
  .flatMap(readModules);

/** Not shipped: tests, and the suites and benches that only tests call. */
const isTest = (path: string) => /\.test\.[mc]?[tj]sx?$|\/(conformance|simulation)\.ts$|-fixture\.ts$/.test(path);
const roomOf = (path: string) => /^src\/([^/]+)\//.exec(path)?.[1];

/** The module of this repository that an import leads to. */
function targetOf(module: Module, specifier: string): string | undefined {
  return specifier.startsWith(".") ? join(dirname(module.path), specifier).replaceAll("\\", "/") : undefined;
}

describe("the house", () => {
  test("no room imports a room that it may not", () => {
    assert.deepEqual(source.flatMap(forbiddenImports), []);
  });

  test("no module of src/ reaches outside it, and none of the SDK reaches into it", () => {
    const leaving = (module: Module, home: string) =>
      module.imports
        .filter(({ what }) => targetOf(module, what)?.startsWith(home) === false)
        .map(({ what, line }) => `${module.path}:${line} imports ${what}`);
    const shipped = source.filter(({ path }) => !isTest(path));
    assert.deepEqual([...shipped.flatMap((m) => leaving(m, "src/")), ...sdk.flatMap((m) => leaving(m, "sdk/"))], []);
  });

  test("no circle of modules", () => {
    assert.deepEqual(circles([...source, ...sdk]), []);
  });

  test("every package is declared where it is imported", () => {
    const root = packageOf("package.json");
    const own = packageOf("sdk/package.json");
    const shipped = source.filter(({ path }) => !isTest(path));
    const tests = [...source.filter(({ path }) => isTest(path)), ...around];
    assert.deepEqual(
      [
        ...shipped.flatMap((module) => undeclared(module, root.dependencies)),
        ...tests.flatMap((module) => undeclared(module, [root.name, ...root.dependencies, ...root.devDependencies])),
        ...sdk.flatMap((module) => undeclared(module, [own.name, ...own.dependencies])),
      ],
      [],
    );
  });

  test("time, chance and the environment come in as arguments", () => {
    assert.deepEqual(source.flatMap(ambientUses), []);
  });

  test("names say what is inside", () => {
    const vague = /(^|-)(utils?|common|helpers?|misc|managers?|shared-code)(-|\.|$)/;
    const wrong = [...source, ...sdk, ...around].filter(
      ({ path }) => path.split("/").some((part) => vague.test(part)) || !/^[a-z0-9.-]+$/.test(basename(path)),
    );
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    );
  });

  test("modules export by name, each name on its own", () => {
    const faults = [...source, ...sdk].flatMap(({ path, exports }) =>
      path.includes("/golden/") ? [] : exports.map(({ what, line }) => `${path}:${line} ${what}`),
    );
    assert.deepEqual(faults, []);
  });

  test("ARCHITECTURE.md shows the table that is tested", () => {
    const file = join(repository, "ARCHITECTURE.md");
    const [begin, end] = ["<!-- house: begin -->", "<!-- house: end -->"];
    const text = existsSync(file) ? readFileSync(file, "utf8") : "";
    if (!text.includes(begin)) return;
    const [before = "", rest = ""] = text.split(begin);
    const after = rest.split(end)[1] ?? "";
    const printed = `${before}${begin}\n${printHouse()}\n${end}${after}`;
    if (process.env.UPDATE_GOLDEN === "1") writeFileSync(file, printed);
    assert.equal(printed, readFileSync(file, "utf8"));
  });

  test("docs/errors.md lists every code of the catalogue", () => {
    assertGolden(join(repository, "docs/errors.md"), printErrors());
  });
});

describe("the rules of the house are able to fail", () => {
  const moduleOf = (path: string, text: string) => parseModule(path, text);

  test("a forbidden edge, however it is written", () => {
    for (const text of [
      'import { a } from "../mesh/index.ts";',
      'import type { A } from "../mesh/index.ts";',
      'export { a } from "../mesh/index.ts";',
      'const a = await import("../mesh/index.ts");',
      'let a: import("../mesh/index.ts").A;',
    ]) {
      const [fault] = forbiddenImports(moduleOf("src/gateway/x.ts", `\n${text}`));
      assert.equal(fault, "src/gateway/x.ts:2 imports ../mesh/index.ts: gateway/ may import kernel, not mesh/");
    }
  });

  test("types only, where only types are allowed", () => {
    const typed = moduleOf("src/host/x.ts", 'import type { S } from "../storage/store.ts";');
    const running = moduleOf("src/host/x.ts", 'import { s, type S } from "../storage/store.ts";');
    assert.equal(forbiddenImports(typed).length, 0);
    assert.equal(forbiddenImports(running).length, 1);
  });

  test("gateway, mesh, host, aspect and capability never import each other", () => {
    const apart = ["gateway", "mesh", "host", "aspect", "capability"];
    for (const from of apart) {
      for (const to of apart) if (from !== to) assert.ok(refusal(from, to, true), `${from} → ${to}`);
    }
  });

  test("the table itself has no circle", () => {
    const seen = new Set<string>();
    for (const { name, imports, types = [] } of rooms) {
      for (const other of [...imports, ...types])
        assert.ok(seen.has(other), `${name} imports ${other}, which is above it`);
      seen.add(name);
    }
  });

  test("a circle of modules, unless it is of types", () => {
    const circle = (text: string) => [
      moduleOf("src/kernel/a.ts", text),
      moduleOf("src/kernel/b.ts", 'import { a } from "./a.ts"; export const b = a;'),
    ];
    assert.deepEqual(circles(circle('import { b } from "./b.ts";')), [
      "src/kernel/a.ts → src/kernel/b.ts → src/kernel/a.ts",
    ]);
    assert.deepEqual(circles(circle('import type { b } from "./b.ts";')), []);
  });

  test("an undeclared package", () => {
    const module = moduleOf("src/kernel/a.ts", 'import "node:fs"; import "yaml/util"; import "@scope/name/deep";');
    assert.deepEqual(undeclared(module, ["yaml"]), ["src/kernel/a.ts:1 imports @scope/name, which is not declared"]);
  });

  test("ambient time and chance", () => {
    const text = "new Date(); Date.now(); Math.random(); setTimeout(f, 1); process.env.X; new Date(0);";
    assert.equal(ambientUses(moduleOf("src/mesh/a.ts", text)).length, 5);
  });
});

function forbiddenImports(module: Module): string[] {
  const from = roomOf(module.path);
  if (isTest(module.path)) return [];
  return module.imports.flatMap(({ what, line, typeOnly }) => {
    const to = roomOf(targetOf(module, what) ?? "");
    const reason = from === undefined || to === undefined ? undefined : refusal(from, to, typeOnly);
    return reason === undefined ? [] : [`${module.path}:${line} imports ${what}: ${reason}`];
  });
}

/** Circles of imports that run. Those of types alone are erased, and order nothing. */
function circles(modules: readonly Module[]): string[] {
  const edges = new Map(
    modules.map((module) => [
      module.path,
      module.imports.filter(({ typeOnly }) => !typeOnly).flatMap(({ what }) => targetOf(module, what) ?? []),
    ]),
  );
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    if (start >= 0) found.push([...trail.slice(start), path].join(" → "));
    if (start >= 0 || done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return found;
}

function undeclared(module: Module, declared: readonly string[]): string[] {
  return module.imports.flatMap(({ what, line }) => {
    // `cytoplane:service/timers` is a WIT interface, not a package.
    if (/^(\.|\/|[a-z]+:)/.test(what) || isBuiltin(what)) return [];
    const name = what
      .split("/")
      .slice(0, what.startsWith("@") ? 2 : 1)
      .join("/");
    // What a service may import is given by the platform.
    if (declared.includes(name) || name === "@cytoplane/sdk") return [];
    return [`${module.path}:${line} imports ${name}, which is not declared`];
  });
}

/** Where time, chance and the environment may be taken from the process itself, and why. */
const ambientAllowed: Readonly<Record<string, string>> = {
  "src/kernel/clock.ts": "the clock that is passed in everywhere else",
  "src/kernel/random.ts": "the chance that is passed in everywhere else",
  "src/build/cache.ts": "names of temporary files and the file system's own times; neither has a say in a build",
  "src/cli/": "the process's own edge: it measures and reads the environment for a person",
};

function ambientUses(module: Module): string[] {
  if (isTest(module.path) || Object.keys(ambientAllowed).some((prefix) => module.path.startsWith(prefix))) return [];
  return module.ambient
    .filter(({ what }) => !(what === "process.env" && module.path.startsWith("src/cell/")))
    .map(({ what, line }) => `${module.path}:${line} uses ${what}: take a Clock, a Random or a value as an argument`);
}

function packageOf(path: string): { name: string; dependencies: string[]; devDependencies: string[] } {
  const read = JSON.parse(readFileSync(join(repository, path), "utf8")) as {
    name: string;
    dependencies?: object;
    devDependencies?: object;
  };
  const names = (of: object | undefined) => Object.keys(of ?? {});
  return { name: read.name, dependencies: names(read.dependencies), devDependencies: names(read.devDependencies) };
}

function printErrors(): string {
  const retries = { never: "no", same: "yes", elsewhere: "on another instance" } as const;
  const rows = Object.entries(catalog)
    .toSorted(([a, x], [b, y]) => x.status - y.status || a.localeCompare(b))
    .map(([code, { status, retry, title }]) => `| \`${code}\` | ${status} | ${retries[retry]} | ${title} |`);
  return `# Error codes

Every failure of the platform carries one of these codes: as \`code\` in the problem+json reply of
the gateway (RFC 9457), in \`--json\` output of the command line, and in logs. A reply that a service
itself gives, whatever its status, is passed on as it is and carries none.

| code | HTTP status | worth trying again | what it says |
|---|---|---|---|
${rows.join("\n")}

This page is printed from \`src/kernel/error.ts\`; a test proves that they agree.
`;
}
