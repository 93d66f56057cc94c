/**
 * Walks the instructions of a core function: what stands where, without knowing what it means.
 *
 * Always true: an instruction that is not known here ends the walk with `undefined`, and so does code
 * that does not end where its size says. Nothing is skipped on a guess.
 */
import type { BinaryReader } from "./binary.ts";

/** Of the prefixed families, the prefix stands above 16 bits: `0xfc000e` is table.copy. */
export type Opcode = number;

/** Calls `each` for every instruction of a body (locals and code) that `reader` stands before. */
export function walkBody(reader: BinaryReader, each: (opcode: Opcode) => void): true | undefined {
  for (let groups = reader.u32(); groups > 0; groups--) {
    reader.u32();
    skipValueType(reader);
  }
  let opcode = 0;
  while (!reader.done) {
    opcode = readOpcode(reader);
    if (!skipOperands(reader, opcode)) return undefined;
    each(opcode);
  }
  return opcode === END ? true : undefined;
}

/** Past a constant expression; `undefined` where it holds something unknown. */
export function skipConstant(reader: BinaryReader): true | undefined {
  for (;;) {
    const opcode = readOpcode(reader);
    if (opcode === END) return true;
    if (!skipOperands(reader, opcode)) return undefined;
  }
}

function readOpcode(reader: BinaryReader): Opcode {
  const opcode = reader.byte();
  // What is longer than 16 bits is no known one of any family.
  return opcode < 0xfb ? opcode : opcode * 0x10000 + Math.min(reader.u32(), 0xffff);
}

const END = 0x0b;

export function skipValueType(reader: BinaryReader): void {
  const type = reader.byte();
  // (ref null? heap)
  if (type === 0x63 || type === 0x64) skipLeb(reader);
}

function skipOperands(reader: BinaryReader, opcode: Opcode): boolean {
  const number = () => skipLeb(reader);
  if (opcode >= 0x28 && opcode <= 0x3e) return memoryOperand(reader);
  if (opcode >= 0x45 && opcode <= 0xc4) return true;
  if (opcode >= 0xfd0000) return vectorOperands(reader, opcode - 0xfd0000);
  switch (opcode) {
    case 0x00: // unreachable
    case 0x01: // nop
    case 0x05: // else
    case 0x0a: // throw_ref
    case END:
    case 0x0f: // return
    case 0x19: // catch_all
    case 0x1a: // drop
    case 0x1b: // select
    case 0xd1: // ref.is_null
    case 0xd3: // ref.eq
    case 0xd4: // ref.as_non_null
      return true;
    case 0x02: // block
    case 0x03: // loop
    case 0x04: // if
    case 0x06: // try
    case 0x07: // catch
    case 0x08: // throw
    case 0x09: // rethrow
    case 0x0c: // br
    case 0x0d: // br_if
    case 0x10: // call
    case 0x12: // return_call
    case 0x14: // call_ref
    case 0x15: // return_call_ref
    case 0x18: // delegate
    case 0x20: // local.get
    case 0x21: // local.set
    case 0x22: // local.tee
    case 0x23: // global.get
    case 0x24: // global.set
    case 0x25: // table.get
    case 0x26: // table.set
    case 0x3f: // memory.size
    case 0x40: // memory.grow
    case 0x41: // i32.const
    case 0x42: // i64.const
    case 0xd0: // ref.null
    case 0xd2: // ref.func
    case 0xd5: // br_on_null
    case 0xd6: // br_on_non_null
      number();
      return true;
    case 0x0e: // br_table
      for (let labels = reader.u32(); labels >= 0; labels--) number();
      return true;
    case 0x11: // call_indirect
    case 0x13: // return_call_indirect
      number();
      number();
      return true;
    case 0x1c: // select with types
      for (let types = reader.u32(); types > 0; types--) skipValueType(reader);
      return true;
    case 0x1f: // try_table
      number();
      for (let clauses = reader.u32(); clauses > 0; clauses--) {
        const kind = reader.byte();
        if (kind > 3) return false;
        if (kind < 2) number();
        number();
      }
      return true;
    case 0x43: // f32.const
      reader.take(4);
      return true;
    case 0x44: // f64.const
      reader.take(8);
      return true;
    default:
      return bulkOperands(reader, opcode - 0xfc0000);
  }
}

/** Saturating conversions, and bulk operations on memories and tables. */
function bulkOperands(reader: BinaryReader, opcode: number): boolean {
  if (opcode < 0 || opcode > 17) return false;
  if (opcode < 8) return true;
  skipLeb(reader);
  // memory.init, memory.copy, table.init and table.copy have two.
  if (opcode === 8 || opcode === 10 || opcode === 12 || opcode === 14) skipLeb(reader);
  return true;
}

function vectorOperands(reader: BinaryReader, opcode: number): boolean {
  if (opcode > 0x113) return false;
  if (opcode < 12 || opcode === 92 || opcode === 93) return memoryOperand(reader);
  // v128.const and i8x16.shuffle
  if (opcode < 14) reader.take(16);
  // lanes
  else if (opcode > 20 && opcode < 35) reader.byte();
  else if (opcode > 83 && opcode < 92) return memoryOperand(reader) && reader.byte() >= 0;
  return true;
}

function memoryOperand(reader: BinaryReader): boolean {
  const align = reader.u32();
  if (align >= 64) skipLeb(reader);
  skipLeb(reader);
  return true;
}

function skipLeb(reader: BinaryReader): void {
  while (reader.byte() >= 0x80);
}
