/**
 * The bundler's complaints in the words of this platform, each at its place in the author's file.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { isBuiltin as isNodeBuiltin } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { closest, distance } from "fastest-levenshtein";
import type { SourceDiagnostic } from "./contract.ts";
import { insteadOf } from "./node-builtins.ts";
import { entryId } from "./source-name.ts";
import { importSites, type Position } from "./source-position.ts";

export const noFetchHint = "Write: export default { async fetch(request) { return new Response('hello') } }";

export function isBuiltin(specifier: string): boolean {
  return specifier.startsWith("node:") || isNodeBuiltin(specifier);
}

/** An import of a module that only Node.js has. */
export function builtinRefusal(specifier: string, file: string, { line, column }: Position): SourceDiagnostic {
  const owner = packageOf(file);
  const message =
    `"${specifier}" is a module of Node.js, which a component does not have` +
    (owner === undefined ? "" : `; the package ${owner} needs it`);
  const hint = insteadOf(specifier) + (owner === undefined ? "" : `, or choose a package that runs without Node.js`);
  return { file, line, column, message, hint };
}

/** An import that leads nowhere. */
export function missingImport(specifier: string, file: string, { line, column }: Position): SourceDiagnostic {
  const at = { file, line, column };
  if (/^https?:/.test(specifier)) {
    return {
      ...at,
      message: `"${specifier}" is on the network`,
      hint: "Install the package with npm and import it by name",
    };
  }
  if (/^[./]/.test(specifier))
    return { ...at, message: `There is no file "${specifier}"`, ...nearestFile(specifier, file) };
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "node_modules", name))) {
      const message = `The package "${name}" has no "${specifier}" to import`;
      return { ...at, message, hint: `See "exports" in ${join(folder, "node_modules", name, "package.json")}` };
    }
    if (folder === dirname(folder)) break;
  }
  return { ...at, message: `The package "${name}" is not installed`, hint: `Install it: npm install ${name}` };
}

export function missingSdkEntry(specifier: string, file: string, sdkDirectory: string): SourceDiagnostic {
  const manifest: { exports?: object } = JSON.parse(readFileSync(join(sdkDirectory, "package.json"), "utf8"));
  const entries = Object.keys(manifest.exports ?? {}).map((entry) => entry.replace(/^\./, "@cytoplane/sdk"));
  const site = file === entryId ? undefined : importSites(file, readFileSync(file, "utf8"), specifier)[0];
  return {
    file: site === undefined ? join(sdkDirectory, "package.json") : file,
    line: site?.line ?? 1,
    column: site?.column ?? 1,
    message: `The SDK has no "${specifier}"`,
    hint: `It has ${entries.join(", ")}`,
  };
}

/** Whatever the bundler threw. `source` is the place of last resort. */
export function toDiagnostics(error: unknown, source: string): SourceDiagnostic[] {
  const { errors } = error as { errors?: readonly BundlerError[] };
  if (errors === undefined || errors.length === 0) return [fallback(error, source)];
  return errors.map((each) => {
    const file = each.loc?.file ?? each.id ?? source;
    if (each.code === "MISSING_EXPORT" && file === entryId) {
      return { file: source, line: 1, column: 1, message: "There is no default export", hint: noFetchHint };
    }
    const message = firstLine(each.message);
    // The bundler counts columns from zero.
    return {
      file: resolve(dirname(source), file),
      line: each.loc?.line ?? 1,
      column: (each.loc?.column ?? 0) + 1,
      message,
    };
  });
}

interface BundlerError {
  readonly code?: string;
  readonly message: string;
  readonly id?: string;
  readonly loc?: { readonly file?: string; readonly line: number; readonly column: number };
}

function fallback(error: unknown, source: string): SourceDiagnostic {
  return {
    file: source,
    line: 1,
    column: 1,
    message: firstLine(error instanceof Error ? error.message : String(error)),
  };
}

function firstLine(message: string): string {
  return message.replace(/^\[[A-Z_]+\] /, "").split("\n")[0]!;
}

function packageOf(file: string): string | undefined {
  return /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1];
}

function nearestFile(specifier: string, importer: string): { hint?: string } {
  const wanted = resolve(dirname(importer), specifier);
  if (!existsSync(dirname(wanted))) return { hint: `There is no folder ${dirname(wanted)}` };
  const names = readdirSync(dirname(wanted));
  if (names.length === 0) return {};
  const near = closest(basename(wanted), names);
  if (distance(near, basename(wanted)) > Math.max(3, near.length / 3)) return {};
  return { hint: `Did you mean "${specifier.slice(0, specifier.length - basename(specifier).length)}${near}"?` };
}
