/**
 * Component bytes to something that can be instantiated: decoded, validated, linked and compiled
 * once. Core modules of WASI 0.1 are taken as well.
 */
import { createHash } from "node:crypto";
import { CytoError } from "../kernel/index.ts";
import { adapt, describesWorld } from "./adapt.ts";
import { sniff } from "./binary.ts";
import type { Component, LoadOptions, World } from "./contract.ts";
import { boundMemory } from "./core-module.ts";
import { decode } from "./decode.ts";
import { fuse } from "./fuse.ts";
import { instantiate } from "./instantiate.ts";
import { type Linking, planOf } from "./plan.ts";
import { programOf } from "./program.ts";
import { validate } from "./validate.ts";

/**
 * Throws `invalid-component` for bytes that are no component, are cut off, or need what this engine
 * does not have.
 */
export async function load(bytes: Uint8Array, options: LoadOptions = {}): Promise<Component> {
  const core = sniff(bytes) === "core-module";
  const known = { digest: digestOf(bytes), size: bytes.length };
  if (core && !describesWorld(bytes)) return programOf({ module: await compile(bytes, options), ...known });
  // What lives on holds no byte of the file: V8 keeps what it compiled.
  const definition = decode(core ? await adapt(bytes) : bytes);
  validate(definition);
  const { modules: binaries, ...plan } = fuse(planOf(definition));
  const used = new Set(plan.instances.map((instance) => instance?.module));
  const modules = await Promise.all(
    binaries.map((module, index) => (used.has(index) ? compile(module, options) : undefined)),
  );
  return {
    ...known,
    imports: plan.importNames,
    exports: plan.exportNames,
    world: worldOf(plan),
    instantiate: (imports, { suspend = true, deadlock = "wait" } = {}) =>
      instantiate({ plan, modules, imports, suspend, deadlock }),
  };
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
