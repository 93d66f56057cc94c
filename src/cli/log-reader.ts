/**
 * Reads the log files that a cell writes, `.cyto/logs/*.jsonl` and the full ones it renamed to
 * `*.jsonl.1`, also while it writes them.
 *
 * A file is known by its inode, so that one that is full and was renamed is read to its end and no
 * line is told twice. At most the last 8 MiB of a file are read back. A line that is no JSON, such
 * as one that a crash cut off, is told as it is.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, watch } from "node:fs";
import { join } from "node:path";
import { StringDecoder } from "node:string_decoder";
import type { CellRecord } from "../cell/contract.ts";

export interface LogReader {
  /** What has been added since it was last asked, in the order of time. */
  read(): CellRecord[];
}

const tailBytes = 8 * 1024 * 1024;

interface Position {
  offset: number;
  readonly decoder: StringDecoder;
  /** A line that has not ended yet. */
  rest: string;
  /** Reading began in the middle of a line. */
  fragment: boolean;
}

export function openLogs(directory: string): LogReader {
  const positions = new Map<number, Position>();
  return {
    read() {
      return logFiles(directory)
        .flatMap((file) => readNew(file, positions).map(toRecord))
        .sort((a, b) => a.time - b.time);
    },
  };
}

/** Calls `onChange` whenever a log file may have grown, until `signal` aborts. */
export function watchLogs(directory: string, signal: AbortSignal, onChange: () => void): void {
  mkdirSync(directory, { recursive: true });
  const watcher = watch(directory, { signal }, onChange);
  // The folder is gone: there is nothing to follow.
  watcher.on("error", () => watcher.close());
}

function logFiles(directory: string): string[] {
  try {
    return readdirSync(directory).flatMap((name) => (/\.jsonl(\.\d+)?$/.test(name) ? [join(directory, name)] : []));
  } catch {
    return [];
  }
}

function readNew(file: string, positions: Map<number, Position>): string[] {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch {
    return [];
  }
  try {
    const { ino, size } = fstatSync(descriptor);
    let position = positions.get(ino);
    if (position === undefined || position.offset > size) {
      const offset = Math.max(0, size - tailBytes);
      position = { offset, decoder: new StringDecoder("utf8"), rest: "", fragment: offset > 0 };
      positions.set(ino, position);
    }
    const buffer = Buffer.alloc(size - position.offset);
    const count = readSync(descriptor, buffer, 0, buffer.length, position.offset);
    position.offset += count;
    const lines = (position.rest + position.decoder.write(buffer.subarray(0, count))).split("\n");
    position.rest = lines.pop() ?? "";
    if (position.fragment && lines.shift() !== undefined) position.fragment = false;
    return lines.filter((line) => line.trim() !== "");
  } finally {
    closeSync(descriptor);
  }
}

function toRecord(line: string): CellRecord {
  try {
    const parsed = JSON.parse(line) as Partial<CellRecord> | null;
    if (typeof parsed?.time === "number" && typeof parsed.message === "string") {
      return parsed as CellRecord;
    }
  } catch {
    // Told as it is.
  }
  return { time: 0, level: "info", message: line };
}
