/**
 * A core module to the same module with the platform's concerns in it: it counts down as it runs
 * (see `meter.ts`, which decides what happens when the count is used up), its memories and tables have a
 * maximum, and, for a profile, its functions count how often they are entered.
 *
 * No index is changed: types, functions, globals and exports are appended. Results and traps stay the
 * same, except that limits are met. The offsets that V8 tells of a trap are told back by `offsets`.
 */
import { CytoError } from "../../kernel/index.ts";
import { BinaryReader } from "../binary.ts";
import { Writer } from "../binary-writer.ts";
import { sectionId } from "../core-section.ts";
import { type Emitted, emitCode, type FunctionType } from "./emit.ts";
import { type FunctionHints, HINTS_SECTION, readHints, writeHints } from "./hints.ts";
import { rewriteNames } from "./names.ts";
import type { OffsetMap } from "./offsets.ts";
import type { Address, Counter, Piece } from "./pieces.ts";
import { scanCode } from "./scan.ts";
import { type CoreModule, type Limits, readModule, type Section } from "./sections.ts";

export interface WeaveOptions {
  /** Whether it counts down; true unless said. Without it only the limits are woven in. */
  readonly metered?: boolean;
  /** The most that each memory may grow to. A memory that begins larger stays as it begins. */
  readonly memoryBytes?: number;
  /** The same for tables, in elements. */
  readonly tableElements?: number;
  /** Counts the entries of each function, and tells the meter which function it is asked by. */
  readonly profile?: boolean;
  /** Goes behind the module's name: stacks of V8 tell it. */
  readonly mark?: string;
  /** For the report. */
  readonly monotonic?: () => number;
}

export interface Woven {
  readonly module: Uint8Array;
  readonly report: WeaveReport;
  /** Of what was appended; undefined when nothing had to be. */
  readonly exports: WovenExports | undefined;
  /** Undefined when the code stands as it was. */
  readonly offsets: OffsetMap | undefined;
}

/** The names of the exports by which the meter reaches a woven module. */
export interface WovenExports {
  readonly counter: string;
  readonly meter: string;
  readonly tick: string;
  /** The author's start function, to be called once the meter is in place. */
  readonly start: string | undefined;
  /** The memory with the entries of each function that the module defines, as 64-bit numbers. */
  readonly counts: string | undefined;
  /** How many functions it imports: the index of the first that it defines. */
  readonly importedFunctions: number;
  /** It makes objects that V8 collects, which no limit of memory counts. */
  readonly collected: boolean;
}

export interface WeaveReport {
  /** That the module defines. */
  readonly functions: number;
  /** Charged at their head. */
  readonly loops: number;
  /** Of these, unrolled so that the charge weighs less. */
  readonly unrolled: number;
  /** Functions that are charged on entry: all but small ones whose whole cost is known. */
  readonly entries: number;
  /** Instructions that are done in pieces, or waits. */
  readonly pieces: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** When a clock was given. */
  readonly elapsedMs: number | undefined;
  /** Custom sections that weaving makes wrong, and which are therefore left out. */
  readonly dropped: readonly string[];
}

const PAGE_BYTES = 65_536;
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** Throws `invalid-component` for what cannot be read. */
export function weave(bytes: Uint8Array, options: WeaveOptions = {}): Woven {
  const began = options.monotonic?.();
  if (HEADER.some((byte, index) => bytes[index] !== byte)) {
    throw new CytoError("invalid-component", "Cannot weave the core module: it does not begin as one", {
      hint: "A core module of WebAssembly begins with 00 61 73 6d 01 00 00 00.",
    });
  }
  const module = readModule(bytes);
  const code = module.sections.find(({ id }) => id === sectionId.code);
  const additions = code && (options.metered ?? true) ? additionsTo(bytes, module, code, options) : undefined;
  const { woven, dropped, offsets } = assemble(bytes, module, additions, options);
  return {
    module: woven,
    exports: additions?.exports,
    offsets,
    report: {
      functions: module.functionTypes.length - module.importedFunctions,
      loops: additions?.emitted.loops ?? 0,
      unrolled: additions?.emitted.unrolled ?? 0,
      entries: additions?.emitted.entries ?? 0,
      pieces: additions?.emitted.pieces ?? 0,
      bytesBefore: bytes.length,
      bytesAfter: woven.length,
      elapsedMs: began === undefined ? undefined : options.monotonic!() - began,
      dropped,
    },
  };
}

/** A function, with the index of its type. */
interface Appended {
  readonly name: string;
  readonly type: number;
  readonly body: Uint8Array;
}

interface Additions {
  readonly emitted: Emitted;
  /** Encoded, in the order of their indexes. */
  readonly types: readonly Uint8Array[];
  readonly functions: readonly Appended[];
  readonly globals: readonly Uint8Array[];
  readonly globalsBefore: number;
  readonly exports: WovenExports;
  /** Of the counts, in pages. */
  readonly countsPages: number | undefined;
  readonly hintsDropped: boolean;
}

function additionsTo(
  bytes: Uint8Array,
  module: CoreModule,
  code: Section,
  options: WeaveOptions,
): Additions | undefined {
  const { start: startFunction } = module;
  const own = module.functionTypes.length - module.importedFunctions;
  const body = { at: code.body };
  const count = numberAt(bytes, body);
  if (count !== own) {
    throw new CytoError(
      "invalid-component",
      `Cannot weave the core module: it declares ${own} functions and has the code of ${count}`,
      { hint: "The file may be damaged: build or copy it again." },
    );
  }
  if (own === 0) return undefined;
  const scan = scanCode(bytes, body.at, code.end, count);

  const types: Uint8Array[] = [];
  const typeIndexes = new Map<string, number>();
  function type(encoded: Uint8Array): number {
    const key = encoded.join();
    const known = typeIndexes.get(key);
    if (known !== undefined) return known;
    const index = module.types.length + types.length;
    typeIndexes.set(key, index);
    types.push(encoded);
    return index;
  }
  const profiled = options.profile ?? false;
  // The tick takes the meter, and in a profile the function that asks; it answers what the counter is set to.
  const tickType = type(Uint8Array.from(profiled ? [0x60, 2, 0x6f, 0x7f, 1, 0x7f] : [0x60, 1, 0x6f, 1, 0x7f]));
  const refillType = type(Uint8Array.from(profiled ? [0x60, 1, 0x7f, 1, 0x7f] : [0x60, 0, 1, 0x7f]));

  const globalsBefore = module.importedGlobals + ownGlobals(bytes, module);
  const [counterGlobal, meterGlobal, tickGlobal] = [globalsBefore, globalsBefore + 1, globalsBefore + 2];
  const globals = [
    Uint8Array.from([0x7f, 1, 0x41, 0, 0x0b]),
    Uint8Array.from([0x6f, 1, 0xd0, 0x6f, 0x0b]),
    written((w) => {
      w.byte(0x63);
      w.signed(tickType);
      w.put([1, 0xd0]);
      w.signed(tickType);
      w.byte(0x0b);
    }),
  ];
  const refill = module.functionTypes.length;
  const functions: (Appended & { readonly count: Address })[] = [
    {
      name: "cytoplane.refill",
      type: refillType,
      count: "i32",
      body: written((w) => {
        w.put([0, 0x23]);
        w.unsigned(meterGlobal);
        if (profiled) w.put([0x20, 0]);
        w.byte(0x23);
        w.unsigned(tickGlobal);
        w.byte(0x14);
        w.unsigned(tickType);
        w.byte(0x0b);
      }),
    },
  ];
  const pieceIndexes = new Map<string, number>();
  function append(key: string, make: (self: number) => Piece): number {
    const known = pieceIndexes.get(key);
    if (known !== undefined) return known;
    const index = refill + functions.length;
    const piece = make(index);
    pieceIndexes.set(key, index);
    functions.push({ name: piece.name, type: type(piece.type), count: piece.count, body: piece.body });
    return index;
  }

  const { hints, hintsDropped } = authorsHints(bytes, module);
  const counter: Counter = { global: counterGlobal, refill, profiled };
  const emitted = emitCode({
    bytes,
    scan,
    imported: module.importedFunctions,
    typeOf: (index) => module.types[module.functionTypes[index]!] ?? noFunction,
    memories: module.memories,
    tables: module.tables,
    counter,
    hints,
    countsMemory: profiled ? module.memories.length : undefined,
    type,
    append,
    typeIndexOf: (func) => functions[func - refill]!.type,
    countOf: (func) => functions[func - refill]!.count,
  });
  const name = (wanted: string) => {
    let free = wanted;
    while (module.exportNames.has(free)) free += "'";
    return free;
  };
  return {
    emitted,
    types,
    functions,
    globals,
    globalsBefore,
    exports: {
      counter: name("cytoplane:counter"),
      meter: name("cytoplane:meter"),
      tick: name("cytoplane:tick"),
      start: startFunction === undefined ? undefined : name("cytoplane:start"),
      counts: profiled ? name("cytoplane:counts") : undefined,
      importedFunctions: module.importedFunctions,
      collected: scan.collected,
    },
    countsPages: profiled ? Math.ceil((own * 8) / PAGE_BYTES) : undefined,
    hintsDropped,
  };
}

/** Stands for a type that is none; V8 refuses the module. */
const noFunction: FunctionType = { params: 0, results: new Uint8Array(), resultCount: 0 };

function assemble(
  bytes: Uint8Array,
  module: CoreModule,
  additions: Additions | undefined,
  options: WeaveOptions,
): { woven: Uint8Array; dropped: string[]; offsets: OffsetMap | undefined } {
  const w = new Writer(bytes.length + (additions?.emitted.code.length ?? 0) + 65_536);
  w.put(HEADER);
  const dropped: string[] = [];
  let offsets: OffsetMap | undefined;
  let named = false;

  /** A section with its count raised, its own items copied, and more appended. */
  function longer(id: number, from: Section | undefined, more: number, write: () => void): void {
    if (more === 0) {
      if (from) w.copy(bytes, from.start, from.end);
      return;
    }
    w.section(id, () => {
      const at = { at: from?.body ?? 0 };
      w.unsigned((from ? numberAt(bytes, at) : 0) + more);
      if (from) w.copy(bytes, at.at, from.end);
      write();
    });
  }

  const writers: Record<number, (from: Section | undefined) => void> = {
    [sectionId.type]: (from) =>
      longer(sectionId.type, from, additions?.types.length ?? 0, () => {
        for (const type of additions!.types) w.put(type);
      }),
    [sectionId.function]: (from) =>
      longer(sectionId.function, from, additions?.functions.length ?? 0, () => {
        for (const { type } of additions!.functions) w.unsigned(type);
      }),
    [sectionId.table]: (from) => {
      if (!from || options.tableElements === undefined) return from && w.copy(bytes, from.start, from.end);
      w.section(sectionId.table, () => {
        w.unsigned(module.ownTables.length);
        for (const { head, limits, tail } of module.ownTables) {
          w.put(head);
          writeLimits(w, limits, options.tableElements!);
          w.put(tail);
        }
      });
    },
    [sectionId.memory]: (from) => {
      const pages = additions?.countsPages;
      const bound = options.memoryBytes === undefined ? undefined : Math.floor(options.memoryBytes / PAGE_BYTES);
      if (pages === undefined && (bound === undefined || !from)) return from && w.copy(bytes, from.start, from.end);
      w.section(sectionId.memory, () => {
        w.unsigned(module.ownMemories.length + (pages === undefined ? 0 : 1));
        for (const limits of module.ownMemories) writeLimits(w, limits, bound);
        if (pages !== undefined) writeLimits(w, { flags: 1, initial: pages, maximum: pages }, undefined);
      });
    },
    [sectionId.global]: (from) =>
      longer(sectionId.global, from, additions?.globals.length ?? 0, () => {
        for (const global of additions!.globals) w.put(global);
      }),
    [sectionId.export]: (from) => {
      const names = additions?.exports;
      const exports: [name: string | undefined, kind: number, index: number][] = names
        ? [
            [names.counter, 3, additions.globalsBefore],
            [names.meter, 3, additions.globalsBefore + 1],
            [names.tick, 3, additions.globalsBefore + 2],
            [names.start, 0, module.start ?? 0],
            [names.counts, 2, module.memories.length],
          ]
        : [];
      const added = exports.filter(([name]) => name !== undefined);
      longer(sectionId.export, from, added.length, () => {
        for (const [name, kind, index] of added) {
          w.name(name!);
          w.byte(kind);
          w.unsigned(index);
        }
      });
    },
    [sectionId.start]: (from) => {
      if (from && !additions) w.copy(bytes, from.start, from.end);
    },
    [sectionId.code]: (from) => {
      if (!additions) return from && w.copy(bytes, from.start, from.end);
      const { emitted } = additions;
      if (emitted.hints.length > 0) w.section(sectionId.custom, () => writeHints(w, emitted.hints));
      w.section(sectionId.code, () => {
        w.unsigned(module.functionTypes.length - module.importedFunctions + additions.functions.length);
        offsets = emitted.map.finish(w.length, emitted.code.length);
        w.put(emitted.code.finish());
        for (const { body } of additions.functions) {
          w.unsigned(body.length);
          w.put(body);
        }
      });
    },
  };

  function custom(from: Section): void {
    const name = from.name!;
    if (!additions) w.copy(bytes, from.start, from.end);
    else if (name === HINTS_SECTION) {
      if (additions.hintsDropped) dropped.push(name);
    } else if (speaksOfOffsets(name)) dropped.push(name);
    else if (name === "name" && !named) {
      named = true;
      const first = module.functionTypes.length;
      rewriteNames(
        w,
        bytes,
        from,
        first,
        additions.functions.map((appended) => appended.name),
        options.mark,
      );
    } else w.copy(bytes, from.start, from.end);
  }

  // Sections that weaving adds to stand in their order, also where the author has none.
  const order = [1, 2, 3, 4, 5, 13, 6, 14, 7, 8, 9, 12, 10, 11];
  let next = 0;
  const upTo = (id: number) => {
    const place = order.indexOf(id);
    for (; next < place; next++) writers[order[next]!]?.(undefined);
    next = Math.max(next, place + 1);
  };
  for (const section of module.sections) {
    if (section.id === sectionId.custom) {
      custom(section);
      continue;
    }
    if (!order.includes(section.id)) {
      throw new CytoError(
        "invalid-component",
        `Cannot weave the core module: section ${section.id} at byte ${section.start} is not known`,
      );
    }
    upTo(section.id);
    const write = writers[section.id];
    if (write) write(section);
    else w.copy(bytes, section.start, section.end);
  }
  for (; next < order.length; next++) writers[order[next]!]?.(undefined);
  if (additions && !named) {
    rewriteNames(
      w,
      bytes,
      undefined,
      module.functionTypes.length,
      additions.functions.map(({ name }) => name),
      options.mark,
    );
  }
  return { woven: w.finish(), dropped, offsets };
}

/** Custom sections whose numbers are offsets of the code that the author had. */
function speaksOfOffsets(name: string): boolean {
  return (
    name.startsWith(".debug_") ||
    name.startsWith("reloc.") ||
    name.startsWith("metadata.code.") ||
    name === "linking" ||
    name === "sourceMappingURL" ||
    name === "external_debug_info"
  );
}

function writeLimits(w: Writer, { flags, initial, maximum }: Limits, bound: number | undefined): void {
  const most = bound === undefined ? maximum : Math.max(initial, Math.min(maximum ?? bound, bound));
  w.byte(most === undefined ? flags : flags | 1);
  w.unsigned(initial);
  if (most !== undefined) w.unsigned(most);
}

function authorsHints(
  bytes: Uint8Array,
  module: CoreModule,
): { hints: Map<number, FunctionHints>; hintsDropped: boolean } {
  const section = module.sections.find(({ name }) => name === HINTS_SECTION);
  if (!section) return { hints: new Map(), hintsDropped: false };
  try {
    return { hints: readHints(new BinaryReader(bytes, section.body, section.end)), hintsDropped: false };
  } catch {
    // Advice only: V8 ignores it, too, when it is malformed.
    return { hints: new Map(), hintsDropped: true };
  }
}

function ownGlobals(bytes: Uint8Array, module: CoreModule): number {
  const section = module.sections.find(({ id }) => id === sectionId.global);
  return section ? numberAt(bytes, { at: section.body }) : 0;
}

function numberAt(bytes: Uint8Array, from: { at: number }): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[from.at++]!;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value >>> 0;
}

function written(write: (w: Writer) => void): Uint8Array {
  const w = new Writer(32);
  write(w);
  return w.finish();
}
