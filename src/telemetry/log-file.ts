/**
 * The log as a file of JSON lines. Writing never waits for the disk: lines are gathered and written
 * behind; when more are gathered than `bufferBytes`, the newest are dropped and counted.
 *
 * The file is bounded: one that has grown past `fileBytes` is renamed to `<file>.1`, in place of the
 * one before, and a new one is begun.
 */
import { mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import pino from "pino";
import type { LogSink } from "./contract.ts";

export interface LogFile extends AsyncDisposable {
  readonly write: LogSink;
  /** Lines that could not be written. */
  readonly dropped: number;
}

export interface LogFileOptions {
  readonly bufferBytes?: number;
  readonly fileBytes?: number;
}

export function openLogFile(file: string, options: LogFileOptions = {}): LogFile {
  const { bufferBytes = 4 * 1024 * 1024, fileBytes = 64 * 1024 * 1024 } = options;
  mkdirSync(dirname(file), { recursive: true });
  let written = sizeOf(file);
  let dropped = 0;
  /** From a rename until the new file is open: lines of that time are still gathered. */
  let rotating = false;
  const stream = pino.destination({ dest: file, append: true, sync: false, maxLength: bufferBytes });
  stream.on("drop", () => dropped++);
  // A disk that is full must not end the process: what cannot be written is lost, and counted.
  stream.on("error", () => dropped++);
  stream.on("ready", () => {
    rotating = false;
  });

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
      const line = `${JSON.stringify(record)}\n`;
      written += line.length;
      stream.write(line);
      if (written > fileBytes && !rotating) rotate();
    },
    get dropped() {
      return dropped;
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
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
