/** How many instances of a small component, each called once and idle since, one process holds in 4 GiB. */
import { fileURLToPath } from "node:url";
import { startProcess } from "../test/e2e/process.ts";
import { whole } from "./comparison.ts";
import type { Bench } from "./contract.ts";

interface Held {
  readonly most: number;
  /** What ended it. */
  readonly end: string;
  /** The process with ten thousand, and how long they took to make; absent when there never were so many. */
  readonly goalBytes?: number;
  readonly goalMs?: number;
  readonly eachBytes: number;
  readonly eachHeapBytes: number;
}

export const density: Bench = {
  name: "density",
  title: "Live idle instances of a small component in 4 GiB",
  async run(plan) {
    plan.progress("making instances until no more fit");
    const program = fileURLToPath(new URL("fixtures/idle-instances.ts", import.meta.url));
    const line = (text: string) => (text.startsWith("{") ? text : undefined);
    await using child = await startProcess({ args: [program], ready: line });
    const held = JSON.parse(child.address) as Held;
    const { most, end, goalBytes = Number.NaN, goalMs = Number.NaN, eachBytes, eachHeapBytes } = held;
    return {
      columns: ["instances", "process with 10,000", "each", "of that JavaScript", "made in"],
      rows: [
        [
          whole(most),
          `${(goalBytes / 2 ** 20).toFixed(0)} MiB`,
          `${(eachBytes / 1024).toFixed(1)} KiB`,
          `${(eachHeapBytes / 1024).toFixed(1)} KiB`,
          `${((goalMs * 1000) / 10_000).toFixed(0)} µs`,
        ],
      ],
      figures: { instances: most, eachBytes: Math.round(eachBytes), eachHeapBytes: Math.round(eachHeapBytes) },
      goals: [{ goal: "live idle instances ≥ 10,000", measured: whole(most), met: most >= 10_000 }],
      note: `One memory of one page each. What ended it: ${end}. V8 reserves 8 GiB of addresses for each memory, and a process has 128 TiB.`,
    };
  },
};
