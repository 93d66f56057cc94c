/**
 * Reads of a core module what weaving has to know: how long each index space is, the types of functions,
 * memories and tables, and the names that it exports. What it does not need it leaves to V8.
 */
import { BinaryReader } from "../binary.ts";
import { skipConstant } from "../core-code.ts";
import { coreSections, sectionId } from "../core-section.ts";
import type { FunctionType } from "./emit.ts";
import type { Place } from "./pieces.ts";

export interface Section {
  readonly id: number;
  /** Of a custom section. */
  readonly name: string | undefined;
  /** From its id to its end; and its contents, behind the name. */
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

export interface CoreModule {
  readonly sections: readonly Section[];
  /** Undefined for types that are no functions. */
  readonly types: readonly (FunctionType | undefined)[];
  /** Recursion groups of the type section. */
  readonly typeGroups: number;
  readonly importedFunctions: number;
  /** Of each function, imported ones first, its type. */
  readonly functionTypes: readonly number[];
  readonly memories: readonly Place[];
  readonly tables: readonly Place[];
  /** Those that the module defines, as they stand. */
  readonly ownMemories: readonly Limits[];
  readonly ownTables: readonly OwnTable[];
  readonly importedGlobals: number;
  readonly exportNames: ReadonlySet<string>;
  readonly start: number | undefined;
}

export interface Limits {
  /** Bit 0: a maximum; 1: shared; 2: addresses of 64 bits. */
  readonly flags: number;
  readonly initial: number;
  readonly maximum: number | undefined;
}

export interface OwnTable {
  /** What stands before the limits (the type, and the mark of an initial value), and after them. */
  readonly head: Uint8Array;
  readonly limits: Limits;
  readonly tail: Uint8Array;
}

export function readModule(bytes: Uint8Array): CoreModule {
  const sections: Section[] = [];
  const types: (FunctionType | undefined)[] = [];
  const functionTypes: number[] = [];
  const memories: Place[] = [];
  const tables: Place[] = [];
  const ownMemories: Limits[] = [];
  const ownTables: OwnTable[] = [];
  const exportNames = new Set<string>();
  let typeGroups = 0;
  let importedFunctions = 0;
  let importedGlobals = 0;
  let start: number | undefined;

  for (const { id, start: from, content: inside } of coreSections(new BinaryReader(bytes, 8))) {
    const name = id === sectionId.custom ? inside.name() : undefined;
    sections.push({ id, name, start: from, body: inside.offset, end: inside.end });
    switch (id) {
      case sectionId.type:
        typeGroups = items(inside, () => readRecursion(inside, types));
        break;
      case sectionId.import:
        items(inside, () => readImport(inside));
        importedFunctions = functionTypes.length;
        break;
      case sectionId.function:
        items(inside, () => functionTypes.push(inside.u32()));
        break;
      case sectionId.table:
        items(inside, () => {
          const began = inside.offset;
          const initialised = bytes[began] === 0x40;
          if (initialised) inside.take(2);
          const element = readType(inside);
          const head = bytes.subarray(began, inside.offset);
          const limits = readLimits(inside);
          const after = inside.offset;
          if (initialised) skipConstant(inside);
          ownTables.push({ head, limits, tail: bytes.subarray(after, inside.offset) });
          tables.push({ address: addressOf(limits), element });
        });
        break;
      case sectionId.memory:
        items(inside, () => {
          const limits = readLimits(inside);
          ownMemories.push(limits);
          memories.push({ address: addressOf(limits), element: undefined });
        });
        break;
      case sectionId.export:
        items(inside, () => {
          exportNames.add(inside.name());
          inside.byte();
          inside.u32();
        });
        break;
      case sectionId.start:
        start = inside.u32();
        break;
    }
  }

  function readImport(from: BinaryReader): void {
    from.name();
    from.name();
    const kind = from.byte();
    if (kind === 0) functionTypes.push(from.u32());
    else if (kind === 1) {
      const element = readType(from);
      tables.push({ address: addressOf(readLimits(from)), element });
    } else if (kind === 2) memories.push({ address: addressOf(readLimits(from)), element: undefined });
    else if (kind === 3) {
      readType(from);
      from.byte();
      importedGlobals += 1;
    } else if (kind === 4) {
      from.byte();
      from.u32();
    } else from.fail(`0x${kind.toString(16)} is no kind of import`);
  }

  return {
    sections,
    types,
    typeGroups,
    importedFunctions,
    functionTypes,
    memories,
    tables,
    ownMemories,
    ownTables,
    importedGlobals,
    exportNames,
    start,
  };
}

/** How many items there were. */
function items(reader: BinaryReader, item: () => void): number {
  return reader.vector(item).length;
}

function addressOf({ flags }: Limits): "i32" | "i64" {
  return flags & 4 ? "i64" : "i32";
}

function readLimits(reader: BinaryReader): Limits {
  const flags = reader.byte();
  if (flags > 7) reader.fail(`limits with the flags 0x${flags.toString(16)} are not known`, undefined, newer);
  return { flags, initial: readU64(reader), maximum: flags & 1 ? readU64(reader) : undefined };
}

/** As a double: exact up to 53 bits, and beyond them only ever compared. */
function readU64(reader: BinaryReader): number {
  let value = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = reader.byte();
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value;
  }
  return reader.fail("a number is longer than 10 bytes");
}

/** A recursion group, or a single type. */
function readRecursion(reader: BinaryReader, types: (FunctionType | undefined)[]): void {
  if (reader.bytes[reader.offset] === 0x4e) {
    reader.byte();
    reader.vector(() => readSubType(reader, types));
  } else readSubType(reader, types);
}

function readSubType(reader: BinaryReader, types: (FunctionType | undefined)[]): void {
  let shape = reader.byte();
  if (shape === 0x50 || shape === 0x4f) {
    reader.vector(() => reader.u32());
    shape = reader.byte();
  }
  if (shape === 0x60) {
    const params = reader.vector(() => readType(reader)).length;
    const resultCount = reader.u32();
    const from = reader.offset;
    for (let index = 0; index < resultCount; index++) readType(reader);
    types.push({ params, resultCount, results: reader.bytes.subarray(from, reader.offset) });
    return;
  }
  if (shape === 0x5f) reader.vector(() => readField(reader));
  else if (shape === 0x5e) readField(reader);
  else reader.fail(`0x${shape.toString(16)} is no kind of type`, undefined, newer);
  types.push(undefined);
}

function readField(reader: BinaryReader): void {
  readType(reader);
  reader.byte();
}

/** A value type or a packed one, encoded. */
function readType(reader: BinaryReader): Uint8Array {
  const from = reader.offset;
  const byte = reader.byte();
  if (byte === 0x63 || byte === 0x64) reader.s33();
  else if (byte < 0x40 || byte > 0x7f) reader.fail(`0x${byte.toString(16)} is no type`, undefined, newer);
  return reader.bytes.subarray(from, reader.offset);
}

const newer = "The file may be damaged, or newer than this engine: build it again for WebAssembly 3.0 or older.";
