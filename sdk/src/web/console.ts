/** console over the host's logging: a level for each method, one line a call, indented by group. */
import type { Level } from "cytoplane:service/logging@0.1.0";
import { performance } from "./clock.ts";
import { format, inspect } from "./inspect.ts";
import { log } from "./report.ts";

let indent = "";
const counts = new Map<string, number>();
const timersMs = new Map<string, number>();

function write(level: Level, values: readonly unknown[]): void {
  const text = format(values);
  log(level, indent ? indent + text.replaceAll("\n", `\n${indent}`) : text);
}

function elapsed(label: string): string | undefined {
  const startMs = timersMs.get(label);
  if (startMs !== undefined) return `${label}: ${(performance.now() - startMs).toFixed(3)} ms`;
  write("warn", [`No timer named "${label}" is running`]);
  return undefined;
}

export const console = {
  debug: (...values: unknown[]): void => write("debug", values),
  log: (...values: unknown[]): void => write("info", values),
  info: (...values: unknown[]): void => write("info", values),
  warn: (...values: unknown[]): void => write("warn", values),
  error: (...values: unknown[]): void => write("error", values),
  dir: (value: unknown): void => write("info", [inspect(value)]),
  dirxml: (...values: unknown[]): void => write("info", values),

  trace(...values: unknown[]): void {
    const { stack = "" } = new Error("Trace");
    write("trace", [`Trace: ${format(values)}\n${stack.trimEnd()}`]);
  },

  assert(condition?: unknown, ...values: unknown[]): void {
    if (!condition) write("error", [values.length > 0 ? `Assertion failed: ${format(values)}` : "Assertion failed"]);
  },

  count(label = "default"): void {
    const count = (counts.get(label) ?? 0) + 1;
    counts.set(label, count);
    write("info", [`${label}: ${count}`]);
  },

  countReset(label = "default"): void {
    counts.delete(label);
  },

  time(label = "default"): void {
    timersMs.set(label, performance.now());
  },

  timeLog(label = "default", ...values: unknown[]): void {
    const text = elapsed(label);
    if (text) write("info", [text, ...values]);
  },

  timeEnd(label = "default"): void {
    const text = elapsed(label);
    timersMs.delete(label);
    if (text) write("info", [text]);
  },

  group(...values: unknown[]): void {
    if (values.length > 0) write("info", values);
    indent += "  ";
  },

  groupCollapsed(...values: unknown[]): void {
    console.group(...values);
  },

  groupEnd(): void {
    indent = indent.slice(2);
  },

  table(rows: unknown): void {
    write("info", [table(rows)]);
  },

  clear(): void {
    // There is no screen.
  },
};

/** Rows and columns as aligned text; what is no list of records is shown as it is. */
function table(rows: unknown): string {
  if (typeof rows !== "object" || rows === null) return inspect(rows);
  const entries = Object.entries(rows);
  const columns: string[] = [];
  for (const [, row] of entries) {
    for (const key of typeof row === "object" && row !== null ? Object.keys(row) : ["value"]) {
      if (!columns.includes(key)) columns.push(key);
    }
  }
  const cells = entries.map(([index, row]) => [
    index,
    ...columns.map((column) => {
      if (typeof row !== "object" || row === null) return column === "value" ? inspect(row) : "";
      return column in row ? inspect((row as Record<string, unknown>)[column]) : "";
    }),
  ]);
  const head = ["(index)", ...columns];
  const widths = head.map((name, at) => Math.max(name.length, ...cells.map((row) => row[at]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join(" | ")
      .trimEnd();
  return [line(head), widths.map((width) => "-".repeat(width)).join("-+-"), ...cells.map(line)].join("\n");
}
