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
import { type Opcode, skipConstant, skipValueType, walkBody } from "./core-code.ts";
import { leb } from "./leb128.ts";

export interface Snapshot {
  /** Answers false, and changes nothing, where memory has grown: it cannot be made smaller again. */
  restore(): boolean;
}

/**
 * More may be slower to write than an instance is to make, which takes some 400 µs at least. A MiB takes
 * 10 µs to clear and 20 to copy as long as the cache holds it, and twice that beyond.
 */
const BYTES_MAX = 16 * 2 ** 20;

/** Names under which state is exported; the rest of the name is its kind and index. */
const PREFIX = "cytoplane:state/";

const sections = { type: 1, import: 2, memory: 5, global: 6, export: 7, code: 10 };
/** The order in which sections stand: by what comes after the exports, their place is found. */
const afterExports = new Set([8, 9, 10, 11, 12]);

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
  let exported: { readonly start: number; readonly end: number } | undefined;
  let place = module.length;
  const reader = new BinaryReader(module, 8);
  while (!reader.done) {
    const start = reader.offset;
    const id = reader.byte();
    const section = reader.section(reader.u32());
    if (afterExports.has(id)) place = Math.min(place, start);
    switch (id) {
      case sections.type:
        if (!onlyFunctions(section)) return undefined;
        break;
      case sections.import: {
        const counted = countImports(section);
        if (counted === undefined) return undefined;
        imported = counted;
        break;
      }
      case sections.memory: {
        const count = section.u32();
        for (let own = 0; own < count; own++) {
          const flags = section.byte();
          // Not shared, of the usual page size.
          if ((flags & ~0b101) !== 0) return undefined;
          skipLimits(section, flags);
          found.push({ kind: "memory", index: imported.memories + own });
        }
        break;
      }
      case sections.global: {
        const count = section.u32();
        for (let own = 0; own < count; own++) {
          const type = section.bytes[section.offset]!;
          skipValueType(section);
          const mutable = section.byte();
          if (mutable !== 0) {
            // i32, i64, f32, f64, of this thread alone
            if (mutable !== 1 || type < 0x7c || type > 0x7f) return undefined;
            found.push({ kind: "global", index: imported.globals + own });
          }
          if (!skipConstant(section)) return undefined;
        }
        break;
      }
      case sections.export:
        if (namesState(section)) return undefined;
        exported = { start, end: reader.offset };
        break;
      case sections.code:
        if (!keepsTables(section)) return undefined;
    }
  }
  if (found.length === 0) return module;
  const { start, end } = exported ?? { start: place, end: place };
  const before = exported === undefined ? undefined : new BinaryReader(module, start + 1, end);
  before?.u32();
  const count = before?.u32() ?? 0;
  const added = found.flatMap(({ kind, index }) => {
    const name = Buffer.from(`${PREFIX}${kind}/${index}`);
    return [...leb(name.length), ...name, kind === "memory" ? 2 : 3, ...leb(index)];
  });
  const body = Buffer.concat([
    Uint8Array.from(leb(count + found.length)),
    module.subarray(before?.offset ?? end, end),
    Uint8Array.from(added),
  ]);
  const head = Uint8Array.of(sections.export, ...leb(body.length));
  return Buffer.concat([module.subarray(0, start), head, body, module.subarray(end)]);
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
  for (let types = section.u32(); types > 0; types--) {
    if (section.byte() !== 0x60) return false;
    for (const _ of ["params", "results"]) {
      for (let values = section.u32(); values > 0; values--) skipValueType(section);
    }
  }
  return true;
}

function countImports(section: BinaryReader): { memories: number; globals: number } | undefined {
  const counted = { memories: 0, globals: 0 };
  for (let imports = section.u32(); imports > 0; imports--) {
    section.take(section.u32());
    section.take(section.u32());
    switch (section.byte()) {
      case 0: // function
        section.u32();
        break;
      case 1: // table
        skipValueType(section);
        skipLimits(section, section.byte());
        break;
      case 2: // memory
        skipLimits(section, section.byte());
        counted.memories++;
        break;
      case 3: // global
        skipValueType(section);
        section.byte();
        counted.globals++;
        break;
      case 4: // tag
        section.byte();
        section.u32();
        break;
      default:
        return undefined;
    }
  }
  return counted;
}

/** It exports something under the names that are used here. */
function namesState(section: BinaryReader): boolean {
  for (let exports = section.u32(); exports > 0; exports--) {
    if (section.name().startsWith(PREFIX)) return true;
    section.byte();
    section.u32();
  }
  return false;
}

function skipLimits(section: BinaryReader, flags: number): void {
  for (let numbers = flags & 1 ? 2 : 1; numbers > 0; numbers--) while (section.byte() >= 0x80);
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
