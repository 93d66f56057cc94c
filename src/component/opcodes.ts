/** What follows each opcode of WebAssembly: every instruction that is read here is read by these tables. */

/** The forms of immediates. */
export const form = {
  unknown: 0,
  none: 1,
  /** One number. */
  leb: 2,
  /** Two numbers. */
  lebs: 3,
  /** Alignment, a memory when its bit 6 is set, and the offset. */
  memory: 4,
  /** Block, loop, if, try: a block type. */
  block: 5,
  constI32: 6,
  four: 7,
  eight: 8,
  /** All that has a meaning of its own for control: handled one by one. */
  control: 9,
  prefix: 10,
} as const;

export const opcode = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  try: 0x06,
  catch: 0x07,
  throw: 0x08,
  rethrow: 0x09,
  throwRef: 0x0a,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  returnCall: 0x12,
  returnCallIndirect: 0x13,
  callRef: 0x14,
  returnCallRef: 0x15,
  delegate: 0x18,
  catchAll: 0x19,
  drop: 0x1a,
  selectTyped: 0x1c,
  tryTable: 0x1f,
  localGet: 0x20,
  globalGet: 0x23,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i32LtS: 0x48,
  brOnNull: 0xd5,
  brOnNonNull: 0xd6,
  gc: 0xfb,
  misc: 0xfc,
  simd: 0xfd,
  atomic: 0xfe,
} as const;

export const misc = {
  memoryInit: 8,
  memoryCopy: 10,
  memoryFill: 11,
  tableInit: 12,
  tableCopy: 14,
  tableGrow: 15,
  tableFill: 17,
} as const;

export const forms: Uint8Array = Uint8Array.from(
  byOpcode(form.unknown, [
    [form.none, 0x01, 0x1a, 0x1b, [0x45, 0xc4], 0xd1, 0xd3, 0xd4],
    [form.leb, [0x20, 0x26], 0x3f, 0x40, 0x42, 0xd0, 0xd2],
    [form.memory, [0x28, 0x3e]],
    [form.constI32, 0x41],
    [form.four, 0x43],
    [form.eight, 0x44],
    [form.block, 0x02, 0x03, 0x04, 0x06],
    [form.control, 0x00, 0x05, [0x07, 0x15], 0x18, 0x19, 0x1c, 0x1f, 0xd5, 0xd6],
    [form.prefix, [0xfb, 0xfe]],
  ]),
);

type GcForm = "none" | "leb" | "lebs" | "branch";

/** Immediates after the prefix 0xfb (garbage collected objects). `branch` is a cast that branches. */
export const gcForms: readonly GcForm[] = [
  ...many<GcForm>(2, "leb"), // struct.new, struct.new_default
  ...many<GcForm>(4, "lebs"), // struct.get, get_s, get_u, set
  ...many<GcForm>(2, "leb"), // array.new, array.new_default
  ...many<GcForm>(3, "lebs"), // array.new_fixed, new_data, new_elem
  ...many<GcForm>(4, "leb"), // array.get, get_s, get_u, set
  "none", // array.len
  "leb", // array.fill
  ...many<GcForm>(3, "lebs"), // array.copy, init_data, init_elem
  ...many<GcForm>(4, "leb"), // ref.test, ref.test null, ref.cast, ref.cast null
  ...many<GcForm>(2, "branch"), // br_on_cast, br_on_cast_fail
  ...many<GcForm>(5, "none"), // any.convert_extern, extern.convert_any, ref.i31, i31.get_s, i31.get_u
];

/** How many numbers follow each opcode of the prefix 0xfc. */
export const miscForms: readonly number[] = [
  ...many(8, 0), // saturating conversions
  2, // memory.init
  1, // data.drop
  2, // memory.copy
  1, // memory.fill
  2, // table.init
  1, // elem.drop
  2, // table.copy
  1, // table.grow
  1, // table.size
  1, // table.fill
];

/** Immediates of 0xfd: a memory operand, and then so many bytes; undefined for an opcode that is not known. */
export function simdForm(code: number): { readonly memory: boolean; readonly bytes: number } | undefined {
  if (code <= 11 || code === 92 || code === 93) return { memory: true, bytes: 0 };
  if (code === 12 || code === 13) return { memory: false, bytes: 16 };
  if (code >= 21 && code <= 34) return { memory: false, bytes: 1 };
  if (code >= 84 && code <= 91) return { memory: true, bytes: 1 };
  // The relaxed instructions end at 0x113.
  return code <= 0x113 ? { memory: false, bytes: 0 } : undefined;
}

type Range = number | readonly [first: number, last: number];

/** For each of 256 opcodes the value of its row. */
export function byOpcode(otherwise: number, rows: readonly (readonly [number, ...Range[]])[]): number[] {
  const values = many(256, otherwise);
  for (const [value, ...ranges] of rows) {
    for (const range of ranges) {
      const [first, last] = typeof range === "number" ? [range, range] : range;
      values.fill(value, first, last + 1);
    }
  }
  return values;
}

function many<T>(count: number, value: T): T[] {
  return new Array<T>(count).fill(value);
}
