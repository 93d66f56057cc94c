/**
 * What a component says of how it was made: its name, and the languages and tools behind it and the core
 * modules in it. Custom sections bind nobody, so one that is damaged is passed over.
 */
import { BinaryReader, sniff } from "./binary.ts";
import { coreSections, sectionId } from "./core-section.ts";
import { type ComponentDefinition, decode } from "./decode.ts";

export interface Producer {
  /** `language`, `processed-by` or `sdk`. */
  readonly field: string;
  readonly name: string;
  /** Empty where none is given. */
  readonly version: string;
}

export interface Provenance {
  readonly name: string | undefined;
  /** Each once, those of the component itself first. */
  readonly producers: readonly Producer[];
}

/** Throws `invalid-component` for bytes that are neither a component nor a core module. */
export function readProvenance(bytes: Uint8Array): Provenance {
  const definition = sniff(bytes) === "core-module" ? moduleAlone(bytes) : decode(bytes);
  const found = new Map<string, Producer>();
  for (const section of producerSections(definition)) {
    for (const producer of lenient(section, readProducers) ?? []) {
      const key = JSON.stringify(producer);
      if (!found.has(key)) found.set(key, producer);
    }
  }
  const names = definition.customs.find((section) => section.name === "component-name");
  return { name: names && lenient(names.bytes, readName), producers: [...found.values()] };
}

function moduleAlone(bytes: Uint8Array): ComponentDefinition {
  return { definitions: [{ kind: "core-module", offset: 0, bytes }], customs: [] };
}

function lenient<T>(bytes: Uint8Array, read: (r: BinaryReader) => T): T | undefined {
  try {
    return read(new BinaryReader(bytes));
  } catch {
    return undefined;
  }
}

function* producerSections({ customs, definitions }: ComponentDefinition): Iterable<Uint8Array> {
  for (const { name, bytes } of customs) if (name === "producers") yield bytes;
  for (const definition of definitions) {
    if (definition.kind === "component") yield* producerSections(definition.component);
    else if (definition.kind === "core-module") yield* lenient(definition.bytes, moduleSections) ?? [];
  }
}

function moduleSections(r: BinaryReader): Uint8Array[] {
  const found: Uint8Array[] = [];
  r.take(8);
  for (const { id, content } of coreSections(r)) {
    if (id === sectionId.custom && content.name() === "producers")
      found.push(content.take(content.end - content.offset));
  }
  return found;
}

function readProducers(r: BinaryReader): Producer[] {
  return r
    .vector(() => {
      const field = r.name();
      return r.vector(() => ({ field, name: r.name(), version: r.name() }));
    })
    .flat();
}

const COMPONENT_NAME = 0;

/** The component's own name comes first, before those of what is in it. */
function readName(r: BinaryReader): string | undefined {
  return r.byte() === COMPONENT_NAME ? r.section(r.u32()).name() : undefined;
}
