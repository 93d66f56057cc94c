/** What the text calls beside the context: conversions that are the same for every type, and what is said of a wrong value. */
import { describe, trap } from "../canon-context.ts";
import { FLAT_MAX } from "../layout.ts";
import type { Constants } from "../source.ts";

export function wrong(value: unknown, expected: string, where = ""): never {
  throw new TypeError(`Cannot pass ${describe(value)}${where && ` as ${where}`}: ${expected} is expected`);
}

function badCase(count: number): never {
  return trap(`a discriminant is none of the ${count} cases of its type`);
}

function tooWide(): never {
  throw new RangeError(`Cannot pass a value of more than ${FLAT_MAX} core values but in memory`);
}

function toChar(code: number): string {
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) trap(`${code} is no Unicode scalar value`);
  return String.fromCodePoint(code);
}

function fromChar(value: unknown, where: string): number {
  const code = typeof value === "string" ? value.codePointAt(0) : undefined;
  if (code === undefined || String.fromCodePoint(code) !== value || (code >= 0xd800 && code <= 0xdfff)) {
    return wrong(value, "one Unicode character", where);
  }
  return code;
}

/** An integer, or its decimal digits: a host may serve two drafts of which one has a string in that place. */
function toBig(value: unknown, where: string): bigint {
  const exact = typeof value === "number" ? Number.isInteger(value) : typeof value === "string" && /^\d+$/.test(value);
  return exact ? BigInt(value as number | string) : wrong(value, "a bigint", where);
}

function toNumbers(Numbers: { from(values: Iterable<unknown>): unknown }, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !(Symbol.iterator in value)) {
    return wrong(value, "a list of numbers");
  }
  return Numbers.from(value as Iterable<unknown>);
}

const bits = new DataView(new ArrayBuffer(8));

export const runtime: Constants = {
  wrong,
  badCase,
  tooWide,
  toChar,
  fromChar,
  toBig,
  toNumbers,
  f64ToBits(value: number) {
    bits.setFloat64(0, value);
    return bits.getBigInt64(0);
  },
  f32ToBits(value: number) {
    bits.setFloat32(0, value);
    return bits.getInt32(0);
  },
  bitsToF64(value: bigint) {
    bits.setBigInt64(0, value);
    return bits.getFloat64(0);
  },
  bitsToF32(value: number) {
    bits.setInt32(0, value);
    return bits.getFloat32(0);
  },
};
