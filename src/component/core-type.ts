/**
 * Types of core WebAssembly as a binary writes them: function types and the other composite types
 * with their recursion groups, and what a core module imports and exports. Nothing is resolved here:
 * a type index stays the number that stands in the binary.
 */
import type { BinaryReader } from "./binary.ts";

/** `i32`, `ref null func`, or `ref 5` for a reference to the type of that index. */
export type CoreValueType = string;

/** A function's parameters and results; of a struct or an array its fields, of a continuation its type. */
export interface CompositeType {
  readonly kind: "func" | "struct" | "array" | "cont";
  readonly params: readonly CoreValueType[];
  readonly results: readonly CoreValueType[];
}

export interface SubType {
  readonly final: boolean;
  /** Indices of the types it is declared to be a subtype of: one at most. */
  readonly supers: readonly number[];
  readonly shared: boolean;
  readonly composite: CompositeType;
}

export interface Limits {
  readonly min: number;
  readonly max: number | undefined;
  readonly shared: boolean;
  /** Whether it is addressed by i64. */
  readonly wide: boolean;
}

/** What a core module imports or exports; `T` is how its types are named. */
export type CoreExtern<T = number> =
  | { readonly kind: "func"; readonly type: T }
  | { readonly kind: "tag"; readonly type: T }
  | { readonly kind: "table"; readonly element: CoreValueType; readonly limits: Limits }
  | { readonly kind: "memory"; readonly limits: Limits; readonly pageBytes: number }
  | { readonly kind: "global"; readonly type: CoreValueType; readonly mutable: boolean; readonly shared: boolean };

const valueTypes: Record<number, CoreValueType> = { 127: "i32", 126: "i64", 125: "f32", 124: "f64", 123: "v128" };

const heapTypes: Record<number, string> = {
  117: "nocont",
  116: "noexn",
  115: "nofunc",
  114: "noextern",
  113: "none",
  112: "func",
  111: "extern",
  110: "any",
  109: "eq",
  108: "i31",
  107: "struct",
  106: "array",
  105: "exn",
  104: "cont",
};

export function readCoreValueType(r: BinaryReader): CoreValueType {
  const tag = r.byte();
  const value = valueTypes[tag];
  if (value) return value;
  const heap = heapTypes[tag];
  if (heap) return `ref null ${heap}`;
  if (tag === 0x65) return `ref null shared ${heapTypes[r.byte()] ?? r.fail("a shared heap type is unknown")}`;
  if (tag === 0x63) return `ref null ${readHeapType(r)}`;
  if (tag === 0x64) return `ref ${readHeapType(r)}`;
  return r.unknown(tag, "no core value type");
}

function readHeapType(r: BinaryReader): string {
  const tag = r.bytes[r.offset]!;
  const heap = heapTypes[tag];
  if (heap) {
    r.byte();
    return heap;
  }
  if (tag === 0x65) {
    r.byte();
    return `shared ${readHeapType(r)}`;
  }
  const at = r.offset;
  const index = r.s33();
  return index >= 0 ? `${index}` : r.fail("a heap type is unknown", at);
}

/** A recursion group: one type or several that may refer to each other. */
export function readRecGroup(r: BinaryReader): SubType[] {
  const tag = r.byte();
  if (tag === 0x4e) return r.vector(() => readSubType(r, r.byte()));
  return [readSubType(r, tag)];
}

export function readSubType(r: BinaryReader, tag: number): SubType {
  if (tag !== 0x50 && tag !== 0x4f) return { final: true, supers: [], ...readComposite(r, tag) };
  const at = r.offset;
  const supers = r.vector(() => r.u32());
  if (supers.length > 1) r.fail("a core type has more than one supertype", at);
  return { final: tag === 0x4f, supers, ...readComposite(r, r.byte()) };
}

function readComposite(r: BinaryReader, tag: number): { readonly shared: boolean; readonly composite: CompositeType } {
  if (tag === 0x65) return { ...readComposite(r, r.byte()), shared: true };
  const composite = (kind: CompositeType["kind"], params: string[], results: string[] = []) => ({
    shared: false,
    composite: { kind, params, results },
  });
  switch (tag) {
    case 0x60: {
      const params = r.vector(() => readCoreValueType(r));
      return composite(
        "func",
        params,
        r.vector(() => readCoreValueType(r)),
      );
    }
    case 0x5f:
      return composite(
        "struct",
        r.vector(() => readField(r)),
      );
    case 0x5e:
      return composite("array", [readField(r)]);
    case 0x5d:
      return composite("cont", [`ref ${readHeapType(r)}`]);
    default:
      return r.unknown(tag, "no core type");
  }
}

function readField(r: BinaryReader): string {
  const packed = { 120: "i8", 119: "i16" }[r.bytes[r.offset]!];
  if (packed) r.byte();
  const type = packed ?? readCoreValueType(r);
  return r.flag() ? `mut ${type}` : type;
}

/** What an import of a core module is, and what an export of a module type is said to be. */
export function readCoreExtern(r: BinaryReader): CoreExtern {
  const tag = r.byte();
  switch (tag) {
    case 0:
      return { kind: "func", type: r.u32() };
    case 1:
      return readTable(r);
    case 2:
      return readMemory(r);
    case 3:
      return readGlobal(r);
    case 4: {
      const attribute = r.byte();
      if (attribute !== 0) r.unknown(attribute, "no attribute of a tag");
      return { kind: "tag", type: r.u32() };
    }
    default:
      return r.unknown(tag, "no kind of core import or export");
  }
}

export function readTable(r: BinaryReader): Extract<CoreExtern, { readonly kind: "table" }> {
  return { kind: "table", element: readCoreValueType(r), limits: readLimits(r) };
}

export function readMemory(r: BinaryReader): Extract<CoreExtern, { readonly kind: "memory" }> {
  const flags = r.bytes[r.offset]!;
  const limits = readLimits(r, 0b1111);
  return { kind: "memory", limits, pageBytes: flags & 8 ? 2 ** r.u32() : 65_536 };
}

export function readGlobal(r: BinaryReader): Extract<CoreExtern, { readonly kind: "global" }> {
  const type = readCoreValueType(r);
  const flags = r.byte();
  if (flags > 3) r.unknown(flags, "no mutability of a global");
  return { kind: "global", type, mutable: (flags & 1) === 1, shared: (flags & 2) === 2 };
}

function readLimits(r: BinaryReader, known = 0b111): Limits {
  const flags = r.byte();
  if (flags & ~known) r.unknown(flags, "no kind of limits");
  const wide = (flags & 4) === 4;
  const count = () => (wide ? r.u64() : r.u32());
  const min = count();
  return { min, max: flags & 1 ? count() : undefined, shared: (flags & 2) === 2, wide };
}
