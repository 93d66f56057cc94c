/** Bodies of 1 MiB that come back as they went, streamed: what a chunk costs on its way through a guest. */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { comparison } from "./comparison.ts";
import { cytoUp, nodeHttp } from "./contenders.ts";
import type { Bench, Contender } from "./contract.ts";
import { throughput } from "./rounds.ts";

const bodyBytes = 2 ** 20;
const guests = [
  { name: "cyto up, wasi:http 0.2", file: "probe.wasm", path: "/echo" },
  { name: "cyto up, wasi:http 0.3", file: "handler.wasm", path: "/copy" },
] as const;

export const echo: Bench = {
  name: "echo",
  title: "A body of 1 MiB, echoed",
  async run(plan) {
    const body = join(plan.scratch, "body");
    await writeFile(body, Buffer.alloc(bodyBytes, "0123456789abcdef"));
    const entries = [{ contender: nodeHttp("node-echo.ts"), path: "/" }];
    for (const { name, file, path } of guests) entries.push({ contender: await guest(name, file, plan.scratch), path });
    const measured = await throughput(entries, plan, body);
    const { goal, ...table } = comparison(measured, ["node:http"]);
    return { ...table, goals: guests.map(({ name }) => goal(name, 0.5, "node:http")) };
  },
};

async function guest(name: string, file: string, scratch: string): Promise<Contender> {
  const app = join(scratch, "apps", file);
  await mkdir(app, { recursive: true });
  await copyFile(fileURLToPath(new URL(`../test/guests/${file}`, import.meta.url)), join(app, file));
  // One of them imports more, which has to be bound.
  const bound = "config: { greeting: hello }, secrets: [NONE], bindings: { kept: { keyvalue: memory } }";
  const service = `{ component: ${file}, routes: ["/*"], ${bound} }`;
  await writeFile(join(app, "cyto.yaml"), `app: echo\nservices:\n  echo: ${service}\n`);
  return cytoUp(app, scratch, name);
}
