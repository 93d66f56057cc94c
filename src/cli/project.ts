/** Where a project is, and what its manifest says. The manifest's reader is loaded when it is first needed. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { App, Diagnostic } from "../cell/manifest/contract.ts";
import type { ManifestResult } from "../cell/manifest/parse.ts";
import { renderDiagnostics } from "../cell/manifest/render.ts";
import { CytoError } from "../kernel/index.ts";
import type { Context } from "./command.ts";
import { SilentFailure } from "./failure.ts";
import type { Output } from "./output.ts";

/** The manifest of a folder, or the file itself when one is named. */
export function manifestFile(cwd: string, place = "."): string {
  const path = resolve(cwd, place);
  if (!existsSync(path)) {
    throw new CytoError("invalid-manifest", `Cannot find the project "${place}": there is no such folder`, {
      hint: `begin one with: cyto new ${place}`,
    });
  }
  if (!statSync(path).isDirectory()) return path;
  const found = ["cyto.yaml", "cyto.yml"].map((name) => join(path, name)).find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new CytoError("invalid-manifest", `Cannot find the project "${place}": ${path} holds no cyto.yaml`, {
    hint: "name the project's folder, or begin one with: cyto new <folder>",
  });
}

export async function readProject(
  context: Context,
  place: string | undefined,
  environment: string | undefined,
): Promise<ManifestResult> {
  const { cwd, env } = context.terminal;
  const { readManifest } = await import("../cell/manifest/parse.ts");
  return readManifest(manifestFile(cwd, place), { environment, variables: env });
}

/** The app of a project. Says what is wrong with the manifest, and fails when there is none. */
export async function requireApp(
  context: Context,
  place: string | undefined,
  environment: string | undefined,
): Promise<App> {
  const { app, diagnostics } = await readProject(context, place, environment);
  showDiagnostics(context, diagnostics);
  if (app === undefined) throw new SilentFailure();
  return app;
}

/** To standard error for people; as events for programs, errors only, so that a ready line stays the only one. */
export function showDiagnostics({ output, terminal }: Context, diagnostics: readonly Diagnostic[]): void {
  if (diagnostics.length === 0) return;
  if (output.json) {
    for (const diagnostic of diagnostics) if (diagnostic.severity === "error") output.event("diagnostic", diagnostic);
    return;
  }
  output.complain(render(output, terminal.cwd, diagnostics));
}

export function render(output: Output, directory: string, diagnostics: readonly Diagnostic[]): string {
  const texts = new Map<string, string | undefined>();
  const source = (file: string) => {
    if (!texts.has(file)) texts.set(file, readIfPossible(file));
    return texts.get(file);
  };
  return renderDiagnostics(diagnostics, { source, directory, paint: output.errorPaint });
}

function readIfPossible(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
