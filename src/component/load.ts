/** Component bytes to something that can be instantiated: decoded, linked and compiled once. */
import { createHash } from "node:crypto";
import { CytoError } from "../kernel/index.ts";
import type { Component, LoadOptions, World } from "./contract.ts";
import { decode } from "./decode.ts";
import { instantiate } from "./instantiate.ts";
import { type Linking, planOf } from "./plan.ts";
import { weave } from "./weave/weave.ts";

/**
 * Throws `invalid-component` for bytes that are no component, are cut off, or need what this engine
 * does not have.
 */
export async function load(bytes: Uint8Array, options: LoadOptions = {}): Promise<Component> {
  // What lives on holds no byte of the file: V8 keeps what it compiled.
  const { modules: binaries, ...plan } = planOf(decode(bytes));
  const modules = await Promise.all(binaries.map((module) => compile(module, options)));
  return {
    digest: digestOf(bytes),
    size: bytes.length,
    imports: plan.importNames,
    exports: plan.exportNames,
    world: worldOf(plan),
    instantiate: (imports, { suspend = true } = {}) => instantiate({ plan, modules, imports, suspend }),
  };
}

/** `sha256:…`, the name by which a component is known. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

async function compile(module: Uint8Array, { memoryBytes }: LoadOptions): Promise<WebAssembly.Module> {
  try {
    const bounded = memoryBytes === undefined ? module : weave(module, { memoryBytes, metered: false }).module;
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
  return undefined;
}
