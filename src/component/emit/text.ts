/** JavaScript text under way, and the parts of it that reading and writing share. */
import type { CanonContext } from "../canon-context.ts";
import type { Primitive } from "../decode.ts";
import { FLAT_MAX, layoutOf, offsetsOf, product } from "../layout.ts";
import type { ValueType } from "../types.ts";
import { runtime } from "./runtime.ts";

/** What core functions take and give: numbers, and bigints for i64. */
export type CoreValue = number | bigint;

/** The functions of one type. */
export interface Unit {
  load(cx: CanonContext, pointer: number): unknown;
  store(cx: CanonContext, value: unknown, pointer: number): void;
  lift(cx: CanonContext, ...values: CoreValue[]): unknown;
  lower(cx: CanonContext, value: unknown, values: CoreValue[], at: number): void;
}

/** Text under way, and the values that it speaks of. */
export class Text {
  readonly constants: Record<string, unknown> = { ...runtime };
  readonly #unitOf: (type: ValueType) => Unit;
  readonly #names = new Map<unknown, string>();
  #temporaries = 0;
  #lines: string[] = [];

  constructor(unitOf: (type: ValueType) => Unit) {
    this.#unitOf = unitOf;
  }

  /** The name of a function of another type. */
  unit(type: ValueType, of: keyof Unit): string {
    return this.constant(this.#unitOf(type)[of]);
  }

  line(text: string): void {
    this.#lines.push(text);
  }

  /** The name by which the text speaks of the value. */
  constant(value: unknown): string {
    let name = this.#names.get(value);
    if (name === undefined) {
      name = `k${this.#names.size}`;
      this.#names.set(value, name);
      this.constants[name] = value;
    }
    return name;
  }

  /** A name that the text has not used. */
  temporary(): string {
    return `t${this.#temporaries++}`;
  }

  toString(): string {
    return this.#lines.join("\n");
  }
}

export type VariantType = Extract<ValueType, { kind: "variant" | "option" | "result" }>;

export function place(base: string, offset: number): string {
  return offset === 0 ? base : `${base} + ${offset}`;
}

/** The core values of each type, out of those of all. */
export function split(types: readonly ValueType[], values: readonly string[]): string[][] {
  let at = 0;
  return types.map((type) => {
    const start = at;
    at += layoutOf(type).flat.length;
    return values.slice(start, at);
  });
}

/** `option<T>` is T or undefined, unless T is an option as well; every other variant has a tag. */
export function isPlain(type: VariantType): boolean {
  return type.kind === "option" && type.type.kind !== "option";
}

export function entryOf(type: Extract<ValueType, { kind: "map" }>) {
  const items = [layoutOf(type.key), layoutOf(type.value)];
  return { ...product(items, FLAT_MAX), offsets: offsetsOf(items) };
}

/** What the accessors of a DataView are called for each type of number. */
export const views: Readonly<Record<Exclude<Primitive, "bool" | "char" | "string" | "error-context">, string>> = {
  s8: "Int8",
  u8: "Uint8",
  s16: "Int16",
  u16: "Uint16",
  s32: "Int32",
  u32: "Uint32",
  s64: "BigInt64",
  u64: "BigUint64",
  f32: "Float32",
  f64: "Float64",
};

export type TypedArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

interface Numbers {
  new (buffer: ArrayBuffer): TypedArray;
  from(values: Iterable<never>): TypedArray;
}

/** Lists of these are typed arrays. */
export const typedArrays: Partial<Record<Primitive, Numbers>> = {
  u8: Uint8Array,
  s8: Int8Array,
  u16: Uint16Array,
  s16: Int16Array,
  u32: Uint32Array,
  s32: Int32Array,
  u64: BigUint64Array,
  s64: BigInt64Array,
  f32: Float32Array,
  f64: Float64Array,
};

export function numbersOf(element: ValueType): Numbers | undefined {
  return element.kind === "primitive" ? typedArrays[element.type] : undefined;
}
