/**
 * Runs scripts of the Component Model against the engine, from the command line:
 *
 *   node test/wast/run.ts [--json] [--messages] <file-or-folder>...
 *
 * Prints what passed and failed in each file, and each failure with its line. Ends with status 1
 * when anything failed.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { type Report, runScript } from "./script.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean" }, messages: { type: "boolean" } },
});
if (positionals.length === 0) {
  process.stderr.write("Usage: node test/wast/run.ts [--json] [--messages] <file-or-folder>...\n");
  process.exit(2);
}

type FileReport = Report & { readonly file: string };
const reports: FileReport[] = [];
for (const file of positionals.flatMap(scriptsIn)) {
  const options = { messages: values.messages ?? false };
  const report = { file, ...(await runScript(readFileSync(file, "utf8"), options)) };
  reports.push(report);
  if (!values.json) process.stdout.write(describe(report));
}
const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0);
const totals = {
  passed: sum((report) => report.passed),
  failed: sum((report) => report.failed.length),
  unassembled: sum((report) => report.unassembled.length),
};
if (values.json) process.stdout.write(`${JSON.stringify({ ...totals, reports }, undefined, 2)}\n`);
else process.stdout.write(`${totals.passed} passed, ${totals.failed} failed, ${totals.unassembled} not assembled\n`);
// A call that never ended must not keep the process.
process.exit(totals.failed > 0 ? 1 : 0);

function scriptsIn(place: string): string[] {
  if (!statSync(place).isDirectory()) return [place];
  return readdirSync(place, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".wast"))
    .sort()
    .map((name) => join(place, name));
}

function describe({ file, passed, failed, unassembled }: FileReport): string {
  const name = relative(process.cwd(), file).startsWith("..") ? file : relative(process.cwd(), file);
  const left = unassembled.length > 0 ? `, ${unassembled.length} not assembled (lines ${unassembled.join(" ")})` : "";
  const lines = failed.map(({ line, directive, problem }) => `  ${name}:${line} ${directive}: ${problem}\n`);
  return `${name}: ${passed} passed, ${failed.length} failed${left}\n${lines.join("")}`;
}
