/**
 * For tests: random WIT types with values of them, and a guest that echoes values of given types: it hands
 * its arguments to an imported function and answers with what that answers.
 */
import fc from "fast-check";
import { FLAT_MAX, layoutOf } from "../src/component/layout.ts";
import type { ValueType } from "../src/component/types.ts";

export type Encoding = "utf8" | "utf16" | "latin1+utf16";
/** A type, and what its values are. */
export type Case = readonly [type: ValueType, value: fc.Arbitrary<unknown>];

export const encodings: fc.Arbitrary<Encoding> = fc.constantFrom("utf8", "utf16", "latin1+utf16");

export const prim = (type: Extract<ValueType, { kind: "primitive" }>["type"]): ValueType => ({
  kind: "primitive",
  type,
});
export const listOf = (element: ValueType, length?: number): ValueType => ({ kind: "list", element, length });

const label = fc.oneof(
  { weight: 8, arbitrary: fc.stringMatching(/^[a-z]{1,6}(-[a-z]{1,4})?$/) },
  // What means something to JavaScript.
  { weight: 1, arbitrary: fc.constantFrom("constructor", "default", "then", "class", "val", "tag") },
);
const labels = (max: number) => fc.uniqueArray(label, { minLength: 1, maxLength: max, selector: camel });
const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 20 }).map((s) => s.toWellFormed()),
  fc.string({ maxLength: 60 }),
  fc.string({ unit: fc.constantFrom("a", "é", "ÿ"), maxLength: 40 }),
);

function camel(name: string): string {
  return name.replace(/-(.)/g, (_, c: string) => c.toUpperCase());
}

const leaf: fc.Arbitrary<Case> = fc.constantFrom<Case>(
  [prim("bool"), fc.boolean()],
  [prim("u8"), fc.integer({ min: 0, max: 255 })],
  [prim("s8"), fc.integer({ min: -128, max: 127 })],
  [prim("u16"), fc.integer({ min: 0, max: 65_535 })],
  [prim("s16"), fc.integer({ min: -32_768, max: 32_767 })],
  [prim("u32"), fc.integer({ min: 0, max: 0xffffffff })],
  [prim("s32"), fc.integer()],
  [prim("u64"), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })],
  [prim("s64"), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
  [prim("f32"), fc.float()],
  [prim("f64"), fc.double()],
  [prim("char"), fc.string({ unit: "binary", minLength: 1, maxLength: 1 }).filter((c) => c.isWellFormed())],
  [prim("string"), text],
  [listOf(prim("u8")), fc.uint8Array({ maxLength: 200 })],
  [listOf(prim("s16")), fc.int16Array({ maxLength: 40 })],
  [listOf(prim("f32")), fc.float32Array({ maxLength: 5 })],
  [listOf(prim("s64")), fc.bigInt64Array({ maxLength: 5 })],
  [listOf(prim("char")), fc.array(fc.constantFrom("a", "é", "🌍"), { maxLength: 5 })],
);

/** Those of WIT that every toolchain knows. */
export const types: fc.Arbitrary<Case> = fc.letrec<{ type: Case }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc.tuple(labels(5), fc.array(tie("type"), { minLength: 5, maxLength: 5 })).map(([names, items]): Case => {
      const fields = names.map((name, i) => ({ name, type: items[i]![0] }));
      const value = fc.record(Object.fromEntries(names.map((name, i) => [camel(name), items[i]![1]])));
      return [{ kind: "record", fields }, value.map((record) => ({ ...record }))];
    }),
    fc
      .array(tie("type"), { minLength: 1, maxLength: 4 })
      .map(
        (items): Case => [
          { kind: "tuple", types: items.map(([type]) => type) },
          fc.tuple(...items.map(([, value]) => value)),
        ],
      ),
    fc
      .tuple(labels(4), fc.array(fc.option(tie("type")), { minLength: 4, maxLength: 4 }))
      .map(([names, items]): Case => {
        const cases = names.map((name, i) => ({ name, type: items[i]?.[0] }));
        const values = names.map((tag, i) => {
          const payload = items[i];
          return payload ? payload[1].map((val) => ({ tag, val })) : fc.constant({ tag });
        });
        return [{ kind: "variant", cases }, fc.oneof(...values)];
      }),
    tie("type").map(([type, value]): Case => {
      const nested = type.kind === "option";
      const some = nested ? value.map((val) => ({ tag: "some", val })) : value;
      return [{ kind: "option", type }, fc.oneof(fc.constant(nested ? { tag: "none" } : undefined), some)];
    }),
    fc.tuple(fc.option(tie("type")), fc.option(tie("type"))).map(([ok, err]): Case => {
      const wrap = (tag: string, one: Case | null) =>
        one ? one[1].map((val) => ({ tag, val })) : fc.constant({ tag, val: undefined });
      return [{ kind: "result", ok: ok?.[0], err: err?.[0] }, fc.oneof(wrap("ok", ok), wrap("err", err))];
    }),
    labels(20).map((names): Case => [{ kind: "enum", names }, fc.constantFrom(...names)]),
    labels(20).map((names): Case => {
      const flags = fc.record(Object.fromEntries(names.map((name) => [camel(name), fc.boolean()])));
      return [{ kind: "flags", names }, flags.map((value) => ({ ...value }))];
    }),
    tie("type")
      .filter(([type]) => type.kind !== "primitive")
      .map(([type, value]): Case => [listOf(type), fc.array(value, { maxLength: 4 })]),
  ),
})).type;

/** As well those that are new: lists of fixed length, and maps. */
export const allTypes: fc.Arbitrary<Case> = fc.oneof(
  { weight: 4, arbitrary: types },
  {
    weight: 1,
    arbitrary: fc
      .tuple(types, fc.integer({ min: 1, max: 20 }))
      .filter(([[type]]) => type.kind !== "primitive")
      .map(
        ([[type, value], length]): Case => [
          listOf(type, length),
          fc.array(value, { minLength: length, maxLength: length }),
        ],
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 1, max: 20 })
      .map((length): Case => [listOf(prim("u16"), length), fc.uint16Array({ minLength: length, maxLength: length })]),
  },
  {
    weight: 1,
    arbitrary: types.map(
      ([type, value]): Case => [
        { kind: "map", key: prim("string"), value: type },
        fc.array(fc.tuple(text, value), { maxLength: 4 }).map((entries) => new Map(entries)),
      ],
    ),
  },
);

/** What `echo` of these parameters answers with: the one, or a tuple of all. */
export function echoed(params: readonly ValueType[]): ValueType {
  return params.length === 1 ? params[0]! : { kind: "tuple", types: params };
}

/**
 * A component that exports `echo` and imports `test:host/echo`'s: its memory begins with one page and
 * grows a page at each allocation, so that nobody can rely on where it was.
 */
export function echoComponent(params: readonly ValueType[], encoding: Encoding): string {
  const named: string[] = [];
  const aliases: string[] = [];
  const names = new Map<string, string>();

  /** Records and their like have to be exported before a function can speak of them. */
  function name(definition: string): string {
    let known = names.get(definition);
    if (known === undefined) {
      known = `$t${names.size}`;
      const n = names.size;
      names.set(definition, known);
      named.push(`(type $d${n} ${definition}) (export "n${n}" (type ${known} (eq $d${n})))`);
      aliases.push(`(alias export $host "n${n}" (type ${known}))`);
    }
    return known;
  }

  function wit(type: ValueType): string {
    switch (type.kind) {
      case "primitive":
        return type.type;
      case "record":
        return name(`(record ${type.fields.map((field) => `(field "${field.name}" ${wit(field.type)})`).join(" ")})`);
      case "variant":
        return name(
          `(variant ${type.cases.map((one) => `(case "${one.name}"${one.type ? ` ${wit(one.type)}` : ""})`).join(" ")})`,
        );
      case "enum":
      case "flags":
        return name(`(${type.kind} ${type.names.map((one) => `"${one}"`).join(" ")})`);
      case "tuple":
        return `(tuple ${type.types.map(wit).join(" ")})`;
      case "option":
        return `(option ${wit(type.type)})`;
      case "result":
        return `(result${type.ok ? ` ${wit(type.ok)}` : ""}${type.err ? ` (error ${wit(type.err)})` : ""})`;
      case "list":
        return `(list ${wit(type.element)}${type.length === undefined ? "" : ` ${type.length}`})`;
      case "map":
        return `(map ${wit(type.key)} ${wit(type.value)})`;
      default:
        throw new Error(`No text for the type ${type.kind}`);
    }
  }

  const result = layoutOf(echoed(params));
  const flats = params.flatMap((type) => layoutOf(type).flat);
  const taken = flats.length > FLAT_MAX ? ["i32"] : flats;
  const inMemory = result.flat.length > 1;
  const locals = taken.map((_, i) => `(local.get ${i})`).join(" ");
  const type = `${params.map((one, i) => `(param "p${i}" ${wit(one)})`).join(" ")} (result ${wit(echoed(params))})`;
  const options = `(memory $mem) (realloc $realloc) string-encoding=${encoding}`;
  return `(component
  (import "test:host/echo" (instance $host ${named.join(" ")} (export "echo" (func ${type}))))
  ${aliases.join(" ")}
  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                              (i32.sub (i32.const 0) (local.get 2))))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (drop (memory.grow (i32.const 1)))
      (memory.copy (local.get $at) (local.get 0) (local.get 1))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (core func $echo (canon lower (func $host "echo") ${options}))
  (core module $main
    (import "memory" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "echo" (func $echo (param ${taken.join(" ")} ${inMemory ? "i32) " : `) (result ${result.flat[0]})`}))
    (func (export "echo") (param ${taken.join(" ")}) (result ${inMemory ? "i32" : result.flat[0]}) (local $at i32)
      ${
        inMemory
          ? `(local.set $at (call $realloc (i32.const 0) (i32.const 0) (i32.const ${result.align}) (i32.const ${result.size})))
      (call $echo ${locals} (local.get $at))
      (local.get $at)`
          : `(call $echo ${locals})`
      }))
  (core instance $main (instantiate $main
    (with "memory" (instance $memory)) (with "host" (instance (export "echo" (func $echo))))))
  (func (export "echo") ${type} (canon lift (core func $main "echo") ${options})))`;
}
