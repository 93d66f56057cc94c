/**
 * What a core module imports and exports, read from its binary: no function's code is looked at, so
 * that it costs little for a module of any size. Whether the code is valid is V8's to say.
 *
 * Types are canonical here: two are the same exactly when they are the same object, whichever module
 * they come from.
 */
import { BinaryReader, invalid, sniff } from "./binary.ts";
import { skipConstant } from "./core-code.ts";
import { coreSections, sectionId } from "./core-section.ts";
import {
  type CompositeType,
  type CoreExtern,
  type CoreValueType,
  type Limits,
  readCoreExtern,
  readGlobal,
  readMemory,
  readRecGroup,
  readTable,
  type SubType,
} from "./core-type.ts";

/** A type of core WebAssembly. References in it name other types as `#id`. */
export interface CoreType {
  readonly kind: "core";
  readonly id: number;
  readonly composite: CompositeType;
  /** What it is declared to be a subtype of. */
  readonly parent: CoreType | undefined;
}

export type CoreItem = CoreExtern<CoreType>;

export interface ModuleType {
  readonly kind: "module";
  /** By module, then by name. */
  readonly imports: ReadonlyMap<string, ReadonlyMap<string, CoreItem>>;
  readonly exports: ReadonlyMap<string, CoreItem>;
}

type Fail = (problem: string) => never;

/** A space of core types: the entry at an index, or a failure. */
export type CoreSpace = (index: number) => CoreType;

/** The canonical types of one component and of all modules in it. */
export class CoreTypes {
  readonly #groups = new Map<string, readonly CoreType[]>();
  readonly #byId: CoreType[] = [];

  /** The types of a recursion group that follows the first `start` types of `space`. */
  group(group: readonly SubType[], start: number, space: CoreSpace, fail: Fail): readonly CoreType[] {
    const named = (own: string) => (index: number) => {
      if (index < start) return `#${space(index).id}`;
      if (index >= start + group.length) fail(`core type ${index} does not exist`);
      return own === "@" ? `@${index - start}` : `#${this.#byId.length + index - start}`;
    };
    const key = JSON.stringify(
      group.map((type) => [type.final, type.shared, type.supers.map(named("@")), rewrite(type.composite, named("@"))]),
    );
    const known = this.#groups.get(key);
    if (known) return known;
    const made: CoreType[] = [];
    for (const [at, type] of group.entries()) {
      const [parent] = type.supers;
      if (parent !== undefined && parent >= start + at) fail(`core type ${parent} does not precede its subtype`);
      made.push({
        kind: "core",
        id: this.#byId.length + at,
        composite: rewrite(type.composite, named("#")),
        parent: parent === undefined ? undefined : parent < start ? space(parent) : made[parent - start],
      });
    }
    this.#byId.push(...made);
    this.#groups.set(key, made);
    return made;
  }

  func(params: readonly CoreValueType[], results: readonly CoreValueType[]): CoreType {
    const type: SubType = { final: true, supers: [], shared: false, composite: { kind: "func", params, results } };
    return this.group([type], 0, nothing, nothing)[0]!;
  }

  /** Whether `given` can stand where `wanted` is asked for; says why not. */
  mismatch(given: CoreItem, wanted: CoreItem): string | undefined {
    if (given.kind !== wanted.kind) return `it is a ${given.kind}, not a ${wanted.kind}`;
    switch (given.kind) {
      case "func": {
        const { type } = wanted as typeof given;
        return isSubtype(given.type, type) ? undefined : `it is ${show(given.type)}, not ${show(type)}`;
      }
      case "tag": {
        const { type } = wanted as typeof given;
        return given.type === type ? undefined : `it is a tag of ${show(given.type)}, not of ${show(type)}`;
      }
      case "global": {
        const { type, mutable, shared } = wanted as typeof given;
        if (given.mutable !== mutable) return `it is ${given.mutable ? "" : "not "}mutable`;
        if (given.shared !== shared) return `it is ${given.shared ? "" : "not "}shared`;
        const matches = given.type === type || (!mutable && this.#isValueSubtype(given.type, type));
        return matches ? undefined : `it is a global of ${given.type}, not of ${type}`;
      }
      case "table": {
        const { element, limits } = wanted as typeof given;
        if (given.element !== element) return `it is a table of ${given.element}, not of ${element}`;
        return limitMismatch(given.limits, limits);
      }
      case "memory": {
        const { limits, pageBytes } = wanted as typeof given;
        if (given.pageBytes !== pageBytes) return `its pages have ${given.pageBytes} bytes, not ${pageBytes}`;
        return limitMismatch(given.limits, limits);
      }
    }
  }

  #isValueSubtype(given: CoreValueType, wanted: CoreValueType): boolean {
    const a = /^ref (null )?(.+)$/.exec(given);
    const b = /^ref (null )?(.+)$/.exec(wanted);
    if (!a || !b || (a[1] && !b[1])) return false;
    return this.#isHeapSubtype(a[2]!, b[2]!);
  }

  #isHeapSubtype(given: string, wanted: string): boolean {
    const concrete = (heap: string) => (heap.startsWith("#") ? this.#byId[Number(heap.slice(1))] : undefined);
    const a = concrete(given);
    const b = concrete(wanted);
    if (a && b) return isSubtype(a, b);
    if (b) return bottoms[b.composite.kind] === given;
    return ancestorsOf(a ? a.composite.kind : given).includes(wanted);
  }
}

/** A type that refers to no other asks for none. */
function nothing(): never {
  throw new TypeError("a type of numbers refers to nothing");
}

/** A reference to a type ends with its index. */
const concrete = / (\d+)$/;

function rewriteType(type: CoreValueType, name: (index: number) => string): CoreValueType {
  return type.replace(concrete, (_, index: string) => ` ${name(Number(index))}`);
}

function rewrite({ kind, params, results }: CompositeType, name: (index: number) => string): CompositeType {
  const type = (type: CoreValueType) => rewriteType(type, name);
  return { kind, params: params.map(type), results: results.map(type) };
}

/** Whether a group names no type, so that it can be made without those before it. */
function isPlain(group: readonly SubType[]): boolean {
  const refers = (type: CoreValueType) => concrete.test(type);
  return group.every(
    ({ supers, composite }) => supers.length === 0 && !composite.params.some(refers) && !composite.results.some(refers),
  );
}

function isSubtype(given: CoreType, wanted: CoreType): boolean {
  for (let type: CoreType | undefined = given; type; type = type.parent) if (type === wanted) return true;
  return false;
}

/** The abstract heap type directly above each. */
const above: Record<string, string> = {
  none: "i31 struct array",
  i31: "eq",
  struct: "eq",
  array: "eq",
  eq: "any",
  nofunc: "func",
  noextern: "extern",
  noexn: "exn",
  nocont: "cont",
};
const bottoms = { func: "nofunc", struct: "none", array: "none", cont: "nocont" };

function ancestorsOf(heap: string): string[] {
  return [heap, ...(above[heap]?.split(" ").flatMap(ancestorsOf) ?? [])];
}

function limitMismatch(given: Limits, wanted: Limits): string | undefined {
  if (given.shared !== wanted.shared) return `it is ${given.shared ? "" : "not "}shared`;
  if (given.wide !== wanted.wide) return `it is addressed by ${given.wide ? "i64" : "i32"}`;
  if (given.min < wanted.min) return `its minimum is ${given.min}, less than ${wanted.min}`;
  if (wanted.max === undefined) return undefined;
  if (given.max === undefined) return `it has no maximum, and one of ${wanted.max} is asked for`;
  return given.max <= wanted.max ? undefined : `its maximum is ${given.max}, more than ${wanted.max}`;
}

function show({ composite: { kind, params, results } }: CoreType): string {
  return `(${[kind, ...params.map((type) => `(param ${type})`), ...results.map((type) => `(result ${type})`)].join(" ")})`;
}

/** An import or export with its type index resolved. */
export function resolveExtern(extern: CoreExtern, space: CoreSpace, fail: Fail): CoreItem {
  const named = (type: CoreValueType) => rewriteType(type, (index) => `#${space(index).id}`);
  switch (extern.kind) {
    case "memory":
      return extern;
    case "table":
      return { ...extern, element: named(extern.element) };
    case "global":
      return { ...extern, type: named(extern.type) };
    default: {
      const type = space(extern.type);
      if (type.composite.kind !== "func") fail(`core type ${extern.type} is no function type`);
      return { kind: extern.kind, type };
    }
  }
}

const externKinds: readonly CoreItem["kind"][] = ["func", "table", "memory", "global", "tag"];

/** `offset` is where the module stands in the file. */
export function coreInterfaceOf(module: Uint8Array, offset: number, types: CoreTypes): ModuleType {
  const file = new BinaryReader(module, 0, module.length, "the core module section", offset);
  if (sniff(module) !== "core-module") file.fail("it does not begin like a core module");
  file.offset = 8;
  const sections = new Map<number, BinaryReader>();
  for (const { id, content } of coreSections(file)) {
    if (id === sectionId.custom || (id >= sectionId.code && id !== sectionId.tag)) continue;
    if (sections.has(id)) file.fail(`section ${id} is there twice`, content.offset);
    sections.set(id, content);
  }
  return readInterface(sections, types);
}

function readInterface(sections: ReadonlyMap<number, BinaryReader>, types: CoreTypes): ModuleType {
  const space = typeSpace(sections.get(sectionId.type), types);
  /** What is imported, by kind: it comes first in each index space. */
  const imported: Record<CoreItem["kind"], CoreItem[]> = { func: [], table: [], memory: [], global: [], tag: [] };
  const imports = new Map<string, Map<string, CoreItem>>();
  sections.get(sectionId.import)?.vector(() => {
    const r = sections.get(sectionId.import)!;
    const at = r.offset;
    const [module, name] = [r.name(), r.name()];
    const fail = (problem: string) => r.fail(problem, at);
    const item = resolveExtern(readCoreExtern(r), space, fail);
    addImport(imports, module, name, item, fail);
    imported[item.kind].push(item);
  });

  /** What is defined, by kind: read when an export asks for it. */
  const defined: Partial<Record<CoreItem["kind"], readonly CoreExtern[]>> = {};
  function itemAt(kind: CoreItem["kind"], index: number, fail: Fail): CoreItem {
    const before = imported[kind].length;
    if (index < before) return imported[kind][index]!;
    const [section, read] = definers[kind];
    const r = sections.get(section);
    defined[kind] ??= r?.vector(() => read(r)) ?? [];
    const extern = defined[kind][index - before] ?? fail(`there is no ${kind} ${index} to export`);
    return resolveExtern(extern, space, fail);
  }

  const exports = new Map<string, CoreItem>();
  const r = sections.get(sectionId.export);
  r?.vector(() => {
    const at = r.offset;
    const name = r.name();
    const tag = r.byte();
    const kind = externKinds[tag] ?? r.unknown(tag, "no kind of core export");
    const index = r.u32();
    if (exports.has(name)) r.fail(`two exports are called ${JSON.stringify(name)}`, at);
    exports.set(
      name,
      itemAt(kind, index, (problem) => r.fail(problem, at)),
    );
  });
  return { kind: "module", imports, exports };
}

/** The types of a module, each made when it is first asked for: most modules name few of theirs outside. */
function typeSpace(r: BinaryReader | undefined, types: CoreTypes): CoreSpace {
  const groups = r?.vector(() => ({ at: r.offset, group: readRecGroup(r) })) ?? [];
  const starts: number[] = [];
  const groupOf: number[] = [];
  for (const [i, { group }] of groups.entries()) {
    starts.push(groupOf.length);
    for (let n = 0; n < group.length; n++) groupOf.push(i);
  }
  const made: (readonly CoreType[] | undefined)[] = [];
  let madeAllBefore = 0;
  const make = (i: number): readonly CoreType[] => {
    const { at, group } = groups[i]!;
    made[i] ??= types.group(group, starts[i]!, space, (problem) => r!.fail(problem, at));
    return made[i];
  };
  function space(index: number): CoreType {
    const i = groupOf[index];
    if (i === undefined) throw invalid(`core type ${index} does not exist`, r?.place, r?.position(r.offset) ?? 0);
    // One after the other, so that a long chain of types is no deep recursion.
    if (!made[i] && !isPlain(groups[i]!.group)) while (madeAllBefore < i) make(madeAllBefore++);
    return make(i)[index - starts[i]!]!;
  }
  return space;
}

/** What each kind of item is defined by. */
const definers: Record<CoreItem["kind"], readonly [section: number, read: (r: BinaryReader) => CoreExtern]> = {
  func: [sectionId.function, (r) => ({ kind: "func", type: r.u32() })],
  table: [sectionId.table, readDefinedTable],
  memory: [sectionId.memory, readMemory],
  global: [sectionId.global, readDefinedGlobal],
  tag: [sectionId.tag, readTag],
};

/** Puts an import in its place; each pair of names is there once. */
export function addImport(
  imports: Map<string, Map<string, CoreItem>>,
  module: string,
  name: string,
  item: CoreItem,
  fail: Fail,
): void {
  let names = imports.get(module);
  if (!names) {
    names = new Map();
    imports.set(module, names);
  }
  if (names.has(name)) fail(`two imports are called ${JSON.stringify(module)} ${JSON.stringify(name)}`);
  names.set(name, item);
}

function readTag(r: BinaryReader): CoreExtern {
  const attribute = r.byte();
  if (attribute !== 0) r.unknown(attribute, "no attribute of a tag");
  return { kind: "tag", type: r.u32() };
}

function readDefinedTable(r: BinaryReader): CoreExtern {
  const initialised = r.bytes[r.offset] === 0x40;
  if (initialised) r.take(2);
  const table = readTable(r);
  if (initialised) skipConstant(r);
  return table;
}

/** A global with its initial value, which is read past. */
export function readDefinedGlobal(r: BinaryReader): ReturnType<typeof readGlobal> {
  const global = readGlobal(r);
  skipConstant(r);
  return global;
}
