/**
 * `.cyto/run.json`: where the running app of a project is reached, for `cyto call`.
 *
 * Written once it answers, removed when it stops; one whose process has gone counts as none.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface RunFile {
  readonly pid: number;
  readonly gateway: string;
  readonly admin: string;
  readonly environment: string;
}

/** Disposing it removes the file, unless another process has written it since. */
export function writeRunFile(stateDirectory: string, run: RunFile): Disposable {
  const file = fileOf(stateDirectory);
  const text = `${JSON.stringify(run, null, 2)}\n`;
  mkdirSync(stateDirectory, { recursive: true });
  writeFileSync(file, text);
  return {
    [Symbol.dispose]() {
      if (readText(file) === text) rmSync(file, { force: true });
    },
  };
}

export function readRunFile(stateDirectory: string): RunFile | undefined {
  const run = parse(readText(fileOf(stateDirectory)) ?? "");
  return run !== undefined && isAlive(run.pid) ? run : undefined;
}

function fileOf(stateDirectory: string): string {
  return join(stateDirectory, "run.json");
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** A file that was half written counts as none. */
function parse(text: string): RunFile | undefined {
  try {
    const run = JSON.parse(text) as Partial<RunFile> | null;
    return Number.isInteger(run?.pid) && URL.canParse(String(run?.gateway)) ? (run as RunFile) : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
