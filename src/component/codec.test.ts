import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Carrier } from "./async/carry.ts";
import { Store } from "./async/store.ts";
import { CanonContext } from "./canon-context.ts";
import { codecOf } from "./codec.ts";
import { giveBack, HandleTable } from "./handles.ts";
import type { ResourceType, ValueType } from "./types.ts";

/** A guest that is nothing but memory and an allocator. */
function context(encoding: "utf8" | "utf16" | "latin1+utf16" = "utf8"): CanonContext {
  const memory = new WebAssembly.Memory({ initial: 1 });
  let next = 64;
  const realloc = (_old: number, _oldSize: number, align: number, size: number) => {
    const at = Math.ceil(next / align) * align;
    next = at + size;
    const missing = next - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65_536));
    return at;
  };
  const handles = new HandleTable();
  const cx = new CanonContext(0, handles, new Carrier(new Store(false, false), handles), encoding);
  cx.bind(memory, realloc);
  cx.refresh();
  return cx;
}

type Case = readonly [type: ValueType, value: fc.Arbitrary<unknown>];
const prim = (type: Extract<ValueType, { kind: "primitive" }>["type"]): ValueType => ({ kind: "primitive", type });
const label = fc.stringMatching(/^[a-z]{1,6}(-[a-z]{1,4})?$/);
const labels = (max: number) => fc.uniqueArray(label, { minLength: 1, maxLength: max, selector: camel });
const text = fc.string({ unit: "grapheme", maxLength: 20 }).map((s) => s.toWellFormed());

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
  [{ kind: "list", element: prim("u8"), length: undefined }, fc.uint8Array({ maxLength: 40 })],
  [{ kind: "list", element: prim("s64"), length: undefined }, fc.bigInt64Array({ maxLength: 5 })],
);

const types: fc.Arbitrary<Case> = fc.letrec<{ type: Case }>((tie) => ({
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
          // A payload of `undefined` (an empty option) cannot be told from none.
          return payload ? payload[1].map((val) => (val === undefined ? { tag } : { tag, val })) : fc.constant({ tag });
        });
        return [{ kind: "variant", cases }, fc.oneof(...values)];
      }),
    tie("type").map(([type, value]): Case => {
      const nested = type.kind === "option";
      const some = nested ? value.map((val) => (val === undefined ? { tag: "some" } : { tag: "some", val })) : value;
      return [{ kind: "option", type }, fc.oneof(fc.constant(nested ? { tag: "none" } : undefined), some)];
    }),
    fc.tuple(tie("type"), tie("type")).map(([[ok, okValue], [err, errValue]]): Case => {
      const wrap = (tag: string) => (val: unknown) => (val === undefined ? { tag } : { tag, val });
      return [{ kind: "result", ok, err }, fc.oneof(okValue.map(wrap("ok")), errValue.map(wrap("err")))];
    }),
    labels(20).map((names): Case => [{ kind: "enum", names }, fc.constantFrom(...names)]),
    labels(20).map((names): Case => {
      const flags = fc.record(Object.fromEntries(names.map((name) => [camel(name), fc.boolean()])));
      return [{ kind: "flags", names }, flags.map((value) => ({ ...value }))];
    }),
    tie("type")
      .filter(([type]) => type.kind !== "primitive")
      .map(
        ([type, value]): Case => [
          { kind: "list", element: type, length: undefined },
          fc.array(value, { maxLength: 4 }),
        ],
      ),
  ),
})).type;

const cases = types.chain(([type, value]) => value.map((of) => ({ type, value: of })));
const encodings = fc.constantFrom("utf8" as const, "utf16" as const, "latin1+utf16" as const);

describe("codecOf()", () => {
  test("loads from memory what it stored there, for every type", () => {
    fc.assert(
      fc.property(cases, encodings, ({ type, value }, encoding) => {
        const cx = context(encoding);
        const codec = codecOf(type);
        const pointer = cx.allocate(codec.align, codec.size);
        codec.store(cx, value, pointer);
        assert.deepEqual(codec.load(cx, pointer), value);
      }),
      { numRuns: 500 },
    );
  });

  test("lifts from core values what it lowered to them, for every type", () => {
    fc.assert(
      fc.property(cases, ({ type, value }) => {
        const cx = context();
        const codec = codecOf(type);
        const values: (number | bigint)[] = [7];
        codec.lower(cx, value, values, 1);
        assert.equal(values.length, 1 + codec.flat.length);
        for (const [i, flat] of codec.flat.entries()) assert.equal(typeof values[i + 1] === "bigint", flat === "i64");
        assert.deepEqual(codec.lift(cx, values, 1), value);
      }),
      { numRuns: 500 },
    );
  });

  test("traps on pointers, tags, characters and text that a guest got wrong", () => {
    const cx = context();
    const traps = (act: () => unknown) => assert.throws(act, WebAssembly.RuntimeError);
    traps(() => codecOf(prim("string")).lift(cx, [65_000, 10_000], 0));
    traps(() => codecOf(prim("char")).lift(cx, [0xd800], 0));
    traps(() => codecOf({ kind: "enum", names: ["a", "b"] }).lift(cx, [2], 0));
    traps(() => codecOf({ kind: "option", type: prim("u8") }).lift(cx, [2, 0], 0));
    traps(() => codecOf({ kind: "list", element: prim("u32"), length: undefined }).lift(cx, [2, 1], 0));
    cx.bytes.set([0xc3, 0x28], 100);
    traps(() => codecOf(prim("string")).lift(cx, [100, 2], 0));
  });

  test("gives handles to the host's objects and takes them back", () => {
    const cx = context();
    const stream: ResourceType = { name: "stream", home: undefined };
    const other: ResourceType = { name: "other", home: undefined };
    const object = { is: "a host object" };
    const own = codecOf({ kind: "own", resource: stream });
    const borrow = codecOf({ kind: "borrow", resource: stream });
    const values: (number | bigint)[] = [];
    own.lower(cx, object, values, 0);
    assert.equal(borrow.lift(cx, values, 0), object);
    assert.throws(() => codecOf({ kind: "own", resource: other }).lift(cx, values, 0), /is a stream, not a other/);
    assert.throws(() => own.lift(cx, values, 0), /is lent to a call/);
    giveBack(cx.handles.takeLent());
    assert.equal(own.lift(cx, values, 0), object);
    assert.throws(() => own.lift(cx, values, 0), /no open handle/);
    assert.equal(cx.handles.size, 0);
  });
});
