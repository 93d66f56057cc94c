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
import { gatherLines } from "./lines.ts";

export interface LogFile extends AsyncDisposable {
  readonly write: LogSink;
  /** Whole lines that were gathered elsewhere, each with its line feed, and how many they are. */
  append(text: string, lines: number): void;
  /** Lines that could not be written. */
  readonly dropped: number;
}

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
  /** Lines of the text that is being handed to the stream. */
  let handed = 0;
  /** From a rename until the new file is open: lines of that time are still gathered. */
  let rotating = false;
  const stream = pino.destination({ dest: file, append: true, sync: false, maxLength: bufferBytes });
  stream.on("drop", () => {
    dropped += handed;
  });
  // A disk that is full must not end the process: what cannot be written is lost, and counted.
  stream.on("error", () => dropped++);
  stream.on("ready", () => {
    rotating = false;
  });

  const lines = gatherLines(clock, append);

  function append(text: string, count: number): void {
    handed = count;
    written += text.length;
    stream.write(text);
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
    write: lines.write,
    append,
    get dropped() {
      return dropped;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        lines.flush();
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
