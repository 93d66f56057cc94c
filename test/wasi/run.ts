/**
 * Runs the public WASI test-suite with the `cyto` command:
 *
 *   node test/wasi/run.ts <folder>... [--json] [--only <text>] [--timeout <seconds>]
 *
 * A folder is one of the suite's, with built programs and their JSON: `tests/rust/testsuite/wasm32-wasip1`.
 * Ends with 0 when every program passed.
 */
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { judge, type Verdict } from "./program.ts";

/** Programs at a time: some of them measure time. */
const atATime = 2;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    timeout: { type: "string", default: "30" },
  },
});
if (positionals.length === 0) {
  process.stderr.write("usage: node test/wasi/run.ts <folder>... [--json] [--only <text>] [--timeout <seconds>]\n");
  process.exit(2);
}

let failed = 0;
for (const folder of positionals) {
  const verdicts = await judgeFolder(resolve(folder));
  const passed = verdicts.filter((verdict) => verdict.passed).length;
  failed += verdicts.length - passed;
  if (values.json) print(JSON.stringify({ folder, passed, total: verdicts.length, programs: verdicts }));
  else print(`${passed} of ${verdicts.length} passed in ${folder}\n`);
}
process.exitCode = failed === 0 ? 0 : 1;

async function judgeFolder(folder: string): Promise<Verdict[]> {
  const programs = readdirSync(folder)
    .filter((name) => name.endsWith(".wasm") && name.includes(values.only))
    .sort();
  const verdicts: Verdict[] = new Array(programs.length);
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < programs.length; index = next++) {
      const verdict = await judge(join(folder, programs[index]!), Number(values.timeout) * 1_000);
      verdicts[index] = verdict;
      if (!values.json) report(verdict);
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  return verdicts;
}

function report({ name, passed, durationMs, failure }: Verdict): void {
  print(`${passed ? "pass" : "FAIL"}  ${name}  ${Math.round(durationMs)} ms`);
  if (failure !== undefined) print(failure.replaceAll(/^/gm, "      "));
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
