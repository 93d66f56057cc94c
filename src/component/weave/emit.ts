/**
 * Writes the code section anew: the author's bytes with what weaving inserts between them. No index
 * that stands in them changes, so they are copied and never translated.
 *
 * The counter is a global, signed, and used up below zero. A function that has loops without
 * metered calls in them keeps it in a local, which V8 keeps in a register: taken from the global on
 * entry and after each call, put back before each call and on each way out. Its body stands in a
 * block of its own, so that branches out of the function meet the same end. Functions that catch
 * exceptions use the global throughout, because a catch may come from anywhere.
 */

import { Writer } from "../binary-writer.ts";
import { misc, opcode } from "../opcodes.ts";
import type { FunctionHints } from "./hints.ts";
import { OffsetMapBuilder } from "./offsets.ts";
import { type Address, arrayPiece, bulkPiece, type Counter, type Piece, type Place, waitPiece } from "./pieces.ts";
import { type FunctionScan, type Scan, SITE, SMALL_BYTES, SMALL_ELEMENTS, site } from "./scan.ts";

export interface FunctionType {
  readonly params: number;
  /** Encoded value types, and how many. */
  readonly results: Uint8Array;
  readonly resultCount: number;
}

/** What the code is written for. */
export interface Surroundings {
  readonly bytes: Uint8Array;
  readonly scan: Scan;
  readonly imported: number;
  readonly typeOf: (functionIndex: number) => FunctionType;
  readonly memories: readonly Place[];
  readonly tables: readonly Place[];
  readonly counter: Counter;
  readonly hints: ReadonlyMap<number, FunctionHints>;
  /** The memory that counts entries, when they are counted. */
  readonly countsMemory: number | undefined;
  /** The index of an appended type. */
  type(encoded: Uint8Array): number;
  /** The index of an appended function, which is made when it is asked for first. */
  append(key: string, make: (self: number) => Piece): number;
  /** Of an appended function: the index of its type, and the type of its last parameter. */
  typeIndexOf(func: number): number;
  countOf(func: number): Address;
}

export interface Emitted {
  readonly code: Writer;
  readonly map: OffsetMapBuilder;
  /** Branch hints by function: pairs of offset in the body and value. */
  readonly hints: { readonly func: number; readonly pairs: readonly number[] }[];
  readonly entries: number;
  readonly loops: number;
  readonly unrolled: number;
  readonly pieces: number;
}

/** What a function costs at most to need no charge of its own, callees included. */
const FREE_UNITS = 128;
const ENTRY_UNITS = 2;
/**
 * The dearest way through is seldom taken: an interpreter's may be a hundred times what an
 * instruction of its guest costs. Above so much, an eighth is charged, which the clock makes up for.
 */
const WAY_UNITS = 64;
/** What the counter is refilled with at least. A wrapped loop that costs more would ask for ever. */
export const REFILL_UNITS_MIN = 1024;
/** A function with more arms that call is charged once, on entry, instead of in each. */
const ENTERS_MAX = 2;
/** V8's. */
const LOCALS_MAX = 50_000;
/** Of a loop: it calls what the counter must be put back for. */
const METERED = 2;
const VOID = 0x40;
const I32 = 0x7f;
const I64 = 0x7e;

export function emitCode(around: Surroundings): Emitted {
  const { bytes, scan, imported, counter, countsMemory } = around;
  const { functions, sites } = scan;
  const code = new Writer(Math.ceil(bytes.length * 1.3) + 4096);
  const map = new OffsetMapBuilder();
  const hints: { func: number; pairs: number[] }[] = [];
  const free = countsMemory === undefined ? freeFunctions(scan, imported) : new Uint8Array(functions.length);
  const isFree = (callee: number) => callee >= imported && free[callee - imported] === 1;
  let entries = 0;
  let loops = 0;
  let unrolled = 0;
  let pieces = 0;

  const getCounter = encode(0x23, counter.global);
  const setCounter = encode(0x24, counter.global);

  // The function that is written.
  let index = 0;
  let bodyAt = 0;
  let firstScratch = 0;
  let local: number[] | undefined;
  let inRegister = false;
  let pairs: number[] = [];

  function copy(from: number, to: number): void {
    if (from >= to) return;
    map.mark(code.length, from);
    code.copy(bytes, from, to);
  }

  function units(value: number): void {
    code.byte(0x41);
    code.signed(value);
    code.byte(0x6b);
  }

  /** Takes off `cost`. */
  function charge(cost: number): void {
    if (inRegister) withLocal(0x20);
    else code.put(getCounter);
    units(cost);
    if (inRegister) withLocal(0x21);
    else code.put(setCounter);
  }

  /** The same, and asks for more when the counter is used up. */
  function chargeOrRefill(cost: number): void {
    if (inRegister) {
      withLocal(0x20);
      units(cost);
      withLocal(0x22);
      refillBelowZero();
      withLocal(0x21);
      code.byte(0x0b);
    } else if (local) {
      // Asking before taking off is a load and a store with nothing waiting between them.
      code.put(getCounter);
      withLocal(0x22);
      refillBelowZero();
      withLocal(0x21);
      code.byte(0x0b);
      withLocal(0x20);
      units(cost);
      code.put(setCounter);
    } else {
      code.put(getCounter);
      refillBelowZero();
      code.put(setCounter);
      code.byte(0x0b);
      charge(cost);
    }
  }

  /**
   * A loop round the loop whose instruction is `from..to`. What asks for more stands in the outer one, so
   * that the inner has no call in it: V8 peels and unrolls such loops, and keeps more in registers.
   */
  function wrap(from: number, to: number): void {
    code.copy(bytes, from, to);
    withLocal(0x20);
    refillBelowZero();
    withLocal(0x21);
    code.byte(0x0b);
  }

  /** At the head of a wrapped loop. */
  function chargeOrRestart(cost: number): void {
    withLocal(0x20);
    units(cost);
    withLocal(0x22);
    code.put([0x41, 0, 0x48]);
    pairs.push(code.length - bodyAt, 0);
    code.put([0x0d, 1]);
  }

  /** The branch at `at` again, with the labels beyond `inner` one further out. Answers where its labels end. */
  function moveLabels(at: number, inner: number): number {
    const op = bytes[at]!;
    let from = at + 1;
    let labels = 1;
    if (op === opcode.brTable) {
      labels = unsignedAt(bytes, from) + 1;
      from = numberEnd(bytes, from);
    } else if (op === opcode.gc) from = skipPrefix(bytes, at) + 1;
    code.copy(bytes, at, from);
    for (; labels > 0; labels--) {
      const label = unsignedAt(bytes, from);
      code.unsigned(label > inner ? label + 1 : label);
      from = numberEnd(bytes, from);
    }
    return from;
  }

  function withLocal(op: number): void {
    code.byte(op);
    code.put(local!);
  }

  /** An `if` that is left open, with what the counter is set to on the stack. */
  function refillBelowZero(): void {
    code.put([0x41, 0, 0x48]);
    pairs.push(code.length - bodyAt, 0);
    code.put([0x04, VOID]);
    if (counter.profiled) {
      code.byte(0x41);
      code.signed(index);
    }
    code.byte(0x10);
    code.unsigned(counter.refill);
  }

  function putBack(): void {
    if (!inRegister) return;
    withLocal(0x20);
    code.put(setCounter);
  }

  function takeUp(): void {
    if (!inRegister) return;
    code.put(getCounter);
    withLocal(0x21);
  }

  /** One entry more of this function. */
  function count(memory: number): void {
    const at = 8 * (index - imported);
    code.put([0x41, 0, 0x41, 0]);
    for (const op of [0x29, 0x37]) {
      if (op === 0x37) code.put([0x42, 1, 0x7c]);
      code.put([op, 0x43]);
      code.unsigned(memory);
      code.unsigned(at);
    }
  }

  /** What the piece is called as that stands for the instruction at `at`. */
  function pieceFor(at: number, op: number): number {
    const prefix = op >> 8;
    const what = op & 0xff;
    const operand = skipPrefix(bytes, at);
    if (prefix === opcode.atomic) {
      const end = operandEnd(bytes, operand);
      const place = around.memories[memoryOf(bytes, operand)] ?? missing;
      const key = `${op}:${bytes.subarray(operand, end).join()}`;
      return around.append(key, (self) => waitPiece(what, bytes.subarray(operand, end), place, counter, self));
    }
    const numbers: number[] = [];
    let from = operand;
    const wanted = what === misc.memoryFill || what === misc.tableFill ? 1 : 2;
    for (let which = 0; which < wanted; which++) {
      numbers.push(unsignedAt(bytes, from));
      from = numberEnd(bytes, from);
    }
    const all = what < misc.tableInit ? around.memories : around.tables;
    const copies = what === misc.memoryCopy || what === misc.tableCopy;
    // `init` names its segment first, and then where it goes.
    const places = (wanted === 1 || copies ? numbers : numbers.slice(1)).map((number) => all[number] ?? missing);
    return around.append(`${op}:${numbers.join()}`, (self) => bulkPiece(what, numbers, places, counter, self));
  }

  /** Calls what stands for the instruction at `at`. */
  function call(func: number, at: number): void {
    putBack();
    map.mark(code.length, at);
    code.byte(0x10);
    code.unsigned(func);
    takeUp();
  }

  /** A bulk instruction: as it stands when it is small, in pieces otherwise. */
  function bulk(at: number, end: number, func: number, table: boolean): void {
    const scratch = around.countOf(func) === "i32" ? 1 : 2;
    const [small, notAbove] = scratch === 1 ? [0x41, 0x4d] : [0x42, 0x58];
    const count = encodeNumber(firstScratch + scratch);
    code.byte(0x22);
    code.put(count);
    code.byte(0x20);
    code.put(count);
    code.byte(small);
    code.signed(table ? SMALL_ELEMENTS : SMALL_BYTES);
    code.byte(notAbove);
    pairs.push(code.length - bodyAt, 1);
    code.byte(0x04);
    code.signed(around.typeIndexOf(func));
    copy(at, end);
    code.byte(opcode.else);
    call(func, at);
    code.byte(0x0b);
  }

  /** Where the body of a loop ends if it can be written several times over. */
  function unrollable(place: number, last: number): boolean {
    const end = sites[place + 2]!;
    if (!inRegister || end === 0) return false;
    for (let inner = place + SITE; inner < last && sites[inner]! < end; inner += SITE) {
      const kind = sites[inner + 1];
      if (kind !== site.none && kind !== site.exit && !(kind === site.call && isFree(sites[inner + 3]!))) return false;
    }
    return true;
  }

  function writeFunction(from: FunctionScan): void {
    const hole = code.hole();
    bodyAt = code.length;
    pairs = [];
    const type = around.typeOf(index);
    const hinted = around.hints.get(index);
    const metered = free[index - imported] === 0;
    const hasLocal = metered && from.locals + type.params < LOCALS_MAX;
    firstScratch = type.params + from.locals;
    local = hasLocal ? encodeNumber(firstScratch) : undefined;
    const entering =
      countsMemory !== undefined || from.callsAtOnce || from.enters > ENTERS_MAX || from.units > FREE_UNITS;
    const callsIn = loopsThatCall(from);
    inRegister = hasLocal && !from.catches && callsIn.some((calls) => calls < METERED);
    const wrapped = new Set<number>();

    if (hasLocal) {
      const scratch = from.hasPieces ? [1, I32, 1, I32, 1, I64] : [1, I32];
      code.unsigned(from.groups + scratch.length / 2);
      copy(from.groupsAt, from.code);
      code.put(scratch);
    } else copy(from.start, from.code);

    if (metered) {
      if (countsMemory !== undefined) count(countsMemory);
      if (inRegister) takeUp();
      if (entering) chargeOrRefill(likely(from.units) + ENTRY_UNITS);
      if (entering || from.enters > 0) entries += 1;
    }
    if (inRegister) {
      code.byte(opcode.block);
      if (type.resultCount === 0) code.byte(VOID);
      else if (type.resultCount === 1) code.put(type.results);
      else code.signed(around.type(Uint8Array.from([0x60, 0, ...encodeNumber(type.resultCount), ...type.results])));
    }

    let at = from.code;
    const until = (offset: number) => {
      if (hinted) hinted.carry(at, offset, from.start, code.length - bodyAt, pairs);
      copy(at, offset);
      at = offset;
    };
    for (let place = from.firstSite; place < from.lastSite; place += SITE) {
      const offset = sites[place]!;
      const end = sites[place + 2]!;
      const a = sites[place + 3]!;
      switch (sites[place + 1]) {
        case site.loop: {
          const loop = sites[place + 4]!;
          const cost = likely(a);
          loops += 1;
          if (!unrollable(place, from.lastSite)) {
            if (inRegister && sites[place + 6] === 1 && callsIn[loop] === 0 && cost < REFILL_UNITS_MIN / 2) {
              wrapped.add(loop);
              until(sites[place + 5]!);
              wrap(sites[place + 5]!, offset);
              until(offset);
              chargeOrRestart(cost);
            } else {
              until(offset);
              chargeOrRefill(cost);
            }
            break;
          }
          until(offset);
          unrolled += 1;
          const times = end - offset <= 40 ? 4 : 2;
          chargeOrRefill(cost * times);
          if (bytes[end] === opcode.br) {
            // `body body body br end`: a copy that goes on falls into the next.
            for (let time = 1; time < times; time++) copy(offset, end);
          } else {
            // `body if body if body br_if end end`.
            until(end);
            for (let time = 1; time < times; time++) {
              code.put([0x04, VOID]);
              copy(offset, end);
            }
            code.put([0x0d, times - 1]);
            for (let time = 1; time < times; time++) code.byte(0x0b);
            at = end + 2;
          }
          break;
        }
        case site.loopEnd:
          if (!wrapped.has(sites[place + 4]!)) break;
          until(offset);
          code.byte(opcode.end);
          break;
        case site.exit:
          if (!wrapped.has(sites[place + 4]!)) break;
          until(offset);
          map.mark(code.length, offset);
          at = moveLabels(offset, a);
          until(end);
          break;
        case site.enter:
          if (!metered || (entering && a === 0)) break;
          until(offset);
          if (entering) charge(a);
          else chargeOrRefill(a + likely(from.units) + ENTRY_UNITS);
          break;
        case site.arm:
          if (!metered) break;
          until(offset);
          charge(a);
          break;
        case site.call:
          if (!inRegister || isFree(a) || offset < at) break;
          until(offset);
          putBack();
          until(end);
          takeUp();
          break;
        case site.leave:
          if (!inRegister) break;
          until(offset);
          putBack();
          break;
        case site.piece: {
          until(offset);
          pieces += 1;
          const func = pieceFor(offset, a);
          if (hasLocal && a >> 8 === opcode.misc) bulk(offset, end, func, (a & 0xff) >= misc.tableInit);
          else call(func, offset);
          at = end;
          break;
        }
        case site.array:
          until(offset);
          pieces += 1;
          call(
            around.append("array", (self) => arrayPiece(counter, self)),
            offset,
          );
          break;
      }
    }
    until(from.end);
    if (inRegister) {
      putBack();
      code.byte(0x0b);
    }
    code.patch(hole);
    if (pairs.length > 0) hints.push({ func: index, pairs });
  }

  /** Of each loop, what is called in it directly: nothing, a piece for what is large, or what is metered. */
  function loopsThatCall(from: FunctionScan): Uint8Array {
    const calls = new Uint8Array(from.loops);
    if (from.loops === 0) return calls;
    for (let place = from.firstSite; place < from.lastSite; place += SITE) {
      const kind = sites[place + 1];
      const loop = sites[place + 4]!;
      if (kind === site.array || (kind === site.call && !isFree(sites[place + 3]!))) calls[loop] = METERED;
      else if (kind === site.piece && calls[loop] === 0) calls[loop] = METERED - 1;
    }
    return calls;
  }

  for (const [which, from] of functions.entries()) {
    index = imported + which;
    writeFunction(from);
  }
  return { code, map, hints, entries, loops, unrolled, pieces };
}

function likely(units: number): number {
  return units <= WAY_UNITS ? units : WAY_UNITS + ((units - WAY_UNITS) >> 3);
}

/** Stands for a memory or table that the module does not have; V8 refuses it. */
const missing: Place = { address: "i32", element: Uint8Array.of(0x70) };

/**
 * Functions whose whole cost is small and known: no loop, and none but direct calls of such
 * functions. They are left as they are, and their callers pay for them.
 */
function freeFunctions({ functions, sites }: Scan, imported: number): Uint8Array {
  const UNKNOWN = 0;
  const OPEN = 1;
  const state = new Uint8Array(functions.length);
  const totals = new Float64Array(functions.length).fill(Number.POSITIVE_INFINITY);
  // A call weighs enough that nothing free is nested deeper.
  const deepest = FREE_UNITS / 16;

  function total(which: number, depth: number): number {
    if (state[which] === OPEN) return Number.POSITIVE_INFINITY;
    if (state[which] !== UNKNOWN) return totals[which]!;
    const from = functions[which]!;
    let sum = from.simple ? from.units : Number.POSITIVE_INFINITY;
    state[which] = OPEN;
    for (let place = from.firstSite; place < from.lastSite && sum <= FREE_UNITS; place += SITE) {
      if (sites[place + 1] !== site.call) continue;
      const callee = sites[place + 3]! - imported;
      sum +=
        callee < 0 || callee >= functions.length || depth === deepest
          ? Number.POSITIVE_INFINITY
          : total(callee, depth + 1);
    }
    state[which] = OPEN + 1;
    totals[which] = sum;
    return sum;
  }

  return Uint8Array.from(functions, (_, which) => (total(which, 0) <= FREE_UNITS ? 1 : 0));
}

function encodeNumber(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push(rest > 127 ? (rest & 0x7f) | 0x80 : rest);
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}

function encode(op: number, value: number): number[] {
  return [op, ...encodeNumber(value)];
}

function numberEnd(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at++]! >= 0x80);
  return at;
}

function unsignedAt(bytes: Uint8Array, from: number): number {
  let value = 0;
  let at = from;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++]!;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value >>> 0;
}

/** Past the prefix and the opcode behind it. */
function skipPrefix(bytes: Uint8Array, at: number): number {
  return numberEnd(bytes, at + 1);
}

function memoryOf(bytes: Uint8Array, operand: number): number {
  return unsignedAt(bytes, operand) & 0x40 ? unsignedAt(bytes, numberEnd(bytes, operand)) : 0;
}

function operandEnd(bytes: Uint8Array, operand: number): number {
  const after = numberEnd(bytes, operand);
  return numberEnd(bytes, unsignedAt(bytes, operand) & 0x40 ? numberEnd(bytes, after) : after);
}
