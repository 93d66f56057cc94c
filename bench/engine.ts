/** The engine by itself, in this process: instantiating a component, and what a call of the host costs the guest. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { transpile } from "@bytecodealliance/jco";
import { WASIShim } from "@bytecodealliance/preview2-shim/instantiation";
import { type Grants, load } from "../src/component/index.ts";
import { wasiImports } from "../src/component/wasi/standard.ts";
import { createHttpState } from "../src/component/world/http.ts";
import { systemClock, systemRandom } from "../src/kernel/index.ts";
import type { Bench } from "./contract.ts";
import { bareCallUs, hostCalls } from "./host-calls.ts";
import { median } from "./rounds.ts";

export const engine: Bench = {
  name: "engine",
  title: "The engine by itself",
  async run(plan) {
    const bytes = await readFile(plan.component);
    plan.progress("loading");
    const loadMs = await timedMs(() => load(bytes), 5);

    const component = await load(bytes);
    const ours = () => component.instantiate(wasiImports(nothing, createHttpState(nothing)));
    const transpiled = await transpiledTo(bytes, plan.scratch);
    const theirs = () => transpiled.instantiate();
    const floor = mainModule(transpiled.modules);
    const times = { ours: [] as number[], jco: [] as number[], v8: [] as number[] };
    for (let round = 1; round <= plan.rounds + 1; round += 1) {
      plan.progress(`instantiating, round ${round} of ${plan.rounds + 1}`);
      times.ours.push(await timedMs(ours, 200));
      times.jco.push(await timedMs(theirs, 200));
      times.v8.push(await timedMs(floor, 200));
    }
    const [oursUs, jcoUs, v8Us] = [times.ours, times.jco, times.v8].map((one) => median(one.slice(1)) * 1000);

    plan.progress("calling the host");
    const calls = await hostCalls(plan.scratch, plan.rounds);
    const callUs = calls[0]!.oursUs;
    const waitUs = calls.at(-1)!.oursUs;
    const bareUs = await bareCallUs();
    return {
      columns: ["what", "ours", "jco", "V8 alone"],
      rows: [
        ["load (decode, link, compile)", `${loadMs.toFixed(1)} ms`, "–", "–"],
        ["instantiate", us(oursUs!), us(jcoUs!), `${us(v8Us!)}, the main module`],
        ...calls.map(({ what, oursUs, jcoUs }, i) => [
          `call of the host, ${what}`,
          us(oursUs),
          jcoUs === undefined ? "–" : us(jcoUs),
          i === 0 ? us(bareUs) : "–",
        ]),
      ],
      figures: { loadMs, instantiateUs: oursUs!, instantiateJcoUs: jcoUs!, instantiateV8Us: v8Us!, callUs, waitUs },
      goals: [
        { goal: "instantiate ≤ 180 µs", measured: us(oursUs!), met: oursUs! <= 180 },
        { goal: "a call of the host ≤ 0.5 µs", measured: us(callUs), met: callUs <= 0.5 },
        { goal: "a call of the host that waits ≤ 2 µs", measured: us(waitUs), met: waitUs <= 2 },
      ],
    };
  },
};

/** The median of as many, in milliseconds: one that a busy machine interrupted does not count. */
async function timedMs(action: () => unknown, times: number): Promise<number> {
  const each: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const before = performance.now();
    await action();
    each.push(performance.now() - before);
  }
  return median(each);
}

/** jco's output for the same component, with its own hosts. */
async function transpiledTo(bytes: Uint8Array, scratch: string) {
  const { files } = await transpile(bytes, { name: "hello", instantiation: "async", noTypescript: true });
  const modules = new Map<string, WebAssembly.Module>();
  let program = "";
  for (const [name, content] of Object.entries(files)) {
    if (name.endsWith(".wasm")) modules.set(name, new WebAssembly.Module(new Uint8Array(content)));
    else if (name.endsWith(".js")) {
      program = join(scratch, "hello.mjs");
      await writeFile(program, content);
    }
  }
  const { instantiate } = (await import(pathToFileURL(program).href)) as {
    instantiate(core: (name: string) => WebAssembly.Module, imports: object): Promise<unknown>;
  };
  const imports = new WASIShim().getImportObject();
  return { modules: [...modules.values()], instantiate: () => instantiate((name) => modules.get(name)!, imports) };
}

/** V8's share: the largest module of the component, with imports that are never called. */
function mainModule(modules: readonly WebAssembly.Module[]): () => WebAssembly.Instance {
  const main = modules.find((module) => WebAssembly.Module.exports(module).some(({ kind }) => kind === "memory"));
  if (main === undefined) throw new Error("Cannot find the main module: none exports a memory");
  const imports: Record<string, Record<string, () => number>> = {};
  for (const { module, name } of WebAssembly.Module.imports(main)) {
    imports[module] ??= {};
    imports[module][name] = () => 0;
  }
  return () => new WebAssembly.Instance(main, imports);
}

function us(microseconds: number): string {
  const digits = microseconds < 0.1 ? 3 : microseconds < 10 ? 2 : 0;
  return `${microseconds.toFixed(digits)} µs`;
}

const denied = (what: string) => async () => {
  throw new Error(`Cannot ${what}: nothing is granted here`);
};

const nothing: Grants = {
  service: "hello",
  clock: systemClock,
  random: systemRandom,
  keyvalue: {},
  config: {},
  secret: denied("read a secret"),
  fetch: denied("fetch"),
  invoke: denied("invoke"),
  log: () => undefined,
  directories: [],
  environment: [],
  args: [],
};
