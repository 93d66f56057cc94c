/** Warm throughput of a hello: ours with every default policy on, against the barest of the others. */
import { comparison } from "./comparison.ts";
import { cytoServe, cytoUp, helloApp, helloSource, jcoServe, nodeHttp, workerd } from "./contenders.ts";
import type { Bench } from "./contract.ts";
import { throughput } from "./rounds.ts";

export const hello: Bench = {
  name: "hello",
  title: "Hello, warm",
  async run(plan) {
    const contenders = [
      nodeHttp("node-hello.ts"),
      { ...workerd(helloSource, plan.scratch), name: "workerd, JavaScript" },
      { ...cytoUp(helloApp, plan.scratch), name: "cyto up, TypeScript" },
      { ...cytoServe(plan.component), name: "cyto serve, Rust" },
      { ...jcoServe(plan.component), name: "jco serve, Rust" },
    ];
    const measured = await throughput(
      contenders.map((contender) => ({ contender, path: "/" })),
      plan,
    );
    const { goal, ...table } = comparison(measured, ["node:http", "workerd, JavaScript", "jco serve, Rust"]);
    return {
      ...table,
      goals: [
        goal("cyto serve, Rust", 0.7, "node:http"),
        goal("cyto serve, Rust", 2, "workerd, JavaScript"),
        goal("cyto serve, Rust", 30, "jco serve, Rust"),
        goal("cyto up, TypeScript", 1.3, "workerd, JavaScript"),
        goal("cyto up, TypeScript", 20, "jco serve, Rust"),
      ],
    };
  },
};
