import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { Inspection } from "../cell/inspection.ts";
import { CytoError } from "../kernel/index.ts";
import { addManual, type Context, type Frame, runs } from "./command.ts";
import { formatBytes, formatDuration, renderTable } from "./table.ts";

interface InspectOptions {
  readonly wit?: boolean;
  readonly types?: boolean;
}

/** `cyto inspect`: what a component is, what it needs, and what it offers. */
export function addInspect(program: Command, frame: Frame): void {
  const command = program
    .command("inspect")
    .summary("show what a component needs and offers")
    .description(
      "Shows a component's digest and size, what it imports and what in a manifest gives that, what it exports, what is woven into it when it is deployed, and its whole interface as WIT.",
    )
    .argument("<component.wasm>", "the component's file")
    .option("--wit", "print its interface as WIT, and nothing else")
    .option("--types", "print TypeScript declarations of it, and nothing else")
    .action(runs(frame, inspect));
  addManual(command, {
    examples: [
      ["cyto inspect service.wasm", "its digest, imports, exports, interface"],
      ["cyto inspect service.wasm --wit > service.wit", "the interface alone, for other tools"],
      ["cyto inspect service.wasm --types > service.d.ts", "for a program that loads it, with cytoplane/component"],
    ],
  });
}

async function inspect(context: Context, [place = ""]: readonly string[], options: InspectOptions): Promise<void> {
  const { output, terminal } = context;
  const bytes = readComponent(resolve(terminal.cwd, place), place);
  const { inspectComponent, printDeclarations, printWit } = await import("../cell/inspection.ts");
  const found = await inspectComponent(bytes, () => performance.now()).catch((error: unknown) => {
    if (!(error instanceof CytoError)) throw error;
    throw new CytoError(error.code, `Cannot inspect ${place}: ${error.message}`, {
      cause: error.cause,
      ...hintOf(error),
    });
  });
  if (options.types) {
    if (found.interface === undefined)
      throw new CytoError(
        "invalid-component",
        `Cannot declare ${place}: a program of WASI 0.1 has no interface of its own`,
      );
    const types = printDeclarations(found.interface);
    output.event("declarations", { file: place, digest: found.digest, types });
    output.print(types.trimEnd());
    return;
  }
  const wit =
    found.interface === undefined
      ? "// a program of WASI 0.1, without an interface of its own"
      : printWit(found.interface).trimEnd();
  output.event("component", { file: place, ...found, ...(options.wit && { wit }) });
  output.print(options.wit ? paintWit(wit, context) : `${describe(found, context)}\n\n${paintWit(wit, context)}`);
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

function describe(
  { digest, size, world, imports, exports, producers, woven }: Inspection,
  { output }: Context,
): string {
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
  if (producers.length > 0) {
    const made = producers.map(({ name, version }) => `${name} ${dim(version)}`.trimEnd());
    lines.push(`${bold("made by")}  ${[...new Set(made)].join(", ")}`);
  }
  if (woven.length > 0) lines.push(`${bold("woven")}    ${describeWoven(woven).join(`\n${" ".repeat(9)}`)}`);
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

/** What weaving makes of the core modules, all together. */
function describeWoven(woven: Inspection["woven"]): string[] {
  const sum = (count: (report: Inspection["woven"][number]) => number) =>
    woven.reduce((total, report) => total + count(report), 0);
  const [before, after] = [sum((report) => report.bytesBefore), sum((report) => report.bytesAfter)];
  const lines = [
    `${many(woven.length, "core module")}, ${formatBytes(before)} to ${formatBytes(after)}, in ${formatDuration(sum(({ elapsedMs }) => elapsedMs ?? 0))}`,
    `${many(
      sum(({ functions }) => functions),
      "function",
    )}, ${sum(({ entries }) => entries)} charged on entry; ` +
      `${many(
        sum(({ loops }) => loops),
        "loop",
      )} charged, ${sum(({ unrolled }) => unrolled)} unrolled; ` +
      `${many(
        sum(({ pieces }) => pieces),
        "long instruction",
      )} done in pieces`,
  ];
  const dropped = new Set(woven.flatMap((report) => report.dropped));
  if (dropped.size > 0) lines.push(`left out, as it would be wrong: ${[...dropped].join(", ")}`);
  return lines;
}

function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** The words of WIT stand out from the names in it. */
function paintWit(wit: string, { output }: Context): string {
  const { cyan, dim } = output.paint;
  return wit
    .replace(
      /^( *)(package|world|interface|import|export|use|type|record|variant|enum|flags|resource)\b/gm,
      (_, space, word) => `${space}${cyan(word)}`,
    )
    .replace(/: (static async|static|async)? ?func\(/g, (text) => dim(text.slice(0, -1)) + text.slice(-1))
    .replace(/\/\/.*$/gm, (comment) => dim(comment));
}

function hintOf(error: CytoError): { readonly hint?: string } {
  return error.hint === undefined ? {} : { hint: error.hint };
}
