/**
 * Puts core instances back to the state that they had when they were linked, in place of making new
 * ones: memory is written over, mutable globals are set.
 *
 *     exposeState(module) ─▶ compile, instantiate ─▶ takeSnapshot(instances) ─▶ (calls) ─▶ restore()
 *
 * That is sound because nothing else of an instance can have changed. A module is refused that has
 * more: tables that its code writes, segments that it drops, objects of the garbage collector, memory
 * that is shared, globals that JavaScript cannot copy to the bit. What differs between instances of one
 * module, such as what a start function made of a random number, is in the snapshot of each.
 * Restoring must find no code of the instances on any stack, suspended or not.
 */
import { CytoError } from "../kernel/index.ts";
import { BinaryReader } from "./binary.ts";
import { Writer } from "./binary-writer.ts";
import { type Opcode, walkBody } from "./core-code.ts";
import { readDefinedGlobal } from "./core-interface.ts";
import { coreSections, sectionId } from "./core-section.ts";
import { readCoreExtern, readMemory, readRecGroup } from "./core-type.ts";

export interface Snapshot {
  /** Answers false, and changes nothing, where memory has grown: it cannot be made smaller again. */
  restore(): boolean;
}

/**
 * More may be slower to write than an instance is to make, which takes some 400 µs at least. A MiB takes
 * 10 µs to clear and 20 to copy as long as the cache holds it, and twice that beyond.
 */
const BYTES_MAX = 16 * 2 ** 20;

const PAGE_BYTES = 65_536;
/** The types of globals that JavaScript copies to the bit. */
const numbers: ReadonlySet<string> = new Set(["i32", "i64", "f32", "f64"]);

/** Names under which state is exported; the rest of the name is its kind and index. */
const PREFIX = "cytoplane:state/";

/** What stands behind the exports, so that their place is found. */
const afterExports: ReadonlySet<number> = new Set([
  sectionId.start,
  sectionId.element,
  sectionId.code,
  sectionId.data,
  sectionId.dataCount,
]);

/** Opcodes after which a table or a segment may be another. */
const alters = new Set<Opcode>([
  0x26, // table.set
  0xfc0009, // data.drop
  0xfc000c, // table.init
  0xfc000d, // elem.drop
  0xfc000e, // table.copy
  0xfc000f, // table.grow
  0xfc0011, // table.fill
]);

/**
 * The module with its memories and mutable globals exported, everything else byte for byte as it was;
 * `undefined` where its instances cannot be put back, or it cannot be read whole.
 */
export function exposeState(module: Uint8Array): Uint8Array | undefined {
  try {
    return expose(module);
  } catch (thrown) {
    if (thrown instanceof CytoError) return undefined;
    throw thrown;
  }
}

function expose(module: Uint8Array): Uint8Array | undefined {
  const found: { readonly kind: "memory" | "global"; readonly index: number }[] = [];
  let imported = { memories: 0, globals: 0 };
  let exports: BinaryReader | undefined;
  let place = { start: module.length, end: module.length };
  for (const { id, start, content } of coreSections(new BinaryReader(module, 8))) {
    if (afterExports.has(id) && start < place.start && exports === undefined) place = { start, end: start };
    switch (id) {
      case sectionId.type:
        if (!onlyFunctions(content)) return undefined;
        break;
      case sectionId.import:
        imported = countImports(content);
        break;
      case sectionId.memory:
        for (const { limits, pageBytes } of content.vector(() => readMemory(content))) {
          if (limits.shared || pageBytes !== PAGE_BYTES) return undefined;
          found.push({ kind: "memory", index: imported.memories++ });
        }
        break;
      case sectionId.global:
        for (const { type, mutable, shared } of content.vector(() => readDefinedGlobal(content))) {
          if (shared || (mutable && !numbers.has(type))) return undefined;
          if (mutable) found.push({ kind: "global", index: imported.globals });
          imported.globals++;
        }
        break;
      case sectionId.export:
        if (namesState(new BinaryReader(module, content.offset, content.end))) return undefined;
        exports = content;
        place = { start, end: content.end };
        break;
      case sectionId.code:
        if (!keepsTables(content)) return undefined;
    }
  }
  if (found.length === 0) return module;
  const w = new Writer(module.length + 64 * found.length);
  w.copy(module, 0, place.start);
  w.section(sectionId.export, () => {
    w.unsigned((exports?.u32() ?? 0) + found.length);
    if (exports) w.copy(module, exports.offset, exports.end);
    for (const { kind, index } of found) {
      w.name(`${PREFIX}${kind}/${index}`);
      w.byte(kind === "memory" ? 2 : 3);
      w.unsigned(index);
    }
  });
  w.copy(module, place.end, module.length);
  return w.finish();
}

/**
 * What `instances`, of modules that {@link exposeState} made, hold at this moment; `undefined` where
 * that is too much to be written back.
 */
export function takeSnapshot(instances: readonly WebAssembly.Instance[]): Snapshot | undefined {
  const memories: MemoryImage[] = [];
  const globals: { readonly global: WebAssembly.Global; readonly value: number | bigint }[] = [];
  let bytes = 0;
  for (const { exports } of instances) {
    for (const name in exports) {
      if (!name.startsWith(PREFIX)) continue;
      const state = exports[name] as WebAssembly.Memory | WebAssembly.Global;
      if (state instanceof WebAssembly.Memory) {
        bytes += state.buffer.byteLength;
        if (bytes > BYTES_MAX) return undefined;
        memories.push(imageOf(state));
      } else {
        const { value } = state as { value: number | bigint };
        // The bits of a NaN do not survive JavaScript.
        if (Number.isNaN(value)) return undefined;
        globals.push({ global: state, value });
      }
    }
  }
  return {
    restore() {
      for (const { memory, buffer } of memories) if (memory.buffer !== buffer) return false;
      for (const image of memories) writeBack(image);
      for (const { global, value } of globals) global.value = value;
      return true;
    },
  };
}

/** A memory's content: the blocks that hold anything, and zeroes between them. */
interface MemoryImage {
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array;
  readonly runs: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

const BLOCK_BYTES = 4096;
const zeroes = new Uint8Array(BLOCK_BYTES);

function imageOf(memory: WebAssembly.Memory): MemoryImage {
  const { buffer } = memory;
  const bytes = Buffer.from(buffer);
  const runs: { offset: number; bytes: Uint8Array }[] = [];
  const empty = (at: number) => bytes.compare(zeroes, 0, BLOCK_BYTES, at, at + BLOCK_BYTES) === 0;
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    if (empty(at)) continue;
    let end = at + BLOCK_BYTES;
    while (end < bytes.length && !empty(end)) end += BLOCK_BYTES;
    runs.push({ offset: at, bytes: Uint8Array.from(bytes.subarray(at, end)) });
    at = end;
  }
  return { memory, buffer, bytes, runs };
}

function writeBack({ bytes, runs }: MemoryImage): void {
  let at = 0;
  for (const run of runs) {
    bytes.fill(0, at, run.offset);
    bytes.set(run.bytes, run.offset);
    at = run.offset + run.bytes.length;
  }
  bytes.fill(0, at);
}

/** Structs and arrays are state of their own, reached through anything. */
function onlyFunctions(section: BinaryReader): boolean {
  const types = section.vector(() => readRecGroup(section)).flat();
  return types.every(({ composite, shared }) => composite.kind === "func" && !shared);
}

function countImports(section: BinaryReader): { memories: number; globals: number } {
  const kinds = section.vector(() => {
    section.name();
    section.name();
    return readCoreExtern(section).kind;
  });
  const count = (wanted: string) => kinds.filter((kind) => kind === wanted).length;
  return { memories: count("memory"), globals: count("global") };
}

/** It exports something under the names that are used here. */
function namesState(section: BinaryReader): boolean {
  const names = section.vector(() => {
    const name = section.name();
    section.byte();
    section.u32();
    return name;
  });
  return names.some((name) => name.startsWith(PREFIX));
}

function keepsTables(section: BinaryReader): boolean {
  let keeps = true;
  for (let bodies = section.u32(); bodies > 0 && keeps; bodies--) {
    const walked = walkBody(section.section(section.u32()), (opcode) => {
      if (alters.has(opcode)) keeps = false;
    });
    keeps &&= walked === true;
  }
  return keeps;
}
