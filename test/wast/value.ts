/**
 * Constants of a script (`(u32.const 5)`, `(record.const (field "x" …))`) to values of the
 * JavaScript embedding, and the comparison of what a call answered with what a script expects.
 */
import { camelCase } from "../../src/component/types.ts";
import { atomOf, type Expression, headOf, type List, textOf } from "./expression.ts";

/** A constant as an argument of a call. */
export function jsValueOf(constant: Expression): unknown {
  return read(constantOf(constant));
}

/** What a call answered: it returned, or threw the error of its `result`. */
export type Answer =
  | { readonly returned: true; readonly value: unknown }
  | { readonly returned: false; readonly payload: unknown };

/** Whether a call answered as a script's constant says; without a constant, with nothing. */
export function answers(answer: Answer, expected: Expression | undefined): boolean {
  if (expected === undefined) return answer.returned && answer.value === undefined;
  const { type, items } = constantOf(expected);
  const payload = () => items[0] && jsValueOf(items[0]);
  if (type === "result.ok") return answer.returned && same(answer.value, payload());
  if (type === "result.err") return !answer.returned && same(answer.payload, payload());
  return answer.returned && same(answer.value, read({ type, items }));
}

interface Constant {
  readonly type: string;
  readonly items: readonly Expression[];
}

function constantOf(expression: Expression): Constant {
  const type = headOf(expression);
  if (type === undefined) throw new SyntaxError("a constant is expected");
  return { type, items: (expression as List).items.slice(1) };
}

function read({ type, items }: Constant): unknown {
  const [first] = items;
  const number = () => atomOf(first)!.replaceAll("_", "");
  switch (type) {
    case "bool.const":
      return atomOf(first) === "true";
    case "u8.const":
    case "u16.const":
    case "u32.const":
    case "s8.const":
    case "s16.const":
    case "s32.const":
    case "i32.const":
      return integer(number());
    case "u64.const":
    case "s64.const":
    case "i64.const":
      return bigint(number());
    case "f32.const":
      return Math.fround(float(number()));
    case "f64.const":
      return float(number());
    case "char.const":
    case "str.const":
      return textOf(first);
    case "list.const":
    case "tuple.const":
      return items.map(jsValueOf);
    case "record.const":
      return Object.fromEntries(items.map(field));
    case "flags.const":
      return Object.fromEntries(items.map((name) => [camelCase(textOf(name)), true]));
    case "enum.const":
      return textOf(first);
    case "variant.const":
      return tagged(textOf(first), items[1]);
    case "option.none":
      return undefined;
    case "option.some":
      return headOf(first)?.startsWith("option.") ? optionOf(first!) : jsValueOf(first!);
    case "result.ok":
    case "result.err":
      return tagged(type.slice("result.".length), first);
    default:
      throw new SyntaxError(`${type} is no known constant`);
  }
}

/** `(field "name" u32.const 5)` and `(field "name" (u32.const 5))`. */
function field(expression: Expression): readonly [string, unknown] {
  const [, name, ...rest] = (expression as List).items;
  const type = atomOf(rest[0]);
  return [camelCase(textOf(name)), type === undefined ? jsValueOf(rest[0]!) : read({ type, items: rest.slice(1) })];
}

/** An option inside of an option is tagged, so that none of the inner can be told from none of the outer. */
function optionOf(expression: Expression): unknown {
  const { type, items } = constantOf(expression);
  return tagged(type.slice("option.".length), items[0]);
}

function tagged(tag: string, payload: Expression | undefined): unknown {
  return payload === undefined ? { tag } : { tag, val: jsValueOf(payload) };
}

function integer(text: string): number {
  return text.startsWith("-") ? -Number(text.slice(1)) : Number(text);
}

function bigint(text: string): bigint {
  return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text);
}

function float(text: string): number {
  const sign = text.startsWith("-") ? -1 : 1;
  const digits = text.replace(/^[+-]/, "");
  if (digits.startsWith("nan")) return Number.NaN;
  if (digits === "inf") return sign * Number.POSITIVE_INFINITY;
  const hex = /^0x([0-9a-f]*)\.?([0-9a-f]*)(?:p([+-]?\d+))?$/i.exec(digits);
  if (!hex) return sign * Number(digits);
  const [, whole = "", fraction = "", exponent = "0"] = hex;
  return sign * Number(`0x${whole}${fraction}`) * 2 ** (Number(exponent) - 4 * fraction.length);
}

/** Equal by value. Flags that are off may be left out of what is expected. */
function same(actual: unknown, expected: unknown): boolean {
  if (Object.is(actual, expected)) return true;
  if (typeof actual !== "object" || typeof expected !== "object" || actual === null || expected === null) return false;
  if (Array.isArray(expected)) {
    const items = actual as ArrayLike<unknown>;
    return items.length === expected.length && expected.every((item, i) => same(items[i], item));
  }
  const left = actual as Record<string, unknown>;
  const right = expected as Record<string, unknown>;
  const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  return keys.every((key) =>
    key in right ? same(left[key], right[key]) : left[key] === false || left[key] === undefined,
  );
}
