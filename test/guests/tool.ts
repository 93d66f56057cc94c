/** Runs `tool`, the command that is the same in several languages, with streams that the test holds. */
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { type Component, type Grants, load, type StandardOutput } from "../../src/component/index.ts";
import { runCommand } from "../../src/component/world/command.ts";
import { grantsOf } from "./open.ts";

/** By the version of WASI and the language that it was built for and from. */
export const tools = {
  "WASI 0.1, C": "tool-c.wasm",
  "WASI 0.1, Rust": "tool-rust-p1.wasm",
  "WASI 0.1, Go": "tool-go.wasm.gz",
  "WASI 0.2, Rust": "tool-rust-p2.wasm",
} as const;

export type ToolName = keyof typeof tools;

export async function loadTool(name: ToolName): Promise<Component> {
  return load(await toolBytes(name));
}

export async function toolBytes(name: ToolName): Promise<Uint8Array> {
  const bytes = await readFile(new URL(tools[name], import.meta.url));
  return tools[name].endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

export interface ToolRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ToolOptions extends Partial<Pick<Grants, "directories" | "environment">> {
  /** Pieces of standard input, each when it is asked for. */
  readonly stdin?: AsyncIterable<Uint8Array> | Iterable<string>;
  readonly terminal?: boolean;
  readonly signal?: AbortSignal;
  /** In place of one that takes everything at once. */
  readonly stdout?: StandardOutput;
}

export async function runTool(
  component: Component,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolRun> {
  const { stdin = [], terminal = false, signal, stdout, ...given } = options;
  const said = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const output = (name: keyof typeof said): StandardOutput => ({
    terminal,
    write(bytes) {
      said[name].push(bytes);
      return undefined;
    },
  });
  const pieces = piecesOf(stdin);
  const pull = async () => (await pieces.next()).value as Uint8Array | undefined;
  const streams = {
    stdin: { terminal, pull, cancel() {} },
    stdout: stdout ?? output("stdout"),
    stderr: output("stderr"),
  };
  const grants = grantsOf([], { args: ["tool", ...args], stdio: streams, ...given });
  const code = await runCommand(component, grants, signal === undefined ? {} : { signal });
  return { code, stdout: Buffer.concat(said.stdout).toString(), stderr: Buffer.concat(said.stderr).toString() };
}

async function* piecesOf(stdin: AsyncIterable<Uint8Array> | Iterable<string>): AsyncGenerator<Uint8Array> {
  for await (const piece of stdin) yield typeof piece === "string" ? Buffer.from(piece) : piece;
}
