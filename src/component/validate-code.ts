/**
 * Whether the code in a component's core modules is valid, those that are never run included. V8 is the
 * judge; a refusal says where in the file the code stands.
 */
import { invalid } from "./binary.ts";
import type { ComponentDefinition } from "./decode.ts";

/** Throws `invalid-component`. */
export async function validateCode({ definitions }: ComponentDefinition): Promise<void> {
  for (const definition of definitions) {
    if (definition.kind === "component") await validateCode(definition.component);
    if (definition.kind !== "core-module") continue;
    const module = definition.bytes as Uint8Array<ArrayBuffer>;
    if (WebAssembly.validate(module)) continue;
    const reason = await reasonOf(module);
    const [, problem = reason, at = "0"] = /^(.*) @\+(\d+)$/s.exec(reason) ?? [];
    throw invalid(problem, "the core module section", definition.offset + Number(at));
  }
}

/** Compiling says why, where validating says only that. */
async function reasonOf(module: Uint8Array<ArrayBuffer>): Promise<string> {
  try {
    await WebAssembly.compile(module);
  } catch (thrown) {
    return (thrown as Error).message.replace(/^WebAssembly\.compile\(\): /, "");
  }
  return "V8 does not take it";
}
