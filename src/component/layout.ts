/**
 * How a type lies in linear memory, and which core values it is passed as: the sizes, alignments and
 * flattenings of the Canonical ABI.
 *
 * Worked out once for each type. A type that is nested too deep or too large to be of use is refused,
 * so that a small file cannot stand for one that takes for ever to walk.
 */
import { CytoError } from "../kernel/index.ts";
import type { Primitive } from "./decode.ts";
import type { ValueType } from "./types.ts";

export type Flat = "i32" | "i64" | "f32" | "f64";

export interface Layout {
  readonly size: number;
  readonly align: number;
  /** The core values that it is passed as; cut off after {@link FLAT_MAX} + 1, since such a type goes through memory. */
  readonly flat: readonly Flat[];
  readonly depth: number;
}

/** More core values than these are never passed. */
export const FLAT_MAX = 16;
const DEPTH_MAX = 100;
const SIZE_MAX = 2 ** 28 - 1;
const FLAGS_MAX = 32;

const layouts = new WeakMap<ValueType, Layout>();

export function layoutOf(type: ValueType, level = 0): Layout {
  let layout = layouts.get(type);
  if (layout === undefined) {
    if (level > DEPTH_MAX) refuse(`a type is nested more than ${DEPTH_MAX} deep`);
    layout = makeLayout(type, level + 1);
    if (layout.size > SIZE_MAX) refuse(`a value of one type takes more than ${SIZE_MAX} bytes`);
    layouts.set(type, layout);
  }
  // What was worked out before may stand this far below.
  if (level + layout.depth > DEPTH_MAX + 1) refuse(`a type is nested more than ${DEPTH_MAX} deep`);
  return layout;
}

function makeLayout(type: ValueType, level: number): Layout {
  switch (type.kind) {
    case "primitive":
      return primitives[type.type];
    case "record":
      return product(
        type.fields.map((field) => layoutOf(field.type, level)),
        FLAT_MAX,
      );
    case "tuple":
      return product(
        type.types.map((one) => layoutOf(one, level)),
        FLAT_MAX,
      );
    case "flags": {
      if (type.names.length > FLAGS_MAX) refuse(`a type has more than ${FLAGS_MAX} flags`);
      const size = type.names.length <= 8 ? 1 : type.names.length <= 16 ? 2 : 4;
      return { size, align: size, flat: ["i32"], depth: 1 };
    }
    case "enum": {
      const size = tagSize(type.names.length);
      return { size, align: size, flat: ["i32"], depth: 1 };
    }
    case "variant":
    case "option":
    case "result":
      return sum(casesOf(type).map((one) => one.type && layoutOf(one.type, level)));
    case "list": {
      const element = layoutOf(type.element, level);
      if (type.length === undefined) return { size: 8, align: 4, flat: ["i32", "i32"], depth: element.depth + 1 };
      const flat: Flat[] = [];
      for (let i = 0; i < type.length && flat.length <= FLAT_MAX; i++) flat.push(...element.flat);
      return {
        size: element.size * type.length,
        align: element.align,
        flat: flat.slice(0, FLAT_MAX + 1),
        depth: element.depth + 1,
      };
    }
    case "map": {
      const depth = Math.max(layoutOf(type.key, level).depth, layoutOf(type.value, level).depth);
      return { size: 8, align: 4, flat: ["i32", "i32"], depth: depth + 1 };
    }
    case "own":
    case "borrow":
    case "stream":
    case "future":
      return { size: 4, align: 4, flat: ["i32"], depth: 1 };
  }
}

/** Where each item of a record or tuple begins. */
export function offsetsOf(items: readonly Layout[]): number[] {
  let end = 0;
  return items.map((item) => {
    const offset = alignTo(end, item.align);
    end = offset + item.size;
    return offset;
  });
}

/** Where the payload of a variant begins. */
export function payloadOffset(cases: readonly { readonly type: ValueType | undefined }[]): number {
  return alignTo(tagSize(cases.length), Math.max(1, ...cases.map((one) => (one.type ? layoutOf(one.type).align : 1))));
}

/** Bytes of the discriminant among so many cases. */
export function tagSize(cases: number): 1 | 2 | 4 {
  return cases <= 256 ? 1 : cases <= 65_536 ? 2 : 4;
}

/** `option` and `result` are variants with cases of their own. */
export function casesOf(type: Extract<ValueType, { kind: "variant" | "option" | "result" }>) {
  switch (type.kind) {
    case "variant":
      return type.cases;
    case "option":
      return [
        { name: "none", type: undefined },
        { name: "some", type: type.type },
      ];
    case "result":
      return [
        { name: "ok", type: type.ok },
        { name: "err", type: type.err },
      ];
  }
}

/** Parameters, which lie in memory as a tuple does. */
export function product(items: readonly Layout[], flatMax: number): Layout {
  const offsets = offsetsOf(items);
  const align = items.reduce((most, item) => Math.max(most, item.align), 1);
  const flat: Flat[] = [];
  for (const item of items) if (flat.length <= flatMax) flat.push(...item.flat);
  const last = items.length - 1;
  return {
    size: last < 0 ? 0 : alignTo(offsets[last]! + items[last]!.size, align),
    align,
    flat: flat.slice(0, flatMax + 1),
    depth: 1 + items.reduce((most, item) => Math.max(most, item.depth), 0),
  };
}

function sum(payloads: readonly (Layout | undefined)[]): Layout {
  const tag = tagSize(payloads.length);
  const joined: Flat[] = [];
  let payloadAlign = 1;
  let payloadSize = 0;
  let depth = 0;
  for (const payload of payloads) {
    if (payload === undefined) continue;
    payloadAlign = Math.max(payloadAlign, payload.align);
    payloadSize = Math.max(payloadSize, payload.size);
    depth = Math.max(depth, payload.depth);
    payload.flat.forEach((flat, i) => {
      joined[i] = joined[i] === undefined ? flat : join(joined[i]!, flat);
    });
  }
  const align = Math.max(tag, payloadAlign);
  return {
    size: alignTo(alignTo(tag, payloadAlign) + payloadSize, align),
    align,
    flat: (["i32", ...joined] as Flat[]).slice(0, FLAT_MAX + 1),
    depth: depth + 1,
  };
}

/** What carries the bits of either. */
function join(a: Flat, b: Flat): Flat {
  if (a === b) return a;
  if ((a === "i32" && b === "f32") || (a === "f32" && b === "i32")) return "i32";
  return "i64";
}

function alignTo(offset: number, align: number): number {
  return Math.ceil(offset / align) * align;
}

function scalar(size: number, flat: Flat): Layout {
  return { size, align: size, flat: [flat], depth: 1 };
}

const primitives: Readonly<Record<Primitive, Layout>> = {
  bool: scalar(1, "i32"),
  s8: scalar(1, "i32"),
  u8: scalar(1, "i32"),
  s16: scalar(2, "i32"),
  u16: scalar(2, "i32"),
  s32: scalar(4, "i32"),
  u32: scalar(4, "i32"),
  s64: scalar(8, "i64"),
  u64: scalar(8, "i64"),
  f32: scalar(4, "f32"),
  f64: scalar(8, "f64"),
  char: scalar(4, "i32"),
  string: { size: 8, align: 4, flat: ["i32", "i32"], depth: 1 },
  "error-context": scalar(4, "i32"),
};

function refuse(problem: string): never {
  throw new CytoError("invalid-component", `Cannot link the component: ${problem}`);
}
