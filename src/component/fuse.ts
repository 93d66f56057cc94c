/**
 * Takes out the pair of core modules that component tools put between a main module and what it
 * imports: one that only forwards calls through a table (so that the main module can be made before
 * the memory is known that its imports need), and one that only fills that table afterwards.
 *
 * Trampolines find their memory by themselves, so that the main module can import them directly: two
 * instances less to make, and a table less on each call. A pair is left as it is when it is anything
 * more than that.
 */
import { BinaryReader } from "./binary.ts";
import { coreSections, sectionId } from "./core-section.ts";
import { opcode } from "./opcodes.ts";
import type { CoreItem, CoreNamespace, Plan } from "./plan.ts";

export function fuse(plan: Plan): Plan {
  let fused = plan;
  plan.instances.forEach((instance, index) => {
    if (instance === undefined) return;
    const forwarder = readForwarder(plan.modules[instance.module]!);
    if (forwarder !== undefined) fused = withoutPair(fused, index, forwarder) ?? fused;
  });
  return fused;
}

/** Of a module that only forwards: which entry of its table each exported function calls. */
interface Forwarder {
  readonly table: string;
  readonly entries: ReadonlyMap<string, number>;
}

/** The plan without instance `at` and the one that fills its table; `undefined` if it has to stay. */
function withoutPair(plan: Plan, at: number, { table, entries }: Forwarder): Plan | undefined {
  const fillers = plan.instances.flatMap((instance, index) =>
    instance?.imports.some(({ from }) => typeof from !== "number" && refersTo(from, at, table)) ? [index] : [],
  );
  const [filler] = fillers;
  if (fillers.length !== 1 || filler === undefined) return undefined;
  const { module, imports } = plan.instances[filler]!;
  const filling = readFilling(plan.modules[module]!, table);
  if (filling === undefined) return undefined;

  const targets = new Map<string, CoreItem>();
  for (const [name, entry] of entries) {
    const source = filling[entry];
    const from = imports.find((one) => one.name === source?.module)?.from;
    const item = typeof from === "number" ? undefined : from?.get(source!.name);
    // Anything but a trampoline may only be there after the main module.
    if (item?.from !== "trampoline") return undefined;
    targets.set(name, item);
  }

  let replaceable = true;
  const replaced = (item: CoreItem): CoreItem => {
    if (item.from !== "instance" || (item.instance !== at && item.instance !== filler)) return item;
    const target = item.instance === at ? targets.get(item.name) : undefined;
    if (target === undefined) replaceable = false;
    return target ?? item;
  };
  const namespace = (from: CoreNamespace): CoreNamespace => {
    if (typeof from !== "number") return new Map([...from].map(([name, item]) => [name, replaced(item)]));
    if (from === at || from === filler) replaceable = false;
    return from;
  };
  const optional = (item: CoreItem | undefined) => item && replaced(item);
  const instances = plan.instances.map((instance, index) => {
    if (instance === undefined || index === at || index === filler) return undefined;
    return { ...instance, imports: instance.imports.map(({ name, from }) => ({ name, from: namespace(from) })) };
  });
  for (const { memory, realloc } of plan.contexts) for (const item of [memory, realloc]) optional(item);
  for (const items of plan.exports.values())
    for (const item of items.values())
      if (item.kind === "lift") for (const core of [item.core, item.callback, item.postReturn]) optional(core);
  for (const item of [...plan.destructors.values(), ...plan.memories]) replaced(item);
  return replaceable ? { ...plan, instances } : undefined;
}

function refersTo(from: ReadonlyMap<string, CoreItem>, instance: number, name: string): boolean {
  for (const item of from.values())
    if (item.from === "instance" && item.instance === instance && item.name === name) return true;
  return false;
}

function readForwarder(module: Uint8Array): Forwarder | undefined {
  const sections = readSections(module);
  const { type, function: functions, table, export: exports, code } = sections;
  const expected: number[] = [sectionId.type, sectionId.function, sectionId.table, sectionId.export, sectionId.code];
  if (!type || !functions || !table || !exports || !code || sections.ids.some((id) => !expected.includes(id)))
    return undefined;
  const params = type.vector(() => {
    if (type.byte() !== 0x60) return undefined;
    const count = type.vector(() => type.byte()).length;
    type.vector(() => type.byte());
    return count;
  });
  const types = functions.vector(() => functions.u32());
  if (table.u32() !== 1) return undefined;
  const bodies = code.vector(() => {
    const body = code.section(code.u32());
    return (type: number) => forwardedTo(body, type, params[type]);
  });
  const names = new Map<string, number>();
  let exported: string | undefined;
  exports.vector(() => {
    const name = exports.name();
    const kind = exports.byte();
    const index = exports.u32();
    if (kind === 1) exported = name;
    if (kind !== 0) return;
    const entry = bodies[index]?.(types[index]!);
    if (entry !== undefined) names.set(name, entry);
  });
  if (exported === undefined || names.size !== bodies.length) return undefined;
  return { table: exported, entries: names };
}

/** The entry of the table that the body calls with all of its parameters, if that is all it does. */
function forwardedTo(body: BinaryReader, type: number, params: number | undefined): number | undefined {
  if (params === undefined || body.u32() !== 0) return undefined;
  for (let local = 0; local < params; local++)
    if (body.byte() !== opcode.localGet || body.u32() !== local) return undefined;
  if (body.byte() !== opcode.i32Const) return undefined;
  const entry = body.s33();
  if (body.byte() !== opcode.callIndirect || body.u32() !== type || body.u32() !== 0) return undefined;
  return body.byte() === opcode.end && body.done && entry >= 0 ? entry : undefined;
}

/** Of a module that only fills the imported table from its start: with which of its imports. */
function readFilling(
  module: Uint8Array,
  table: string,
): readonly { readonly module: string; readonly name: string }[] | undefined {
  const sections = readSections(module);
  const { import: imports, element } = sections;
  const expected: number[] = [sectionId.type, sectionId.import, sectionId.element];
  if (!imports || !element || sections.ids.some((id) => !expected.includes(id))) return undefined;
  const functions: { module: string; name: string }[] = [];
  let tables = 0;
  for (let left = imports.u32(); left > 0; left--) {
    const from = { module: imports.name(), name: imports.name() };
    const kind = imports.byte();
    if (kind === 0) {
      imports.u32();
      functions.push(from);
    } else if (kind === 1 && from.name === table) {
      tables++;
      imports.byte();
      const flags = imports.u32();
      imports.u32();
      if (flags & 1) imports.u32();
    } else return undefined;
  }
  const startsAtZero = () => element.byte() === opcode.i32Const && element.s33() === 0 && element.byte() === opcode.end;
  if (tables !== 1 || element.u32() !== 1 || element.u32() !== 0 || !startsAtZero()) return undefined;
  return element.vector(() => functions[element.u32()]!);
}

type Sections = { readonly ids: readonly number[] } & { readonly [K in keyof typeof sectionId]?: BinaryReader };

/** Readers over the sections of a core module; those of custom sections are left out. */
function readSections(module: Uint8Array): Sections {
  const found: Record<string, BinaryReader> = {};
  const ids: number[] = [];
  for (const { id, content } of coreSections(new BinaryReader(module, 8))) {
    if (id === sectionId.custom) continue;
    ids.push(id);
    for (const [name, known] of Object.entries(sectionId)) if (known === id) found[name] = content;
  }
  return { ids, ...found };
}
