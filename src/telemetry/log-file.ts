/**
 * The log as a file of JSON lines. Writing never waits for the disk: lines are gathered for a moment and
 * written behind, many at a time; when more are waiting than `bufferBytes`, the newest are dropped and
 * counted. Without lines there is no timer.
 *
 * The file is bounded: one that has grown past `fileBytes` is renamed to `<file>.1`, in place of the
 * one before, and a new one is begun.
 */
import { mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import pino from "pino";
import { type Clock, systemClock } from "../kernel/index.ts";
import type { LogSink } from "./contract.ts";

export interface LogFile extends AsyncDisposable {
  readonly write: LogSink;
  /** Lines that could not be written. */
  readonly dropped: number;
}

/** How long lines are gathered, and how many of their characters at the most. */
const GATHER_MS = 50;
const GATHER_LENGTH = 64 * 1024;

export interface LogFileOptions {
  readonly clock?: Clock;
  readonly bufferBytes?: number;
  readonly fileBytes?: number;
}

export function openLogFile(file: string, options: LogFileOptions = {}): LogFile {
  const { clock = systemClock, bufferBytes = 4 * 1024 * 1024, fileBytes = 64 * 1024 * 1024 } = options;
  mkdirSync(dirname(file), { recursive: true });
  let written = sizeOf(file);
  let dropped = 0;
  let gathered = "";
  let lines = 0;
  let timer: Disposable | undefined;
  /** From a rename until the new file is open: lines of that time are still gathered. */
  let rotating = false;
  const stream = pino.destination({ dest: file, append: true, sync: false, maxLength: bufferBytes });
  stream.on("drop", () => {
    dropped += lines;
  });
  // A disk that is full must not end the process: what cannot be written is lost, and counted.
  stream.on("error", () => dropped++);
  stream.on("ready", () => {
    rotating = false;
  });

  function flush(): void {
    timer?.[Symbol.dispose]();
    timer = undefined;
    if (lines === 0) return;
    written += gathered.length;
    stream.write(gathered);
    gathered = "";
    lines = 0;
    if (written > fileBytes && !rotating) rotate();
  }

  function rotate(): void {
    try {
      renameSync(file, `${file}.1`);
      rotating = true;
      stream.reopen();
    } catch {
      // A file that cannot be renamed grows on.
    }
    written = 0;
  }

  return {
    write(record) {
      gathered += `${JSON.stringify(record)}\n`;
      lines++;
      if (gathered.length > GATHER_LENGTH) flush();
      else timer ??= clock.after(GATHER_MS, flush);
    },
    get dropped() {
      return dropped;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        flush();
        stream.once("close", () => resolve());
        stream.end();
      }),
  };
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}
