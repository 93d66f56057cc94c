/** What was measured, for the terminal and for RESULTS.md. */
import { cpus, totalmem } from "node:os";
import type { Goal, Outcome } from "./contract.ts";

export interface Report {
  readonly name: string;
  readonly title: string;
  /** A text is the reason why there is none. */
  readonly outcome: Outcome | string;
}

export interface How {
  readonly load: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly tookSeconds: number;
  /** Processes that wanted a core before anything was started here: above half of one, the figures are low. */
  readonly busy: number;
}

export function printed({ title, outcome }: Report): string {
  if (typeof outcome === "string") return `\n${title}\n  failed: ${outcome}\n`;
  const lines = aligned([outcome.columns, ...outcome.rows]);
  const goals = outcome.goals.map(goalLine);
  return `\n${title}\n\n${[...lines, "", ...goals].map((line) => `  ${line}`).join("\n")}\n`;
}

export function markdown(reports: readonly Report[], how: How): string {
  const machine = cpus();
  const head = `# Results

\`npm run bench\` on ${new Date().toISOString().slice(0, 10)}, in ${how.tookSeconds} s. Only the ratios travel: they were
measured side by side, in turn, on one machine.

| | |
|---|---|
| machine | ${machine[0]?.model.trim() ?? "unknown"}, ${machine.length} cores, ${Math.round(totalmem() / 2 ** 30)} GB |
| busy before the run | ${how.busy.toFixed(1)} processes |
| Node | ${process.version} |
| load | ${how.load}, 32 connections (8 with large bodies), kept alive, ${how.seconds} s a round, median of ${how.rounds} rounds |
`;
  return `${[head, ...reports.map(section)].join("\n")}`;
}

function section({ title, outcome }: Report): string {
  if (typeof outcome === "string") return `## ${title}\n\nFailed: ${outcome.split("\n")[0]}\n`;
  const rule = outcome.columns.map((_, index) => (index === 0 ? "---" : "---:"));
  const table = [outcome.columns, rule, ...outcome.rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  const goals = outcome.goals.map((goal) => `- ${goalLine(goal)}`).join("\n");
  return `${[`## ${title}`, table, goals, outcome.note ?? ""].filter(Boolean).join("\n\n")}\n`;
}

function goalLine({ goal, measured, met }: Goal): string {
  return `${met ? "met" : "missed"}: ${goal} (${measured})`;
}

/** The first column to the left, figures to the right. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("   "),
  );
}
