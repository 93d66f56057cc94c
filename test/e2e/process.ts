/**
 * A child process that says on a line when it is ready, for tests and benchmarks that use real ones.
 *
 * Always true: disposing it ends the process, with all that it started, and waits until it has gone; so does the end
 * of this process. One that ends before it is ready is an error that carries what it wrote.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

export interface Running extends AsyncDisposable {
  readonly pid: number;
  /** What `ready` made of the line. */
  readonly address: string;
  readonly startedMs: number;
  /** Everything written so far, both streams, oldest lines dropped beyond 2,000. */
  output(): string;
  /** Settles with the exit code, or the signal's name, once the process has gone. */
  readonly exited: Promise<number | string>;
  signal(name: NodeJS.Signals): void;
  /** Settles with the first line from now on that `match` says yes to. */
  line(match: (line: string) => boolean): Promise<string>;
}

export interface ProcessOptions {
  readonly command?: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** The address, when this line says that it listens. File descriptor 3 is read too. */
  ready(line: string): string | undefined;
  readonly timeoutMs?: number;
}

const free = ["--port", "0", "--admin-port", "0", "--json"];
const root = fileURLToPath(new URL("../../", import.meta.url));

export async function startProcess(options: ProcessOptions): Promise<Running> {
  const started = performance.now();
  const child = spawn(options.command ?? process.execPath, options.args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true,
  });
  /** With what it may have started itself: it leads a process group. */
  const kill = (name: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };
  const orphaned = () => kill("SIGKILL");
  const stopped = () => process.exit(130);
  process.once("exit", orphaned).once("SIGINT", stopped).once("SIGTERM", stopped);
  child.once("exit", () => {
    process.off("exit", orphaned).off("SIGINT", stopped).off("SIGTERM", stopped);
  });
  const lines = watch(child);
  const exited = new Promise<number | string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(code ?? signal ?? "gone"));
  });

  const timeoutMs = options.timeoutMs ?? 60_000;
  let timer: NodeJS.Timeout | undefined;
  const failed = Promise.race([
    exited.then((how) => `it ended with ${how}`),
    new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`it was not ready after ${timeoutMs} ms`), timeoutMs);
    }),
  ]);
  let address: string | undefined;
  const ready = lines.next((line) => {
    address = options.ready(line);
    return address !== undefined;
  });
  const failure = await Promise.race([ready.then(() => undefined), failed]);
  clearTimeout(timer);
  if (failure !== undefined || address === undefined) {
    kill("SIGKILL");
    throw new Error(`Cannot start ${options.args.join(" ")}: ${failure}\n${lines.output()}`);
  }

  return {
    pid: child.pid!,
    address,
    startedMs: performance.now() - started,
    output: lines.output,
    exited,
    signal: kill,
    line: lines.next,
    async [Symbol.asyncDispose]() {
      kill("SIGTERM");
      const patience = setTimeout(() => kill("SIGKILL"), 15_000);
      await exited;
      clearTimeout(patience);
      kill("SIGKILL");
    },
  };
}

/** Runs to the end and gives back what was written and how it ended. */
export async function runProcess(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

export interface CytoOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  /** One, unless said. */
  readonly shards?: number;
}

/** `cyto <args>` on free ports, ready when it prints its ready line. */
export function startCyto(args: readonly string[], { shards = 1, ...options }: CytoOptions = {}): Promise<Running> {
  const all = [`${root}bin/cyto.js`, ...args, ...free, "--shards", String(shards)];
  return startProcess({ ...options, args: all, ready: gatewayAddress });
}

export function runCyto(
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): ReturnType<typeof runProcess> {
  return runProcess([`${root}bin/cyto.js`, ...args], options);
}

/** From `{"event":"ready","gateway":"http://127.0.0.1:8080", …}`. */
export function gatewayAddress(line: string): string | undefined {
  if (!line.startsWith("{")) return undefined;
  const { event, gateway } = JSON.parse(line) as { event?: string; gateway?: string };
  return event === "ready" ? gateway : undefined;
}

function watch(child: ChildProcess) {
  const written: string[] = [];
  const waiting = new Set<{ match(line: string): boolean; resolve(line: string): void }>();
  for (const stream of [child.stdout, child.stderr, child.stdio[3]]) {
    createInterface({ input: stream as Readable }).on("line", (line) => {
      written.push(line);
      if (written.length > 2000) written.shift();
      for (const waiter of waiting) {
        if (!waiter.match(line)) continue;
        waiting.delete(waiter);
        waiter.resolve(line);
      }
    });
  }
  return {
    output: () => written.join("\n"),
    next: (match: (line: string) => boolean) => new Promise<string>((resolve) => void waiting.add({ match, resolve })),
  };
}
