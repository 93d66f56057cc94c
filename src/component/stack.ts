/**
 * Stacks of V8, which speak of the modules that were compiled, told in the author's file: where the
 * instruction stands in it, as `wasm-tools objdump` and `addr2line` count.
 *
 * A frame says which module of the component it is in, since weaving marks their names; one that does not
 * is the platform's, as is code that weaving added, and both are left out. No offset is told where it is
 * not known for certain.
 */
import type { CompiledCode } from "./core-module.ts";
import { originalOffset } from "./weave/offsets.ts";

/** `    at main.wasm#0.name (wasm://wasm/main.wasm#0-1a2b3c4d:wasm-function[12]:0xabc)` */
const frame = /^\s*at (?:(.*) \()?wasm:\/\/wasm\/(.*)#(\d+)-[0-9a-f]{8}:(wasm-function\[\d+\]):0x([0-9a-f]+)\)?$/;

export function retell(stack: string, modules: readonly (CompiledCode | undefined)[]): string {
  return stack
    .split("\n")
    .flatMap((line) => {
      if (!line.includes("wasm://")) return [line];
      const [, name, module = "", index, func, offset = ""] = frame.exec(line) ?? [];
      const { offsets, fileOffset } = modules[Number(index)] ?? {};
      const original = offsets && originalOffset(offsets, Number.parseInt(offset, 16));
      if (original === undefined) return [];
      const place = [module, func, fileOffset === undefined ? "" : `0x${(original + fileOffset).toString(16)}`];
      const told = place.filter((part) => part !== "").join(":");
      const marked = `${module}#${index}.`;
      const plain = name?.startsWith(marked) ? name.slice(marked.length) : name;
      return [plain === undefined ? `    at ${told}` : `    at ${plain} (${told})`];
    })
    .join("\n");
}
