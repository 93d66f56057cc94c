/** Runs `cyto` inside a test: what it says, and how it ends. */
import { Readable, Writable } from "node:stream";
import { main } from "./main.ts";

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly isTTY?: boolean;
  readonly stop?: AbortSignal;
  /** Told all of both outputs so far whenever there is more. */
  readonly onOutput?: (all: string) => void;
}

export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { cwd = "/", stdin = "", env = {}, isTTY = false, stop = new AbortController().signal, onOutput } = options;
  const said = { stdout: "", stderr: "" };
  const collect = (name: keyof typeof said) => {
    const stream = new Writable({
      decodeStrings: false,
      write(chunk, _encoding, done) {
        said[name] += String(chunk);
        onOutput?.(said.stdout + said.stderr);
        done();
      },
    });
    return Object.assign(stream, { isTTY });
  };
  const input = Object.assign(Readable.from(stdin === "" ? [] : [Buffer.from(stdin)]), { isTTY: false });
  const terminal = { stdin: input, stdout: collect("stdout"), stderr: collect("stderr"), env, cwd };
  const code = await main(args, { terminal, stop: () => stop });
  return { code, ...said };
}

/** A `run` under way: waits for its words, and stops it. */
export function begin(args: readonly string[], options: Omit<RunOptions, "stop" | "onOutput"> = {}) {
  const controller = new AbortController();
  const waiting = new Set<() => void>();
  let all = "";
  const ended = run(args, {
    ...options,
    stop: controller.signal,
    onOutput(text) {
      all = text;
      for (const check of waiting) check();
    },
  });
  return {
    ended,
    stop: () => controller.abort(),
    /** Settles with what matches as soon as it has been said; fails when the run ends before. */
    until(pattern: RegExp): Promise<RegExpExecArray> {
      return new Promise((resolve, reject) => {
        const check = () => {
          const found = pattern.exec(all);
          if (found === null) return;
          waiting.delete(check);
          resolve(found);
        };
        waiting.add(check);
        ended.then(({ code }) => reject(new Error(`ended with ${code} before ${pattern}:\n${all}`)), reject);
        check();
      });
    },
  };
}
