/**
 * Writing, as text: `store` to memory, `lower` to core values. Both may run guest code, the allocator,
 * after which memory can have moved: the text asks the context `cx` for its view each time.
 */
import type { Primitive } from "../decode.ts";
import { casesOf, type Flat, layoutOf, offsetsOf, payloadOffset, tagSize } from "../layout.ts";
import { errorContext, referenceOf } from "../reference.ts";
import { literal } from "../source.ts";
import { camelCase, type ValueType } from "../types.ts";
import { lift } from "./read.ts";
import { wrong } from "./runtime.ts";
import { entryOf, isPlain, numbersOf, place, split, type Text, type VariantType, views } from "./text.ts";

/** Writes the value that `x` names to `base + offset`; `where` is what an error calls it. */
export function store(text: Text, type: ValueType, x: string, base: string, offset: number, where: string): void {
  const at = place(base, offset);
  if (type.kind === "primitive" && type.type === "string") {
    checkString(text, x, where);
    const pointer = text.temporary();
    text.line(`const ${pointer} = cx.storeString(${x});`);
    writeSlice(text, pointer, base, offset);
  } else if (type.kind === "primitive" && type.type in views) {
    const view = views[type.type as keyof typeof views];
    text.line(`cx.view.set${view}(${at}, ${number(text, type.type, x, where)}, true);`);
  } else {
    const value = scalar(text, type, x, where);
    if (value === undefined) text.line(`${text.unit(type, "store")}(cx, ${x}, ${at});`);
    else {
      const core = text.temporary();
      text.line(`const ${core} = ${value};`);
      text.line(`cx.view.setUint${8 * layoutOf(type).size}(${at}, ${core}, true);`);
    }
  }
}

/** A number for memory, which takes of it what it has room for. */
function number(text: Text, type: Primitive, x: string, where: string): string {
  if (type === "s64" || type === "u64") return `(typeof ${x} === "bigint" ? ${x} : toBig(${x}, ${literal(where)}))`;
  text.line(`if (typeof ${x} !== "number") wrong(${x}, "a number", ${literal(where)});`);
  return x;
}

/** What else is a single i32, in memory as well; `undefined` for all other types. */
function scalar(text: Text, type: ValueType, x: string, where: string): string | undefined {
  switch (type.kind) {
    case "primitive":
      if (type.type === "bool") return `${x} ? 1 : 0`;
      if (type.type === "char") return `fromChar(${x}, ${literal(where)})`;
      if (type.type === "error-context") return `${text.constant(referenceOf(errorContext).lower)}(cx, ${x})`;
      return undefined;
    case "own":
    case "borrow":
    case "stream":
    case "future":
      return `${text.constant(referenceOf(type).lower)}(cx, ${x})`;
    case "flags":
      text.line(`if (typeof ${x} !== "object" || ${x} === null) wrong(${x}, "an object of flags", ${literal(where)});`);
      return type.names.map((name, i) => `(${x}[${literal(camelCase(name))}] ? ${1 << i} : 0)`).join(" | ") || "0";
    case "enum":
      return `${text.constant(enumIndex(type.names))}(${x}, ${literal(where)})`;
    default:
      return undefined;
  }
}

/** The pointer, and the length that the context was left with. */
function writeSlice(text: Text, pointer: string, base: string, offset: number): void {
  text.line(`cx.view.setUint32(${place(base, offset)}, ${pointer}, true);`);
  text.line(`cx.view.setUint32(${place(base, offset + 4)}, cx.length, true);`);
}

/** The body of a function that stores `x` at `p`. */
export function writeStore(text: Text, type: ValueType): void {
  switch (type.kind) {
    case "record": {
      const offsets = offsetsOf(type.fields.map((field) => layoutOf(field.type)));
      fieldsOf(text, type, "x").forEach(({ name, type: of, where }, i) => {
        store(text, of, name, "p", offsets[i]!, where);
      });
      return;
    }
    case "tuple": {
      const offsets = offsetsOf(type.types.map((one) => layoutOf(one)));
      itemsOf(text, type.types, "x").forEach(({ name, type: of, where }, i) => {
        store(text, of, name, "p", offsets[i]!, where);
      });
      return;
    }
    case "variant":
    case "option":
    case "result": {
      const cases = casesOf(type);
      const offset = payloadOffset(cases);
      writeCases(text, type, "x", (i, payload) => {
        text.line(`cx.view.setUint${8 * tagSize(cases.length)}(p, ${i}, true);`);
        const of = cases[i]!.type;
        if (of) store(text, of, payload, "p", offset, caseName(cases[i]!.name));
      });
      return;
    }
    case "list":
      if (type.length === undefined) {
        writeStoreList(text, type.element);
        writeSlice(text, "s", "p", 0);
      } else writeStoreFixedList(text, type.element, type.length);
      return;
    case "map":
      writeStoreMap(text, type);
      writeSlice(text, "s", "p", 0);
      return;
    default:
      store(text, type, "x", "p", 0, "");
  }
}

/** Writes the elements of `x` to fresh memory at `s`, and leaves their number in the context. */
function writeStoreList(text: Text, element: ValueType): void {
  const { size, align } = layoutOf(element);
  const Numbers = numbersOf(element);
  if (Numbers) {
    const name = text.constant(Numbers);
    text.line(`const y = x instanceof ${name} ? x : toNumbers(${name}, x);`);
    text.line(
      `const s = cx.storeBytes(${align}, ${Numbers === Uint8Array ? "y" : "new Uint8Array(y.buffer, y.byteOffset, y.byteLength)"});`,
    );
    text.line("cx.length = y.length;");
    return;
  }
  text.line('if (!Array.isArray(x)) wrong(x, "an array");');
  text.line(`const n = x.length, s = cx.allocate(${align}, n * ${size});`);
  text.line(`for (let i = 0, q = s; i < n; i++, q += ${size}) { const e = x[i];`);
  store(text, element, "e", "q", 0, "an element");
  text.line("}");
  text.line("cx.length = n;");
}

function writeStoreFixedList(text: Text, element: ValueType, length: number): void {
  const { size } = layoutOf(element);
  const Numbers = numbersOf(element);
  if (Numbers) {
    const name = text.constant(Numbers);
    text.line(`const y = x instanceof ${name} ? x : toNumbers(${name}, x);`);
    text.line(`if (y.length !== ${length}) wrong(x, "${length} elements");`);
    text.line("cx.bytes.set(new Uint8Array(y.buffer, y.byteOffset, y.byteLength), p);");
    return;
  }
  text.line(`if (!Array.isArray(x) || x.length !== ${length}) wrong(x, "an array of ${length}");`);
  text.line(`for (let i = 0, q = p; i < ${length}; i++, q += ${size}) { const e = x[i];`);
  store(text, element, "e", "q", 0, "an element");
  text.line("}");
}

function writeStoreMap(text: Text, type: Extract<ValueType, { kind: "map" }>): void {
  const { size, align, offsets } = entryOf(type);
  text.line('if (!(x instanceof Map)) wrong(x, "a Map");');
  text.line(`const entries = [...x], n = entries.length, s = cx.allocate(${align}, n * ${size});`);
  text.line(`for (let i = 0, q = s; i < n; i++, q += ${size}) { const k = entries[i][0], e = entries[i][1];`);
  store(text, type.key, "k", "q", offsets[0]!, "a key");
  store(text, type.value, "e", "q", offsets[1]!, "a value");
  text.line("}");
  text.line("cx.length = n;");
}

/** Assigns the core values of what `x` names to `targets`, which can be assigned to. */
export function lower(text: Text, type: ValueType, x: string, targets: readonly string[], where: string): void {
  switch (type.kind) {
    case "primitive":
      if (type.type === "string") {
        checkString(text, x, where);
        text.line(`${targets[0]} = cx.storeString(${x});`);
        text.line(`${targets[1]} = cx.length;`);
        return;
      }
      if (type.type in views) {
        const value = number(text, type.type, x, where);
        text.line(
          `${targets[0]} = ${type.type === "u64" ? `BigInt.asIntN(64, ${value})` : lift(text, type, [value])};`,
        );
        return;
      }
      break;
    case "record":
      lowerParts(text, fieldsOf(text, type, x), targets);
      return;
    case "tuple":
      lowerParts(text, itemsOf(text, type.types, x), targets);
      return;
    case "list":
      if (type.length === undefined) break;
      lowerParts(text, itemsOf(text, new Array<ValueType>(type.length).fill(type.element), x), targets);
      return;
    default:
  }
  const value = scalar(text, type, x, where);
  if (value !== undefined) {
    text.line(`${targets[0]} = ${value};`);
    return;
  }
  const values = text.temporary();
  text.line(`const ${values} = [];`);
  text.line(`${text.unit(type, "lower")}(cx, ${x}, ${values}, 0);`);
  targets.forEach((target, i) => {
    text.line(`${target} = ${values}[${i}];`);
  });
}

function lowerParts(text: Text, parts: readonly Part[], targets: readonly string[]): void {
  const places = split(
    parts.map((part) => part.type),
    targets,
  );
  parts.forEach((part, i) => {
    lower(text, part.type, part.name, places[i]!, part.where);
  });
}

/** The body of a function that lowers `x` to the array `o` from `a` on. */
export function writeLower(text: Text, type: ValueType): void {
  const { flat } = layoutOf(type);
  const targets = flat.map((_, i) => `o[a + ${i}]`);
  switch (type.kind) {
    case "variant":
    case "option":
    case "result": {
      const cases = casesOf(type);
      writeCases(text, type, "x", (i, payload) => {
        const of = cases[i]!.type;
        text.line(`o[a] = ${i};`);
        if (of) lowerPayload(text, of, payload, flat, targets, caseName(cases[i]!.name));
        for (let k = of ? layoutOf(of).flat.length + 1 : 1; k < flat.length; k++) {
          text.line(`${targets[k]} = ${flat[k] === "i64" ? "0n" : "0"};`);
        }
      });
      return;
    }
    case "list":
    case "map":
      if (type.kind === "map" || type.length === undefined) {
        if (type.kind === "map") writeStoreMap(text, type);
        else writeStoreList(text, type.element);
        text.line("o[a] = s; o[a + 1] = cx.length;");
        return;
      }
      break;
    default:
  }
  lower(text, type, "x", targets, "");
}

/** Where the payload's own core type differs from that of the whole variant, its bits travel in that one. */
function lowerPayload(
  text: Text,
  type: ValueType,
  x: string,
  joined: readonly Flat[],
  targets: readonly string[],
  where: string,
): void {
  const own = layoutOf(type).flat;
  const places = own.map((flat, k) => (flat === joined[k + 1] ? targets[k + 1]! : text.temporary()));
  const temporaries = places.filter((one, k) => one !== targets[k + 1]);
  if (temporaries.length > 0) text.line(`let ${temporaries.join(", ")};`);
  lower(text, type, x, places, where);
  own.forEach((flat, k) => {
    if (flat !== joined[k + 1]) text.line(`${targets[k + 1]} = ${widen(places[k]!, flat, joined[k + 1]!)};`);
  });
}

interface Part {
  readonly name: string;
  readonly type: ValueType;
  readonly where: string;
}

/** Takes a record apart: a name of the text for each field. */
function fieldsOf(text: Text, type: Extract<ValueType, { kind: "record" }>, x: string): Part[] {
  text.line(`if (typeof ${x} !== "object" || ${x} === null) wrong(${x}, "a record");`);
  return type.fields.map((field) => {
    const name = text.temporary();
    text.line(`const ${name} = ${x}[${literal(camelCase(field.name))}];`);
    return { name, type: field.type, where: `field ${camelCase(field.name)}` };
  });
}

function itemsOf(text: Text, types: readonly ValueType[], x: string): Part[] {
  text.line(`if (typeof ${x} !== "object" || ${x} === null) wrong(${x}, "an array of ${types.length}");`);
  return types.map((type, i) => {
    const name = text.temporary();
    text.line(`const ${name} = ${x}[${i}];`);
    return { name, type, where: `item ${i}` };
  });
}

/** What to do in each case of the value that `x` names, told the name of its payload. */
function writeCases(text: Text, type: VariantType, x: string, each: (index: number, payload: string) => void): void {
  if (isPlain(type)) {
    text.line(`if (${x} === undefined || ${x} === null) {`);
    each(0, x);
    text.line("} else {");
    each(1, x);
    text.line("}");
    return;
  }
  const names = casesOf(type).map((one) => one.name);
  text.line(`const y = ${x}?.val;`);
  text.line(`switch (${x}?.tag) {`);
  names.forEach((name, i) => {
    text.line(`case ${literal(name)}: {`);
    each(i, "y");
    text.line("break; }");
  });
  text.line(`default: wrong(${x}, ${literal(`{ tag: ${names.join(" | ")} }`)}); }`);
}

function checkString(text: Text, x: string, where: string): void {
  text.line(`if (typeof ${x} !== "string") wrong(${x}, "a string", ${literal(where)});`);
}

function caseName(name: string): string {
  return `the value of ${name}`;
}

function enumIndex(names: readonly string[]): (value: unknown, where: string) => number {
  const indices = new Map<unknown, number>(names.map((name, i) => [name, i]));
  return (value, where) => indices.get(value) ?? wrong(value, `one of ${names.join(", ")}`, where);
}

function widen(value: string, from: Flat, to: Flat): string {
  if (from === "f64") return `f64ToBits(${value})`;
  const bits = from === "f32" ? `f32ToBits(${value})` : value;
  return to === "i64" ? `BigInt(${bits} >>> 0)` : bits;
}
