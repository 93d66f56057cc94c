/**
 * A service's component and declaration to something that a host can run: loaded, checked
 * against what the declaration gives it, and bound.
 *
 * Whatever is wrong with the component is said here, with the service and the file, before any call
 * reaches it.
 */
import { createSymboliser } from "../build/index.ts";
import { type Component, digestOf, type Grants, type Instance, load } from "../component/index.ts";
import { wasiImports } from "../component/wasi/standard.ts";
import { createHostState } from "../component/wasi/state.ts";
import { openCgiInstance } from "../component/world/cgi.ts";
import { openHandlerInstance } from "../component/world/handler.ts";
import { openHttpInstance } from "../component/world/http.ts";
import { openServiceInstance } from "../component/world/service.ts";
import type { Deployment } from "../host/index.ts";
import { CytoError, limits as defaults, toCytoError } from "../kernel/index.ts";
import type { Artifact } from "./contract.ts";
import { type GrantParts, openGrants } from "./grants.ts";
import { needOf } from "./inspection.ts";
import type { App, ServiceDeclaration } from "./manifest/contract.ts";

/** What a service is to run. */
export interface Target extends Artifact {
  /** The manifest's folder: where the author's files are named from. */
  readonly directory: string;
  readonly declaration: ServiceDeclaration;
  /** The declaration's, with what the process's environment overrides. */
  readonly config: Readonly<Record<string, string>>;
  readonly digest: string;
  /** Two targets of the same version run the same: nothing has to be replaced. */
  readonly version: string;
}

/** A deployment and what it holds open. Dispose it after its pool has drained. */
export interface Deployed extends AsyncDisposable {
  readonly deployment: Deployment;
  /** Names the author's files in a stack. */
  symbolise(stack: string): string;
  redact(text: string): string;
}

export function targetOf(
  { directory }: App,
  declaration: ServiceDeclaration,
  config: Readonly<Record<string, string>>,
  artifact: Artifact | undefined,
): Target {
  if (artifact === undefined) {
    throw new CytoError("internal", `Cannot deploy ${declaration.name}: no component was given for it`);
  }
  const digest = digestOf(artifact.component);
  // Routes and policy are the gateway's and the mesh's: they change without a new instance.
  const version = JSON.stringify([digest, { ...declaration, routes: [], policy: {} }, config]);
  return { ...artifact, directory, declaration, config, digest, version };
}

export async function deploy(
  { declaration, directory, config, component: bytes, digest, sourceMap }: Target,
  parts: GrantParts,
): Promise<Deployed> {
  const { name: service } = declaration;
  const bounds = { ...defaults, ...declaration.limits };
  try {
    const component = await load(bytes, { memoryBytes: bounds.memoryBytes });
    const open = openerOf(component, bounds.concurrency);
    checkImports(component, declaration);
    const symbolise = sourceMap === undefined ? (stack: string) => stack : createSymboliser(sourceMap, directory);
    const opened = await openGrants(declaration, config, symbolise, parts);
    return {
      deployment: {
        service,
        digest,
        instantiate: async () => open(opened.grants),
        instances: bounds.instances,
        concurrency: component.world === "service" || component.world === "handler" ? bounds.concurrency : 1,
        queue: bounds.queue,
      },
      symbolise,
      redact: opened.redact,
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
  } catch (thrown) {
    throw atService(declaration, thrown);
  }
}

function openerOf(component: Component, concurrency: number): (grants: Grants) => Instance {
  switch (component.world) {
    case "service":
      return (grants) =>
        openServiceInstance({ component, grants, wasi: wasiImports(grants, createHostState(grants)), concurrency });
    case "http":
      return (grants) => {
        const state = createHostState(grants);
        return openHttpInstance(component.instantiate(wasiImports(grants, state)), state);
      };
    case "handler":
      return (grants) => {
        const state = createHostState(grants);
        return openHandlerInstance(component.instantiate(wasiImports(grants, state)), state, concurrency);
      };
    case "command":
      return (grants) => openCgiInstance(component, grants);
    case undefined:
      throw new CytoError("invalid-component", "it exports nothing that takes requests", {
        hint: `It must export wasi:http/handler (0.3), wasi:http/incoming-handler (0.2) or cytoplane:service/handler, or be a command that answers as CGI; it exports ${component.exports.join(", ") || "nothing"}.`,
      });
  }
}

/** Refuses what nothing provides, and what only a binding would that the declaration does not have. */
function checkImports({ imports, world }: Component, declaration: ServiceDeclaration): void {
  const refuse = (name: string, hint: string): never => {
    throw new CytoError("unbound-import", `it imports ${name}, which is not bound`, { hint });
  };
  for (const name of imports) {
    const { state, key } = needOf(name);
    if (state === "missing") refuse(name, "No binding of this platform provides it: build the component without it.");
    // The lean world always imports all of itself: its guests learn of a missing binding when they use it.
    if (world !== "service" && !isBound(name, declaration)) {
      refuse(name, `Declare it in cyto.yaml, under services.${declaration.name}: ${key}`);
    }
  }
}

/** Of interfaces that are nothing without a binding: a component that imports one means to use it. */
function isBound(name: string, { bindings, secrets }: ServiceDeclaration): boolean {
  if (name.startsWith("wasi:keyvalue/")) return Object.keys(bindings).length > 0;
  if (name.startsWith("cytoplane:secrets/")) return secrets.length > 0;
  return true;
}

function atService({ name, component }: ServiceDeclaration, thrown: unknown): CytoError {
  const { code, message, hint } = toCytoError(thrown);
  const from = component === undefined ? "" : ` from ${component}`;
  return new CytoError(code, `Cannot deploy ${name}${from}: ${message}`, {
    cause: thrown,
    ...(hint !== undefined && { hint }),
  });
}
