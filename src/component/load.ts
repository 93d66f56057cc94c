/**
 * Component bytes to something that can be instantiated: decoded, validated, linked and compiled
 * once. Core modules of WASI 0.1 are taken as well.
 */
import { createHash } from "node:crypto";
import { deserialize, serialize } from "node:v8";
import { CytoError } from "../kernel/index.ts";
import { adapt, describesWorld } from "./adapt.ts";
import { sniff } from "./binary.ts";
import type { Component, ComponentParts, LoadOptions, World } from "./contract.ts";
import { boundMemory } from "./core-module.ts";
import { type ComponentDefinition, decode } from "./decode.ts";
import { fuse } from "./fuse.ts";
import { instantiate, type ResetCount } from "./instantiate.ts";
import { type Linking, type Plan, planOf } from "./plan.ts";
import { programOf } from "./program.ts";
import { exposeState } from "./snapshot.ts";
import { validate } from "./validate.ts";

/**
 * Throws `invalid-component` for bytes that are no component, are cut off, or need what this engine
 * does not have.
 */
export async function load(bytes: Uint8Array, options: LoadOptions = {}): Promise<Component> {
  const known = { digest: digestOf(bytes), size: bytes.length };
  if (isProgram(bytes)) return programOf({ module: await compile(bytes, options), ...known });
  const { plan, modules, resets } = await link(bytes, options);
  return toComponent({ ...known, modules, resets }, plan);
}

/** As {@link load}, for threads that share what is compiled: each makes its own component with {@link assemble}. */
export async function loadParts(bytes: Uint8Array, options: LoadOptions = {}): Promise<ComponentParts> {
  const known = { digest: digestOf(bytes), size: bytes.length };
  if (isProgram(bytes)) {
    return { ...known, definition: undefined, modules: [await compile(bytes, options)], resets: false };
  }
  const { definition, whole, plan, modules, resets } = await link(bytes, options);
  // Modules that were linked away tell again how, and are small.
  const away = whole.instances.filter((instance, index) => instance && plan.instances[index] === undefined);
  const kept = new Set(away.map((instance) => whole.modules[instance!.module]!));
  return { ...known, definition: serialize(withoutModules(definition, kept)), modules, resets };
}

/** The component of which another thread, or this one, has loaded the parts. */
export function assemble({ definition, ...parts }: ComponentParts): Component {
  if (definition === undefined) return programOf({ ...parts, module: parts.modules[0]! });
  return toComponent(parts, fuse(planOf(deserialize(definition) as ComponentDefinition)));
}

/** A program of WASI 0.1, which is no component and is not made one. */
function isProgram(bytes: Uint8Array): boolean {
  return sniff(bytes) === "core-module" && !describesWorld(bytes);
}

interface Linked extends Pick<ComponentParts, "modules" | "resets"> {
  readonly definition: ComponentDefinition;
  /** Before and after modules were linked away. */
  readonly whole: Plan;
  readonly plan: Plan;
}

async function link(bytes: Uint8Array, options: LoadOptions): Promise<Linked> {
  const definition = decode(sniff(bytes) === "core-module" ? await adapt(bytes) : bytes);
  validate(definition);
  const whole = planOf(definition);
  const plan = fuse(whole);
  const used = new Set(plan.instances.map((instance) => instance?.module));
  const wanted = plan.modules.map((module, index) => (used.has(index) ? module : undefined));
  const exposed = options.reset === true ? wanted.map((module) => module && exposeState(module)) : [];
  const resets = exposed.length > 0 && wanted.every((module, index) => !module || exposed[index]);
  const modules = await Promise.all((resets ? exposed : wanted).map((module) => module && compile(module, options)));
  return { definition, whole, plan, modules, resets };
}

/** What lives on holds no byte of the file: V8 keeps what it compiled. */
function toComponent(
  { digest, size, modules, resets: reset }: Omit<ComponentParts, "definition">,
  { modules: _, ...plan }: Plan,
): Component {
  const resets: ResetCount = { done: 0, failed: 0 };
  return {
    digest,
    size,
    imports: plan.importNames,
    exports: plan.exportNames,
    world: worldOf(plan),
    instantiate: (imports, { suspend = true, deadlock = "wait" } = {}) => {
      const counted = reset && paysOff(resets) ? resets : undefined;
      return instantiate({ plan, modules, imports, suspend, deadlock, resets: counted });
    },
  };
}

function withoutModules(component: ComponentDefinition, kept: ReadonlySet<Uint8Array>): ComponentDefinition {
  const definitions = component.definitions.map((definition) => {
    if (definition.kind === "core-module" && !kept.has(definition.bytes)) {
      return { ...definition, bytes: new Uint8Array() };
    }
    if (definition.kind !== "component") return definition;
    return { ...definition, component: withoutModules(definition.component, kept) };
  });
  return { ...component, definitions };
}

/** A snapshot costs as much as an instance: none is taken of a component that mostly grows its memory. */
function paysOff({ done, failed }: ResetCount): boolean {
  return failed <= done + 8;
}

/** `sha256:…`, the name by which a component is known. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function compile(module: Uint8Array, { memoryBytes }: LoadOptions): Promise<WebAssembly.Module> {
  try {
    const bounded = memoryBytes === undefined ? module : boundMemory(module, memoryBytes);
    return await WebAssembly.compile(bounded as Uint8Array<ArrayBuffer>);
  } catch (thrown) {
    if (thrown instanceof CytoError) throw thrown;
    const reason = (thrown as Error).message.replace(/^WebAssembly\.compile\(\): /, "");
    throw new CytoError("invalid-component", `Cannot compile a core module of the component: ${reason}`, {
      cause: thrown,
    });
  }
}

function worldOf(plan: Linking): World | undefined {
  if (plan.exports.get("cytoplane:service/handler")?.has("start")) return "service";
  if (plan.exports.get("wasi:http/incoming-handler")?.has("handle")) return "http";
  if (plan.exports.get("wasi:http/handler")?.has("handle")) return "handler";
  if (plan.exports.get("wasi:cli/run")?.has("run")) return "command";
  return undefined;
}
