import type { Command } from "commander";
import type { SourceDiagnostic } from "../build/contract.ts";
import type { App, Diagnostic } from "../cell/manifest/contract.ts";
import type { ManifestResult } from "../cell/manifest/parse.ts";
import { addManual, type Context, type Frame, runs } from "./command.ts";
import { SilentFailure } from "./failure.ts";
import { readProject, render } from "./project.ts";
import { toDiagnostic } from "./workshop.ts";

interface CheckOptions {
  readonly env?: string;
  /** False when `--no-types` was given. */
  readonly types: boolean;
}

/** `cyto check`: all that is wrong with a project, without running any of it. */
export function addCheck(program: Command, frame: Frame): void {
  const command = program
    .command("check")
    .summary("find what is wrong with a project")
    .description(
      "Checks the manifest, in every environment that it declares, the components that it names, and the types of every service.",
    )
    .argument("[dir]", "the project's folder, or its manifest", ".")
    .option("-e, --env <name>", "check this environment only")
    .option("--no-types", "leave the types of the sources unchecked")
    .action(runs(frame, check));
  addManual(command, {
    examples: [
      ["cyto check", "the project in this folder"],
      ["cyto check --env production", "one environment"],
      ["cyto check --json", "one line of JSON a fault, then a summary"],
    ],
    notes: ["Exit code 1 when there is an error; warnings alone are 0."],
  });
}

async function check(context: Context, [place]: readonly string[], options: CheckOptions): Promise<void> {
  const { output, terminal } = context;
  const first = await readProject(context, place, options.env);
  const others = options.env === undefined ? first.environments.slice(1) : [];
  const results = [first, ...(await Promise.all(others.map((other) => readProject(context, place, other))))];
  const faults = await Promise.all(results.map(checkComponentsOf));
  const diagnostics = distinct([...results.flatMap((result) => result.diagnostics), ...faults.flat()]);
  const apps = results.flatMap(({ app }) => app ?? []);
  if (options.types) diagnostics.push(...(await checkTypes(context, apps)));
  const count = (severity: Diagnostic["severity"]) => diagnostics.filter((d) => d.severity === severity).length;
  const errors = count("error");
  const warnings = count("warning");
  for (const diagnostic of diagnostics) output.event("diagnostic", diagnostic);
  output.event("checked", { errors, warnings });
  if (!output.json && diagnostics.length > 0) output.complain(render(output, terminal.cwd, diagnostics));
  const { green, red, yellow } = output.paint;
  const [app] = apps;
  if (errors > 0) {
    output.print(red(`${plural(errors, "error")}${warnings > 0 ? `, ${plural(warnings, "warning")}` : ""}`));
    throw new SilentFailure();
  }
  const sound = `${app?.name}: ${plural(Object.keys(app?.services ?? {}).length, "service")}, nothing wrong`;
  output.print(warnings > 0 ? yellow(plural(warnings, "warning")) : green(sound));
}

async function checkComponentsOf({ app, atComponent }: ManifestResult): Promise<Diagnostic[]> {
  if (app === undefined || Object.values(app.services).every(({ component }) => component === undefined)) return [];
  const { checkComponents } = await import("../cell/component-check.ts");
  return (await checkComponents(app)).flatMap((fault) => atComponent?.(fault.service, fault) ?? []);
}

async function checkTypes(context: Context, apps: readonly App[]): Promise<Diagnostic[]> {
  const built = apps.find((app) => Object.values(app.services).some(({ source }) => source !== undefined));
  if (built === undefined) return [];
  const step = context.output.step("checking types");
  try {
    const { typecheck } = await import("../build/index.ts");
    const found: readonly SourceDiagnostic[] = await typecheck(built.directory);
    return found.map(toDiagnostic);
  } finally {
    step.end();
  }
}

/** An error of the manifest shows in every environment; it is said once. */
function distinct(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return [...new Map(diagnostics.map((d) => [`${d.file}:${d.line}:${d.column} ${d.message}`, d])).values()];
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
