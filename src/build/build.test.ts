import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { load } from "../component/index.ts";
import { createBuilder } from "./build.ts";
import { type Build, BuildError, type BuildRequest, type BuildStep } from "./contract.ts";
import { tracedFiles } from "./footprint.ts";
import { createProject, type Project } from "./project.fixture.ts";

const service = `import { call } from "@cytoplane/sdk";
import { named } from "dep";
export default { async fetch() { call(() => {}); return named; } };
`;
const dep = {
  "node_modules/dep/package.json": `{ "name": "dep", "type": "module", "exports": "./index.js" }`,
  "node_modules/dep/index.js": `export const named = "one";`,
};

/** What a build does, up to the point where a component would have to be made. */
async function steps(project: Project, request: BuildRequest): Promise<BuildStep[]> {
  const taken: BuildStep[] = [];
  const stop = new AbortController();
  const progress = (step: BuildStep) => {
    taken.push(step);
    if (step === "componentize") stop.abort(new Error("far enough"));
  };
  const build = createBuilder({ toolchain: project.toolchain });
  await build({ ...request, progress, signal: stop.signal }).catch((error: Error) => {
    if (error.message !== "far enough") throw error;
  });
  return taken;
}

describe("build()", () => {
  let project: Project;
  let request: BuildRequest;
  let built: Build;

  before(async () => {
    project = createProject({ "service.ts": service, ...dep });
    request = project.request("service.ts");
    // Two builders, as in two processes: they meet in the cache.
    const builds = [1, 2].map(() => createBuilder({ toolchain: project.toolchain })(request));
    const [one, other] = await Promise.all(builds);
    built = one!;
    assert.equal(other!.sourceMap, built.sourceMap);
  });
  after(() => project[Symbol.dispose]());

  const build = (source = "service.ts") => createBuilder({ toolchain: project.toolchain })(project.request(source));

  test("makes a component of the lean world", async () => {
    const component = await load(built.component);
    assert.equal(component.world, "service");
    assert.equal(component.digest, built.digest);
    assert.equal(built.cached, false);
    assert.ok(built.inputs.includes(request.source));
    assert.ok(built.inputs.includes(project.path("node_modules/dep/index.js")));
    assert.ok(built.inputs.includes(join(project.toolchain.sdkDirectory, "src/runtime.ts")));
  });

  test("an unchanged service is found without bundling", async () => {
    assert.deepEqual(await steps(project, request), ["cached"]);
    const again = await build();
    assert.equal(again.cached, true);
    assert.equal(again.sourceMap, built.sourceMap);
    assert.equal((await load(again.component)).digest, again.digest);
    assert.deepEqual([...again.inputs].sort(), [...built.inputs].sort());
  });

  test("a file that is only touched changes nothing", async () => {
    utimesSync(request.source, new Date(), new Date());
    assert.deepEqual(await steps(project, request), ["cached"]);
  });

  test("a comment costs a bundle, not a component, and moves the source map", async () => {
    writeFileSync(request.source, `// A comment.\n${service}`);
    assert.deepEqual(await steps(project, request), ["bundle", "cached"]);
    const commented = await build();
    assert.equal(commented.digest, (await build()).digest);
    assert.notEqual(commented.sourceMap, built.sourceMap);
    writeFileSync(request.source, service);
    assert.deepEqual(await steps(project, request), ["bundle", "cached"]);
  });

  for (const [what, file, change] of [
    ["the source", "service.ts", service.replace("named;", "'x' + named;")],
    ["a dependency, at the same length and time", "node_modules/dep/index.js", `export const named = "two";`],
    ["the SDK", "../sdk/src/globals.ts", "Object.assign(globalThis, { greeting: 'goodbye' });\n"],
    ["where a package leads", "node_modules/dep/package.json", `{ "name": "dep", "exports": "./other.js" }`],
    ["a package that now hides another", "node_modules/dep/node_modules/x/index.js", ""],
  ] as const) {
    test(`notices a change of ${what}`, async () => {
      using other = createProject({
        "service.ts": service,
        ...dep,
        "node_modules/dep/other.js": `export const named = "other";`,
        "node_modules/dep/index.js": what.includes("hides")
          ? `import x from "x"; export const named = x;`
          : `export const named = "one";`,
        "node_modules/x/index.js": `export default "outer";`,
      });
      const otherRequest = other.request("service.ts", { cacheDirectory: other.path("cache") });
      const entry = await footprintOf(other, otherRequest);
      assert.ok(tracedFiles(entry).includes(otherRequest.source));
      const path = other.path(file);
      const times = statSync(path, { throwIfNoEntry: false });
      if (what.includes("hides")) other.write({ [file]: `export default "inner";` });
      else writeFileSync(path, change);
      if (times && what.includes("time")) utimesSync(path, times.atime, times.mtime);
      const { confirm } = await import("./footprint.ts");
      assert.equal(confirm(entry, Date.now()), undefined);
    });
  }

  test("another world is another build", async () => {
    const witPath = project.path("other.wit");
    writeFileSync(witPath, `${readFileSync(project.toolchain.witPath, "utf8")}\n// Changed.\n`);
    const other = { ...project, toolchain: { ...project.toolchain, witPath } };
    assert.deepEqual(await steps(other, request), ["bundle", "componentize"]);
  });

  test("a damaged cache is a miss, and is mended", async () => {
    const blobs = join(request.cacheDirectory, "blob");
    for (const name of readdirSync(blobs)) {
      const bytes = readFileSync(join(blobs, name));
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(join(blobs, name), bytes);
    }
    assert.deepEqual(await steps(project, request), ["bundle", "componentize"]);
    const mended = await build();
    assert.equal(mended.cached, false);
    await load(mended.component);
    for (const folder of ["source", "bundle"]) {
      const [name] = readdirSync(join(request.cacheDirectory, folder));
      writeFileSync(join(request.cacheDirectory, folder, name!), "{ torn");
    }
    assert.deepEqual(await steps(project, request), ["bundle", "componentize"]);
    assert.equal((await build()).cached, false);
    assert.equal((await build()).cached, true);
  });

  test("killed half-way, it leaves nothing that the next build trips over", async () => {
    writeFileSync(request.source, service.replace("named;", "'killed' + named;"));
    const script = project.path("build.mjs");
    writeFileSync(
      script,
      `import { createBuilder } from ${JSON.stringify(import.meta.resolve("./build.ts"))};
       process.once("message", ({ request, toolchain }) =>
         createBuilder({ toolchain })({ ...request, progress: (step) => process.send(step) }));`,
    );
    const child = fork(script, { execArgv: [] });
    child.send({ request, toolchain: project.toolchain });
    for await (const [step] of on(child)) if (step === "componentize") break;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    const next = await build();
    assert.equal(next.cached, false);
    await load(next.component);
    const left = readdirSync(request.cacheDirectory, { recursive: true, encoding: "utf8" });
    assert.deepEqual(
      left.filter((name) => name.endsWith(".tmp")),
      [],
    );
  });

  test("refuses a cache folder that cannot be written, before it builds anything", async () => {
    const cacheDirectory = join(request.source, "cache");
    await assert.rejects(steps(project, { ...request, cacheDirectory }), {
      code: "build-failed",
      message: `Cannot keep builds in ${cacheDirectory}: the folder cannot be written (ENOTDIR)`,
      hint: "Make the folder writable, or run in a project folder that is",
    });
  });

  test("gives up when told to", async () => {
    const reason = new Error("never mind");
    await assert.rejects(createBuilder()({ ...request, signal: AbortSignal.abort(reason) }), reason);
  });

  test("points at what fails while the service is evaluated", async () => {
    using failing = createProject({
      "throws.ts": `import { call } from "@cytoplane/sdk";\nfunction f(): never {\n  throw new RangeError("not today");\n}\ncall(f);\nexport default { fetch() {} };`,
      "dependency.ts": `import { explode } from "dep";\nconst x = 1;\n  explode(x);\nexport default { fetch() {} };`,
      "node_modules/dep/index.js": `exports.explode = () => { throw new Error("from within") };`,
      "world.ts": `import { now } from "@cytoplane/sdk";\nconst started: number =\n  now();\nexport default { fetch: () => started };`,
      "nofetch.ts": "const a = 1;\n  export default { get: () => a };",
    });
    const builder = createBuilder({ toolchain: failing.toolchain });
    const complaint = async (source: string) => {
      const error = await builder(failing.request(source)).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (!(error instanceof BuildError)) throw error;
      assert.ok(error.inputs.includes(failing.path(source)));
      const [{ file, line, column, message }] = error.diagnostics as [(typeof error.diagnostics)[0]];
      return `${file.replace(`${failing.directory}/`, "")}:${line}:${column} ${message}`;
    };
    const sources = ["throws", "dependency", "world", "nofetch"];
    const endless = failing.request("endless.ts");
    writeFileSync(endless.source, "for (;;);\nexport default { fetch() {} };");
    const impatient = createBuilder({ toolchain: failing.toolchain, timeoutMs: 1000 });
    assert.deepEqual(await Promise.all(sources.map((name) => complaint(`${name}.ts`))), [
      "throws.ts:3:13 Evaluating the service failed: not today",
      "dependency.ts:3:3 Evaluating the service failed: from within",
      `world.ts:3:3 "timers.now" is called while building, when there is no world yet`,
      "nofetch.ts:2:3 The default export has no method fetch",
    ]);
    await assert.rejects(impatient(endless), {
      message: `Cannot build catalog: ${endless.source}:1:1: Evaluating the service did not end within 1 s`,
    });
  });
});

async function footprintOf(project: Project, request: BuildRequest) {
  const { bundle } = await import("./bundle.ts");
  return (await bundle(request, { toolchain: project.toolchain, nowMs: Date.now() })).footprint;
}

async function* on(child: ReturnType<typeof fork>): AsyncGenerator<unknown[]> {
  for (;;) yield once(child, "message");
}
