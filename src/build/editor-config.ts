/**
 * What an editor and the type checker need to know of this platform, written into `<project>/.cyto/`.
 *
 * A project's own tsconfig.json is then one line, `{ "extends": "./.cyto/tsconfig.json" }`, and the types
 * of `@cytoplane/sdk` are those of the platform that builds the project, wherever the project lives.
 * The folder ignores itself in git. Files are touched only when their content changes.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CytoError } from "../kernel/index.ts";
import type { Toolchain } from "./contract.ts";
import { ownToolchain } from "./toolchain.ts";

/** Extensions of text files that a service imports by default; any other text file can be, untyped. */
const textExtensions = ["css", "csv", "graphql", "html", "md", "sql", "svg", "txt", "xml", "yaml", "yml"];

/** Answers the path of the tsconfig.json that it wrote. */
export function writeEditorConfig(projectDirectory: string, toolchain: Toolchain = ownToolchain): string {
  const folder = join(projectDirectory, ".cyto");
  const config = join(folder, "tsconfig.json");
  try {
    mkdirSync(folder, { recursive: true });
    writeIfChanged(join(folder, ".gitignore"), "*\n");
    writeIfChanged(join(folder, "modules.d.ts"), textModules());
    writeIfChanged(config, `${JSON.stringify(tsconfig(toolchain), undefined, 2)}\n`);
  } catch (cause) {
    throw new CytoError("build-failed", `Cannot write ${config}: ${(cause as Error).message}`, {
      hint: "The project's folder must be writable",
      cause,
    });
  }
  return config;
}

/**
 * Writes it anew where a tsconfig.json relies on it and it is gone, as in a fresh clone: the bundler
 * reads the same configuration as the editor.
 */
export function restoreEditorConfig(tsconfig: string, toolchain: Toolchain): void {
  if (!readFileSync(tsconfig, "utf8").includes("./.cyto/tsconfig.json")) return;
  if (!existsSync(join(dirname(tsconfig), ".cyto", "tsconfig.json"))) writeEditorConfig(dirname(tsconfig), toolchain);
}

/** The SDK's entries as `paths` of a tsconfig.json, absolute. */
export function sdkPaths(toolchain: Toolchain): Record<string, string[]> {
  const manifest: { exports: Record<string, Entry> } = JSON.parse(
    readFileSync(join(toolchain.sdkDirectory, "package.json"), "utf8"),
  );
  const paths: Record<string, string[]> = {};
  for (const [name, entry] of Object.entries(manifest.exports)) {
    const file = typeof entry === "string" ? entry : (entry.types ?? entry.default);
    if (file !== undefined) paths[name.replace(/^\./, "@cytoplane/sdk")] = [join(toolchain.sdkDirectory, file)];
  }
  return paths;
}

type Entry = string | { readonly types?: string; readonly default?: string };

function tsconfig(toolchain: Toolchain): object {
  return {
    compilerOptions: {
      target: "es2023",
      module: "esnext",
      moduleResolution: "bundler",
      lib: ["es2024", "dom", "dom.iterable"],
      types: [],
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      resolveJsonModule: true,
      verbatimModuleSyntax: true,
      skipLibCheck: true,
      paths: sdkPaths(toolchain),
    },
    files: ["./modules.d.ts"],
    include: ["../**/*.ts", "../**/*.tsx", "../**/*.mts"],
    exclude: ["../**/node_modules", "../**/.cyto"],
  };
}

function textModules(): string {
  const declarations = textExtensions.map(
    (extension) => `declare module "*.${extension}" {\n  const text: string;\n  export default text;\n}\n`,
  );
  return declarations.join("\n");
}

function writeIfChanged(path: string, text: string): void {
  try {
    if (readFileSync(path, "utf8") === text) return;
  } catch {
    // Not there yet, or not readable: writing says what is wrong.
  }
  writeFileSync(path, text);
}
