/**
 * A service's target to something that a host can run: linked, checked against what its declaration
 * gives it, and bound.
 *
 * Whatever is wrong with the component is said here, with the service and the file, before any call
 * reaches it.
 */
import { createSymboliser } from "../build/stack.ts";
import { assemble, type Component, type CpuOptions, type Grants, type Instance } from "../component/index.ts";
import { wasiImports } from "../component/wasi/standard.ts";
import { createHostState } from "../component/wasi/state.ts";
import { openCgiInstance } from "../component/world/cgi.ts";
import { openHandlerInstance } from "../component/world/handler.ts";
import { openHttpInstance } from "../component/world/http.ts";
import { openServiceInstance } from "../component/world/service.ts";
import { type Deployment, lifetimeOf } from "../host/index.ts";
import { CytoError, limits as defaults } from "../kernel/index.ts";
import { type GrantParts, openGrants } from "./grants.ts";
import { needOf } from "./inspection.ts";
import type { ServiceDeclaration } from "./manifest/contract.ts";
import { atService } from "./release.ts";
import type { Target } from "./shard-contract.ts";

/** A deployment and what it holds open. Dispose it after its pool has drained. */
export interface Deployed extends AsyncDisposable {
  readonly deployment: Deployment;
  /** Names the author's files in a stack. */
  symbolise(stack: string): string;
  redact(text: string): string;
}

export async function deploy(
  { declaration, directory, config, component: compiled, sourceMap }: Target,
  parts: GrantParts,
): Promise<Deployed> {
  const { name: service } = declaration;
  const bounds = { ...defaults, ...declaration.limits };
  const lifetime = lifetimeOf(declaration.instances);
  try {
    const component = metered(assemble(compiled), { metering: parts.metering, cpuMs: bounds.cpuMs });
    const open = openerOf(component, bounds.concurrency);
    checkImports(component, declaration);
    const inSource = sourceMap === undefined ? (stack: string) => stack : createSymboliser(sourceMap, directory);
    const symbolise = (stack: string) => inSource(component.retell(stack));
    const opened = await openGrants(declaration, config, symbolise, parts);
    return {
      deployment: {
        service,
        digest: component.digest,
        instantiate: async () => open(opened.grants),
        instances: lifetime.policy === "pinned" ? 1 : bounds.instances,
        concurrency: component.world === "service" || component.world === "handler" ? bounds.concurrency : 1,
        queue: bounds.queue,
        lifetime,
      },
      symbolise,
      redact: opened.redact,
      [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
    };
  } catch (thrown) {
    throw atService(declaration, thrown);
  }
}

/** The component whose instances are all metered. */
function metered(component: Component, cpu: CpuOptions): Component {
  return { ...component, instantiate: (imports, options) => component.instantiate(imports, { ...options, cpu }) };
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

/** Throws what is wrong with a component that no deployment of the declaration can change. */
export function checkDeployable(component: Component, declaration: ServiceDeclaration): void {
  openerOf(component, 1);
  checkImports(component, declaration);
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
