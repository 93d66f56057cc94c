/** What guests that loop take from their neighbour on the same thread: its latency and throughput with and without them. */
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gatewayAddress, startProcess } from "../test/e2e/process.ts";
import { whole } from "./comparison.ts";
import type { Bench, LoadResult, Plan } from "./contract.ts";
import { median } from "./rounds.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const counts = [0, 1, 8];
const connections = 8;

interface Sample extends LoadResult {
  /** How long the event loop was held: the worst percent of its turns, and the worst turn. */
  readonly heldP99Ms: number;
  readonly heldMaxMs: number;
}

export const containment: Bench = {
  name: "containment",
  title: "A Rust hello beside guests that loop on its thread",
  async run(plan) {
    const samples = new Map<number, Sample[]>(counts.map((count) => [count, []]));
    for (let round = 1; round <= plan.rounds; round += 1) {
      for (const count of counts) {
        plan.progress(`round ${round} of ${plan.rounds}: ${count} loops`);
        samples.get(count)!.push(await beside(count, plan));
      }
    }
    const of = (count: number, key: keyof Sample) => median(samples.get(count)!.map((sample) => sample[key]));
    const ratio = (count: number) => of(count, "p99Ms") / of(0, "p99Ms");
    const ms = (value: number) => `${value.toFixed(2)} ms`;
    return {
      columns: ["guests that loop", "requests/s", "p50", "p99", "p99 × without", "thread held, p99", "at most"],
      rows: counts.map((count) => [
        String(count),
        whole(of(count, "perSecond")),
        ms(of(count, "p50Ms")),
        ms(of(count, "p99Ms")),
        ratio(count).toFixed(2),
        ms(of(count, "heldP99Ms")),
        ms(of(count, "heldMaxMs")),
      ]),
      figures: Object.fromEntries(
        counts.flatMap((count) =>
          (["perSecond", "p50Ms", "p99Ms", "heldP99Ms", "heldMaxMs"] as const).map((key) => [
            `${count} loops, ${key}`,
            of(count, key),
          ]),
        ),
      ),
      goals: counts
        .filter((count) => count > 0)
        .flatMap((count) => [
          {
            goal: `p99 beside ${count} ≤ 2 × without`,
            measured: `${ratio(count).toFixed(2)} ×`,
            met: ratio(count) <= 2,
          },
          {
            goal: `the thread held by them ≤ 5 ms (p99)`,
            measured: ms(of(count, "heldP99Ms")),
            met: of(count, "heldP99Ms") <= 5,
          },
        ]),
      note:
        `${connections} connections, always busy. How long the thread was held is what perf_hooks sees of the event loop, ` +
        "collections and what other programs take of the core included.",
    };
  },
};

async function beside(loops: number, { component, load, seconds, scratch }: Plan): Promise<Sample> {
  const folder = await mkdtemp(join(scratch, "beside-"));
  const args = [
    here("fixtures/beside-loops.ts"),
    folder,
    component,
    here("../test/guests/evil/evil.wat"),
    String(loops),
  ];
  await using server = await startProcess({ args, ready: gatewayAddress });
  await load.drive(`${server.address}/`, connections, 2);
  const before = server.output().length;
  const result = await load.drive(`${server.address}/`, connections, seconds);
  const held = server
    .output()
    .slice(before)
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { p99: number; max: number });
  return {
    ...result,
    heldP99Ms: median(held.map(({ p99 }) => p99)),
    heldMaxMs: Math.max(...held.map(({ max }) => max)),
  };
}
