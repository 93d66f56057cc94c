/**
 * Functions that a woven module calls in place of instructions which may hold the thread for long:
 * bulk instructions are done a piece at a time, each charged, and a wait for another thread is done a
 * millisecond at a time. What they write and when they trap is the same: the whole range is tried,
 * with nothing written, before the first piece.
 */

import { Writer } from "../binary-writer.ts";
import { misc, opcode } from "../opcodes.ts";

/** The type of an address: that of a memory or a table. */
export type Address = "i32" | "i64";

export interface Place {
  readonly address: Address;
  /** Of a table: the encoded type of its elements. */
  readonly element: Uint8Array | undefined;
}

/** A function to be appended: its encoded type, and its body (locals and code, without size). */
export interface Piece {
  readonly name: string;
  readonly type: Uint8Array;
  /** The type of its last parameter, which says how much is to be done. */
  readonly count: Address;
  readonly body: Uint8Array;
}

/** How the counter is reached. */
export interface Counter {
  readonly global: number;
  /** The function that is called when it is used up. Its parameter, in a profile, is the function that asks. */
  readonly refill: number;
  readonly profiled: boolean;
}

const PIECE_BYTES = 65_536;
const PIECE_ELEMENTS = 1024;
const WAIT_NS = 1_000_000;
/** More than is ever given at a time, so that the clock is looked at after every wait. */
const WAIT_UNITS = 1 << 23;
/** The longest array that is made, filled or copied by one instruction. */
export const ARRAY_ELEMENTS_MAX = 1 << 20;

const I32 = 0x7f;
const I64 = 0x7e;
const valueType = (address: Address) => (address === "i32" ? I32 : I64);

/** `memory.fill`, `memory.copy`, `memory.init` and those of tables. `name` says where it acts, `places` with which types. */
export function bulkPiece(
  code: number,
  immediates: readonly number[],
  places: readonly Place[],
  counter: Counter,
  self: number,
): Piece {
  const [to, from] = [places[0]!, places[1]];
  const table = to.element !== undefined;
  const w = new Writer(256);
  const pieceSize = table ? PIECE_ELEMENTS : PIECE_BYTES;
  // An element of a table is written in several places, each of which the collector is told of.
  const shift = table ? { opcode: 0x74, by: 4 } : { opcode: 0x76, by: 2 };

  const init = code === misc.memoryInit || code === misc.tableInit;
  const fill = code === misc.memoryFill || code === misc.tableFill;
  const target = to.address;
  const source: Address = from ? from.address : "i32";
  const count: Address = init || (from && source === "i32") ? "i32" : target;
  const secondType = fill ? (table ? to.element! : [I32]) : [valueType(source)];
  const [d, s, n, left] = [0, 1, 2, 3];

  const get = (local: number) => w.put([0x20, local]);
  const set = (local: number) => w.put([0x21, local]);
  const constant = (type: Address, value: number) => {
    w.byte(type === "i32" ? 0x41 : 0x42);
    w.signed(value);
  };
  const arithmetic = (type: Address, i32: number, i64: number) => w.byte(type === "i32" ? i32 : i64);
  const add = (type: Address) => arithmetic(type, 0x6a, 0x7c);
  const widen = (to: Address, from: Address) => {
    if (to === "i64" && from === "i32") w.byte(0xad);
  };
  const bulk = () => {
    w.put([opcode.misc]);
    w.unsigned(code);
    for (const immediate of immediates) w.unsigned(immediate);
  };
  /** The operand at `local` past the range. */
  const past = (local: number, type: Address) => {
    get(local);
    get(n);
    widen(type, count);
    add(type);
  };
  const moveOn = (local: number, type: Address, by: number) => {
    get(local);
    constant(type, by);
    add(type);
    set(local);
  };
  const charge = (units: () => void) => chargeTo(w, counter, left, self, units);
  const longer = () => {
    get(n);
    constant(count, pieceSize);
    arithmetic(count, 0x4b, 0x56);
  };
  const overflows = (local: number, type: Address) => {
    past(local, type);
    get(local);
    arithmetic(type, 0x49, 0x54);
  };

  w.put([1, 1, I32]);
  longer();
  w.put([0x04, 0x40]);
  // The sum may run over: then the instruction as it stands is out of bounds for certain.
  overflows(d, target);
  if (!fill) {
    overflows(s, source);
    w.byte(0x72);
  }
  w.put([0x04, 0x40]);
  get(d);
  get(s);
  get(n);
  bulk();
  w.byte(0x0b);
  past(d, target);
  if (fill) get(s);
  else past(s, source);
  constant(count, 0);
  bulk();
  const downwards = !fill && !init && immediates[0] === immediates[1];
  if (downwards) {
    get(d);
    get(s);
    arithmetic(target, 0x4b, 0x56);
    w.put([0x04, 0x40, 0x03, 0x40]);
    // From the end: what is still to be read lies below what is written.
    moveOn(n, count, -pieceSize);
    past(d, target);
    past(s, source);
    constant(count, pieceSize);
    bulk();
    charge(() => constant("i32", table ? pieceSize << shift.by : pieceSize >> shift.by));
    longer();
    w.put([0x0d, 0, 0x0b, 0x05]);
  }
  w.put([0x03, 0x40]);
  get(d);
  get(s);
  constant(count, pieceSize);
  bulk();
  moveOn(d, target, pieceSize);
  if (!fill) moveOn(s, source, pieceSize);
  moveOn(n, count, -pieceSize);
  charge(() => constant("i32", table ? pieceSize << shift.by : pieceSize >> shift.by));
  longer();
  w.put([0x0d, 0, 0x0b]);
  if (downwards) w.byte(0x0b);
  w.byte(0x0b);
  get(d);
  get(s);
  get(n);
  bulk();
  charge(() => {
    get(n);
    if (count === "i64") w.byte(0xa7);
    constant("i32", shift.by);
    w.byte(shift.opcode);
  });
  w.byte(0x0b);
  return {
    name: `cytoplane.${pieceNames[code]}`,
    type: Uint8Array.from([0x60, 3, valueType(target), ...secondType, valueType(count), 0]),
    count,
    body: w.finish(),
  };
}

const pieceNames: Readonly<Record<number, string>> = {
  [misc.memoryInit]: "memory.init",
  [misc.memoryCopy]: "memory.copy",
  [misc.memoryFill]: "memory.fill",
  [misc.tableInit]: "table.init",
  [misc.tableCopy]: "table.copy",
  [misc.tableFill]: "table.fill",
};

/** `memory.atomic.wait32` or `64`. `operand` is its encoded memory operand. */
export function waitPiece(code: number, operand: Uint8Array, place: Place, counter: Counter, self: number): Piece {
  const wide = code === 2;
  const w = new Writer(128);
  const [address, expected, timeout, piece, result, waited] = [0, 1, 2, 3, 4, 5];
  w.put([2, 1, I64, 2, I32]);
  w.put([0x03, 0x40, 0x20, timeout, 0x42]);
  w.signed(WAIT_NS);
  // An endless time-out is negative, and as an unsigned number the largest.
  w.put([0x20, timeout, 0x42]);
  w.signed(WAIT_NS);
  w.put([0x54, 0x1b, 0x21, piece]);
  w.put([0x20, address, 0x20, expected, 0x20, piece, opcode.atomic, code]);
  w.put(operand);
  w.put([0x22, result, 0x41, 2, 0x47, 0x04, 0x40]);
  // A value that has changed since the first look would have woken the guest: 0, not 1.
  w.put([0x41, 0, 0x20, result, 0x20, waited, 0x1b, 0x0f, 0x0b]);
  w.put([0x20, timeout, 0x42, 0, 0x59, 0x04, 0x40]);
  w.put([0x20, timeout, 0x20, piece, 0x7d, 0x22, timeout, 0x50, 0x04, 0x40, 0x41, 2, 0x0f, 0x0b, 0x0b]);
  chargeTo(w, counter, result, self, () => {
    w.byte(0x41);
    w.signed(WAIT_UNITS);
  });
  w.put([0x41, 1, 0x21, waited, 0x0c, 0, 0x0b, 0x00, 0x0b]);
  return {
    name: `cytoplane.memory.atomic.wait${wide ? 64 : 32}`,
    type: Uint8Array.from([0x60, 3, valueType(place.address), wide ? I64 : I32, I64, 1, I32]),
    count: "i64",
    body: w.finish(),
  };
}

/** Charges for as many elements of an array, and traps on more than one instruction may handle. */
export function arrayPiece(counter: Counter, self: number): Piece {
  const w = new Writer(64);
  w.put([1, 1, I32, 0x20, 0, 0x41]);
  w.signed(ARRAY_ELEMENTS_MAX);
  w.put([0x4b, 0x04, 0x40, 0x00, 0x0b]);
  chargeTo(w, counter, 1, self, () => w.put([0x20, 0]));
  w.put([0x20, 0, 0x0b]);
  return {
    name: "cytoplane.array.length",
    type: Uint8Array.from([0x60, 1, I32, 1, I32]),
    count: "i32",
    body: w.finish(),
  };
}

/** Takes `units` off the counter, and has it refilled when it is used up. `scratch` is a local of i32. */
function chargeTo(w: Writer, counter: Counter, scratch: number, self: number, units: () => void): void {
  w.byte(0x23);
  w.unsigned(counter.global);
  units();
  w.put([0x6b, 0x22, scratch, 0x24]);
  w.unsigned(counter.global);
  w.put([0x20, scratch, 0x41, 0, 0x48, 0x04, 0x40]);
  if (counter.profiled) {
    w.byte(0x41);
    w.signed(self);
  }
  w.byte(0x10);
  w.unsigned(counter.refill);
  w.byte(0x24);
  w.unsigned(counter.global);
  w.byte(0x0b);
}
