/**
 * The types of a project, checked by TypeScript's own compiler under the author's tsconfig.json.
 *
 * Where there is none, the platform's is used. Where there is one that knows nothing of
 * `@cytoplane/sdk`, the platform's copy is added to its `paths`. What is wrong inside the SDK is not
 * the author's to mend and is left out.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { dirname, join, resolve } from "node:path";
import { CytoError } from "../kernel/index.ts";
import type { SourceDiagnostic, Toolchain } from "./contract.ts";
import { sdkPaths, writeEditorConfig } from "./editor-config.ts";
import { insteadOf } from "./node-builtins.ts";
import { ownToolchain } from "./toolchain.ts";

/** Everything that the type checker has against the project in `directory`, in its order. */
export async function typecheck(directory: string, toolchain: Toolchain = ownToolchain): Promise<SourceDiagnostic[]> {
  const platformConfig = writeEditorConfig(directory, toolchain);
  const ownConfig = join(directory, "tsconfig.json");
  const hasOwn = existsSync(ownConfig);
  const config = hasOwn ? await withSdk(ownConfig, toolchain) : platformConfig;
  const { output, code } = await tsc(["-p", config, "--noEmit", "--pretty", "false"], directory);
  const diagnostics = parse(output, directory, hasOwn ? ownConfig : platformConfig);
  if (code !== 0 && diagnostics.length === 0) throw broken(directory, output);
  return diagnostics.filter(({ file }) => !file.startsWith(join(toolchain.sdkDirectory, "/")));
}

/** The author's configuration, or one that extends it with the paths of the SDK. */
async function withSdk(ownConfig: string, toolchain: Toolchain): Promise<string> {
  const directory = dirname(ownConfig);
  const { output, code } = await tsc(["-p", ownConfig, "--showConfig"], directory);
  const shown = code === 0 ? readShown(output) : undefined;
  const ownPaths = shown?.compilerOptions?.paths ?? {};
  // What cannot be shown cannot be extended either: checking says why.
  if (shown === undefined || ownPaths["@cytoplane/sdk"] !== undefined) return ownConfig;
  const absolute = (path: string) => resolve(directory, path);
  const paths = sdkPaths(toolchain);
  for (const [name, targets] of Object.entries(ownPaths)) paths[name] ??= targets.map(absolute);
  const files = [join(directory, ".cyto", "modules.d.ts"), ...(shown.files ?? []).map(absolute)];
  const config = join(directory, ".cyto", "tsconfig.check.json");
  writeFileSync(config, JSON.stringify({ extends: ownConfig, compilerOptions: { paths }, files, include: [] }));
  return config;
}

interface Shown {
  readonly compilerOptions?: { readonly paths?: Record<string, string[]> };
  /** All that the configuration includes. */
  readonly files?: string[];
}

function readShown(output: string): Shown | undefined {
  try {
    return JSON.parse(output);
  } catch {
    return undefined;
  }
}

function tsc(args: string[], cwd: string): Promise<{ output: string; code: number }> {
  const manifest = findPackageJSON("typescript", import.meta.url)!;
  const { bin }: { bin: { tsc: string } } = JSON.parse(readFileSync(manifest, "utf8"));
  const command = [join(dirname(manifest), bin.tsc), ...args];
  return new Promise((done, reject) => {
    execFile(process.execPath, command, { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== "number") reject(broken(cwd, error.message));
      else done({ output: stdout || stderr, code: Number(error?.code ?? 0) });
    });
  });
}

function broken(directory: string, output: string): CytoError {
  return new CytoError("build-failed", `Cannot check the types of ${directory}: ${output.trim().slice(0, 2000)}`);
}

/** `file(line,column): error TS1234: message`, or without a place; indented lines continue a message. */
function parse(output: string, directory: string, config: string): SourceDiagnostic[] {
  const diagnostics: SourceDiagnostic[] = [];
  for (const text of output.split(/\r?\n/)) {
    const match = /^(?:(.+)\((\d+),(\d+)\): )?error (TS\d+): (.*)$/.exec(text);
    const last = diagnostics.at(-1);
    if (match) {
      const [, file, line, column, code, message] = match;
      diagnostics.push({
        file: resolve(directory, file ?? config),
        line: Number(line ?? 1),
        column: Number(column ?? 1),
        code: code!,
        ...wording(code!, message!),
      });
    } else if (last && /^\s+\S/.test(text)) {
      diagnostics[diagnostics.length - 1] = { ...last, message: `${last.message}\n${text}` };
    }
  }
  return diagnostics;
}

/** For a name that only Node.js has, the compiler's advice would not help here. */
function wording(code: string, message: string): { message: string; hint?: string } {
  const name = code === "TS2591" || code === "TS2580" ? /^Cannot find name '(\w+)'\./.exec(message) : null;
  return name ? { message: name[0], hint: insteadOf(name[1]!.toLowerCase()) } : { message };
}
