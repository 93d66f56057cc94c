import type { Command } from "commander";
import { addManual, type Context, type Frame, runs } from "./command.ts";
import { requireApp } from "./project.ts";
import { addListenOptions, type ListenOptions, start, untilStopped } from "./running.ts";
import { requireBuilds } from "./workshop.ts";

interface UpOptions extends ListenOptions {
  readonly env?: string;
}

/** `cyto up`: builds, checks, binds and serves a project, until it is asked to stop. */
export function addUp(program: Command, frame: Frame): void {
  const command = program
    .command("up")
    .summary("build and serve a project")
    .description("Builds what has changed, binds it as the manifest declares, and serves it.")
    .argument("[dir]", "the project's folder, or its manifest", ".")
    .option("-e, --env <name>", "lay this environment of the manifest over the rest");
  addListenOptions(command, "one a core").action(runs(frame, up));
  addManual(command, {
    examples: [
      ["cyto up", "the project in this folder, on port 8080"],
      ["cyto up examples/shop --port 0 --admin-port 0", "on free ports"],
      ["cyto up --env production --json", "one line of JSON when it answers"],
    ],
    notes: [
      "SIGTERM and SIGINT: new requests go elsewhere, those in flight finish, exit code 0. Twice: at once, 130.",
      "Data, builds and logs are under .cyto beside the manifest.",
    ],
  });
}

async function up(context: Context, [place]: readonly string[], options: UpOptions): Promise<void> {
  const startMs = performance.now();
  const app = await requireApp(context, place, options.env);
  const { createBuilder } = await import("../build/index.ts");
  // What was built is not kept while the cell runs: a component is several megabytes.
  const build = async () => (await requireBuilds(context, app, createBuilder())).builds;
  const cell = await start(context, app, await build(), { ...options, startMs });
  await untilStopped(context);
  await cell.close();
}
