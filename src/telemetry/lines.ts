/**
 * Log records to text, gathered for a moment so that many lines go on at once. Without lines there is
 * no timer.
 */
import type { Clock } from "../kernel/index.ts";
import type { LogSink } from "./contract.ts";

export interface Lines {
  readonly write: LogSink;
  /** Hands on what is gathered, now. */
  flush(): void;
}

/** How long lines are gathered, and how many of their characters at the most. */
const GATHER_MS = 50;
const GATHER_LENGTH = 64 * 1024;

/** `next` is given whole lines, each with its line feed, and how many they are. */
export function gatherLines(clock: Clock, next: (text: string, lines: number) => void): Lines {
  let gathered = "";
  let lines = 0;
  let timer: Disposable | undefined;

  function flush(): void {
    timer?.[Symbol.dispose]();
    timer = undefined;
    if (lines === 0) return;
    const text = gathered;
    const count = lines;
    gathered = "";
    lines = 0;
    next(text, count);
  }

  return {
    write(record) {
      gathered += `${JSON.stringify(record)}\n`;
      lines++;
      if (gathered.length > GATHER_LENGTH) flush();
      else timer ??= clock.after(GATHER_MS, flush);
    },
    flush,
  };
}
