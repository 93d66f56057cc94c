/** From the start of a process, with its components already built, until it listens; and its first answer. */
import { get } from "node:http";
import { appOf } from "./app.ts";
import { cytoServe, cytoUp, helloApp, helloSource, jcoServe, nodeHttp, shopApp, workerd } from "./contenders.ts";
import type { Bench, Contender } from "./contract.ts";
import { median } from "./rounds.ts";

export const coldStart: Bench = {
  name: "cold-start",
  title: "Cold start",
  async run(plan) {
    const ten = await appOf(10, plan.scratch);
    const entries = [
      { contender: nodeHttp("node-hello.ts"), path: "/" },
      { contender: workerd(helloSource, plan.scratch), path: "/" },
      { contender: cytoUp(helloApp, plan.scratch, "cyto up, one service"), path: "/" },
      { contender: cytoUp(shopApp, plan.scratch, "cyto up, the shop"), path: "/products/KIT-101-20" },
      { contender: cytoUp(ten, plan.scratch, "cyto up, ten services"), path: "/s0" },
      { contender: cytoServe(plan.component), path: "/" },
      { contender: jcoServe(plan.component), path: "/" },
    ].map((entry) => ({ ...entry, readyMs: [] as number[], firstMs: [] as number[] }));

    for (let round = 0; round <= plan.rounds; round += 1) {
      for (const { contender, path, readyMs, firstMs } of entries) {
        plan.progress(round === 0 ? `building for ${contender.name}` : `round ${round}: ${contender.name}`);
        const start = await startOnce(contender, path);
        if (round === 0) continue; // builds what is not built yet
        readyMs.push(start.readyMs);
        firstMs.push(start.firstMs);
      }
    }
    const tenMs = median(entries.find(({ contender }) => contender.name.endsWith("ten services"))!.readyMs);
    return {
      columns: ["server", "process start → ready", "first answer"],
      rows: entries.map(({ contender, readyMs, firstMs }) => [
        contender.name,
        `${median(readyMs).toFixed(0)} ms`,
        `${median(firstMs).toFixed(1)} ms`,
      ]),
      figures: Object.fromEntries(entries.map(({ contender, readyMs }) => [contender.name, median(readyMs)])),
      goals: [
        {
          goal: "cyto up of a built ten-service app ≤ 2 s",
          measured: `${(tenMs / 1000).toFixed(2)} s`,
          met: tenMs <= 2000,
        },
      ],
    };
  },
};

async function startOnce(contender: Contender, path: string): Promise<{ readyMs: number; firstMs: number }> {
  await using server = await contender.start();
  const before = performance.now();
  await answer(server.address + path);
  return { readyMs: server.startedMs, firstMs: performance.now() - before };
}

/** Without a pool of connections in between: what one client sees. */
export function answer(url: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get(url, { agent: false }, (reply) => {
    let text = "";
    reply.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    reply.on("error", reject).on("end", () => {
      if (reply.statusCode === 200) resolve(text);
      else reject(new Error(`Cannot measure ${url}: it answered ${reply.statusCode} ${text}`));
    });
  }).on("error", reject);
  return promise;
}
