/**
 * The custom section `name` with names for the functions that weaving appended, and the module's name with a
 * mark, by which a stack tells which module of a component is meant. All else in it stays as it is; one
 * that is malformed is copied, as V8 ignores it.
 */
import { BinaryReader } from "../binary.ts";
import type { Writer } from "../binary-writer.ts";
import { sectionId } from "../core-section.ts";
import type { Section } from "./sections.ts";

const MODULE_NAME = 0;
const FUNCTION_NAMES = 1;
const LABEL_NAMES = 3;

/** `first` is the index of the first of `names`, which is higher than that of any other function. */
export function rewriteNames(
  w: Writer,
  bytes: Uint8Array,
  from: Section | undefined,
  first: number,
  names: readonly string[],
  mark = "",
): void {
  const parts = from && subsections(bytes, from);
  if (from && !parts) {
    w.copy(bytes, from.start, from.end);
    return;
  }
  const module = parts?.find(({ id }) => id === MODULE_NAME);
  const own = parts?.find(({ id }) => id === FUNCTION_NAMES);
  // Names of labels are left out: a body that stands in a block of its own has one label more.
  const after = parts?.filter(({ id }) => id > FUNCTION_NAMES && id !== LABEL_NAMES) ?? [];
  w.section(sectionId.custom, () => {
    w.name("name");
    const given = module === undefined ? "" : new BinaryReader(bytes, module.body, module.end).name();
    if (given + mark !== "") w.section(MODULE_NAME, () => w.name(`${given}${mark}`));
    w.section(FUNCTION_NAMES, () => {
      const reader = own && new BinaryReader(bytes, own.body, own.end);
      w.unsigned((reader?.u32() ?? 0) + names.length);
      if (reader) w.copy(bytes, reader.offset, reader.end);
      for (const [index, name] of names.entries()) {
        w.unsigned(first + index);
        w.name(name);
      }
    });
    for (const part of after) w.copy(bytes, part.start, part.end);
  });
}

interface Part {
  readonly id: number;
  readonly start: number;
  readonly body: number;
  readonly end: number;
}

/** Undefined when the section is malformed. */
function subsections(bytes: Uint8Array, from: Section): Part[] | undefined {
  const reader = new BinaryReader(bytes, from.body, from.end);
  const parts: Part[] = [];
  try {
    while (!reader.done) {
      const start = reader.offset;
      const id = reader.byte();
      const inside = reader.section(reader.u32());
      parts.push({ id, start, body: inside.offset, end: inside.end });
    }
    const module = parts.find(({ id }) => id === MODULE_NAME);
    if (module) new BinaryReader(bytes, module.body, module.end).name();
    const own = parts.find(({ id }) => id === FUNCTION_NAMES);
    if (own) new BinaryReader(bytes, own.body, own.end).u32();
    return parts;
  } catch {
    return undefined;
  }
}
