/** Builds the services of an app that have a source, several at a time, and tells how it goes. */
import { resolve } from "node:path";
import type { Build, BuildStep, SourceDiagnostic } from "../build/contract.ts";
import { BuildError } from "../build/contract.ts";
import type { Builder } from "../build/index.ts";
import type { App, Diagnostic, ServiceDeclaration } from "../cell/manifest/contract.ts";
import { toCytoError } from "../kernel/index.ts";
import type { Context } from "./command.ts";
import { reportFailure, SilentFailure } from "./failure.ts";
import { render } from "./project.ts";

export interface Built {
  /** By service, in the manifest's order. */
  readonly builds: ReadonlyMap<string, Build>;
  /** Every file that had a say, also in a build that failed: what `dev` watches. */
  readonly inputs: readonly string[];
  /** Some service could not be built; all that is wrong has been said. */
  readonly failed: boolean;
}

const doing: Readonly<Record<BuildStep, string>> = {
  bundle: "bundling",
  componentize: "making the component",
  cached: "unchanged",
};

export async function buildServices(
  context: Context,
  app: App,
  builder: Builder,
  signal?: AbortSignal,
): Promise<Built> {
  const { output } = context;
  const services = Object.values(app.services).filter(({ source }) => source !== undefined);
  const step = output.step(`building ${services.length === 1 ? services[0]?.name : `${services.length} services`}`);
  const under = new Map<string, BuildStep>();
  const show = () => {
    const texts = [...under].map(([name, now]) => `${name}: ${doing[now]}`);
    step.update(`building  ${texts.join("  ")}`);
  };
  const outcomes = await Promise.all(
    services.map(async (service) => {
      try {
        const build = await builder({
          service: service.name,
          source: service.source ?? "",
          engine: service.engine,
          cacheDirectory: resolve(app.directory, ".cyto/build"),
          ...(signal && { signal }),
          progress(now) {
            under.set(service.name, now);
            show();
          },
        });
        return { service, build };
      } catch (error) {
        return { service, error };
      } finally {
        under.delete(service.name);
        show();
      }
    }),
  );
  step.end();
  signal?.throwIfAborted();
  const builds = new Map<string, Build>();
  const inputs = new Set<string>();
  let failed = false;
  for (const { service, build, error } of outcomes) {
    for (const file of build?.inputs ?? (error instanceof BuildError ? error.inputs : [service.source ?? ""]))
      inputs.add(file);
    if (build !== undefined) builds.set(service.name, build);
    else showBuildFailure(context, service, error);
    failed ||= build === undefined;
  }
  return { builds, inputs: [...inputs], failed };
}

/** As {@link buildServices}; a build that fails ends the command. */
export async function requireBuilds(context: Context, app: App, builder: Builder): Promise<Built> {
  const built = await buildServices(context, app, builder);
  if (built.failed) throw new SilentFailure();
  return built;
}

function showBuildFailure(context: Context, service: ServiceDeclaration, error: unknown): void {
  const { output, terminal } = context;
  if (!(error instanceof BuildError)) {
    reportFailure(toCytoError(error, "build-failed"), output);
    return;
  }
  const diagnostics = error.diagnostics.map((diagnostic) => toDiagnostic(diagnostic));
  if (output.json) {
    for (const diagnostic of diagnostics) output.event("diagnostic", { service: service.name, ...diagnostic });
    return;
  }
  output.complain(`${output.errorPaint.red("✗")} ${service.name} cannot be built\n`);
  output.complain(render(output, terminal.cwd, diagnostics));
}

/** A fault of the author's source in the form that manifests' faults have, so that both look the same. */
export function toDiagnostic({ file, line, column, message, hint, code }: SourceDiagnostic): Diagnostic {
  const text = code === undefined ? message : `${message} (${code})`;
  return { severity: "error", file, line, column, path: "", message: text, ...(hint !== undefined && { hint }) };
}
