/** The sections of a core module, one after the other as they stand. What is in them is the reader's own affair. */
import type { BinaryReader } from "./binary.ts";

export const sectionId = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

export interface CoreSection {
  readonly id: number;
  /** Where its id stands. */
  readonly start: number;
  readonly content: BinaryReader;
}

/** `reader` stands behind the header of the module, and ends where the module does. */
export function* coreSections(reader: BinaryReader): Generator<CoreSection, void> {
  while (!reader.done) {
    const start = reader.offset;
    const id = reader.byte();
    yield { id, start, content: reader.section(reader.u32()) };
  }
}
