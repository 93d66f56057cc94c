/**
 * Walks the instructions of a core function or of a constant: what stands where, without knowing what it
 * means. The tables of `opcodes.ts` say what follows each.
 *
 * Always true: an instruction that is not known ends the walk, and so does code that does not end where
 * its size says. Nothing is skipped on a guess.
 */
import { BinaryReader } from "./binary.ts";
import { coreSections, sectionId } from "./core-section.ts";
import { form, forms, gcForms, miscForms, opcode as op, simdForm } from "./opcodes.ts";

/** Of the prefixed families, the prefix stands above 16 bits: `0xfc000e` is table.copy. */
export type Opcode = number;

/**
 * Calls `each` for every instruction of a body (locals and code) that `reader` stands before. Answers
 * `undefined` where one is not known, or works on objects that V8 collects or on shared memory.
 */
export function walkBody(reader: BinaryReader, each: (opcode: Opcode) => void): true | undefined {
  for (let groups = reader.u32(); groups > 0; groups--) {
    reader.u32();
    skipValueType(reader);
  }
  let opcode = 0;
  while (!reader.done) {
    opcode = readOpcode(reader);
    const family = opcode >>> 16;
    if (family === op.gc || family === op.atomic || !skipOperands(reader, opcode)) return undefined;
    each(opcode);
  }
  return opcode === op.end ? true : undefined;
}

/**
 * Whether the module's code may catch what is thrown through it, which is also how JavaScript ends a guest.
 * A module that cannot be read whole may.
 */
export function mayCatch(module: Uint8Array): boolean {
  for (const { id, content } of coreSections(new BinaryReader(module, 8))) {
    if (id !== sectionId.code) continue;
    for (let bodies = content.u32(); bodies > 0; bodies--) {
      let catches = false;
      const known = walkBody(content.section(content.u32()), (opcode) => {
        catches ||= opcode === op.try || opcode === op.tryTable;
      });
      if (catches || !known) return true;
    }
  }
  return false;
}

/** The instructions that may stand in a constant expression. */
const constants: ReadonlySet<Opcode> = new Set([
  0x23, // global.get
  0x41, // i32.const
  0x42, // i64.const
  0x43, // f32.const
  0x44, // f64.const
  ...[0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e], // add, sub and mul of i32 and i64
  0xd0, // ref.null
  0xd2, // ref.func
  ...[0xfb0000, 0xfb0001], // struct.new, struct.new_default
  ...[0xfb0006, 0xfb0007, 0xfb0008], // array.new, array.new_default, array.new_fixed
  ...[0xfb001a, 0xfb001b, 0xfb001c], // any.convert_extern, extern.convert_any, ref.i31
  0xfd000c, // v128.const
]);

/** Past a constant expression, its end included. Throws where it holds something else. */
export function skipConstant(reader: BinaryReader): void {
  for (;;) {
    const at = reader.offset;
    const opcode = readOpcode(reader);
    if (opcode === op.end) return;
    if (!constants.has(opcode)) reader.fail(`0x${opcode.toString(16)} is no constant instruction`, at);
    skipOperands(reader, opcode);
  }
}

function readOpcode(reader: BinaryReader): Opcode {
  const opcode = reader.byte();
  // What is longer than 16 bits is no known one of any family.
  return opcode < op.gc ? opcode : opcode * 0x10000 + Math.min(reader.u32(), 0xffff);
}

function skipValueType(reader: BinaryReader): void {
  const type = reader.byte();
  // (ref null? heap)
  if (type === 0x63 || type === 0x64) skipLeb(reader);
}

function skipBlockType(reader: BinaryReader): void {
  const type = reader.bytes[reader.offset]!;
  if (type === 0x63 || type === 0x64) skipValueType(reader);
  else skipLeb(reader);
}

/** Whether it is known. */
function skipOperands(reader: BinaryReader, opcode: Opcode): boolean {
  if (opcode > 0xff) return skipPrefixed(reader, opcode >>> 16, opcode & 0xffff);
  switch (forms[opcode]) {
    case form.none:
      return true;
    case form.leb:
    case form.constI32:
      return skipLeb(reader);
    case form.memory:
      return skipMemory(reader);
    case form.four:
      reader.take(4);
      return true;
    case form.eight:
      reader.take(8);
      return true;
    case form.block:
      skipBlockType(reader);
      return true;
    case form.control:
      return skipControl(reader, opcode);
    default:
      return false;
  }
}

function skipControl(reader: BinaryReader, opcode: Opcode): boolean {
  switch (opcode) {
    case op.unreachable:
    case op.else:
    case op.throwRef:
    case op.end:
    case op.return:
    case op.catchAll:
      return true;
    case op.brTable:
      for (let labels = reader.u32(); labels >= 0; labels--) skipLeb(reader);
      return true;
    case op.callIndirect:
    case op.returnCallIndirect:
      return skipLeb(reader) && skipLeb(reader);
    case op.selectTyped:
      for (let types = reader.u32(); types > 0; types--) skipValueType(reader);
      return true;
    case op.tryTable:
      skipBlockType(reader);
      for (let clauses = reader.u32(); clauses > 0; clauses--) {
        const kind = reader.byte();
        if (kind > 3) return false;
        if (kind < 2) skipLeb(reader);
        skipLeb(reader);
      }
      return true;
    default:
      return skipLeb(reader);
  }
}

function skipPrefixed(reader: BinaryReader, prefix: number, code: number): boolean {
  if (prefix === op.misc) {
    const numbers = miscForms[code];
    for (let left = numbers ?? 0; left > 0; left--) skipLeb(reader);
    return numbers !== undefined;
  }
  if (prefix === op.simd) {
    const shape = simdForm(code);
    if (shape?.memory) skipMemory(reader);
    reader.take(shape?.bytes ?? 0);
    return shape !== undefined;
  }
  const shape = prefix === op.gc ? gcForms[code] : undefined;
  if (shape === "leb" || shape === "lebs") skipLeb(reader);
  if (shape === "lebs") skipLeb(reader);
  return shape !== undefined && shape !== "branch";
}

function skipMemory(reader: BinaryReader): true {
  const align = reader.u32();
  if (align & 0x40) skipLeb(reader);
  return skipLeb(reader);
}

function skipLeb(reader: BinaryReader): true {
  while (reader.byte() >= 0x80);
  return true;
}
