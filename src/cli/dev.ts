/**
 * `cyto dev`: serves a project, and serves it anew whenever one of its files changes.
 *
 * One round at a time: read the manifest, build, swap. A change during a round gives it up and
 * begins the next. What cannot be read or built is shown, and the version before it goes on
 * serving; a round that comes to the same app and components changes nothing.
 */
import { statSync } from "node:fs";
import type { Command } from "commander";
import type { Build, Builder } from "../build/index.ts";
import type { Cell } from "../cell/contract.ts";
import type { App } from "../cell/manifest/contract.ts";
import { addManual, type Context, type Frame, runs } from "./command.ts";
import { reportFailure } from "./failure.ts";
import { manifestFile, readProject, showDiagnostics } from "./project.ts";
import { addListenOptions, artifactsOf, type ListenOptions, start, untilStopped } from "./running.ts";
import { formatDuration } from "./table.ts";
import { createWatcher } from "./watcher.ts";
import { buildServices } from "./workshop.ts";

interface DevOptions extends ListenOptions {
  readonly env?: string;
}

export function addDev(program: Command, frame: Frame): void {
  const command = program
    .command("dev")
    .summary("serve a project, and follow its edits")
    .description("Serves a project, rebuilds what you edit, and swaps it in without dropping a request.")
    .argument("[dir]", "the project's folder, or its manifest", ".")
    .option("-e, --env <name>", "lay this environment of the manifest over the rest");
  addListenOptions(command, "one").action(runs(frame, dev));
  addManual(command, {
    examples: [
      ["cyto dev", "the project in this folder, on port 8080"],
      ["cyto dev ../my-service --port 3000", "another one"],
    ],
    notes: ["While a build fails, the version before it goes on serving."],
  });
}

async function dev(context: Context, [place]: readonly string[], options: DevOptions): Promise<void> {
  manifestFile(context.terminal.cwd, place);
  const { createBuilder } = await import("../build/index.ts");
  const stop = context.stop();
  const rounds = createRounds(context, place, options, createBuilder());
  using watcher = createWatcher((firstMs) => rounds.begin(firstMs));
  rounds.onWatch = (files, neighbours) => watcher.update(files, { neighbours });
  rounds.begin(performance.now());
  await untilStopped({ ...context, stop: () => stop });
  await rounds.end();
}

interface Rounds {
  onWatch: (files: readonly string[], neighbours: boolean) => void;
  begin(firstMs: number): void;
  /** Gives up the round that is under way, and stops serving. */
  end(): Promise<void>;
}

function createRounds(context: Context, place: string | undefined, options: DevOptions, builder: Builder): Rounds {
  const { output } = context;
  const file = manifestFile(context.terminal.cwd, place);
  let cell: Cell | undefined;
  let serving: string | undefined;
  let current = new AbortController();
  let last: Promise<void> = Promise.resolve();

  async function round(firstMs: number, signal: AbortSignal): Promise<void> {
    const { app, diagnostics } = await readProject(context, file, options.env);
    if (app === undefined) {
      showDiagnostics(context, diagnostics);
      rounds.onWatch([file], true);
      return waiting(context, cell !== undefined);
    }
    const { builds, inputs, failed } = await buildServices(context, app, builder, signal);
    rounds.onWatch(filesOf(file, app, inputs), failed);
    if (failed) return waiting(context, cell !== undefined);
    const version = versionOf(app, builds);
    if (version === serving) return;
    showDiagnostics(context, diagnostics);
    if (cell === undefined) {
      cell = await start(context, app, builds, { shards: 1, ...options, startMs: firstMs });
    } else {
      await cell.replace(app, artifactsOf(app, builds));
      const durationMs = performance.now() - firstMs;
      const fresh = [...builds.values()]
        .filter(({ digest }) => !serving?.includes(digest))
        .map(({ service }) => service);
      output.event("replaced", { services: fresh, durationMs: Math.round(durationMs) });
      const what = fresh.length > 0 ? fresh.join(", ") : "the manifest";
      output.note(`${output.errorPaint.cyan("swapped")} ${what}: serving ${formatDuration(durationMs)} after the edit`);
    }
    serving = version;
  }

  const rounds: Rounds = {
    onWatch: () => {},
    begin(firstMs) {
      current.abort();
      const own = new AbortController();
      current = own;
      last = last.then(async () => {
        if (own.signal.aborted) return;
        try {
          await round(firstMs, own.signal);
        } catch (error) {
          if (own.signal.aborted) return;
          reportFailure(error, output);
          waiting(context, cell !== undefined);
        }
      });
    },
    async end() {
      current.abort();
      await last;
      await cell?.close();
    },
  };
  return rounds;
}

function waiting({ output }: Context, serves: boolean): void {
  output.event("failed", { serving: serves });
  output.note(serves ? "the version before it goes on serving; waiting for an edit" : "waiting for an edit");
}

/** The files in which a change matters. What npm installed changes with the manifests beside it. */
function filesOf(manifest: string, app: App, inputs: readonly string[]): string[] {
  const components = Object.values(app.services).flatMap(({ component }) => component ?? []);
  return [manifest, ...components, ...inputs.filter((input) => !input.includes("/node_modules/"))];
}

/** Two rounds with the same version would serve the same. */
function versionOf(app: App, builds: ReadonlyMap<string, Build>): string {
  const components = Object.values(app.services).map(({ component }) => component && statSync(component).mtimeMs);
  return JSON.stringify([app, [...builds].map(([name, { digest }]) => [name, digest]), components]);
}
