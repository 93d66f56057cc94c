/**
 * Reading, as text: `load` from memory, `lift` from core values. No guest code runs in either, so that
 * one view of memory holds throughout; the text knows it as `v`, and the context as `cx`.
 */
import { casesOf, type Flat, layoutOf, offsetsOf, payloadOffset, tagSize } from "../layout.ts";
import { errorContext, type ReferenceType, referenceOf } from "../reference.ts";
import { literal, property } from "../source.ts";
import { camelCase, type ValueType } from "../types.ts";
import { entryOf, isPlain, numbersOf, place, split, type Text, type VariantType, views } from "./text.ts";

/** An expression for the value at `base + offset`. */
export function load(text: Text, type: ValueType, base: string, offset: number): string {
  const at = place(base, offset);
  switch (type.kind) {
    case "primitive":
      switch (type.type) {
        case "bool":
          return `v.getUint8(${at}) !== 0`;
        case "char":
          return `toChar(v.getUint32(${at}, true))`;
        case "string":
          return `cx.loadString(v.getUint32(${at}, true), v.getUint32(${place(base, offset + 4)}, true))`;
        case "error-context":
          return loadReference(text, errorContext, at);
        default:
          return `v.get${views[type.type]}(${at}, true)`;
      }
    case "own":
    case "borrow":
    case "stream":
    case "future":
      return loadReference(text, type, at);
    default:
      return `${text.unit(type, "load")}(cx, ${at})`;
  }
}

function loadReference(text: Text, type: ReferenceType, at: string): string {
  return `${text.constant(referenceOf(type).lift)}(cx, v.getUint32(${at}, true))`;
}

/** The body of a function that loads from `p`. */
export function writeLoad(text: Text, type: ValueType): void {
  switch (type.kind) {
    case "record": {
      const offsets = offsetsOf(type.fields.map((field) => layoutOf(field.type)));
      text.line("return {");
      type.fields.forEach((field, i) => {
        text.line(`${property(camelCase(field.name))}: ${load(text, field.type, "p", offsets[i]!)},`);
      });
      text.line("};");
      return;
    }
    case "tuple": {
      const offsets = offsetsOf(type.types.map((one) => layoutOf(one)));
      text.line("return [");
      type.types.forEach((one, i) => {
        text.line(`${load(text, one, "p", offsets[i]!)},`);
      });
      text.line("];");
      return;
    }
    case "flags":
      text.line(`return ${flagsOf(type.names, `v.getUint${8 * layoutOf(type).size}(p, true)`)};`);
      return;
    case "enum":
      text.line(`return ${enumName(text, type.names, `v.getUint${8 * tagSize(type.names.length)}(p, true)`)};`);
      return;
    case "variant":
    case "option":
    case "result": {
      const cases = casesOf(type);
      const offset = payloadOffset(cases);
      text.line(`switch (v.getUint${8 * tagSize(cases.length)}(p, true)) {`);
      cases.forEach((one, i) => {
        text.line(`case ${i}: return ${wrap(type, i, one.type && load(text, one.type, "p", offset))};`);
      });
      text.line(`default: badCase(${cases.length}); }`);
      return;
    }
    case "list":
      if (type.length === undefined) text.line("const s = v.getUint32(p, true), n = v.getUint32(p + 4, true);");
      else text.line(`const s = p, n = ${type.length};`);
      writeLoadList(text, type.element);
      return;
    case "map":
      text.line("const s = v.getUint32(p, true), n = v.getUint32(p + 4, true);");
      writeLoadMap(text, type);
      return;
    default:
      text.line(`return ${load(text, type, "p", 0)};`);
  }
}

/** Of `n` elements from `s` on. */
function writeLoadList(text: Text, element: ValueType): void {
  const { size, align } = layoutOf(element);
  const Numbers = numbersOf(element);
  if (Numbers === Uint8Array) text.line("return cx.loadBytes(s, n);");
  else if (Numbers) text.line(`return new ${text.constant(Numbers)}(cx.numbers(s, n, ${size}), s, n).slice();`);
  else {
    text.line(`cx.checkList(s, n, ${size}, ${align});`);
    text.line("const list = new Array(n);");
    text.line(`for (let i = 0, q = s; i < n; i++, q += ${size}) list[i] = ${load(text, element, "q", 0)};`);
    text.line("return list;");
  }
}

function writeLoadMap(text: Text, type: Extract<ValueType, { kind: "map" }>): void {
  const { size, align, offsets } = entryOf(type);
  text.line(`cx.checkList(s, n, ${size}, ${align});`);
  text.line("const map = new Map();");
  text.line(`for (let i = 0, q = s; i < n; i++, q += ${size})`);
  text.line(`map.set(${load(text, type.key, "q", offsets[0]!)}, ${load(text, type.value, "q", offsets[1]!)});`);
  text.line("return map;");
}

/** An expression for the value that the core values stand for. */
export function lift(text: Text, type: ValueType, values: readonly string[]): string {
  const [value] = values;
  switch (type.kind) {
    case "primitive":
      switch (type.type) {
        case "bool":
          return `${value} !== 0`;
        case "s8":
          return `${value} << 24 >> 24`;
        case "u8":
          return `${value} & 0xff`;
        case "s16":
          return `${value} << 16 >> 16`;
        case "u16":
          return `${value} & 0xffff`;
        case "s32":
          return `${value} | 0`;
        case "u32":
          return `${value} >>> 0`;
        case "s64":
          return `BigInt.asIntN(64, ${value})`;
        case "u64":
          return `BigInt.asUintN(64, ${value})`;
        case "f32":
        case "f64":
          return value!;
        case "char":
          return `toChar(${value} >>> 0)`;
        case "string":
          return `cx.loadString(${value} >>> 0, ${values[1]} >>> 0)`;
        case "error-context":
          return `${text.constant(referenceOf(errorContext).lift)}(cx, ${value} >>> 0)`;
      }
      break;
    case "own":
    case "borrow":
    case "stream":
    case "future":
      return `${text.constant(referenceOf(type).lift)}(cx, ${value} >>> 0)`;
    case "record": {
      const parts = split(
        type.fields.map((field) => field.type),
        values,
      );
      const fields = type.fields.map(
        (field, i) => `${property(camelCase(field.name))}: ${lift(text, field.type, parts[i]!)}`,
      );
      return `{ ${fields.join(", ")} }`;
    }
    case "tuple": {
      const parts = split(type.types, values);
      return `[${type.types.map((one, i) => lift(text, one, parts[i]!)).join(", ")}]`;
    }
    case "list": {
      if (type.length === undefined) break;
      const types = new Array<ValueType>(type.length).fill(type.element);
      const parts = split(types, values);
      const items = parts.map((part) => lift(text, type.element, part)).join(", ");
      const Numbers = numbersOf(type.element);
      return Numbers ? `${text.constant(Numbers)}.of(${items})` : `[${items}]`;
    }
    case "flags":
      return flagsOf(type.names, `${value}`);
    case "enum":
      return enumName(text, type.names, `${value} >>> 0`);
    default:
  }
  return `${text.unit(type, "lift")}(cx, ${values.join(", ")})`;
}

/** The body of a function that lifts the core values. */
export function writeLift(text: Text, type: ValueType, values: readonly string[]): void {
  switch (type.kind) {
    case "variant":
    case "option":
    case "result": {
      const cases = casesOf(type);
      const joined = layoutOf(type).flat;
      text.line(`switch (${values[0]}) {`);
      cases.forEach((one, i) => {
        const payload =
          one.type &&
          lift(
            text,
            one.type,
            layoutOf(one.type).flat.map((flat, k) => narrow(values[k + 1]!, joined[k + 1]!, flat)),
          );
        text.line(`case ${i}: return ${wrap(type, i, payload)};`);
      });
      text.line(`default: badCase(${cases.length}); }`);
      return;
    }
    case "list":
    case "map":
      if (type.kind === "map" || type.length === undefined) {
        text.line("const v = cx.view, s = f0 >>> 0, n = f1 >>> 0;");
        if (type.kind === "map") writeLoadMap(text, type);
        else writeLoadList(text, type.element);
        return;
      }
      break;
    default:
  }
  text.line(`return ${lift(text, type, values)};`);
}

function wrap(type: VariantType, index: number, payload: string | undefined): string {
  if (isPlain(type)) return payload ?? "undefined";
  const tag = literal(casesOf(type)[index]!.name);
  if (payload === undefined && type.kind !== "result") return `{ tag: ${tag} }`;
  return `{ tag: ${tag}, val: ${payload} }`;
}

function flagsOf(names: readonly string[], bits: string): string {
  const flags = names.map((name, i) => `${property(camelCase(name))}: (b & ${1 << i}) !== 0`);
  return `((b) => ({ ${flags.join(", ")} }))(${bits})`;
}

function enumName(text: Text, names: readonly string[], index: string): string {
  return `${text.constant(names)}[${index}] ?? badCase(${names.length})`;
}

function narrow(value: string, from: Flat, to: Flat): string {
  if (from === to) return value;
  if (to === "f64") return `bitsToF64(${value})`;
  const bits = from === "i64" ? `Number(BigInt.asIntN(32, ${value}))` : value;
  return to === "i32" ? bits : `bitsToF32(${bits})`;
}
