/**
 * An app and its components to a release that every shard can run: components compiled once, for all of
 * them. Holds no byte of a component's file.
 */
import { resolveConfig } from "../capability/config/config.ts";
import { type ComponentCache, digestOf, loadParts } from "../component/index.ts";
import { lifetimeOf } from "../host/index.ts";
import { CytoError, limits as defaults, toCytoError } from "../kernel/index.ts";
import type { Artifact, Artifacts } from "./contract.ts";
import type { App, ServiceDeclaration } from "./manifest/contract.ts";
import type { Release, Target } from "./shard-contract.ts";

export interface ReleaseParts {
  /** The process's environment: what overrides configuration. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** What runs: services whose version is the same are not compiled again. */
  readonly before: Release | undefined;
  readonly cache: ComponentCache;
  warn(message: string): void;
}

/** Throws what is wrong with the first component that cannot be loaded. */
export async function createRelease(app: App, components: Artifacts, parts: ReleaseParts): Promise<Release> {
  const declarations = Object.values(app.services);
  const declared = Object.fromEntries(declarations.map(({ name, config }) => [name, config]));
  const { values, unused } = resolveConfig(declared, parts.variables);
  for (const variable of unused) {
    parts.warn(`${variable} is set, and overrides no configuration key of ${app.name}`);
  }
  const targets = declarations.map((declaration) => {
    const { name } = declaration;
    return targetOf(app, declaration, values[name] ?? {}, components[name], parts);
  });
  return { app, targets: await Promise.all(targets) };
}

async function targetOf(
  { directory }: App,
  declaration: ServiceDeclaration,
  config: Readonly<Record<string, string>>,
  artifact: Artifact | undefined,
  { before, cache }: ReleaseParts,
): Promise<Target> {
  if (artifact === undefined) {
    throw new CytoError("internal", `Cannot deploy ${declaration.name}: no component was given for it`);
  }
  const digest = digestOf(artifact.component);
  // Routes and policy are the gateway's and the mesh's: they change without a new instance.
  const version = JSON.stringify([digest, { ...declaration, routes: [], policy: {} }, config]);
  const same = before?.targets.find((target) => target.version === version);
  if (same !== undefined) return { ...same, declaration };
  const { memoryBytes } = { ...defaults, ...declaration.limits };
  try {
    const reset = lifetimeOf(declaration.instances).policy === "fresh";
    const component = await loadParts(artifact.component, { memoryBytes, reset, metered: true, cache });
    return { directory, declaration, config, component, sourceMap: artifact.sourceMap, version };
  } catch (thrown) {
    throw atService(declaration, thrown);
  }
}

/** The failure with the service and the file that it is about. */
export function atService({ name, component }: ServiceDeclaration, thrown: unknown): CytoError {
  const { code, message, hint } = toCytoError(thrown);
  const from = component === undefined ? "" : ` from ${component}`;
  return new CytoError(code, `Cannot deploy ${name}${from}: ${message}`, {
    cause: thrown,
    ...(hint !== undefined && { hint }),
  });
}
