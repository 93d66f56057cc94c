import type { Command } from "commander";
import { addManual, type Context, type Frame, runs } from "./command.ts";
import { requireApp } from "./project.ts";
import { formatBytes, formatDuration, renderTable, shortDigest } from "./table.ts";
import { requireBuilds } from "./workshop.ts";

interface BuildOptions {
  readonly env?: string;
}

/** `cyto build`: every service with a source becomes a component, or is found in the cache. */
export function addBuild(program: Command, frame: Frame): void {
  const command = program
    .command("build")
    .summary("build every service of a project")
    .description("Builds every service of a project to a WebAssembly component. What has not changed costs nothing.")
    .argument("[dir]", "the project's folder, or its manifest", ".")
    .option("-e, --env <name>", "read the manifest for this environment")
    .action(runs(frame, build));
  addManual(command, {
    examples: [
      ["cyto build", "the project in this folder"],
      ["cyto build ../shop --json", "one line of JSON a service"],
    ],
    notes: ["Components are kept under .cyto/build, by content."],
  });
}

async function build(context: Context, [place]: readonly string[], options: BuildOptions): Promise<void> {
  const { output } = context;
  const app = await requireApp(context, place, options.env);
  const { createBuilder } = await import("../build/index.ts");
  const { builds } = await requireBuilds(context, app, createBuilder());
  for (const { service, digest, component, cached, durationMs } of builds.values()) {
    output.event("built", { service, digest, bytes: component.byteLength, cached, durationMs: Math.round(durationMs) });
  }
  if (builds.size === 0) return output.note("nothing to build: every service is a component already");
  const rows = [...builds.values()].map(({ service, digest, component, cached, durationMs }) => [
    service,
    formatBytes(component.byteLength),
    shortDigest(digest),
    cached ? "unchanged" : `built in ${formatDuration(durationMs)}`,
  ]);
  output.print(renderTable(["service", "size", "digest", ""], rows));
}
