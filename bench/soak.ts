/**
 * A soak: `node bench/soak.ts [--seconds 300]` keeps one cell at full load for minutes, with guests of all worlds that
 * do well and badly (they trap, loop, throw, and are left by their clients at every stage), and tells whether
 * anything grows.
 *
 * The cell runs in this process and its clients in another. What is counted is read after a full
 * collection; the exit code is 1 when memory still grows in the second half, or when something is left at
 * the end that was not there at the start.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { queryObjects, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createBuilder } from "../src/build/index.ts";
import { type Artifacts, startCell } from "../src/cell/cell.ts";
import type { App } from "../src/cell/manifest/contract.ts";
import { parseManifest } from "../src/cell/manifest/parse.ts";
import type { SoakTally } from "./fixtures/soak-clients.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "300" }, connections: { type: "string", default: "24" } },
});
const seconds = Number(values.seconds);

const service = `
import { keyvalue } from "@cytoplane/sdk";
const counts = keyvalue("counts");
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export default {
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/throw") throw new Error("on purpose");
    if (pathname === "/loop") for (;;);
    if (pathname === "/never") await new Promise(() => setTimeout(() => {}, 60_000));
    if (pathname === "/sleep") await pause(5);
    if (pathname === "/count") return new Response(String(await counts.increment("visits")));
    if (pathname === "/echo") return new Response(request.body);
    return new Response("hello");
  },
};
`;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** What must not grow; counts are of objects that live. */
interface Sample {
  readonly atSeconds: number;
  readonly rssMiB: number;
  readonly heapMiB: number;
  readonly externalMiB: number;
  readonly instances: number;
  readonly memories: number;
  readonly signals: number;
  readonly promises: number;
  readonly resources: number;
}

async function sample(atSeconds: number): Promise<Sample> {
  // What is told of a collection is let go in turns of the event loop.
  for (let time = 0; time < 3; time++) {
    collect();
    await new Promise(setImmediate);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  const mebi = (bytes: number) => Math.round(bytes / 2 ** 18) / 4;
  const living = (kind: new (...args: never[]) => unknown) => queryObjects(kind as never) as unknown as number;
  return {
    atSeconds: Math.round(atSeconds),
    rssMiB: mebi(rss),
    heapMiB: mebi(heapUsed),
    externalMiB: mebi(external),
    instances: living(WebAssembly.Instance),
    memories: living(WebAssembly.Memory),
    signals: living(AbortSignal),
    promises: living(Promise),
    resources: process.getActiveResourcesInfo().filter((name) => name !== "Immediate").length,
  };
}

async function main(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "cyto-soak-"));
  try {
    const { app, components } = await everyWorld(folder);
    const before = await sample(0);
    const { samples, pools, tally } = await load(app, components);
    const after = await settled(before);
    console.table([before, ...samples, after]);
    console.table(pools);
    console.table(tally);
    const faults = [...growth(samples), ...left(before, after)];
    for (const fault of faults) console.error(`soak: ${fault}`);
    if (faults.length === 0) console.error("soak: nothing grew, nothing was left");
    return faults.length === 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** An app with a service of each world, some with instances that are new for each call. */
async function everyWorld(folder: string) {
  const source = join(folder, "service.ts");
  await writeFile(source, service);
  const build = createBuilder();
  const typescript = await build({ service: "typescript", source, engine: "quickjs", cacheDirectory: folder });
  const guest = async (name: string) => {
    const component = await readFile(new URL(`../test/guests/${name}.wasm`, import.meta.url));
    await writeFile(join(folder, `${name}.wasm`), component);
    return { component };
  };
  const [probe, hello, handler] = await Promise.all([guest("probe"), guest("hello"), guest("handler")]);
  const bindings = { counts: { keyvalue: "memory" } };
  const limits = { cpuMs: 50 };
  const services = {
    probe: { component: "probe.wasm", limits, bindings, secrets: ["token"] },
    hello: { component: "hello.wasm", instances: { policy: "fresh" } },
    handler: { component: "handler.wasm", limits },
    typescript: { source: "service.ts", bindings, limits },
    lone: { source: "service.ts", bindings, limits, instances: { policy: "fresh" } },
  };
  const routed = Object.entries(services).map(([name, declared]) => [
    name,
    { ...declared, routes: [{ match: "/*", headers: { "x-service": name } }] },
  ]);
  const { app, diagnostics } = parseManifest(
    JSON.stringify({ app: "soak", services: Object.fromEntries(routed), policy: { retry: { attempts: 1 } } }),
    join(folder, "cyto.yaml"),
  );
  if (app === undefined) throw new Error(JSON.stringify(diagnostics));
  return { app, components: { probe, hello, handler, typescript, lone: typescript } };
}

/** A cell from its start to its end. */
async function load(app: App, components: Artifacts) {
  const cell = await startCell({ app, components, options: { gateway: { port: 0, adminPort: 0 }, variables: {} } });
  const clients = fork(fileURLToPath(new URL("fixtures/soak-clients.ts", import.meta.url)), [
    cell.address,
    String(seconds),
    values.connections,
  ]);
  const tallied = once(clients, "message") as Promise<[SoakTally]>;
  const gone = once(clients, "exit");
  const began = performance.now();
  const samples: Sample[] = [];
  const every = Math.max(2, seconds / 30);
  const timer = setInterval(async () => samples.push(await sample((performance.now() - began) / 1000)), every * 1000);
  const [tally] = await tallied;
  clearInterval(timer);
  await gone;
  const { services: pools } = await cell.status();
  await cell.close();
  return { samples, pools, tally };
}

/** What is ending by itself (a timer that nobody waits for) has five seconds to do so. */
async function settled(before: Sample): Promise<Sample> {
  const until = performance.now() + 5000;
  for (;;) {
    const now = await sample(seconds);
    if (left(before, now).length === 0 || performance.now() > until) return now;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** The last quarter against the quarter before the middle: by then all that is made once has been made. */
function growth(samples: readonly Sample[]): string[] {
  const quarter = Math.floor(samples.length / 4);
  if (quarter < 2) return ["it was too short to tell: give it a minute at least"];
  const mean = (key: keyof Sample, from: number) =>
    samples.slice(from, from + quarter).reduce((sum, each) => sum + each[key], 0) / quarter;
  const bounds = { rssMiB: 16, heapMiB: 4, externalMiB: 8, instances: 50, memories: 20, signals: 100, promises: 500 };
  return Object.entries(bounds).flatMap(([name, bound]) => {
    const key = name as keyof Sample;
    const [early, late] = [mean(key, quarter), mean(key, samples.length - quarter)];
    return late - early > bound ? [`${key} grew from ${early.toFixed(1)} to ${late.toFixed(1)}`] : [];
  });
}

function left(before: Sample, after: Sample): string[] {
  return (["instances", "memories", "resources"] as const).flatMap((key) =>
    after[key] > before[key] ? [`${after[key]} ${key} are left, ${before[key]} were there`] : [],
  );
}

process.exitCode = await main();
