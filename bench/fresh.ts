/** Throughput of the Rust hello when no request meets an instance that another has used. */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { comparison } from "./comparison.ts";
import { cytoUp, nodeHttp } from "./contenders.ts";
import type { Bench, Contender, Plan } from "./contract.ts";
import { throughput } from "./rounds.ts";

export const fresh: Bench = {
  name: "fresh",
  title: "Hello, a fresh instance for every request",
  async run(plan) {
    const contenders = [nodeHttp("node-hello.ts"), await rust("warm", plan), await rust("fresh", plan)];
    const measured = await throughput(
      contenders.map((contender) => ({ contender, path: "/" })),
      plan,
    );
    const { goal, ...table } = comparison(measured, ["node:http", "cyto up, warm"]);
    return { ...table, goals: [goal("cyto up, fresh", 0.15, "node:http")] };
  },
};

async function rust(policy: "warm" | "fresh", { component, scratch }: Plan): Promise<Contender> {
  const app = join(scratch, "apps", policy);
  await mkdir(app, { recursive: true });
  await copyFile(component, join(app, "hello.wasm"));
  const service = `{ component: hello.wasm, routes: ["/*"], instances: { policy: ${policy} } }`;
  await writeFile(join(app, "cyto.yaml"), `app: hello\nservices:\n  hello: ${service}\n`);
  return cytoUp(app, scratch, `cyto up, ${policy}`);
}
