/**
 * Branch hints, the custom section `metadata.code.branch_hint`: the author's are carried over to where their
 * branches stand after weaving, and weaving adds that its counter is hardly ever used up.
 */
import type { BinaryReader } from "../binary.ts";
import type { Writer } from "../binary-writer.ts";

export const HINTS_SECTION = "metadata.code.branch_hint";

export interface FunctionHints {
  /**
   * Adds to `pairs` the hints of the bytes `from..to`, which are about to be copied to `offset` of the body
   * that is written. `start` is where the author's body begins.
   */
  carry(from: number, to: number, start: number, offset: number, pairs: number[]): void;
}

/** The hints of each function. Throws what the reader throws when the section is malformed. */
export function readHints(reader: BinaryReader): Map<number, FunctionHints> {
  const all = new Map<number, FunctionHints>();
  reader.vector(() => {
    const func = reader.u32();
    const pairs: (readonly [offset: number, value: number])[] = reader.vector(() => {
      const offset = reader.u32();
      const value = reader.take(reader.u32())[0] ?? 0;
      return [offset, value] as const;
    });
    let next = 0;
    all.set(func, {
      carry(from, to, start, offset, into) {
        while (next < pairs.length && pairs[next]![0] + start < from) next += 1;
        for (; next < pairs.length && pairs[next]![0] + start < to; next += 1) {
          into.push(pairs[next]![0] + start - from + offset, pairs[next]![1]);
        }
      },
    });
  });
  return all;
}

export function writeHints(
  w: Writer,
  hints: readonly { readonly func: number; readonly pairs: readonly number[] }[],
): void {
  w.name(HINTS_SECTION);
  w.unsigned(hints.length);
  for (const { func, pairs } of hints) {
    w.unsigned(func);
    w.unsigned(pairs.length / 2);
    for (let index = 0; index < pairs.length; index += 2) {
      w.unsigned(pairs[index]!);
      w.unsigned(1);
      w.byte(pairs[index + 1]!);
    }
  }
}
