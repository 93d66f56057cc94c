/** From a saved edit of a TypeScript service under `cyto dev` to the first answer of the new version. */
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startCyto } from "../test/e2e/process.ts";
import { answer } from "./cold-start.ts";
import { helloApp } from "./contenders.ts";
import type { Bench } from "./contract.ts";
import { median } from "./rounds.ts";

export const edit: Bench = {
  name: "edit",
  title: "Edit a service → the new version answers",
  async run(plan) {
    const app = join(plan.scratch, "edited");
    await cp(helloApp, app, { recursive: true, filter: (path) => !path.includes(".cyto") });
    await using dev = await startCyto(["dev", app]);
    const times: number[] = [];
    for (let round = 0; round <= plan.rounds; round += 1) {
      plan.progress(`edit ${round} of ${plan.rounds}`);
      const text = `edit ${round} of run ${Date.now()}`;
      await writeFile(
        join(app, "service.ts"),
        `export default { fetch(): Response { return new Response(${JSON.stringify(text)}); } };\n`,
      );
      const saved = performance.now();
      while ((await answer(dev.address)) !== text) {
        if (performance.now() - saved > 30_000) throw new Error(`The edit never arrived:\n${dev.output()}`);
      }
      if (round > 0) times.push(performance.now() - saved);
    }
    const typical = median(times);
    return {
      columns: ["edits", "median", "slowest"],
      rows: [[String(times.length), `${typical.toFixed(0)} ms`, `${Math.max(...times).toFixed(0)} ms`]],
      figures: { medianMs: typical, slowestMs: Math.max(...times) },
      goals: [{ goal: "edit → serving ≤ 1.5 s", measured: `${(typical / 1000).toFixed(2)} s`, met: typical <= 1500 }],
    };
  },
};
