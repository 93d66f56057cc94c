/**
 * How much an instruction weighs. A unit is about the time of one simple instruction; what takes longer
 * weighs more, so that no stretch of code takes much longer than its units say.
 */
import { byOpcode } from "../opcodes.ts";

const CALL_UNITS = 16;
const DIVIDE_UNITS = 8;
/** A system call; or work that the size of a table bounds. */
export const GROW_UNITS = 4096;
const THROW_UNITS = 256;

/** Units of the instructions without prefix. */
export const weights: Uint16Array = new Uint16Array(
  byOpcode(1, [
    [CALL_UNITS, [0x10, 0x15]],
    [DIVIDE_UNITS, [0x6d, 0x70], [0x7f, 0x82], 0x91, 0x95, 0x9f, 0xa3],
    [THROW_UNITS, 0x08, 0x09, 0x0a],
    [GROW_UNITS, 0x40],
    [2, 0x0e],
  ]),
);
