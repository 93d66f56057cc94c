/**
 * Component bytes to something that can be instantiated: decoded, validated, linked, woven and compiled
 * once. Core modules of WASI 0.1 are taken as well.
 *
 *     bytes ─▶ decode ─▶ validate ─▶ fuse ─▶ weave ─┐
 *       └────────────── kept by digest ─────────────┴─▶ compile ─▶ ComponentParts ─▶ assemble (each thread)
 */
import { createHash } from "node:crypto";
import { deserialize, serialize } from "node:v8";
import { adapt, describesWorld } from "./adapt.ts";
import { sniff } from "./binary.ts";
import type { AnyExports, Component, ComponentParts, ImportObject, LoadOptions, World } from "./contract.ts";
import { type CoreCode, compile, weaveModule } from "./core-module.ts";
import { type ComponentDefinition, decode } from "./decode.ts";
import { fuse } from "./fuse.ts";
import { instantiate, type ResetCount } from "./instantiate.ts";
import { type Linking, planOf } from "./plan.ts";
import { programOf } from "./program.ts";
import { exposeState } from "./snapshot.ts";
import { retell } from "./stack.ts";
import { validate } from "./validate.ts";
import { validateCode } from "./validate-code.ts";

/**
 * Throws `invalid-component` for bytes that are no component, are cut off, or need what this engine
 * does not have.
 */
export async function load<Imports = ImportObject, Exports = AnyExports>(
  bytes: Uint8Array,
  options: LoadOptions = {},
): Promise<Component<Imports, Exports>> {
  return assemble(await loadParts(bytes, options));
}

/** As {@link load}, for threads that share what is compiled: each makes its own component with {@link assemble}. */
export async function loadParts(bytes: Uint8Array, options: LoadOptions = {}): Promise<ComponentParts> {
  const known = { digest: digestOf(bytes), size: bytes.length };
  const { definition, modules, resets } = await prepared(known.digest, bytes, options);
  // What lives on holds no byte of the file: V8 keeps what it compiled.
  return {
    ...known,
    definition,
    resets,
    modules: await Promise.all(modules.map((module) => module && compile(module))),
  };
}

/** The component of which another thread, or this one, has loaded the parts. */
export function assemble<Imports = ImportObject, Exports = AnyExports>(
  parts: ComponentParts,
): Component<Imports, Exports> {
  return assembled(parts) as unknown as Component<Imports, Exports>;
}

function assembled({ definition, ...parts }: ComponentParts): Component {
  const { digest, size, modules, resets: reset } = parts;
  if (definition === undefined) return programOf({ digest, size, module: modules[0]! });
  const { modules: _, ...plan } = fuse(planOf(deserialize(definition) as ComponentDefinition));
  const resets: ResetCount = { done: 0, failed: 0 };
  return {
    digest,
    size,
    imports: plan.importNames,
    exports: plan.exportNames,
    world: worldOf(plan),
    retell: (stack) => retell(stack, modules),
    woven: modules.flatMap((module) => (module === undefined ? [] : [module.report])),
    instantiate: (imports, { suspend = true, deadlock = "wait", cpu } = {}) => {
      const counted = reset && paysOff(resets) ? resets : undefined;
      return instantiate({ plan, modules, imports, suspend, deadlock, cpu, resets: counted });
    },
  };
}

/** Everything about a component but its compiled code. */
interface Prepared {
  readonly definition: Uint8Array | undefined;
  readonly modules: readonly (CoreCode | undefined)[];
  readonly resets: boolean;
}

/**
 * What another version kept may mean something else. So this is a sum of what is made of a fixed component, and a
 * test holds it to that: whatever changes what is made changes the name that it is kept by.
 */
export const FORMAT = "fd17cc3185cd2ea0";

async function prepared(digest: string, bytes: Uint8Array, options: LoadOptions): Promise<Prepared> {
  const { cache, memoryBytes, reset, metered } = options;
  if (cache === undefined) return prepare(bytes, options);
  const key = digestOf(Buffer.from(JSON.stringify([FORMAT, process.versions.v8, digest, memoryBytes, reset, metered])));
  const name = key.slice("sha256:".length);
  const kept = unseal(await cache.read(name));
  if (kept !== undefined) return kept;
  const made = await prepare(bytes, options);
  await cache.write(name, seal(made));
  return made;
}

const SEAL_BYTES = 32;

/** With a sum before it: a file that was cut off or changed is as good as none. */
function seal(made: Prepared): Uint8Array {
  const content = serialize(made);
  return Buffer.concat([sumOf(content), content]);
}

function unseal(sealed: Uint8Array | undefined): Prepared | undefined {
  if (sealed === undefined) return undefined;
  const content = sealed.subarray(SEAL_BYTES);
  return sumOf(content).equals(sealed.subarray(0, SEAL_BYTES)) ? (deserialize(content) as Prepared) : undefined;
}

async function prepare(bytes: Uint8Array, options: LoadOptions): Promise<Prepared> {
  const core = sniff(bytes) === "core-module";
  // A program of WASI 0.1, which is no component and is not made one.
  if (core && !describesWorld(bytes)) {
    return {
      definition: undefined,
      modules: [weaveModule(bytes, options, { index: 0, fileOffset: 0 })],
      resets: false,
    };
  }
  const definition = decode(core ? await adapt(bytes) : bytes);
  validate(definition);
  await validateCode(definition);
  const whole = planOf(definition);
  const plan = fuse(whole);
  const used = new Set(plan.instances.map((instance) => instance?.module));
  const wanted = plan.modules.map((module, index) => (used.has(index) ? module : undefined));
  const exposed = options.reset === true ? wanted.map((module) => module && exposeState(module)) : [];
  const resets = exposed.length > 0 && wanted.every((module, index) => !module || exposed[index]);
  const modules = wanted.map((module, index) => {
    if (module === undefined) return undefined;
    const code = resets ? exposed[index]! : module;
    // What is exposed stands before the code, and moves it on.
    const fileOffset = core ? undefined : module.byteOffset - bytes.byteOffset + module.length - code.length;
    return weaveModule(code, options, { index, fileOffset });
  });
  // Modules that were linked away tell again how, and are small.
  const away = whole.instances.filter((instance, index) => instance && plan.instances[index] === undefined);
  const kept = new Set(away.map((instance) => whole.modules[instance!.module]!));
  return { definition: serialize(withoutModules(definition, kept)), modules, resets };
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
  return `sha256:${sumOf(bytes).toString("hex")}`;
}

function sumOf(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function worldOf(plan: Linking): World | undefined {
  if (plan.exports.get("cytoplane:service/handler")?.has("start")) return "service";
  if (plan.exports.get("wasi:http/incoming-handler")?.has("handle")) return "http";
  if (plan.exports.get("wasi:http/handler")?.has("handle")) return "handler";
  if (plan.exports.get("wasi:cli/run")?.has("run")) return "command";
  return undefined;
}
