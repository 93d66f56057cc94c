/**
 * The Canonical ABI: one codec per type, moving values between a guest's memory or flat core
 * values and JavaScript. Codecs are made once per component and know no instance; what belongs to
 * an instance (memory, allocator, handles) comes in as the context.
 *
 * Follows the Component Model's design/mvp/CanonicalABI.md. Everything that a guest gets wrong is a
 * `WebAssembly.RuntimeError` (a trap); everything a host function gets wrong is a TypeError.
 */
import { type CanonContext, describe, trap } from "./canon-context.ts";
import type { Primitive } from "./decode.ts";
import { camelCase, GuestResource, type ResourceType, type ValueType } from "./types.ts";

export type Flat = "i32" | "i64" | "f32" | "f64";
/** What core functions take and give: numbers, and bigints for i64. */
export type CoreValue = number | bigint;
export interface Codec {
  readonly size: number;
  readonly align: number;
  readonly flat: readonly Flat[];
  load(cx: CanonContext, pointer: number): unknown;
  store(cx: CanonContext, value: unknown, pointer: number): void;
  /** Reads `flat.length` core values from `values[at]` on. */
  lift(cx: CanonContext, values: readonly CoreValue[], at: number): unknown;
  /** Writes `flat.length` core values to `values[at]` on. */
  lower(cx: CanonContext, value: unknown, values: CoreValue[], at: number): void;
}

const codecs = new WeakMap<ValueType, Codec>();

export function codecOf(type: ValueType): Codec {
  let codec = codecs.get(type);
  if (!codec) {
    codec = makeCodec(type);
    codecs.set(type, codec);
  }
  return codec;
}

function makeCodec(type: ValueType): Codec {
  switch (type.kind) {
    case "primitive":
      return primitiveCodecs[type.type];
    case "record":
      return productCodec(
        type.fields.map((field) => codecOf(field.type)),
        type.fields.map((field) => camelCase(field.name)),
      );
    case "tuple":
      return productCodec(type.types.map(codecOf), undefined);
    case "flags":
      return flagsCodec(type.names.map(camelCase));
    case "enum":
      return enumCodec(type.names);
    case "variant":
      return variantCodec(
        type.cases.map((c) => c.name),
        type.cases.map((c) => c.type && codecOf(c.type)),
        taggedCases(type.cases.map((c) => c.name)),
      );
    case "option":
      return variantCodec(["none", "some"], [undefined, codecOf(type.type)], optionCases(type.type));
    case "result":
      return variantCodec(
        ["ok", "err"],
        [type.ok && codecOf(type.ok), type.err && codecOf(type.err)],
        taggedCases(["ok", "err"]),
      );
    case "list":
      return type.length === undefined ? listCodec(type.element) : fixedListCodec(codecOf(type.element), type.length);
    case "own":
    case "borrow":
      return handleCodec(type.kind, type.resource);
    case "stream":
      return numberCodec(
        (cx, index) => cx.carrier.liftStream(index, type.element),
        (cx, value) => cx.carrier.lowerStream(value, type.element),
      );
    case "future":
      return numberCodec(
        (cx, index) => cx.carrier.liftFuture(index, type.element),
        (cx, value) => cx.carrier.lowerFuture(value, type.element),
      );
  }
}

function integer(
  size: 1 | 2 | 4,
  load: (view: DataView, pointer: number) => number,
  store: (view: DataView, pointer: number, value: number) => void,
  fromCore: (value: number) => number,
): Codec {
  return {
    size,
    align: size,
    flat: ["i32"],
    load: (cx, pointer) => load(cx.view, pointer),
    store: (cx, value, pointer) => store(cx.view, pointer, Number(value)),
    lift: (_cx, values, at) => fromCore(values[at] as number),
    lower: (_cx, value, values, at) => {
      values[at] = fromCore(Number(value));
    },
  };
}

function long(signed: boolean): Codec {
  const fit = (value: unknown) => {
    const big = typeof value === "bigint" ? value : BigInt(value as number);
    return signed ? BigInt.asIntN(64, big) : BigInt.asUintN(64, big);
  };
  return {
    size: 8,
    align: 8,
    flat: ["i64"],
    load: (cx, pointer) => (signed ? cx.view.getBigInt64(pointer, true) : cx.view.getBigUint64(pointer, true)),
    store: (cx, value, pointer) => cx.view.setBigInt64(pointer, fit(value), true),
    lift: (_cx, values, at) => fit(values[at]),
    lower: (_cx, value, values, at) => {
      values[at] = BigInt.asIntN(64, fit(value));
    },
  };
}

const stringCodec: Codec = {
  size: 8,
  align: 4,
  flat: ["i32", "i32"],
  load: (cx, pointer) => cx.loadString(cx.view.getUint32(pointer, true), cx.view.getUint32(pointer + 4, true)),
  store: (cx, value, pointer) => {
    const [start, length] = cx.storeString(value);
    cx.view.setUint32(pointer, start, true);
    cx.view.setUint32(pointer + 4, length, true);
  },
  lift: (cx, values, at) => cx.loadString((values[at] as number) >>> 0, (values[at + 1] as number) >>> 0),
  lower: (cx, value, values, at) => {
    const [start, length] = cx.storeString(value);
    values[at] = start;
    values[at + 1] = length;
  },
};

function toChar(code: number): string {
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) trap(`${code} is no Unicode scalar value`);
  return String.fromCodePoint(code);
}

function fromChar(value: unknown): number {
  const code = typeof value === "string" ? value.codePointAt(0) : undefined;
  if (code === undefined || String.fromCodePoint(code) !== value || !(value as string).isWellFormed()) {
    throw new TypeError(`Cannot pass ${describe(value)}: one Unicode character is expected`);
  }
  return code;
}

const primitiveCodecs: Record<Primitive, Codec> = {
  bool: {
    size: 1,
    align: 1,
    flat: ["i32"],
    load: (cx, pointer) => cx.view.getUint8(pointer) !== 0,
    store: (cx, value, pointer) => cx.view.setUint8(pointer, value ? 1 : 0),
    lift: (_cx, values, at) => values[at] !== 0,
    lower: (_cx, value, values, at) => {
      values[at] = value ? 1 : 0;
    },
  },
  s8: integer(
    1,
    (view, pointer) => view.getInt8(pointer),
    (view, pointer, value) => view.setInt8(pointer, value),
    (value) => (value << 24) >> 24,
  ),
  u8: integer(
    1,
    (view, pointer) => view.getUint8(pointer),
    (view, pointer, value) => view.setUint8(pointer, value),
    (value) => value & 0xff,
  ),
  s16: integer(
    2,
    (view, pointer) => view.getInt16(pointer, true),
    (view, pointer, value) => view.setInt16(pointer, value, true),
    (value) => (value << 16) >> 16,
  ),
  u16: integer(
    2,
    (view, pointer) => view.getUint16(pointer, true),
    (view, pointer, value) => view.setUint16(pointer, value, true),
    (value) => value & 0xffff,
  ),
  s32: integer(
    4,
    (view, pointer) => view.getInt32(pointer, true),
    (view, pointer, value) => view.setInt32(pointer, value, true),
    (value) => value | 0,
  ),
  u32: integer(
    4,
    (view, pointer) => view.getUint32(pointer, true),
    (view, pointer, value) => view.setUint32(pointer, value, true),
    (value) => value >>> 0,
  ),
  s64: long(true),
  u64: long(false),
  f32: {
    size: 4,
    align: 4,
    flat: ["f32"],
    load: (cx, pointer) => cx.view.getFloat32(pointer, true),
    store: (cx, value, pointer) => cx.view.setFloat32(pointer, Number(value), true),
    lift: (_cx, values, at) => values[at],
    lower: (_cx, value, values, at) => {
      values[at] = Number(value);
    },
  },
  f64: {
    size: 8,
    align: 8,
    flat: ["f64"],
    load: (cx, pointer) => cx.view.getFloat64(pointer, true),
    store: (cx, value, pointer) => cx.view.setFloat64(pointer, Number(value), true),
    lift: (_cx, values, at) => values[at],
    lower: (_cx, value, values, at) => {
      values[at] = Number(value);
    },
  },
  char: {
    size: 4,
    align: 4,
    flat: ["i32"],
    load: (cx, pointer) => toChar(cx.view.getUint32(pointer, true)),
    store: (cx, value, pointer) => cx.view.setUint32(pointer, fromChar(value), true),
    lift: (_cx, values, at) => toChar((values[at] as number) >>> 0),
    lower: (_cx, value, values, at) => {
      values[at] = fromChar(value);
    },
  },
  string: stringCodec,
  "error-context": numberCodec(
    (cx, index) => cx.carrier.liftErrorContext(index),
    (cx, value) => cx.carrier.lowerErrorContext(value),
  ),
};

/** What crosses as a number in the guest's table. */
function numberCodec(
  lift: (cx: CanonContext, index: number) => unknown,
  lower: (cx: CanonContext, value: unknown) => number,
): Codec {
  return {
    size: 4,
    align: 4,
    flat: ["i32"],
    load: (cx, pointer) => lift(cx, cx.view.getUint32(pointer, true)),
    store: (cx, value, pointer) => cx.view.setUint32(pointer, lower(cx, value), true),
    lift: (cx, values, at) => lift(cx, (values[at] as number) >>> 0),
    lower: (cx, value, values, at) => {
      values[at] = lower(cx, value);
    },
  };
}

const alignTo = (offset: number, align: number) => Math.ceil(offset / align) * align;

/** A record when it has names, a tuple when not. */
export function productCodec(items: readonly Codec[], names: readonly string[] | undefined): Codec {
  let size = 0;
  const offsets = items.map((item) => {
    const offset = alignTo(size, item.align);
    size = offset + item.size;
    return offset;
  });
  const align = items.reduce((most, item) => Math.max(most, item.align), 1);
  let flatSize = 0;
  const flatOffsets = items.map((item) => {
    const offset = flatSize;
    flatSize += item.flat.length;
    return offset;
  });
  const gather = (read: (item: Codec, i: number) => unknown): unknown => {
    if (!names) return items.map(read);
    const record: Record<string, unknown> = {};
    for (let i = 0; i < items.length; i++) record[names[i]!] = read(items[i]!, i);
    return record;
  };
  const field = (value: unknown, i: number) => (value as Record<string | number, unknown>)[names ? names[i]! : i];
  const checkProduct = (value: unknown) => {
    if (typeof value !== "object" || value === null) {
      throw new TypeError(`Cannot pass ${describe(value)}: ${names ? "a record" : "a tuple"} is expected`);
    }
  };
  return {
    size: alignTo(size, align),
    align,
    flat: items.flatMap((item) => item.flat),
    load: (cx, pointer) => gather((item, i) => item.load(cx, pointer + offsets[i]!)),
    store(cx, value, pointer) {
      checkProduct(value);
      for (let i = 0; i < items.length; i++) items[i]!.store(cx, field(value, i), pointer + offsets[i]!);
    },
    lift: (cx, values, at) => gather((item, i) => item.lift(cx, values, at + flatOffsets[i]!)),
    lower(cx, value, values, at) {
      checkProduct(value);
      for (let i = 0; i < items.length; i++) items[i]!.lower(cx, field(value, i), values, at + flatOffsets[i]!);
    },
  };
}

function flagsCodec(names: readonly string[]): Codec {
  if (names.length > 32) trap("more than 32 flags are not supported by the Canonical ABI");
  const size = names.length <= 8 ? 1 : names.length <= 16 ? 2 : 4;
  const base = primitiveCodecs[size === 1 ? "u8" : size === 2 ? "u16" : "u32"];
  const toFlags = (bits: number) => {
    const flags: Record<string, boolean> = {};
    for (let i = 0; i < names.length; i++) flags[names[i]!] = (bits & (1 << i)) !== 0;
    return flags;
  };
  const toBits = (value: unknown) => {
    let bits = 0;
    for (let i = 0; i < names.length; i++) if ((value as Record<string, unknown>)[names[i]!]) bits |= 1 << i;
    return bits >>> 0;
  };
  return {
    size,
    align: size,
    flat: ["i32"],
    load: (cx, pointer) => toFlags(base.load(cx, pointer) as number),
    store: (cx, value, pointer) => base.store(cx, toBits(value), pointer),
    lift: (_cx, values, at) => toFlags(values[at] as number),
    lower: (_cx, value, values, at) => {
      values[at] = toBits(value);
    },
  };
}

function discriminant(count: number): Codec {
  return primitiveCodecs[count <= 256 ? "u8" : count <= 65536 ? "u16" : "u32"];
}

function enumCodec(names: readonly string[]): Codec {
  const base = discriminant(names.length);
  const indices = new Map(names.map((name, i) => [name, i]));
  const toName = (index: number) => names[index] ?? trap(`${index} is no case of an enum of ${names.length}`);
  const toIndex = (value: unknown) => {
    const index = indices.get(value as string);
    if (index === undefined) {
      throw new TypeError(`Cannot pass ${describe(value)}: one of ${names.join(", ")} is expected`);
    }
    return index;
  };
  return {
    size: base.size,
    align: base.align,
    flat: ["i32"],
    load: (cx, pointer) => toName(base.load(cx, pointer) as number),
    store: (cx, value, pointer) => base.store(cx, toIndex(value), pointer),
    lift: (_cx, values, at) => toName(values[at] as number),
    lower: (_cx, value, values, at) => {
      values[at] = toIndex(value);
    },
  };
}

/** How a variant looks in JavaScript. */
interface CaseView {
  wrap(index: number, payload: unknown): unknown;
  index(value: unknown): number;
  payload(value: unknown): unknown;
}

function taggedCases(names: readonly string[]): CaseView {
  const indices = new Map(names.map((name, i) => [name, i]));
  return {
    wrap: (index, payload) => (payload === undefined ? { tag: names[index] } : { tag: names[index], val: payload }),
    index(value) {
      const index = indices.get((value as { tag?: string } | undefined)?.tag as string);
      if (index === undefined) {
        throw new TypeError(`Cannot pass ${describe(value)}: { tag: ${names.join(" | ")} } is expected`);
      }
      return index;
    },
    payload: (value) => (value as { val?: unknown }).val,
  };
}

function optionCases(inner: ValueType): CaseView {
  if (inner.kind === "option") return taggedCases(["none", "some"]);
  return {
    wrap: (index, payload) => (index === 0 ? undefined : payload),
    index: (value) => (value === undefined || value === null ? 0 : 1),
    payload: (value) => value,
  };
}

function variantCodec(names: readonly string[], payloads: readonly (Codec | undefined)[], view: CaseView): Codec {
  const tag = discriminant(names.length);
  let align = tag.align;
  let payloadSize = 0;
  const joined: Flat[] = [];
  for (const payload of payloads) {
    if (!payload) continue;
    align = Math.max(align, payload.align);
    payloadSize = Math.max(payloadSize, payload.size);
    payload.flat.forEach((flat, i) => {
      joined[i] = joined[i] === undefined ? flat : join(joined[i]!, flat);
    });
  }
  const offset = alignTo(
    tag.size,
    payloads.reduce((most, payload) => Math.max(most, payload?.align ?? 1), 1),
  );
  // Where a case's own flat type differs from the joined one, its bits travel in the joined type.
  const coerced = payloads.map((payload) => payload?.flat.some((flat, i) => flat !== joined[i]) ?? false);
  const caseOf = (index: number) => {
    if (index >= names.length) trap(`${index} is no case of a variant of ${names.length}`);
    return payloads[index];
  };
  return {
    size: alignTo(offset + payloadSize, align),
    align,
    flat: ["i32", ...joined],
    load(cx, pointer) {
      const index = tag.load(cx, pointer) as number;
      return view.wrap(index, caseOf(index)?.load(cx, pointer + offset));
    },
    store(cx, value, pointer) {
      const index = view.index(value);
      tag.store(cx, index, pointer);
      payloads[index]?.store(cx, view.payload(value), pointer + offset);
    },
    lift(cx, values, at) {
      const index = (values[at] as number) >>> 0;
      const payload = caseOf(index);
      if (!payload) return view.wrap(index, undefined);
      if (!coerced[index]) return view.wrap(index, payload.lift(cx, values, at + 1));
      const own = payload.flat.map((flat, i) => narrow(values[at + 1 + i]!, joined[i]!, flat));
      return view.wrap(index, payload.lift(cx, own, 0));
    },
    lower(cx, value, values, at) {
      const index = view.index(value);
      values[at] = index;
      const payload = payloads[index];
      if (payload) payload.lower(cx, view.payload(value), values, at + 1);
      const used = payload?.flat.length ?? 0;
      for (let i = 0; i < joined.length; i++) {
        if (i >= used) values[at + 1 + i] = joined[i] === "i64" ? 0n : 0;
        else if (coerced[index]) values[at + 1 + i] = widen(values[at + 1 + i]!, payload!.flat[i]!, joined[i]!);
      }
    },
  };
}

function join(a: Flat, b: Flat): Flat {
  if (a === b) return a;
  if ((a === "i32" && b === "f32") || (a === "f32" && b === "i32")) return "i32";
  return "i64";
}

const scratch = new DataView(new ArrayBuffer(8));

function widen(value: CoreValue, from: Flat, to: Flat): CoreValue {
  if (from === to) return value;
  if (from === "f64") {
    scratch.setFloat64(0, value as number, true);
    return scratch.getBigInt64(0, true);
  }
  let bits = value as number;
  if (from === "f32") {
    scratch.setFloat32(0, bits, true);
    bits = scratch.getInt32(0, true);
  }
  return to === "i64" ? BigInt(bits >>> 0) : bits;
}

function narrow(value: CoreValue, from: Flat, to: Flat): CoreValue {
  if (from === to) return value;
  if (to === "f64") {
    scratch.setBigInt64(0, value as bigint, true);
    return scratch.getFloat64(0, true);
  }
  const bits = typeof value === "bigint" ? Number(BigInt.asIntN(32, value)) : value;
  if (to === "i32") return bits;
  scratch.setInt32(0, bits, true);
  return scratch.getFloat32(0, true);
}

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

export const typedArrays: Partial<
  Record<Primitive, { new (buffer: ArrayBuffer): TypedArray; from(values: Iterable<never>): TypedArray }>
> = {
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

function listCodec(elementType: ValueType): Codec {
  const element = codecOf(elementType);
  const Typed = elementType.kind === "primitive" ? typedArrays[elementType.type] : undefined;
  const checkList = (cx: CanonContext, pointer: number, length: number) =>
    cx.check(pointer, length * element.size, element.align);
  const load = Typed
    ? (cx: CanonContext, pointer: number, length: number) => {
        checkList(cx, pointer, length);
        const bytes = cx.view.buffer.slice(pointer, pointer + length * element.size);
        return new Typed(bytes as ArrayBuffer);
      }
    : (cx: CanonContext, pointer: number, length: number) => {
        checkList(cx, pointer, length);
        const list = new Array<unknown>(length);
        for (let i = 0; i < length; i++) list[i] = element.load(cx, pointer + i * element.size);
        return list;
      };
  const store = (cx: CanonContext, value: unknown): readonly [pointer: number, length: number] => {
    if (Typed) {
      const array = ArrayBuffer.isView(value) ? (value as TypedArray) : Typed.from(value as Iterable<never>);
      if (array.byteLength !== array.length * element.size) {
        throw new TypeError(`Cannot pass ${describe(value)}: elements of ${element.size} bytes are expected`);
      }
      const pointer = cx.allocate(element.align, array.byteLength);
      cx.bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), pointer);
      return [pointer, array.length];
    }
    if (!Array.isArray(value)) throw new TypeError(`Cannot pass ${describe(value)}: an array is expected`);
    const pointer = cx.allocate(element.align, value.length * element.size);
    for (let i = 0; i < value.length; i++) element.store(cx, value[i], pointer + i * element.size);
    return [pointer, value.length];
  };
  return {
    size: 8,
    align: 4,
    flat: ["i32", "i32"],
    load: (cx, pointer) => load(cx, cx.view.getUint32(pointer, true), cx.view.getUint32(pointer + 4, true)),
    store(cx, value, pointer) {
      const [start, length] = store(cx, value);
      cx.view.setUint32(pointer, start, true);
      cx.view.setUint32(pointer + 4, length, true);
    },
    lift: (cx, values, at) => load(cx, (values[at] as number) >>> 0, (values[at + 1] as number) >>> 0),
    lower(cx, value, values, at) {
      const [start, length] = store(cx, value);
      values[at] = start;
      values[at + 1] = length;
    },
  };
}

function fixedListCodec(element: Codec, length: number): Codec {
  return productCodec(new Array<Codec>(length).fill(element), undefined);
}

function handleCodec(kind: "own" | "borrow", type: ResourceType): Codec {
  const own = kind === "own";
  const lift = (cx: CanonContext, index: number): unknown => {
    const resource = own ? cx.handles.take(index, type) : cx.handles.lend(index, type);
    return type.home === undefined || resource instanceof GuestResource
      ? resource
      : new GuestResource(type, resource as number);
  };
  const lower = (cx: CanonContext, value: unknown): number => {
    if (type.home === undefined) {
      if (typeof value !== "object" || value === null) {
        throw new TypeError(`Cannot pass ${describe(value)}: a ${type.name} is expected`);
      }
      return cx.handles.add(type, value, own);
    }
    if (!(value instanceof GuestResource) || value.type !== type) {
      throw new TypeError(`Cannot pass ${describe(value)}: a ${type.name} is expected`);
    }
    if (type.home !== cx.home) return cx.handles.add(type, value, own);
    return own ? cx.handles.add(type, value.representation, true) : value.representation;
  };
  return numberCodec(lift, lower);
}
