/**
 * `cyto.yaml` to an `App`, or everything that is wrong with it.
 *
 * The steps: bytes → YAML tree → variables → schema → overlay → declaration → checks. Each takes
 * the sound rest of the one before, so that one run finds all faults. Never throws for what a file
 * holds; there is an app exactly when there is no error.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { checkApp } from "./check.ts";
import type { App, Diagnostic } from "./contract.ts";
import { declareApp } from "./declaration.ts";
import { localEnvironment, overlay } from "./overlay.ts";
import { type Finding, field, fields, parseTree, type Tree, without } from "./tree.ts";
import { kindOf, validateTree } from "./validation.ts";
import { substitute } from "./variables.ts";

export interface ManifestOptions {
  /** Which of `environments` is laid over the rest; `local` unless said. */
  readonly environment?: string | undefined;
  /** What `${NAME}` stands for. */
  readonly variables?: Readonly<Record<string, string | undefined>>;
}

export interface ManifestResult {
  /** Absent when there is an error among the diagnostics. */
  readonly app?: App;
  /** In the order of the file. */
  readonly diagnostics: readonly Diagnostic[];
  /** The environments that the manifest declares, `local` first. */
  readonly environments: readonly string[];
  /** What is found wrong with a service's component later on, at the place that names the component. */
  atComponent?(service: string, fault: { readonly message: string; readonly hint?: string | undefined }): Diagnostic;
}

const manifestBytesMax = 1024 * 1024;

export function readManifest(file: string, options: ManifestOptions = {}): ManifestResult {
  const path = resolve(file);
  const read = readText(path);
  if (typeof read !== "string") return { diagnostics: [{ ...read, file: path }], environments: [localEnvironment] };
  return parseManifest(read, path, options);
}

/** As {@link readManifest}, of text already read from `path`. */
export function parseManifest(source: string, path: string, options: ManifestOptions = {}): ManifestResult {
  const environment = options.environment ?? localEnvironment;
  const parsed = parseTree(source);
  const findings: Finding[] = [...parsed.findings];
  let environments: string[] = [localEnvironment];
  let app: App | undefined;
  let services: Tree | undefined;
  const tree = parsed.tree;
  if (tree?.kind !== "map") {
    if (findings.length === 0) findings.push(noMap(tree === undefined ? "is empty" : `is ${kindOf(tree)}`));
  } else {
    const substituted = substitute(tree, environment, options.variables ?? {});
    const validated = validateTree(substituted.tree);
    const overlaid = overlay(without(validated.tree, substituted.unresolved), environment);
    const declared = declareApp(overlaid.tree, environment, dirname(path));
    findings.push(...substituted.findings, ...validated.findings, ...overlaid.findings, ...declared.findings);
    findings.push(...checkApp(declared.app, overlaid.tree, declared.routeTrees));
    environments = [
      ...new Set([localEnvironment, ...fields(field(validated.tree, "environments")).map(([name]) => name)]),
    ];
    app = declared.app;
    services = field(overlaid.tree, "services");
  }
  const sorted = findings.toSorted((a, b) => a.at.offset - b.at.offset);
  const place = (finding: Finding) => toDiagnostic(finding, path, source, parsed.position);
  const diagnostics = sorted.map(place);
  const sound = app !== undefined && diagnostics.every((diagnostic) => diagnostic.severity !== "error");
  if (!sound || app === undefined) return { diagnostics, environments };
  return {
    app,
    diagnostics,
    environments,
    atComponent(service, { message, hint }) {
      const declared = field(services, service);
      const at = (field(declared, "component") ?? declared)?.at ?? { offset: 0, length: 1, path: "" };
      return place({ at, message, ...(hint !== undefined && { hint }) });
    },
  };
}

function toDiagnostic(
  finding: Finding,
  file: string,
  source: string,
  position: (offset: number) => { line: number; column: number },
): Diagnostic {
  const { offset, length, path } = finding.at;
  const written = source.slice(offset, offset + length).split("\n", 1)[0] ?? "";
  return {
    severity: finding.severity ?? "error",
    file,
    ...position(offset),
    length: Math.max(1, written.trimEnd().length),
    path,
    message: finding.message,
    ...(finding.hint !== undefined && { hint: finding.hint }),
  };
}

type Unplaced = Omit<Diagnostic, "file">;

/** The file's text, or why there is none. */
function readText(path: string): string | Unplaced {
  let bytes: Buffer;
  try {
    bytes = readBytes(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") {
      return atStart("there is no such file", "name the folder that holds cyto.yaml, or begin with: cyto new <folder>");
    }
    return atStart(code === "EISDIR" ? "is a directory, not a manifest" : `cannot be read: ${code ?? String(error)}`);
  }
  if (bytes.byteLength > manifestBytesMax) {
    return atStart("is larger than 1 MiB", "a manifest declares; data belongs to files of its own");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return {
      ...firstInvalid(bytes),
      severity: "error",
      path: "",
      message: "is not UTF-8 text",
      hint: "save it as UTF-8",
    };
  }
}

/** At most one byte more than a manifest may have, whatever the file is. */
function readBytes(path: string): Buffer {
  const descriptor = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(manifestBytesMax + 1);
    let length = 0;
    for (;;) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (count === 0) return buffer.subarray(0, length);
      length += count;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Where the first byte stands that is no UTF-8. */
function firstInvalid(bytes: Buffer): { line: number; column: number } {
  const lenient = new TextDecoder("utf-8").decode(bytes);
  const before = lenient.slice(0, lenient.indexOf("\uFFFD"));
  return { line: before.split("\n").length, column: before.length - before.lastIndexOf("\n") };
}

function atStart(message: string, hint?: string): Unplaced {
  return { severity: "error", line: 1, column: 1, path: "", message, ...(hint !== undefined && { hint }) };
}

function noMap(state: string): Finding {
  return {
    at: { offset: 0, length: 1, path: "" },
    message: `the manifest ${state}: expected a map that begins with "app:" and "services:"`,
    hint: 'app: shop\nservices:\n  catalog:\n    source: catalog/service.ts\n    routes: ["GET /products"]',
  };
}
