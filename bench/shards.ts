/**
 * Two shards against one, and what bounds them: the load generator runs on the same cores, so the CPU that
 * each side took is measured too, and tells how much two cores could have given.
 */
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { whole } from "./comparison.ts";
import { cytoServe, cytoUp, shopApp } from "./contenders.ts";
import type { Bench, Contender, Goal, LoadResult, Plan, Server } from "./contract.ts";
import { median } from "./rounds.ts";

const cores = availableParallelism();
const connections = 64;
const warmUpSeconds = 4;
/** Of `/proc/<pid>/stat`, the same on every Linux. */
const ticksPerSecond = 100;

interface Sample extends LoadResult {
  /** CPU time a request, in microseconds. */
  readonly serverMicros: number;
  readonly loadMicros: number;
}

interface Entry {
  readonly service: string;
  readonly shards: number;
  readonly path: string;
  readonly contender: Contender;
  readonly samples: Sample[];
}

export const shards: Bench = {
  name: "shards",
  title: "Two shards against one",
  async run(plan) {
    const shop = (count: number) => cytoUp(shopApp, plan.scratch, "cyto up", count);
    const services = [
      { service: "Rust hello", path: "/", start: (count: number) => cytoServe(plan.component, count) },
      { service: "TypeScript, the shop's product", path: "/products/KIT-101-20", start: shop },
      { service: "TypeScript, the shop's list", path: "/products", start: shop },
    ];
    const entries: Entry[] = services.flatMap(({ service, path, start }) =>
      [1, 2].map((count) => ({ service, path, shards: count, contender: start(count), samples: [] })),
    );
    for (let round = 1; round <= plan.rounds; round += 1) {
      for (const entry of entries) {
        plan.progress(`round ${round} of ${plan.rounds}: ${entry.service}, ${entry.shards} shards`);
        await using server = await entry.contender.start();
        await plan.load.drive(server.address + entry.path, connections, warmUpSeconds);
        entry.samples.push(await measure(server, entry.path, plan));
      }
    }
    const figuresOf = (entry: Entry) => summary(entry.samples);
    const single = (entry: Entry) => figuresOf(entries.find((e) => e.service === entry.service && e.shards === 1)!);
    return {
      columns: [
        "service",
        "shards",
        "requests/s",
        "p99",
        "server CPU",
        "load CPU",
        "× one shard",
        "of what the cores allow",
      ],
      rows: entries.map((entry) => {
        const { perSecond, p99Ms, serverMicros, loadMicros } = figuresOf(entry);
        return [
          entry.service,
          String(entry.shards),
          whole(perSecond),
          `${p99Ms.toFixed(2)} ms`,
          `${serverMicros.toFixed(1)} µs`,
          `${loadMicros.toFixed(1)} µs`,
          (perSecond / single(entry).perSecond).toFixed(2),
          `${Math.round((100 * perSecond) / possible(figuresOf(entry), entry.shards))} %`,
        ];
      }),
      figures: Object.fromEntries(
        entries.map((entry) => [`${entry.service}, ${entry.shards} shards`, Math.round(figuresOf(entry).perSecond)]),
      ),
      goals: entries.filter((entry) => entry.shards === 2).map((entry) => toGoal(entry, single(entry))),
      note:
        `CPU is of a request, all threads together. The load generator runs on the same ${cores} cores: a server that ` +
        "takes s of CPU a request, driven by one that takes w, is allowed cores ÷ (s + w) requests a second. What other " +
        "programs take meanwhile is missing from requests/s, and not from CPU.",
    };
  },
};

async function measure(server: Server, path: string, plan: Plan): Promise<Sample> {
  const before = { server: await cpuOf(server.pid), load: await cpuOfChildren() };
  const startMs = performance.now();
  const result = await plan.load.drive(server.address + path, connections, plan.seconds);
  const requests = (result.perSecond * (performance.now() - startMs)) / 1000;
  const micros = (seconds: number) => (1_000_000 * seconds) / requests;
  return {
    ...result,
    serverMicros: micros((await cpuOf(server.pid)) - before.server),
    loadMicros: micros((await cpuOfChildren()) - before.load),
  };
}

function summary(samples: readonly Sample[]): Sample {
  const of = (key: keyof Sample) => median(samples.map((sample) => sample[key]));
  return {
    perSecond: of("perSecond"),
    p50Ms: of("p50Ms"),
    p99Ms: of("p99Ms"),
    serverMicros: of("serverMicros"),
    loadMicros: of("loadMicros"),
  };
}

/** Requests a second when nothing but CPU bounds: of the shards' threads, and of all cores. */
function possible({ serverMicros, loadMicros }: Sample, count: number): number {
  return 1_000_000 * Math.min(count / serverMicros, cores / (serverMicros + loadMicros));
}

function toGoal(entry: Entry, single: Sample): Goal {
  const two = summary(entry.samples);
  const ratio = two.perSecond / single.perSecond;
  const allowed = possible(two, 2) / possible(single, 1);
  const byCpu = (2 * single.serverMicros) / two.serverMicros;
  return {
    goal: `${entry.service}: two shards ≥ 1.7 × one`,
    measured: `${ratio.toFixed(2)} ×; the load generator leaves room for ${allowed.toFixed(2)} ×, a core for each shard for ${byCpu.toFixed(2)} ×`,
    met: ratio >= 1.7,
  };
}

/** Seconds of CPU that a process has taken, all its threads together. */
async function cpuOf(pid: number): Promise<number> {
  const fields = await statOf(pid);
  return (fields[11]! + fields[12]!) / ticksPerSecond;
}

/** Of the children of this process that have ended: the load generators. */
async function cpuOfChildren(): Promise<number> {
  const fields = await statOf(process.pid);
  return (fields[13]! + fields[14]!) / ticksPerSecond;
}

/** The fields after the program's name, which may hold anything. */
async function statOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  return text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
}
