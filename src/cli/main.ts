/**
 * The `cyto` command: which commands there are, and how one ends.
 *
 * Answers the exit code and never throws. SIGINT and SIGTERM ask the running command to stop; the
 * second ends the process at once, with 130.
 */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { addBuild } from "./build.ts";
import { addCall } from "./call.ts";
import { addCheck } from "./check.ts";
import type { Frame } from "./command.ts";
import { addDev } from "./dev.ts";
import { exitCodes, reportFailure, UsageError } from "./failure.ts";
import { addInspect } from "./inspect.ts";
import { addLogs } from "./logs.ts";
import { addNew } from "./new.ts";
import { createOutput } from "./output.ts";
import { addRun, withProgramArguments } from "./run.ts";
import { addSecret } from "./secret.ts";
import { addServe } from "./serve.ts";
import { addUp } from "./up.ts";

/** In the order in which a newcomer meets them. */
const commands = [addNew, addDev, addCheck, addBuild, addUp, addServe, addRun, addCall, addLogs, addSecret, addInspect];

export async function main(given: readonly string[], frame: Frame = processFrame()): Promise<number> {
  const args = withProgramArguments(given);
  try {
    const program = createProgram(frame);
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    const worded = error instanceof CommanderError ? toUsageError(error) : error;
    if (worded === undefined) return exitCodes.ok;
    const [json, verbose] = [args.includes("--json"), args.includes("--verbose")];
    return reportFailure(worded, createOutput(frame.terminal, { json, verbose, color: !args.includes("--no-color") }));
  }
}

export function createProgram(frame: Frame): Command {
  const { stdout, stderr } = frame.terminal;
  const program = new Command("cyto")
    .description("Write only business logic; declare the rest in cyto.yaml; run it as WebAssembly components.")
    .version(readVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .option("--json", "print one JSON object a line, for programs")
    .option("-q, --quiet", "say less: no progress, no notes")
    .option("--verbose", "say more: where an error happened")
    .option("--no-color", "no colour, also on a terminal")
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      // `toUsageError` words them instead.
      outputError: () => {},
    });
  program.addHelpText(
    "after",
    [
      "",
      "Exit codes: 0 done, 1 failed, 2 called wrongly, 130 interrupted.",
      "Colour: on a terminal only; NO_COLOR and FORCE_COLOR are heeded.",
      "Begin with: cyto new my-service && cyto dev my-service",
    ].join("\n"),
  );
  for (const add of commands) add(program, frame);
  return program;
}

/** Commander's words as ours; `undefined` when it has only printed help or the version. */
function toUsageError(error: CommanderError): UsageError | undefined {
  if (error.exitCode === 0) return undefined;
  if (error.code === "commander.help")
    return new UsageError("Cannot run cyto: no command is named", "cyto --help lists them");
  const [what = "", meant] = error.message.replace(/^error: /, "").split("\n");
  const message = `${what.charAt(0).toUpperCase()}${what.slice(1)}`;
  return new UsageError(message, meant?.replace(/^\(|\)$/g, "") ?? "cyto <command> --help shows how to call it");
}

function readVersion(): string {
  const manifest = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}

function processFrame(): Frame {
  const { stdin, stdout, stderr, env } = process;
  // Who reads the output may go at any time: `cyto logs | head`.
  for (const stream of [stdout, stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(exitCodes.ok);
    });
  }
  // Started by bin/cyto.js of an older Node: when that is killed, this goes too.
  if (env.CYTO_LAUNCHED !== undefined) {
    delete env.CYTO_LAUNCHED;
    process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
    process.channel?.unref();
  }
  let stop: AbortController | undefined;
  return {
    terminal: { stdin, stdout, stderr, env, cwd: process.cwd() },
    stop() {
      if (stop !== undefined) return stop.signal;
      const controller = new AbortController();
      stop = controller;
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
        process.on(signal, () => {
          if (controller.signal.aborted) process.exit(exitCodes.interrupted);
          controller.abort();
        });
      }
      return controller.signal;
    },
  };
}
