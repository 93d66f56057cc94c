/**
 * An author's entry module and all that it imports, as one ES module with a source map.
 *
 * Always true: `@cytoplane/sdk` is the platform's own copy wherever the service lives; everything
 * else resolves from the importing file as in Node.js; only the imports of the world stay outside.
 * Every file is read once, here, so the footprint holds exactly the bytes that were bundled.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, join, resolve } from "node:path";
import { type OutputChunk, type Plugin, rolldown } from "rolldown";
import { BuildError, type BuildRequest, type SourceDiagnostic, type Toolchain } from "./contract.ts";
import { restoreEditorConfig } from "./editor-config.ts";
import { engines } from "./engine.ts";
import { type Footprint, hasFolder, readTraced, tracedFiles, traceFolder, traceLink } from "./footprint.ts";
import { builtinRefusal, isBuiltin, missingImport, missingSdkEntry, toDiagnostics } from "./import-error.ts";
import { entryId, ownerOf, sourceName } from "./source-name.ts";
import { importSites } from "./source-position.ts";

export interface Bundle {
  readonly code: string;
  readonly sourceMap: string;
  readonly footprint: Footprint;
}

export interface BundleOptions {
  readonly toolchain: Toolchain;
  readonly nowMs: number;
  /** Imports of the world throw, with a stack: to find out who called one while building. */
  readonly rehearsal?: boolean;
}

const worldImport = /^(cytoplane|wasi):/;
const code = new Set(["", ".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs", ".json"]);

export async function bundle(request: BuildRequest, options: BundleOptions): Promise<Bundle> {
  const footprint: Footprint = {};
  const found: Findings = { outside: [], unreadable: [] };
  const fail = (diagnostics: SourceDiagnostic[]) =>
    new BuildError(request.service, diagnostics, [...new Set([request.source, ...tracedFiles(footprint)])]);
  if (!existsSync(request.source)) throw fail([{ ...start(request.source), message: "There is no such file" }]);
  const tsconfig = nearest(dirname(request.source), "tsconfig.json");
  if (tsconfig !== undefined) restoreEditorConfig(tsconfig, options.toolchain);
  try {
    await using build = await rolldown({
      input: entryId,
      cwd: dirname(request.source),
      platform: "neutral",
      tsconfig: true,
      logLevel: "silent",
      resolve: {
        conditionNames: [request.engine, "worker", "browser"],
        mainFields: ["module", "main"],
        extensionAlias: { ".js": [".ts", ".tsx", ".js"], ".mjs": [".mts", ".mjs"], ".jsx": [".tsx", ".jsx"] },
      },
      transform: { target: "es2023", define: { "process.env.NODE_ENV": '"production"' } },
      plugins: [resolution(request, options, footprint, found), sources(request, options, footprint, found)],
      shimMissingExports: options.rehearsal ?? false,
      experimental: { attachDebugInfo: "none" },
    });
    const { output } = await build.generate({
      format: "esm",
      sourcemap: "hidden",
      sourcemapExcludeSources: true,
      sourcemapPathTransform: (source, map) =>
        sourceName(resolve(dirname(map), source), options.toolchain.sdkDirectory),
      codeSplitting: false,
      minify: false,
      comments: false,
    });
    const refused = refusals(found, options.toolchain, output[0]);
    if (refused.length > 0) throw fail(refused);
    return { code: output[0].code, sourceMap: output[0].map!.toString(), footprint };
  } catch (error) {
    if (error instanceof BuildError) throw error;
    // What could not be resolved explains the rest better than the bundler's own errors do.
    const refused = refusals(found, options.toolchain);
    throw fail(refused.length > 0 ? refused : toDiagnostics(error, request.source));
  }
}

/** What resolving and reading came upon, and cannot be bundled. */
interface Findings {
  /** Imports that lead nowhere, or out of what a component has. */
  readonly outside: { readonly specifier: string; readonly importer: string }[];
  readonly unreadable: SourceDiagnostic[];
}

function resolution(request: BuildRequest, options: BundleOptions, footprint: Footprint, found: Findings): Plugin {
  const { sdkDirectory } = options.toolchain;
  return {
    name: "cytoplane:resolution",
    async resolveId(specifier, importer, extra) {
      if (specifier === entryId) return { id: entryId };
      if (importer === undefined) return null;
      if (worldImport.test(specifier)) {
        return options.rehearsal ? { id: `\0${specifier}` } : { id: specifier, external: true };
      }
      const isSdk = specifier === "@cytoplane/sdk" || specifier.startsWith("@cytoplane/sdk/");
      const from = isSdk ? join(sdkDirectory, "package.json") : importer === entryId ? request.source : importer;
      if (!isSdk && /^[^./\\#]/.test(specifier)) tracePackage(footprint, specifier, dirname(from));
      const resolved = await this.resolve(specifier, from, { kind: extra.kind, skipSelf: true });
      if (resolved && !resolved.external) return resolved;
      found.outside.push({ specifier, importer });
      return { id: specifier, external: true, moduleSideEffects: false };
    },
  };
}

/** Reads every file, as the footprint's witness. What is neither code nor JSON is text. */
function sources(request: BuildRequest, options: BundleOptions, footprint: Footprint, found: Findings): Plugin {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return {
    name: "cytoplane:sources",
    load(id) {
      if (id === entryId) {
        const service = JSON.stringify(request.source);
        return { code: engines[request.engine].entry(service), moduleType: "js", moduleSideEffects: true };
      }
      if (id.startsWith("\0cytoplane:") || id.startsWith("\0wasi:")) return { code: rehearsed(id.slice(1)) };
      if (id.startsWith("\0") || id.startsWith("data:")) return null;
      const bytes = readTraced(footprint, id, options.nowMs);
      traceSurroundings(footprint, dirname(id), options.nowMs);
      try {
        const text = decoder.decode(bytes);
        return code.has(extname(id)) ? { code: text } : { code: text, moduleType: "text" };
      } catch {
        found.unreadable.push({ ...start(id), message: "The file is imported, but is not text" });
        return { code: "", moduleType: "text" };
      }
    },
  };
}

/** A stand-in for an interface of the world: a module cannot reach the world while it is evaluated. */
function rehearsed(specifier: string): string {
  const message = JSON.stringify(`cytoplane:world-call ${specifier}`);
  return `export default new Proxy({}, { get: () => () => { throw new Error(${message}); } });`;
}

/** Where the package of a bare import was looked for, nearest first, up to where it was found. */
function tracePackage(footprint: Footprint, specifier: string, from: string): void {
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  for (const folder of upwards(from)) {
    if (traceLink(footprint, join(folder, "node_modules", name))) return;
  }
}

/** The folder of a file, and the nearest package.json and tsconfig.json, which steer resolution. */
function traceSurroundings(footprint: Footprint, folder: string, nowMs: number): void {
  if (hasFolder(footprint, folder)) return;
  traceFolder(footprint, folder);
  for (const name of ["package.json", "tsconfig.json"]) {
    for (const above of upwards(folder)) {
      const path = join(above, name);
      if (footprint[path]?.is === "file") break;
      if (traceLink(footprint, path)) {
        readTraced(footprint, path, nowMs);
        if (name === "tsconfig.json") traceExtended(footprint, path, nowMs);
        break;
      }
    }
  }
}

/** The configurations that a tsconfig.json is built on, where they are given by path. */
function traceExtended(footprint: Footprint, path: string, nowMs: number): void {
  const extended = /"extends"\s*:\s*(\[[^\]]*\]|"[^"]*")/.exec(readFileSync(path, "utf8"))?.[1] ?? "";
  for (const [, name] of extended.matchAll(/"(\.[^"]*)"/g)) {
    const base = join(dirname(path), name!);
    if (footprint[base]?.is === "file" || !traceLink(footprint, base)) continue;
    readTraced(footprint, base, nowMs);
    traceExtended(footprint, base, nowMs);
  }
}

function* upwards(folder: string): Iterable<string> {
  for (let at = folder; ; at = dirname(at)) {
    yield at;
    if (at === dirname(at)) return;
  }
}

/**
 * What is missing is refused where the author wrote it, always; in a dependency only if it is still
 * there after tree shaking, and not where the dependency itself is ready for it to fail.
 */
function refusals(found: Findings, toolchain: Toolchain, chunk?: OutputChunk): SourceDiagnostic[] {
  const refused = found.outside.flatMap(({ specifier, importer }) => {
    if (importer === entryId && !specifier.startsWith("@")) return [brokenTsconfig(specifier)];
    if (specifier.startsWith("@cytoplane/sdk")) return [missingSdkEntry(specifier, importer, toolchain.sdkDirectory)];
    const authored = ownerOf(sourceName(importer, toolchain.sdkDirectory)) === "author";
    if (!authored && !(chunk !== undefined && survives(chunk, specifier))) return [];
    const sites = importSites(importer, readFileSync(importer, "utf8"), specifier);
    if (sites.length === 0) sites.push({ line: 1, column: 1, guarded: false });
    return sites
      .filter((site) => !site.guarded)
      .map((site) => (isBuiltin(specifier) ? builtinRefusal : missingImport)(specifier, importer, site));
  });
  const inOrder = (a: SourceDiagnostic, b: SourceDiagnostic) =>
    a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
  return [...found.unreadable, ...refused].sort(inOrder);
}

/** The entry itself is there, and yet does not resolve: the bundler could not read its configuration. */
function brokenTsconfig(source: string): SourceDiagnostic {
  const file = nearest(dirname(source), "tsconfig.json") ?? source;
  return { ...start(file), message: "The configuration, or one that it extends, cannot be read" };
}

function start(file: string): { file: string; line: number; column: number } {
  return { file, line: 1, column: 1 };
}

function nearest(folder: string, name: string): string | undefined {
  for (const above of upwards(folder)) if (existsSync(join(above, name))) return join(above, name);
  return undefined;
}

function survives(chunk: OutputChunk, specifier: string): boolean {
  return importSites(chunk.fileName, chunk.code, specifier).length > 0;
}
