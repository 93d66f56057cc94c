/**
 * From an author's entry module to component bytes.
 *
 * Three ways, the cheapest first: nothing that had a say has changed (a few milliseconds); something
 * has, but the bundle is one that was componentized before (some tens); or the whole way.
 * Builds of one builder share the machine: no more components are made at a time than it has cores.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Clock, CytoError, systemClock } from "../kernel/index.ts";
import type { Bundle } from "./bundle.ts";
import { type Cache, type CacheLimits, cacheLimits, openCache, prepareCache } from "./cache.ts";
import { type Componentizer, startComponentizer } from "./componentize.ts";
import type { Answer, Failed } from "./componentizer.ts";
import { type Build, BuildError, type BuildRequest, type SourceDiagnostic, type Toolchain } from "./contract.ts";
import { engines } from "./engine.ts";
import { confirm, sha256, tracedFiles } from "./footprint.ts";
import { createSlots, type Slots } from "./slots.ts";
import { ownToolchain } from "./toolchain.ts";

export interface BuilderOptions {
  readonly toolchain?: Toolchain;
  readonly clock?: Clock;
  /** Components made at a time: one for each core, up to eight, unless said. Each takes up to 0.5 GB. */
  readonly concurrency?: number;
  readonly cacheLimits?: CacheLimits;
  /** How long evaluating a service while building may take; the engine's own time unless said. */
  readonly timeoutMs?: number;
}

export type Builder = (request: BuildRequest) => Promise<Build>;

/** Part of every key: changes when this room comes to make something else of the same input. */
const format = "1";

/** Builds one service. Who builds several at a time makes one builder for all of them. */
export function build(request: BuildRequest, options: BuilderOptions = {}): Promise<Build> {
  return createBuilder(options)(request);
}

export function createBuilder(options: BuilderOptions = {}): Builder {
  const bench: Bench = {
    toolchain: options.toolchain ?? ownToolchain,
    clock: options.clock ?? systemClock,
    slots: createSlots(options.concurrency ?? Math.min(availableParallelism(), 8)),
    limits: options.cacheLimits ?? cacheLimits,
    timeoutMs: options.timeoutMs,
  };
  return async (request) => {
    const startMs = bench.clock.monotonic();
    const made = await make(request, bench, openCache(request.cacheDirectory, bench.limits));
    return {
      ...made,
      service: request.service,
      digest: `sha256:${made.digest}`,
      durationMs: bench.clock.monotonic() - startMs,
    };
  };
}

interface Bench {
  readonly toolchain: Toolchain;
  readonly clock: Clock;
  readonly slots: Slots;
  readonly limits: CacheLimits;
  readonly timeoutMs: number | undefined;
}

type Made = Pick<Build, "digest" | "component" | "sourceMap" | "cached" | "inputs">;

async function make(request: BuildRequest, bench: Bench, cache: Cache): Promise<Made> {
  request.signal?.throwIfAborted();
  const engineKey = fingerprint(request, bench.toolchain);
  const sourceKey = sha256(`${engineKey}\n${request.source}\n${bench.toolchain.sdkDirectory}`);
  const unchanged = findUnchanged(sourceKey, bench, cache);
  if (unchanged) {
    request.progress?.("cached");
    return unchanged;
  }
  prepareCache(request.cacheDirectory);
  using _slot = await bench.slots.take(request.signal);
  using componentizer = startComponentizer();
  const run: Run = { request, bench, componentizer };
  request.progress?.("bundle");
  // The bundler is loaded when it is first needed: a cached build must not pay for it.
  const { bundle } = await import("./bundle.ts");
  const bundled = await bundle(request, { toolchain: bench.toolchain, nowMs: bench.clock.now() });
  const bundleKey = sha256(`${engineKey}\n${bundled.code}`);
  const known = cache.component(bundleKey);
  request.progress?.(known ? "cached" : "componentize");
  const component = known?.bytes ?? (await componentize(run, bundled));
  const digest = known?.digest ?? cache.keepComponent(bundleKey, component);
  const { sourceMap, footprint } = bundled;
  cache.keepSource(sourceKey, { bundle: bundleKey, sourceMap: cache.keepText(sourceMap), footprint });
  cache.prune(bench.clock.now());
  return { digest, component, sourceMap, cached: known !== undefined, inputs: tracedFiles(footprint) };
}

function findUnchanged(sourceKey: string, bench: Bench, cache: Cache): Made | undefined {
  const entry = cache.source(sourceKey);
  if (entry === undefined) return undefined;
  const footprint = confirm(entry.footprint, bench.clock.now());
  if (footprint === undefined) return undefined;
  const component = cache.component(entry.bundle);
  const sourceMap = cache.text(entry.sourceMap);
  if (component === undefined || sourceMap === undefined) return undefined;
  if (footprint !== entry.footprint) {
    try {
      cache.keepSource(sourceKey, { ...entry, footprint });
    } catch {
      // A cache that can only be read still serves; the next check reads these files once more.
    }
  }
  return { ...component, component: component.bytes, sourceMap, cached: true, inputs: tracedFiles(footprint) };
}

interface Run {
  readonly request: BuildRequest;
  readonly bench: Bench;
  readonly componentizer: Componentizer;
}

async function componentize(run: Run, bundled: Bundle): Promise<Uint8Array> {
  const { request } = run;
  const answer = await send(run, bundled);
  if ("component" in answer) return answer.component;
  const diagnostic = await locate(run, answer, bundled);
  if (diagnostic) throw new BuildError(request.service, [diagnostic], tracedFiles(bundled.footprint));
  throw new CytoError(
    "build-failed",
    `Cannot componentize ${request.service}: ${"failure" in answer ? answer.failure.trim().slice(0, 2000) : "no answer"}`,
  );
}

/**
 * A call of the world while building ends the engine without a stack. So it is played once more
 * with a world that throws.
 */
async function locate(run: Run, answer: Failed, bundled: Bundle): Promise<SourceDiagnostic | undefined> {
  const { request, bench } = run;
  const { endlessDiagnostic, evaluationDiagnostic } = await import("./evaluation-error.ts");
  if ("late" in answer) return endlessDiagnostic(request, timeLimitMs(run));
  const engine = engines[request.engine];
  const failure = engine.failure(answer.failure);
  if (failure.worldCall === undefined) return evaluationDiagnostic(request, failure, bundled.sourceMap);
  const { bundle } = await import("./bundle.ts");
  const options = { toolchain: bench.toolchain, nowMs: bench.clock.now(), rehearsal: true };
  const rehearsal = await bundle(request, options);
  using componentizer = startComponentizer();
  const second = await send({ ...run, componentizer }, rehearsal);
  const stack = "failure" in second ? engine.failure(second.failure).stack : "";
  return evaluationDiagnostic(request, { ...failure, stack }, rehearsal.sourceMap);
}

function timeLimitMs({ request, bench }: Run): number {
  return bench.timeoutMs ?? engines[request.engine].timeoutMs;
}

function send(run: Run, bundled: Bundle): Promise<Answer> {
  const { request, bench, componentizer } = run;
  const task = {
    engine: request.engine,
    code: bundled.code,
    witPath: engines[request.engine].wit(bench.toolchain),
  };
  const signal = request.signal ? { signal: request.signal } : {};
  return componentizer.run(task, { timeoutMs: timeLimitMs(run), clock: bench.clock, ...signal });
}

/** What decides the component beside the bundle: the engine, its version, the world, this room. */
function fingerprint(request: BuildRequest, toolchain: Toolchain): string {
  const engine = engines[request.engine];
  const digest = createHash("sha256").update(`${format}\n${request.engine}\n`);
  for (const tool of [engine.tool, "rolldown"]) {
    const manifest = findPackageJSON(tool, import.meta.url);
    if (manifest !== undefined) digest.update(`${tool} ${JSON.parse(readFileSync(manifest, "utf8")).version}\n`);
  }
  for (const path of witFiles(engine.wit(toolchain))) digest.update(readFileSync(path)).update("\n");
  return digest.digest("hex");
}

function witFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".wit"));
  return names.sort().map((name) => join(path, name));
}
