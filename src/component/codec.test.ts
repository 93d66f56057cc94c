import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { allTypes, type Encoding, encodings, listOf, prim } from "../../test/values.ts";
import { CytoError } from "../kernel/index.ts";
import { Carrier } from "./async/carry.ts";
import { Store } from "./async/store.ts";
import { CanonContext } from "./canon-context.ts";
import { codecOf } from "./codec.ts";
import { giveBack, HandleTable } from "./handles.ts";
import type { ResourceType, ValueType } from "./types.ts";

/** A guest that is nothing but memory and an allocator. */
function context(encoding: Encoding = "utf8"): CanonContext {
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

const cases = allTypes.chain(([type, value]) => value.map((of) => ({ type, value: of })));

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
        fc.pre(codec.flat.length <= 16);
        const values: (number | bigint)[] = [7];
        codec.lower(cx, value, values, 1);
        assert.equal(values.length, 1 + codec.flat.length);
        for (const [i, flat] of codec.flat.entries()) assert.equal(typeof values[i + 1] === "bigint", flat === "i64");
        assert.deepEqual(codec.lift(cx, values, 1), value);
      }),
      { numRuns: 500 },
    );
  });

  const traps = (act: () => unknown, message: RegExp) =>
    assert.throws(act, (error) => error instanceof WebAssembly.RuntimeError && message.test(error.message));

  test("traps on discriminants and characters that are none, in memory and as core values", () => {
    const cx = context();
    const cases: readonly [type: ValueType, code: number][] = [
      [{ kind: "enum", names: ["a", "b"] }, 2],
      [{ kind: "variant", cases: [{ name: "a", type: undefined }] }, 1],
      [{ kind: "option", type: prim("u8") }, 2],
      [{ kind: "result", ok: undefined, err: undefined }, 255],
      [prim("char"), 0xd800],
      [prim("char"), 0xdfff],
      [prim("char"), 0x110000],
      [prim("char"), -1],
    ];
    for (const [type, code] of cases) {
      cx.view.setInt32(64, code, true);
      traps(() => codecOf(type).load(cx, 64), /none of the|no Unicode scalar value/);
      traps(() => codecOf(type).lift(cx, [code, 0], 0), /none of the|no Unicode scalar value/);
    }
    const wide: ValueType = { kind: "enum", names: Array.from({ length: 257 }, (_, i) => `n${i}`) };
    cx.view.setUint16(64, 256, true);
    assert.equal(codecOf(wide).load(cx, 64), "n256");
    cx.view.setUint16(64, 257, true);
    traps(() => codecOf(wide).load(cx, 64), /none of the 257 cases/);
  });

  test("traps on lists and strings that are misaligned, outside of memory, or too long to be", () => {
    const cx = context();
    const lift = (type: ValueType, pointer: number, length: number) => () =>
      codecOf(type).lift(cx, [pointer, length], 0);
    const pair: ValueType = { kind: "tuple", types: [prim("u32"), prim("string")] };
    for (const type of [listOf(prim("u32")), listOf(pair), listOf(prim("char"))])
      traps(lift(type, 2, 1), /not aligned/);
    for (const type of [listOf(prim("u8")), listOf(prim("u64")), listOf(pair), prim("string")]) {
      traps(lift(type, 65_536, 1), /outside of memory/);
      traps(lift(type, 0, 65_537), /outside of memory/);
      traps(lift(type, -8, 1), /outside of memory/);
      traps(lift(type, 8, -1), /longer than/);
      traps(lift(type, 0, 2 ** 28), /longer than/);
    }
    traps(lift(listOf(prim("u64")), 0, 2 ** 31), /longer than/);
    assert.equal((lift(prim("string"), 65_536, 0)() as string).length, 0);
  });

  test("traps on text that is not of its encoding", () => {
    const bad: readonly [Encoding, number[], length: number][] = [
      ["utf8", [0xc3, 0x28], 2],
      ["utf8", [0xc0, 0x80], 2],
      ["utf8", [0xed, 0xa0, 0x80], 3],
      ["utf8", [0xf4, 0x90, 0x80, 0x80], 4],
      ["utf8", [0x61, 0xe2, 0x82], 3],
      ["utf8", [...new Array<number>(40).fill(0x61), 0xff], 41],
      ["utf16", [0x00, 0xd8], 1],
      ["utf16", [0x00, 0xdc, 0x00, 0xd8], 2],
      ["latin1+utf16", [0x00, 0xd8], 0x80000001],
    ];
    for (const [encoding, bytes, length] of bad) {
      const cx = context(encoding);
      cx.bytes.set(bytes, 100);
      traps(() => codecOf(prim("string")).lift(cx, [100, length], 0), /not valid UTF-8|not well-formed UTF-16/);
    }
    const cx = context();
    cx.bytes.write("\ufffd", 100);
    assert.equal(codecOf(prim("string")).lift(cx, [100, 3], 0), "\ufffd");
    for (const encoding of ["utf16", "latin1+utf16"] as const) {
      traps(() => codecOf(prim("string")).lift(context(encoding), [101, 1], 0), /not aligned to 2/);
    }
    traps(() => codecOf(prim("string")).lift(context("latin1+utf16"), [65_534, 0x80000002], 0), /outside of memory/);
    assert.equal(codecOf(prim("string")).lift(context("latin1+utf16"), [65_534, 2], 0), "\0\0");
  });

  test("takes what a lone surrogate stands for where a host passes one", () => {
    for (const encoding of ["utf8", "utf16", "latin1+utf16"] as const) {
      for (const text of ["a\ud800", `${"long ".repeat(9)}\udc00`]) {
        const cx = context(encoding);
        const values: (number | bigint)[] = [];
        codecOf(prim("string")).lower(cx, text, values, 0);
        assert.equal(codecOf(prim("string")).lift(cx, values, 0), text.toWellFormed());
      }
    }
  });

  test("keeps a guest's names from meaning anything to JavaScript", () => {
    const names = [
      "__proto__",
      "constructor",
      "class",
      "cx",
      "x",
      '"]; throw 1; //',
      "`;throw 1;`",
      "\\",
      "\u2028\n*/",
      "'",
    ];
    const fields = names.map((name) => ({ name, type: prim("u8") }));
    const types: ValueType[] = [
      { kind: "record", fields },
      { kind: "flags", names },
      { kind: "enum", names },
      { kind: "variant", cases: fields },
    ];
    const record = JSON.parse(`{${names.map((name, i) => `${JSON.stringify(name)}:${i}`).join()}}`) as object;
    const flags = JSON.parse(`{${names.map((name, i) => `${JSON.stringify(name)}:${i % 2 === 0}`).join()}}`) as object;
    const values: unknown[][] = [[record], [flags], names, names.map((tag, val) => ({ tag, val }))];
    for (const [i, type] of types.entries()) {
      for (const value of values[i]!) {
        const cx = context();
        const codec = codecOf(type);
        const pointer = cx.allocate(codec.align, codec.size);
        codec.store(cx, value, pointer);
        assert.deepEqual(codec.load(cx, pointer), value);
        const core: (number | bigint)[] = [];
        codec.lower(cx, value, core, 0);
        assert.deepEqual(codec.lift(cx, core, 0), value);
      }
    }
    assert.equal(Object.getPrototypeOf(codecOf(types[0]!).load(context(), 64)), Object.prototype);
  });

  test("refuses types that are too deep, too large, or of more flags than 32", () => {
    const refused = (type: ValueType, message: RegExp) =>
      assert.throws(
        () => codecOf(type),
        (error) => error instanceof CytoError && error.code === "invalid-component" && message.test(error.message),
      );
    let deep = prim("u8");
    for (let i = 0; i < 100_000; i++) deep = { kind: "option", type: deep };
    refused(deep, /nested more than 100 deep/);
    let large = prim("u8");
    for (let i = 0; i < 60; i++) large = { kind: "tuple", types: [large, large] };
    refused(large, /more than 268435455 bytes/);
    refused(listOf(prim("u8"), 2 ** 32 - 1), /more than 268435455 bytes/);
    refused({ kind: "flags", names: Array.from({ length: 33 }, (_, i) => `f${i}`) }, /more than 32 flags/);
    let known = prim("u8");
    for (let i = 0; i < 150; i++) {
      known = { kind: "option", type: known };
      if (i < 90) codecOf(known);
    }
    refused(known, /nested more than 100 deep/);
  });

  test("refuses a memory that other threads share", () => {
    const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true } as never);
    traps(() => context().bind(shared, undefined), /shared memory/);
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
