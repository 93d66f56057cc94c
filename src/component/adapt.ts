/**
 * A core module that carries the description of its world to the component that it stands for.
 *
 * Toolchains whose linker knows nothing of components leave such a module, with the WIT in a custom
 * section and the functions of WASI 0.1 as imports. The standard adapter of wit-component puts WASI
 * 0.2 under these; it is the last step of such a toolchain, which was left out.
 */
import { readFile } from "node:fs/promises";
import { CytoError } from "../kernel/index.ts";
import { BinaryReader } from "./binary.ts";
import { coreSections, sectionId } from "./core-section.ts";

export async function adapt(module: Uint8Array): Promise<Uint8Array> {
  // Loaded when it is needed: it brings a toolchain along.
  const { componentNew, preview1AdapterReactorPath } = await import("@bytecodealliance/jco");
  const adapter = await readFile(preview1AdapterReactorPath());
  try {
    return await componentNew(module, [["wasi_snapshot_preview1", adapter]]);
  } catch (cause) {
    const reason = (cause as { readonly payload?: unknown }).payload ?? (cause as Error).message;
    throw new CytoError("invalid-component", `Cannot make a component of the core module: ${reason}`, {
      cause,
      hint: "It carries a WIT world that it does not keep to: build it again with matching tools.",
    });
  }
}

/** Whether the toolchain left the description of a world in it. */
export function describesWorld(module: Uint8Array): boolean {
  for (const { id, content } of coreSections(new BinaryReader(module, 8))) {
    if (id === sectionId.custom && content.name().startsWith("component-type")) return true;
  }
  return false;
}
