import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { Inspection } from "../cell/inspection.ts";
import { CytoError } from "../kernel/index.ts";
import { addManual, type Context, type Frame, runs } from "./command.ts";
import { formatBytes, renderTable } from "./table.ts";

interface InspectOptions {
  readonly wit?: boolean;
}

/** `cyto inspect`: what a component is, what it needs, and what it offers. */
export function addInspect(program: Command, frame: Frame): void {
  const command = program
    .command("inspect")
    .summary("show what a component needs and offers")
    .description(
      "Shows a component's digest and size, what it imports and what in a manifest gives that, and what it exports.",
    )
    .argument("<component.wasm>", "the component's file")
    .option("--wit", "print its interface as WIT as well")
    .action(runs(frame, inspect));
  addManual(command, {
    examples: [
      ["cyto inspect service.wasm", "its digest, imports, exports, capabilities"],
      ["cyto inspect service.wasm --wit", "and the whole interface"],
    ],
  });
}

async function inspect(context: Context, [place = ""]: readonly string[], options: InspectOptions): Promise<void> {
  const { output, terminal } = context;
  const bytes = readComponent(resolve(terminal.cwd, place), place);
  const { inspectComponent } = await import("../cell/inspection.ts");
  const found = await inspectComponent(bytes).catch((error: unknown) => {
    if (!(error instanceof CytoError)) throw error;
    throw new CytoError(error.code, `Cannot inspect ${place}: ${error.message}`, {
      cause: error.cause,
      ...hintOf(error),
    });
  });
  const wit = options.wit ? await readWit(bytes) : undefined;
  output.event("component", { file: place, ...found, ...(wit !== undefined && { wit }) });
  output.print(describe(found, context));
  if (wit !== undefined) output.print(`\n${wit.trimEnd()}`);
}

/** A component's bytes; `place` is how the user named it. */
export function readComponent(path: string, place: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const state = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : `${code}`;
    throw new CytoError("invalid-component", `Cannot read the component ${place}: ${state}`, {
      hint: "name the file of a built component (.wasm)",
    });
  }
}

function describe({ digest, size, world, imports, exports }: Inspection, { output }: Context): string {
  const { bold, dim, green, red, yellow } = output.paint;
  const worlds = {
    service: "a service of Cytoplane's own world",
    http: "a wasi:http service",
    handler: "a wasi:http 0.3 service",
    command: "a command: run once by cyto run, or served as CGI",
  };
  const lines = [
    `${bold("is")}       ${world === undefined ? yellow("no service: it exports nothing that takes requests") : worlds[world]}`,
    `${bold("digest")}   ${digest}`,
    `${bold("size")}     ${formatBytes(size)} ${dim(`(${size} bytes)`)}`,
  ];
  const state = { given: dim("given"), declared: green("declare"), missing: red("missing") };
  const rows = imports.map(({ name, state, key }) => [name, state, key ?? ""]);
  if (rows.length > 0) {
    // Coloured after the columns are laid out: the codes have a width too.
    const [, ...table] = renderTable(["", "", ""], rows).split("\n");
    lines.push(`\n${bold("imports")}`);
    lines.push(
      ...table.map(
        (row) => `  ${row.replace(/ {2}(given|declared|missing)\b/, (_, s: keyof typeof state) => `  ${state[s]}`)}`,
      ),
    );
  }
  lines.push(`\n${bold("exports")}`, ...exports.map((name) => `  ${name}`));
  if (imports.some((need) => need.state === "missing")) {
    lines.push(`\n${red("missing")}: nothing here provides these imports, so it will not be deployed`);
  }
  return lines.join("\n");
}

async function readWit(bytes: Uint8Array): Promise<string> {
  const { componentWit } = await import("@bytecodealliance/jco");
  return componentWit(bytes);
}

function hintOf(error: CytoError): { readonly hint?: string } {
  return error.hint === undefined ? {} : { hint: error.hint };
}
