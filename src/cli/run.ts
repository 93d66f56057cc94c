import { basename, resolve } from "node:path";
import type { Readable, Writable } from "node:stream";
import { type Command, InvalidArgumentError } from "commander";
import { addManual, type Context, type Frame, pairs, runs, several } from "./command.ts";
import { Ended } from "./failure.ts";
import { readComponent } from "./inspect.ts";
import type { Terminal } from "./output.ts";

interface Directory {
  readonly guest: string;
  readonly host: string;
  readonly readOnly: boolean;
}

interface RunOptions {
  readonly dir?: readonly Directory[];
  readonly env?: Readonly<Record<string, string>>;
  readonly egress?: readonly string[];
  readonly listen?: readonly string[];
}

/** `cyto run`: a command, once, as a program of this terminal. Its exit code is that of `cyto`. */
export function addRun(program: Command, frame: Frame): void {
  const command = program
    .command("run")
    .summary("run one command to its end")
    .description(
      "Runs a command: a component that exports wasi:cli/run, or a module of WASI 0.1. It reaches what the flags give it, and nothing else.",
    )
    .argument("<file.wasm>", "the component or module")
    .argument("[args...]", "what the program is told; its own flags may be among them")
    .option("--dir <guest::host[:ro]>", "let it use a directory: /data::./data, /data::./data:ro", directory)
    .option("--env <NAME=value>", "an environment variable", pairs)
    .option("--egress <host>", "let it reach a host: api.example.com, tcp://db.internal:5432", several)
    .option("--listen <address>", "let its sockets be reached: tcp://0.0.0.0:5000", several)
    .action(runs(frame, run));
  addManual(command, {
    examples: [
      ["cyto run tool.wasm --verbose in.txt", "what follows the file is the program's own"],
      ["cyto run --dir /work::. --env LANG=C tool.wasm", "with a directory and a variable"],
      ["echo hello | cyto run upper.wasm > out.txt", "streams pass through as they are"],
    ],
    notes: [
      "All flags may be given several times, before the file.",
      "cyto serve answers requests with a command, as CGI.",
    ],
  });
}

/**
 * Puts the mark after the file that commander wants before arguments which look like flags. A file
 * is known by its name: one that does not end in .wasm needs the mark `--` by hand.
 */
export function withProgramArguments(args: readonly string[]): readonly string[] {
  const command = args.findIndex((arg) => !arg.startsWith("-"));
  if (args[command] !== "run") return args;
  const file = args.findIndex((arg, index) => index > command && arg.endsWith(".wasm"));
  const mark = args.indexOf("--");
  const marked = mark !== -1 && mark <= file + 1;
  return file === -1 || marked ? args : [...args.slice(0, file + 1), "--", ...args.slice(file + 1)];
}

async function run({ terminal, output }: Context, given: readonly unknown[], options: RunOptions): Promise<void> {
  const [place, args] = given as readonly [string, readonly string[]];
  const component = readComponent(resolve(terminal.cwd, place), place);
  const { runProgram } = await import("../cell/program.ts");
  const stdin = inputOf(terminal);
  // A program that waits for what never comes waits on, as any other does, until it is stopped.
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    const exitCode = await runProgram({
      component,
      name: basename(place),
      args,
      environment: options.env ?? {},
      directories: (options.dir ?? []).map((dir) => ({ ...dir, host: resolve(terminal.cwd, dir.host) })),
      egress: options.egress ?? [],
      listen: options.listen ?? [],
      stdio: { stdin, stdout: outputOf(terminal.stdout), stderr: outputOf(terminal.stderr) },
      onLog: (level, context, message) => output.complain(`${level} ${context}: ${message}`),
    });
    if (exitCode !== 0) throw new Ended(exitCode);
  } finally {
    clearInterval(alive);
    stdin.release();
  }
}

function directory(text: string, earlier: readonly Directory[] = []): readonly Directory[] {
  const [, guest, place] = /^(.+?)::(.+)$/s.exec(text) ?? [];
  if (guest === undefined || place === undefined) {
    throw new InvalidArgumentError("It must be of the form guest::host or guest::host:ro.");
  }
  return [...earlier, { guest, host: place.replace(/:ro$/, ""), readOnly: place.endsWith(":ro") }];
}

/** Nothing is read before the program asks for it. */
function inputOf({ stdin }: Terminal) {
  let chunks: AsyncIterator<Uint8Array> | undefined;
  return {
    terminal: stdin.isTTY === true,
    async pull(): Promise<Uint8Array | undefined> {
      chunks ??= stdin[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
      const { done, value } = await chunks.next();
      return done ? undefined : value;
    },
    cancel(): void {},
    /** Otherwise a program that has not read to the end would keep the process waiting for more. */
    release(): void {
      if (chunks !== undefined) (stdin as Readable).destroy();
    },
  };
}

function outputOf(stream: Writable & { readonly isTTY?: boolean }) {
  return {
    terminal: stream.isTTY === true,
    write(bytes: Uint8Array): undefined | Promise<undefined> {
      if (stream.write(bytes)) return undefined;
      return new Promise((resolve) => {
        stream.once("drain", () => resolve(undefined));
      });
    },
  };
}
