/**
 * The core modules of a component on their way to being compiled: woven, and, where that is asked for,
 * with their state exported so that instances can be put back. What was appended is reached by the names
 * that stand beside the code.
 */
import { CytoError } from "../kernel/index.ts";
import type { LoadOptions } from "./contract.ts";
import { mayCatch } from "./core-code.ts";
import type { OffsetMap } from "./weave/offsets.ts";
import { type WeaveReport, type WovenExports, weave } from "./weave/weave.ts";

/** Plain data: it can be kept, and posted to another thread. */
export interface CoreCode<Code = Uint8Array> {
  readonly code: Code;
  /** By what names its meter reaches it; absent where it has none. */
  readonly meter: WovenExports | undefined;
  /** From offsets in the code to those in what was woven; and how much further on these are in the author's file. */
  readonly offsets: OffsetMap | undefined;
  readonly fileOffset: number | undefined;
  /** It may catch what JavaScript throws to end it. */
  readonly catches: boolean;
  readonly report: WeaveReport;
}

export type CompiledCode = CoreCode<WebAssembly.Module>;

/** Elements of a table that a guest may grow; each takes some ten bytes of the host's. */
const TABLE_ELEMENTS_MAX = 1_000_000;

/** Where a module stands in its component; and in the author's file, if it is there. */
export interface ModulePlace {
  readonly index: number;
  readonly fileOffset: number | undefined;
}

export function weaveModule(module: Uint8Array, options: LoadOptions, { index, fileOffset }: ModulePlace): CoreCode {
  const { memoryBytes, metered, monotonic } = options;
  const woven = weave(module, {
    metered: metered ?? false,
    mark: `#${index}`,
    tableElements: TABLE_ELEMENTS_MAX,
    ...(memoryBytes !== undefined && { memoryBytes }),
    ...(monotonic && { monotonic }),
  });
  const { module: code, exports: meter, offsets, report } = woven;
  return { code, meter, offsets, fileOffset, catches: mayCatch(module), report };
}

export async function compile({ code, ...rest }: CoreCode): Promise<CompiledCode> {
  try {
    return { code: await WebAssembly.compile(code as Uint8Array<ArrayBuffer>), ...rest };
  } catch (thrown) {
    const reason = (thrown as Error).message.replace(/^WebAssembly\.compile\(\): /, "");
    throw new CytoError("invalid-component", `Cannot compile a core module of the component: ${reason}`, {
      cause: thrown,
    });
  }
}
