/** A line of the log, as the cell writes it and as people read it. */
import type { CellRecord } from "../cell/contract.ts";
import type { Paint } from "../cell/manifest/render.ts";

const colours: Readonly<Record<string, keyof Paint>> = { warn: "yellow", error: "red", critical: "red" };

/** From the least to the most important. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "critical"] as const;

/** `12:30:01.123 warn  catalog the message`, and below it what to do and the stack. */
export function formatRecord(record: CellRecord, paint: Paint): string {
  const { time, level, service, requestId, context, message, code, hint, stack } = record;
  const colour = colours[level] ?? "dim";
  const about = [context, code].filter((word) => word !== undefined && word !== "");
  const lines = [
    [
      paint.dim(clockTime(time)),
      paint[colour](String(level).padEnd(5)),
      ...(service === undefined ? [] : [paint.bold(service)]),
      printable(message),
      ...(about.length === 0 ? [] : [paint.dim(printable(`[${about.join(" ")}]`))]),
      ...(requestId === undefined ? [] : [paint.dim(printable(requestId))]),
    ].join(" "),
    ...(hint === undefined ? [] : [`  ${paint.cyan("=")} ${printable(hint)}`]),
    ...(stack === undefined ? [] : [paint.dim(printable(stack).replace(/^/gm, "  "))]),
  ];
  return lines.join("\n");
}

/** The local time of day; a line that is no record has none. */
function clockTime(timeMs: number): string {
  const at = new Date(timeMs);
  if (!(timeMs > 0) || Number.isNaN(at.getTime())) return "--:--:--.---";
  return `${at.toTimeString().slice(0, 8)}.${at.toISOString().slice(20, 23)}`;
}

/** A service's text must not steer the terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\uFFFD");
}
