/**
 * From offsets in a woven module back to those of its author's. A stack of V8 speaks of the bytes
 * that were compiled; the author has others. Kept packed, two small numbers for each stretch that was
 * copied, and read through only when somebody asks.
 */
import { Writer } from "../binary-writer.ts";

/** Plain data, so that it can be kept with what was compiled. */
export interface OffsetMap {
  /** Where the woven code that is mapped begins, and how long it is. */
  readonly base: number;
  readonly length: number;
  readonly packed: Uint8Array;
}

/** The offset in the author's module of one in the woven; undefined for what weaving appended. */
export function originalOffset({ base, length, packed }: OffsetMap, woven: number): number | undefined {
  return woven < base || woven >= base + length ? undefined : find(packed, woven - base);
}

export class OffsetMapBuilder {
  #points = new Int32Array(1024);
  #length = 0;

  /** From `woven` on, bytes are those from `original` on. */
  mark(woven: number, original: number): void {
    if (this.#length === this.#points.length) {
      const grown = new Int32Array(this.#length * 2);
      grown.set(this.#points);
      this.#points = grown;
    }
    this.#points[this.#length++] = woven;
    this.#points[this.#length++] = original;
  }

  /** `base` is where the marked offsets begin in the module; they end `length` further on. */
  finish(base: number, length: number): OffsetMap {
    const packed = new Writer(this.#length + 16);
    let [woven, original] = [0, 0];
    for (let index = 0; index < this.#length; index += 2) {
      const [toWoven, toOriginal] = [this.#points[index]!, this.#points[index + 1]!];
      packed.unsigned(toWoven - woven);
      packed.signed(toOriginal - original);
      [woven, original] = [toWoven, toOriginal];
    }
    return { base, length, packed: packed.finish().slice() };
  }
}

function find(packed: Uint8Array, wanted: number): number | undefined {
  let at = 0;
  const number = (): number => {
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = packed[at++]!;
      value |= (byte & 0x7f) << shift;
      shift += 7;
      if (byte < 0x80) return value;
      if (at > packed.length) return value;
    }
  };
  const signed = (): number => {
    const start = at;
    const value = number();
    const shift = 7 * (at - start);
    return shift < 32 && packed[at - 1]! & 0x40 ? value | (-1 << shift) : value;
  };
  let [woven, original] = [0, 0];
  let found: number | undefined;
  while (at < packed.length) {
    const nextWoven = woven + number();
    const nextOriginal = original + signed();
    if (nextWoven > wanted) {
      // What is inserted belongs to the instruction that comes after it.
      if (found === undefined) return undefined;
      const told = original + wanted - woven;
      return nextOriginal > original ? Math.min(told, nextOriginal) : told;
    }
    [woven, original] = [nextWoven, nextOriginal];
    found = original;
  }
  return found === undefined ? undefined : original + wanted - woven;
}
