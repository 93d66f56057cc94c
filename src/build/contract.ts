/**
 * What this room offers: an author's TypeScript or JavaScript in, component bytes out.
 *
 * `build` bundles and componentizes, or finds the result in the cache. It fails with a
 * {@link BuildError} that carries every {@link SourceDiagnostic}, each in the author's own file.
 * Lines and columns are 1-based everywhere in this room; files are absolute.
 */
import { CytoError } from "../kernel/index.ts";

/** What runs the JavaScript inside the component. */
export type Engine = "quickjs" | "starlingmonkey";

export type BuildStep = "bundle" | "componentize" | "cached";

export interface BuildRequest {
  readonly service: string;
  /** The entry module, absolute. */
  readonly source: string;
  readonly engine: Engine;
  /** Where finished builds are kept, by content: `<project>/.cyto/build`. */
  readonly cacheDirectory: string;
  /** Gives up: the componentizer is ended and the build fails with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told what is being done, for progress lines. `cached` alone means that nothing had to be. */
  progress?(step: BuildStep): void;
}

export interface Build {
  readonly service: string;
  /** `sha256:…` of the component. */
  readonly digest: string;
  readonly component: Uint8Array;
  /** Source map (version 3, JSON) from the bundle that the engine runs to the author's files. */
  readonly sourceMap: string;
  /** The component came from the cache. */
  readonly cached: boolean;
  readonly durationMs: number;
  /** Every file that had a say in the result, absolute: what `dev` watches. */
  readonly inputs: readonly string[];
}

/** One thing wrong with the author's source, and where. */
export interface SourceDiagnostic {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
  /** `TS2322`, when the type checker said it. */
  readonly code?: string;
}

/** Where the platform's own parts are: the SDK's folder and the WIT of the lean world. */
export interface Toolchain {
  readonly sdkDirectory: string;
  readonly witPath: string;
}

/** The author's source cannot be built. */
export class BuildError extends CytoError {
  readonly diagnostics: readonly SourceDiagnostic[];
  /** The files read before it failed, so that `dev` can watch for the repair. */
  readonly inputs: readonly string[];

  constructor(service: string, diagnostics: readonly SourceDiagnostic[], inputs: readonly string[]) {
    const first = diagnostics[0]!;
    const more = diagnostics.length > 1 ? ` (and ${diagnostics.length - 1} more)` : "";
    const message = `Cannot build ${service}: ${formatDiagnostic(first)}${more}`;
    super("build-failed", message, first.hint === undefined ? {} : { hint: first.hint });
    this.diagnostics = diagnostics;
    this.inputs = inputs;
  }
}

/** `file:line:column: message`, the form that terminals and editors make clickable. */
export function formatDiagnostic(diagnostic: SourceDiagnostic): string {
  const code = diagnostic.code === undefined ? "" : `${diagnostic.code}: `;
  return `${diagnostic.file}:${diagnostic.line}:${diagnostic.column}: ${code}${diagnostic.message}`;
}
