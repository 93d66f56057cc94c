import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import fc from "fast-check";
import { BinaryReader } from "./binary.ts";
import { walkBody } from "./core-code.ts";

/** Instructions of every shape of operand, one a line, with their opcodes. */
const shapes: readonly (readonly [text: string, opcode: number])[] = [
  ["nop", 0x01],
  ["(block (result i32 i32) i32.const 1 i32.const 2) drop drop", 0x02],
  ["(loop $l (br_if $l (i32.const 0)))", 0x03],
  ["(if (i32.const 1) (then nop) (else nop))", 0x05],
  ["(block (block (br_table 0 1 0 1 1 (i32.const 3))))", 0x0e],
  ["(drop (call $f (i32.const -2147483648)))", 0x10],
  ["(drop (call_indirect (type $t) (i32.const 11) (i32.const 0)))", 0x11],
  ["(drop (select (i32.const 1) (i32.const 2) (i32.const 3)))", 0x1b],
  ["(drop (select (result funcref) (ref.null func) (ref.func $f) (i32.const 3)))", 0x1c],
  ["(local.set 200 (i64.const -9223372036854775808))", 0x21],
  ["(global.set $g (f32.const nan:0x400000))", 0x24],
  ["(drop (table.get $table (i32.const 0)))", 0x25],
  ["(table.set $table (i32.const 0) (ref.null func))", 0x26],
  ["(drop (i32.load offset=4294967295 align=1 (i32.const 0)))", 0x28],
  ["(i64.store32 offset=11 (i32.const 0) (i64.const 11))", 0x3e],
  ["(drop (memory.grow (i32.const 0)))", 0x40],
  ["(drop (f64.const 0x1.0b0b0bp+11))", 0x44],
  ["(drop (i64.extend32_s (i64.const 1)))", 0xc4],
  ["(drop (ref.is_null (ref.null extern)))", 0xd1],
  ["(drop (i64.trunc_sat_f64_u (f64.const 1)))", 0xfc0007],
  ["(memory.init $passive (i32.const 0) (i32.const 0) (i32.const 0))", 0xfc0008],
  ["(data.drop $passive)", 0xfc0009],
  ["(memory.copy (i32.const 0) (i32.const 0) (i32.const 11))", 0xfc000a],
  ["(memory.fill (i32.const 0) (i32.const 0) (i32.const 11))", 0xfc000b],
  ["(table.init $table $elem (i32.const 0) (i32.const 0) (i32.const 0))", 0xfc000c],
  ["(elem.drop $elem)", 0xfc000d],
  ["(table.copy $table $table (i32.const 0) (i32.const 0) (i32.const 0))", 0xfc000e],
  ["(drop (table.grow $table (ref.null func) (i32.const 1)))", 0xfc000f],
  ["(drop (table.size $table))", 0xfc0010],
  ["(table.fill $table (i32.const 0) (ref.null func) (i32.const 0))", 0xfc0011],
  ["(drop (v128.load8x8_s offset=300 (i32.const 0)))", 0xfd0001],
  ["(drop (v128.const i8x16 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11))", 0xfd000c],
  [
    "(drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i64x2 0 0) (v128.const i64x2 0 0)))",
    0xfd000d,
  ],
  ["(drop (i8x16.splat (i32.const 11)))", 0xfd000f],
  ["(drop (i16x8.extract_lane_s 7 (v128.const i64x2 0 0)))", 0xfd0018],
  ["(drop (v128.load16_lane offset=11 3 (i32.const 0) (v128.const i64x2 0 0)))", 0xfd0055],
  ["(drop (v128.load64_zero (i32.const 0)))", 0xfd005d],
  ["(drop (f64x2.sqrt (v128.const i64x2 0 0)))", 0xfd00ef],
  ["(return (return_call $f (i32.const 1)))", 0x12],
];

async function bodyOf(instructions: readonly string[]): Promise<BinaryReader> {
  const component = await parse(`(component (core module
    (type $t (func (param i32) (result i32)))
    (table $table 1 funcref) (memory 1) (global $g (mut f32) (f32.const 0))
    (elem $elem funcref (ref.func $f)) (data $passive "x")
    (func $f (type $t) (local ${"i32 ".repeat(199)}i64) ${instructions.join("\n")} (i32.const 0))))`);
  const start = Buffer.from(component).indexOf(Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
  const module = new BinaryReader(component, start + 8);
  for (;;) {
    const id = module.byte();
    const section = module.section(module.u32());
    if (id !== 10) continue;
    section.u32();
    return section.section(section.u32());
  }
}

test("walkBody() finds every instruction, whatever stands between", async () => {
  const picks = fc.array(fc.constantFrom(...shapes), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(picks, async (picked) => {
      const seen: number[] = [];
      assert.equal(
        walkBody(await bodyOf(picked.map(([text]) => text)), (opcode) => seen.push(opcode)),
        true,
      );
      for (const [text, opcode] of picked) assert.ok(seen.includes(opcode), text);
      assert.equal(seen.at(-1), 0x0b);
      const altering = (opcodes: readonly number[]) =>
        opcodes.filter((opcode) => opcode === 0x26 || opcode === 0xfc000d);
      assert.equal(altering(seen).length, altering(picked.map(([, opcode]) => opcode)).length);
    }),
    { numRuns: 100 },
  );
  for (const [text, opcode] of shapes) {
    const seen: number[] = [];
    assert.equal(
      walkBody(await bodyOf([text]), (one) => seen.push(one)),
      true,
      text,
    );
    assert.ok(seen.includes(opcode), text);
  }
});

test("walkBody() gives up where it does not know an instruction, or the end is none", () => {
  for (const code of [[0xfb, 0x00, 0x0b], [0xfe, 0x03, 0x00, 0x0b], [0x16, 0x0b], [0x01]]) {
    assert.equal(
      walkBody(new BinaryReader(Uint8Array.from([0, ...code])), () => {}),
      undefined,
    );
  }
});
