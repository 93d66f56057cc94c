/**
 * `npm run bench`: starts every contender itself, drives them in turn, prints tables of ratios and writes RESULTS.md.
 *
 * A bench that fails is reported with its reason and does not stop the others; the exit code is then 1.
 */
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Outcome, Plan } from "./contract.ts";
import { chooseLoad } from "./load.ts";
import { markdown, printed, type Report } from "./report.ts";
import { benches } from "./standard.ts";

const usage = `npm run bench -- [options]

  --only <name,…>       ${benches.map((bench) => bench.name).join(", ")}
  --seconds <n>         length of one measurement of throughput (3)
  --rounds <n>          how often each is measured; medians count (3)
  --load wrk|autocannon the load generator (wrk where installed)
  --component <file>    the Rust hello, a wasi:http component
  --json                one line of JSON on stdout instead of tables
  --no-write            leave bench/RESULTS.md as it is (so does --only)`;

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    load: { type: "string" },
    component: {
      type: "string",
      default: fileURLToPath(new URL("../test/guests/hello.wasm", import.meta.url)),
    },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: true },
    help: { type: "boolean", default: false },
  },
  allowNegative: true,
});

if (options.help) console.log(usage);
else process.exitCode = await main();

async function main(): Promise<number> {
  const names = options.only?.split(",") ?? benches.map((bench) => bench.name);
  const unknown = names.find((name) => !benches.some((bench) => bench.name === name));
  if (unknown !== undefined) return refuse(`There is no bench ${unknown}`);
  const [seconds, rounds] = [Number(options.seconds), Number(options.rounds)];
  if (!(seconds >= 1) || !(rounds >= 1) || !Number.isInteger(rounds)) return refuse("Seconds and rounds begin at 1");
  const component = resolve(options.component);
  if (!existsSync(component)) return refuse(`There is no component ${component}: name one with --component`);

  const scratch = await mkdtemp(join(tmpdir(), "cyto-bench-"));
  const started = performance.now();
  const busy = loadavg()[0] ?? 0;
  const reports: Report[] = [];
  try {
    const load = await chooseLoad(options.load);
    for (const bench of benches.filter(({ name }) => names.includes(name))) {
      const progress = (text: string) => void process.stderr.write(`${bench.name}: ${text}\n`);
      const plan: Plan = { seconds, rounds, load, component, scratch, progress };
      const outcome: Outcome | string = await bench.run(plan).catch((error: Error) => error.message);
      reports.push({ name: bench.name, title: bench.title, outcome });
      if (!options.json) console.log(printed(reports.at(-1)!));
    }
    const tookSeconds = Math.round((performance.now() - started) / 1000);
    const how = { load: load.name, seconds, rounds, tookSeconds, busy };
    if (options.json) console.log(JSON.stringify({ how, reports }));
    if (options.write && options.only === undefined)
      await writeFile(new URL("RESULTS.md", import.meta.url), markdown(reports, how));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return reports.some(({ outcome }) => typeof outcome === "string") ? 1 : 0;
}

function refuse(reason: string): number {
  console.error(`${reason}\n\n${usage}`);
  return 2;
}
