/** A record of the log as one line for people: time, level, who, what, and the request it belongs to. */
import type { Level, LogRecord } from "./contract.ts";

export interface LinePaint {
  dim(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
  green(text: string): string;
  cyan(text: string): string;
}

const plain: LinePaint = { dim: same, red: same, yellow: same, green: same, cyan: same };

export function formatRecord(record: LogRecord, paint: LinePaint = plain): string {
  const time = new Date(record.time).toISOString().slice(11, 23);
  const who = record.service ?? "cytoplane";
  const id = record.requestId === undefined ? "" : ` ${paint.dim(record.requestId.slice(0, 8))}`;
  const head = `${paint.dim(time)} ${levelOf(record, paint)} ${paint.cyan(who)}`;
  if (record.kind !== "access") {
    const context =
      typeof record.context === "string" && record.context !== "" ? paint.dim(`[${record.context}] `) : "";
    const stack = typeof record.stack === "string" ? `\n${paint.dim(record.stack)}` : "";
    return `${head} ${context}${record.message}${id}${stack}`;
  }
  const took = paint.dim(`${Number(record.durationMs).toFixed(1)} ms`);
  const detail = record.detail === undefined ? "" : ` ${paint.red(String(record.detail))}`;
  return `${head} ${record.method} ${record.path} ${statusOf(Number(record.status), paint)} ${took}${id}${detail}`;
}

function levelOf({ level }: LogRecord, paint: LinePaint): string {
  const colours: Record<Level, (text: string) => string> = {
    trace: paint.dim,
    debug: paint.dim,
    info: paint.green,
    warn: paint.yellow,
    error: paint.red,
    critical: paint.red,
  };
  return (colours[level] ?? same)(level.padEnd(5));
}

function statusOf(status: number, paint: LinePaint): string {
  const colour = status >= 500 ? paint.red : status >= 400 ? paint.yellow : paint.green;
  return colour(String(status));
}

function same(text: string): string {
  return text;
}
