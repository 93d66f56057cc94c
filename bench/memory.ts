/** What a service costs that is deployed and not called, and one that was called once and is now idle. */
import { readdir, readFile } from "node:fs/promises";
import { appOf } from "./app.ts";
import { answer } from "./cold-start.ts";
import { cytoUp } from "./contenders.ts";
import type { Bench } from "./contract.ts";

const many = 21;

export const memory: Bench = {
  name: "memory",
  title: "Memory and threads of idle services",
  async run(plan) {
    const one = await measure(1, plan.scratch, plan.progress);
    const all = await measure(many, plan.scratch, plan.progress);
    const each = (when: "ready" | "called") => (all[when].megabytes - one[when].megabytes) / (many - 1);
    const threads = all.called.threads - one.called.threads;
    const row = (name: string, when: "ready" | "called") => [
      name,
      `${one[when].megabytes.toFixed(1)} MB`,
      `${all[when].megabytes.toFixed(1)} MB`,
      `${each(when).toFixed(3)} MB`,
      String(all[when].threads - one[when].threads),
    ];
    return {
      columns: ["services are", "process with 1", `process with ${many}`, "each", "more threads"],
      rows: [row("deployed, never called", "ready"), row("called once, idle", "called")],
      figures: { deployedMb: each("ready"), calledMb: each("called"), threads },
      goals: [
        { goal: "an idle service < 1 MB", measured: `${each("called").toFixed(3)} MB`, met: each("called") < 1 },
        { goal: "an idle service has no thread", measured: `${threads} for ${many - 1}`, met: threads === 0 },
      ],
    };
  },
};

async function measure(services: number, scratch: string, progress: (text: string) => void) {
  progress(`${services} services`);
  await using server = await cytoUp(await appOf(services, scratch), scratch).start();
  const ready = await footprint(server.pid);
  for (let index = 0; index < services; index += 1) await answer(`${server.address}/s${index}`);
  return { ready, called: await footprint(server.pid) };
}

async function footprint(pid: number): Promise<{ megabytes: number; threads: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  return { megabytes: kilobytes / 1024, threads: (await readdir(`/proc/${pid}/task`)).length };
}
