import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Grants, type Instance, load } from "../component/index.ts";
import { wasiImports } from "../component/wasi/standard.ts";
import { createHostState } from "../component/wasi/state.ts";
import { openServiceInstance } from "../component/world/service.ts";
import { CytoError, systemClock, systemRandom } from "../kernel/index.ts";
import { build } from "./build.ts";
import { bundle } from "./bundle.ts";
import { createProject } from "./project.fixture.ts";
import { createSymboliser, symbolise } from "./stack.ts";

const service = `import { find } from "./lib/find.ts";

interface Unused { nothing: string }

export default {
  async fetch(request: { url: string }): Promise<Response | string> {
    const order: string[] = ["a", "b"];
    return order.map((item) => find<string>(item))[0]!;
  },
};
`;
const find = `// Fails, three lines further down than it looks in the bundle.
export function find<T>(item: T): T {
  const products = new Map<T, { name: T }>();
  return products.get(item)!.name;
}
`;

describe("symbolise()", () => {
  test("names the author's files, lines and columns in a stack of a running component", async () => {
    using project = createProject({ "service.ts": service, "lib/find.ts": find });
    // The real SDK, so that its frames are there to be left out.
    const built = await build(project.request("service.ts"));
    using instance = await open(built.component);
    const error = await instance.handle(call()).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof CytoError && error.cause instanceof Error);
    const lines = symbolise(error.cause.stack!, built.sourceMap, project.directory).split("\n");
    assert.deepEqual(
      lines.filter((line) => line.startsWith("    at ") && !line.includes("native")),
      ["    at find (lib/find.ts:4:23)", "    at <anonymous> (service.ts:8:45)", "    at fetch (service.ts:8:18)"],
    );
  });

  test("reads StarlingMonkey's frames too, and keeps what is no frame", async () => {
    using project = createProject({ "service.ts": service, "lib/find.ts": find });
    const options = { toolchain: project.toolchain, nowMs: 0 };
    const { code, sourceMap } = await bundle(project.request("service.ts"), options);
    const at = (text: string) => {
      const before = code.slice(0, code.indexOf(text)).split("\n");
      return `${before.length}:${before.at(-1)!.length + 1}`;
    };
    const stack = `TypeError: no\nfind@service.js:${at("get(item)")}\nfetch/<@service.js:${at("find(item))")}\n@service.js:${at("async start")}\n`;
    assert.equal(
      symbolise(stack, sourceMap),
      `TypeError: no\n    at find (${project.path("lib/find.ts")}:4:19)\n    at fetch/< (${project.path("service.ts")}:8:32)\n`,
    );
    const platformOnly = `@service.js:${at("async start")}`;
    assert.equal(symbolise(platformOnly, sourceMap), "    at <anonymous> (cytoplane:sdk/src/runtime.ts:5:5)");
  });

  test("a map is parsed when the first stack comes, and a stack without frames stays as it is", () => {
    const rewrite = createSymboliser("no map at all");
    assert.throws(() => rewrite("    at f (componentize-qjs:user.js:1:1)"));
    const empty = JSON.stringify({ version: 3, sources: [], names: [], mappings: "" });
    assert.equal(symbolise("Error: text only", empty), "Error: text only");
    assert.equal(symbolise("    at f (componentize-qjs:user.js:1:2)", empty), "    at f (bundle:1:2)");
  });
});

async function open(bytes: Uint8Array): Promise<Instance> {
  const unused = () => {
    throw new Error("not part of this test");
  };
  const grants: Grants = {
    service: "test",
    clock: systemClock,
    random: systemRandom,
    keyvalue: {},
    config: {},
    secret: unused,
    fetch: unused,
    invoke: unused,
    log: () => {},
    directories: [],
    environment: [],
    args: [],
  };
  const wasi = wasiImports(grants, createHostState(grants));
  return openServiceInstance({ component: await load(bytes), grants, wasi, concurrency: 1 });
}

function call() {
  return {
    id: "r-1",
    service: "test",
    method: "GET",
    url: "http://h/",
    headers: [],
    deadlineMs: Number.MAX_SAFE_INTEGER,
    hops: 0,
    signal: new AbortController().signal,
  };
}
