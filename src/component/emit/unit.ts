/**
 * The Canonical ABI's functions for one type, made as JavaScript text in which its offsets, names and
 * cases are constants.
 *
 *   load    memory → value          lift    core values → value
 *   store   value → memory          lower   value → core values
 *
 * A compound type has them once, and others call them: so the text of a type grows with its own parts and
 * not with what lies below those. Whoever calls `load` or `store` has checked the pointer.
 */
import { FLAT_MAX, layoutOf } from "../layout.ts";
import { compile } from "../source.ts";
import type { ValueType } from "../types.ts";
import { writeLift, writeLoad } from "./read.ts";
import { Text, type Unit } from "./text.ts";
import { writeLower, writeStore } from "./write.ts";

const units = new WeakMap<ValueType, Unit>();

export function unitOf(type: ValueType): Unit {
  let unit = units.get(type);
  if (unit === undefined) {
    unit = makeUnit(type);
    units.set(type, unit);
  }
  return unit;
}

function makeUnit(type: ValueType): Unit {
  const { flat } = layoutOf(type);
  const values = flat.map((_, i) => `f${i}`);
  const text = new Text(unitOf);
  text.line("return {");
  text.line("load(cx, p) { const v = cx.view;");
  writeLoad(text, type);
  text.line("},");
  text.line("store(cx, x, p) {");
  writeStore(text, type);
  text.line("},");
  if (flat.length <= FLAT_MAX) {
    text.line(`lift(cx, ${values.join(", ")}) {`);
    writeLift(text, type, values);
    text.line("},");
    text.line("lower(cx, x, o, a) {");
    writeLower(text, type);
    text.line("},");
  } else text.line("lift: tooWide, lower: tooWide,");
  text.line("};");
  return compile(text.constants, text.toString()) as Unit;
}
