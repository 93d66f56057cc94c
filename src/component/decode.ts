/**
 * Component bytes to definitions, in the order of the binary: each adds its entries to one index
 * space of its component. Nothing is resolved here: `validate.ts` holds the definitions to the rules
 * of the Component Model, `plan.ts` gives the indices their meaning.
 *
 * Follows the Component Model's binary format (design/mvp/Binary.md).
 */
import { CytoError } from "../kernel/index.ts";
import { BinaryReader, type FileKind, sniff } from "./binary.ts";
import { type CoreExtern, readCoreExtern, readRecGroup, readSubType, type SubType } from "./core-type.ts";

export type Primitive =
  | "bool"
  | "s8"
  | "u8"
  | "s16"
  | "u16"
  | "s32"
  | "u32"
  | "s64"
  | "u64"
  | "f32"
  | "f64"
  | "char"
  | "string"
  | "error-context";

/** A primitive, or an index into the type space. */
export type ValueTypeRef = Primitive | number;

export interface FunctionType {
  readonly kind: "func";
  readonly async: boolean;
  readonly params: readonly { readonly name: string; readonly type: ValueTypeRef }[];
  readonly result: ValueTypeRef | undefined;
}

export type TypeDefinition =
  | { readonly kind: "primitive"; readonly type: Primitive }
  | { readonly kind: "record"; readonly fields: readonly { readonly name: string; readonly type: ValueTypeRef }[] }
  | {
      readonly kind: "variant";
      readonly cases: readonly { readonly name: string; readonly type: ValueTypeRef | undefined }[];
    }
  | { readonly kind: "list"; readonly element: ValueTypeRef; readonly length?: number }
  | { readonly kind: "map"; readonly key: ValueTypeRef; readonly value: ValueTypeRef }
  | { readonly kind: "tuple"; readonly types: readonly ValueTypeRef[] }
  | { readonly kind: "flags"; readonly names: readonly string[] }
  | { readonly kind: "enum"; readonly names: readonly string[] }
  | { readonly kind: "option"; readonly type: ValueTypeRef }
  | { readonly kind: "result"; readonly ok: ValueTypeRef | undefined; readonly err: ValueTypeRef | undefined }
  | { readonly kind: "own" | "borrow"; readonly resource: number }
  | { readonly kind: "stream" | "future"; readonly element: ValueTypeRef | undefined }
  | FunctionType
  | { readonly kind: "instance" | "component"; readonly declarations: readonly Declaration[] }
  | { readonly kind: "resource"; readonly destructor: number | undefined };

/** What an import or export is said to be. */
export type Extern =
  | { readonly sort: "module"; readonly type: number }
  | { readonly sort: "func" | "component" | "instance"; readonly type: number }
  | { readonly sort: "type"; readonly bound: "eq"; readonly type: number }
  | { readonly sort: "type"; readonly bound: "resource" };

/** What an import or export is called. */
export interface ExternName {
  readonly name: string;
  readonly attributes?: NameAttributes;
}

/** What is said of a name beside the name itself; linking does not look at it. */
export interface NameAttributes {
  /** The interface that an instance with a name of its own implements. */
  readonly implements?: string;
  /** The part of the version that the name leaves out: `.2.6` of `wasi:http/types@0`. */
  readonly versionSuffix?: string;
  readonly externalId?: string;
}

/** One line inside an instance or component type. `offset` is where it stands in the file. */
export type Declaration = { readonly offset: number } & (
  | CoreTypeDefinition
  | { readonly kind: "type"; readonly type: TypeDefinition }
  | AliasDefinition
  | ({ readonly kind: "import" | "export"; readonly extern: Extern } & ExternName)
);

/** As many entries of the core type space as the group has types, or one for a module type. */
export interface CoreTypeDefinition {
  readonly kind: "core-type";
  readonly type:
    | { readonly kind: "rec"; readonly group: readonly SubType[] }
    | { readonly kind: "module"; readonly declarations: readonly ModuleDeclaration[] };
}

/** One line inside of a core module type. */
export type ModuleDeclaration = { readonly offset: number } & (
  | { readonly kind: "type"; readonly group: readonly SubType[] }
  | { readonly kind: "outer"; readonly depth: number; readonly index: number }
  | { readonly kind: "import"; readonly module: string; readonly name: string; readonly extern: CoreExtern }
  | { readonly kind: "export"; readonly name: string; readonly extern: CoreExtern }
);

export type Sort = "func" | "value" | "type" | "component" | "instance" | CoreSort;
export type CoreSort =
  | "core-func"
  | "core-table"
  | "core-memory"
  | "core-global"
  | "core-tag"
  | "core-type"
  | "core-module"
  | "core-instance";

export interface SortIndex {
  readonly sort: Sort;
  readonly index: number;
}

export interface AliasDefinition {
  readonly kind: "alias";
  readonly sort: Sort;
  readonly from:
    | { readonly of: "instance" | "core-instance"; readonly index: number; readonly name: string }
    | { readonly of: "outer"; readonly depth: number; readonly index: number };
}

export interface CanonOptions {
  readonly encoding: "utf8" | "utf16" | "latin1+utf16";
  readonly memory?: number;
  readonly realloc?: number;
  readonly postReturn?: number;
  readonly async: boolean;
  readonly callback?: number;
}

export type CanonDefinition =
  | { readonly kind: "lift"; readonly coreFunc: number; readonly options: CanonOptions; readonly type: number }
  | { readonly kind: "lower"; readonly func: number; readonly options: CanonOptions }
  | { readonly kind: "resource.new" | "resource.drop" | "resource.rep"; readonly resource: number }
  | { readonly kind: "task.return"; readonly result: ValueTypeRef | undefined; readonly options: CanonOptions }
  | { readonly kind: "context.get" | "context.set"; readonly type: "i32" | "i64"; readonly slot: number }
  | { readonly kind: PlainBuiltIn }
  | { readonly kind: "subtask.cancel"; readonly async: boolean }
  | {
      readonly kind: "waitable-set.wait" | "waitable-set.poll";
      readonly cancellable: boolean;
      readonly memory: number;
    }
  | { readonly kind: "thread.yield" | ThreadSwitch; readonly cancellable: boolean }
  | { readonly kind: "thread.new-indirect"; readonly type: number; readonly table: number }
  | { readonly kind: "thread.spawn-ref"; readonly shared: boolean; readonly type: number }
  | { readonly kind: "thread.spawn-indirect"; readonly shared: boolean; readonly type: number; readonly table: number }
  | { readonly kind: "thread.available-parallelism"; readonly shared: boolean }
  | { readonly kind: `${EndKind}.new` | `${EndKind}.drop-${"readable" | "writable"}`; readonly type: number }
  | { readonly kind: `${EndKind}.${"read" | "write"}`; readonly type: number; readonly options: CanonOptions }
  | { readonly kind: `${EndKind}.cancel-${"read" | "write"}`; readonly type: number; readonly async: boolean }
  | { readonly kind: "error-context.new" | "error-context.debug-message"; readonly options: CanonOptions };

export type EndKind = "stream" | "future";
export type PlainBuiltIn =
  | "task.cancel"
  | "backpressure.set"
  | "backpressure.inc"
  | "backpressure.dec"
  | "subtask.drop"
  | "waitable-set.new"
  | "waitable-set.drop"
  | "waitable.join"
  | "error-context.drop"
  | "thread.index"
  | "thread.resume-later";
export type ThreadSwitch =
  | "thread.suspend"
  | "thread.suspend-then-resume"
  | "thread.yield-then-resume"
  | "thread.suspend-then-promote"
  | "thread.yield-then-promote";

/** `offset` is where it stands in the file. */
export type Definition = { readonly offset: number } & DefinitionBody;

type DefinitionBody =
  | { readonly kind: "core-module"; readonly bytes: Uint8Array }
  | {
      readonly kind: "core-instantiate";
      readonly module: number;
      readonly args: readonly { readonly name: string; readonly instance: number }[];
    }
  | {
      readonly kind: "core-bundle";
      readonly exports: readonly { readonly name: string; readonly item: SortIndex }[];
    }
  | CoreTypeDefinition
  | { readonly kind: "component"; readonly component: ComponentDefinition }
  | {
      readonly kind: "instantiate";
      readonly component: number;
      readonly args: readonly { readonly name: string; readonly item: SortIndex }[];
    }
  | { readonly kind: "bundle"; readonly exports: readonly (ExternName & { readonly item: SortIndex })[] }
  | AliasDefinition
  | { readonly kind: "type"; readonly type: TypeDefinition }
  | { readonly kind: "canon"; readonly canon: CanonDefinition }
  | ({ readonly kind: "import"; readonly extern: Extern } & ExternName)
  | ({ readonly kind: "export"; readonly item: SortIndex; readonly extern: Extern | undefined } & ExternName);

export interface ComponentDefinition {
  readonly definitions: readonly Definition[];
  /** Sections that say something about the component and do nothing in it: `producers`, names, docs. */
  readonly customs: readonly CustomSection[];
}

export interface CustomSection {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Deeper nesting than any tool makes is refused rather than recursed into. */
const NESTING_MAX = 64;

/** Throws CytoError `invalid-component`, saying what the bytes are instead or where they break. */
export function decode(bytes: Uint8Array): ComponentDefinition {
  const kind = sniff(bytes);
  if (kind === "component") return decodeComponent(new BinaryReader(bytes, 8), 0);
  const [problem, hint] = refusals[kind];
  const version =
    kind === "other-version" ? `, ${Buffer.from(bytes.subarray(4, 8)).toString("hex")} and not 0d000100` : "";
  throw new CytoError("invalid-component", `Cannot decode the component: ${problem}${version}`, { hint });
}

const written = "Give the .wasm file that the component toolchain wrote.";
const refusals: Record<Exclude<FileKind, "component">, readonly [problem: string, hint: string]> = {
  empty: ["the file is empty", written],
  "cut-off": ["the file ends within its first 8 bytes", "The file is cut off: build or copy it again."],
  "core-module": [
    "it is a core WebAssembly module, not a component",
    "Wrap it with `wasm-tools component new`, or build for a component target such as wasm32-wasip2.",
  ],
  "other-version": [
    "it is WebAssembly of another version",
    "Build it again with tools that write the component format of 2023 or later.",
  ],
  text: ["it is WebAssembly text, not a binary", written],
  unknown: ["it does not begin like WebAssembly", written],
};

function decodeComponent(reader: BinaryReader, depth: number): ComponentDefinition {
  if (depth > NESTING_MAX) reader.fail(`components are nested more than ${NESTING_MAX} deep`);
  const definitions: Definition[] = [];
  const customs: CustomSection[] = [];
  while (!reader.done) {
    const { offset } = reader;
    const id = reader.byte();
    const place = `the ${sectionNames[id] ?? reader.unknown(id, "no section of a component")} section`;
    const section = reader.section(reader.u32(), place);
    if (id === 0) {
      customs.push({ name: section.name(), bytes: section.take(section.end - section.offset) });
    } else if (id === 1) {
      definitions.push({
        offset: section.offset,
        kind: "core-module",
        bytes: section.take(section.end - section.offset),
      });
    } else if (id === 4) {
      if (sniff(section.bytes.subarray(section.offset, section.end)) !== "component") {
        section.fail("a nested component does not begin like one");
      }
      section.offset += 8;
      definitions.push({ offset, kind: "component", component: decodeComponent(section, depth + 1) });
    } else {
      const read = sectionReaders[id];
      if (!read) section.fail(`${sectionNames[id]} definitions are not supported`, section.offset, asFunctions);
      for (const definition of section.vector(() => ({ offset: section.offset, ...read!(section) }))) {
        definitions.push(definition);
      }
      if (!section.done) section.fail("the section is longer than its items");
    }
  }
  return { definitions, customs };
}

const asFunctions = "Use functions: values and component start functions are no part of the format yet.";

/** The section that a definition of each id stands in. */
const sectionNames: Record<number, string> = {
  0: "custom",
  1: "core module",
  2: "core instance",
  3: "core type",
  4: "component",
  5: "instance",
  6: "alias",
  7: "type",
  8: "canon",
  9: "start",
  10: "import",
  11: "export",
  12: "value",
};

const sectionReaders: Record<number, (r: BinaryReader) => DefinitionBody> = {
  2: readCoreInstance,
  3: readCoreType,
  5: readInstance,
  6: readAlias,
  7: (r) => ({ kind: "type", type: readType(r, 0) }),
  8: (r) => ({ kind: "canon", canon: readCanon(r) }),
  10: (r) => ({ kind: "import", ...readExternName(r), extern: readExtern(r) }),
  11: (r) => {
    const name = readExternName(r);
    const item = readSortIndex(r);
    return { kind: "export", ...name, item, extern: r.optional(() => readExtern(r)) };
  },
};

function readCoreInstance(r: BinaryReader): DefinitionBody {
  const tag = r.byte();
  if (tag === 0) {
    const module = r.u32();
    const args = r.vector(() => {
      const name = r.name();
      const sort = r.byte();
      if (sort !== 0x12) r.unknown(sort, "no instance, which a core argument must be");
      return { name, instance: r.u32() };
    });
    return { kind: "core-instantiate", module, args };
  }
  if (tag !== 1) r.unknown(tag, "no core instance");
  const exports = r.vector(() => ({ name: r.name(), item: { sort: readCoreSort(r), index: r.u32() } }));
  return { kind: "core-bundle", exports };
}

function readInstance(r: BinaryReader): DefinitionBody {
  const tag = r.byte();
  if (tag === 0) {
    const component = r.u32();
    return { kind: "instantiate", component, args: r.vector(() => ({ name: r.name(), item: readSortIndex(r) })) };
  }
  if (tag !== 1) r.unknown(tag, "no instance");
  return { kind: "bundle", exports: r.vector(() => ({ ...readExternName(r), item: readSortIndex(r) })) };
}

/** Sorts that an alias of an enclosing component may name. */
const outerSorts: readonly Sort[] = ["core-module", "core-type", "component", "type"];

function readAlias(r: BinaryReader): AliasDefinition {
  const at = r.offset;
  const sort = readSort(r);
  const tag = r.byte();
  const core = sort.startsWith("core-");
  if (tag === 0) {
    if (core && sort !== "core-module") r.fail(`an instance exports no ${sort}`, at);
    return { kind: "alias", sort, from: { of: "instance", index: r.u32(), name: r.name() } };
  }
  if (tag === 1) {
    if (!core) r.fail(`a core instance exports no ${sort}`, at);
    return { kind: "alias", sort, from: { of: "core-instance", index: r.u32(), name: r.name() } };
  }
  if (tag !== 2) r.unknown(tag, "no target of an alias");
  if (!outerSorts.includes(sort)) r.fail(`a ${sort} cannot be aliased from an enclosing component`, at);
  return { kind: "alias", sort, from: { of: "outer", depth: r.u32(), index: r.u32() } };
}

const primitives: Record<number, Primitive> = {
  127: "bool",
  126: "s8",
  125: "u8",
  124: "s16",
  123: "u16",
  122: "s32",
  121: "u32",
  120: "s64",
  119: "u64",
  118: "f32",
  117: "f64",
  116: "char",
  115: "string",
  100: "error-context",
};

function readValueType(r: BinaryReader): ValueTypeRef {
  const at = r.offset;
  const primitive = primitives[r.bytes[at]!];
  if (primitive && at < r.end) {
    r.offset++;
    return primitive;
  }
  const index = r.s33();
  return index >= 0 ? index : r.fail("a value type is unknown", at);
}

function readType(r: BinaryReader, depth: number): TypeDefinition {
  if (depth > NESTING_MAX) r.fail(`types are nested more than ${NESTING_MAX} deep`);
  const value = () => readValueType(r);
  const labelled = () => ({ name: r.name(), type: value() });
  const result = () => readResult(r);
  const tag = r.byte();
  const primitive = primitives[tag];
  if (primitive) return { kind: "primitive", type: primitive };
  switch (tag) {
    case 0x72:
      return { kind: "record", fields: r.vector(labelled) };
    case 0x71: {
      const cases = r.vector(() => {
        const name = r.name();
        const type = r.optional(value);
        const refines = r.byte();
        if (refines !== 0) r.unknown(refines, "not the 0x00 that ends a variant case");
        return { name, type };
      });
      return { kind: "variant", cases };
    }
    case 0x70:
      return { kind: "list", element: value() };
    case 0x67: {
      const element = value();
      return { kind: "list", element, length: r.u32() };
    }
    case 0x63: {
      const key = value();
      return { kind: "map", key, value: value() };
    }
    case 0x6f:
      return { kind: "tuple", types: r.vector(value) };
    case 0x6e:
      return { kind: "flags", names: r.vector(() => r.name()) };
    case 0x6d:
      return { kind: "enum", names: r.vector(() => r.name()) };
    case 0x6b:
      return { kind: "option", type: value() };
    case 0x6a: {
      const ok = r.optional(value);
      return { kind: "result", ok, err: r.optional(value) };
    }
    case 0x69:
      return { kind: "own", resource: r.u32() };
    case 0x68:
      return { kind: "borrow", resource: r.u32() };
    case 0x66:
      return { kind: "stream", element: r.optional(value) };
    case 0x65:
      return { kind: "future", element: r.optional(value) };
    case 0x40:
    case 0x43: {
      const params = r.vector(labelled);
      return { kind: "func", async: tag === 0x43, params, result: result() };
    }
    case 0x41:
    case 0x42:
      return {
        kind: tag === 0x41 ? "component" : "instance",
        declarations: r.vector(() => readDeclaration(r, depth + 1, tag === 0x41)),
      };
    case 0x3f: {
      const representation = r.byte();
      if (representation !== 0x7f) r.unknown(representation, "not the i32 that represents a resource");
      return { kind: "resource", destructor: r.optional(() => r.u32()) };
    }
    default:
      return r.unknown(tag, "no known type");
  }
}

function readResult(r: BinaryReader): ValueTypeRef | undefined {
  const tag = r.byte();
  if (tag === 0) return readValueType(r);
  if (tag !== 1) r.unknown(tag, "no list of results");
  const count = r.byte();
  if (count !== 0) r.unknown(count, "not the 0x00 of no results");
  return undefined;
}

function readDeclaration(r: BinaryReader, depth: number, imports: boolean): Declaration {
  const { offset } = r;
  const tag = r.byte();
  switch (tag) {
    case 0:
      return { offset, ...readCoreType(r) };
    case 1:
      return { offset, kind: "type", type: readType(r, depth) };
    case 2:
      return { offset, ...readAlias(r) };
    case 3:
      if (!imports) r.unknown(tag, "no declaration of an instance type");
      return { offset, kind: "import", ...readExternName(r), extern: readExtern(r) };
    case 4:
      return { offset, kind: "export", ...readExternName(r), extern: readExtern(r) };
    default:
      return r.unknown(tag, "no declaration");
  }
}

function readExternName(r: BinaryReader): ExternName {
  const tag = r.byte();
  if (tag > 2) r.unknown(tag, "no form of a name");
  const name = r.name();
  if (tag !== 2) return { name };
  const attributes: { -readonly [K in keyof NameAttributes]: NameAttributes[K] } = {};
  r.vector(() => {
    const kind = r.byte();
    const key = attributeKinds[kind] ?? r.unknown(kind, "no attribute of a name");
    if (attributes[key] !== undefined) r.fail(`the name has ${key} twice`, r.offset - 1);
    attributes[key] = r.name();
  });
  return { name, attributes };
}

const attributeKinds: readonly (keyof NameAttributes)[] = ["implements", "versionSuffix", "externalId"];

function readExtern(r: BinaryReader): Extern {
  const tag = r.byte();
  switch (tag) {
    case 0: {
      const sort = r.byte();
      if (sort !== 0x11) r.unknown(sort, "no core module, which a core import or export must be");
      return { sort: "module", type: r.u32() };
    }
    case 1:
      return { sort: "func", type: r.u32() };
    case 2:
      return r.fail("values are not supported", r.offset - 1, asFunctions);
    case 3: {
      const bound = r.byte();
      if (bound === 0) return { sort: "type", bound: "eq", type: r.u32() };
      if (bound === 1) return { sort: "type", bound: "resource" };
      return r.unknown(bound, "no bound of a type");
    }
    case 4:
      return { sort: "component", type: r.u32() };
    case 5:
      return { sort: "instance", type: r.u32() };
    default:
      return r.unknown(tag, "no kind of import or export");
  }
}

function readSort(r: BinaryReader): Sort {
  const sorts: readonly (Sort | undefined)[] = [undefined, "func", "value", "type", "component", "instance"];
  const tag = r.byte();
  if (tag === 0) return readCoreSort(r);
  return sorts[tag] ?? r.unknown(tag, "no sort");
}

const coreSorts: Record<number, CoreSort> = {
  0: "core-func",
  1: "core-table",
  2: "core-memory",
  3: "core-global",
  4: "core-tag",
  16: "core-type",
  17: "core-module",
  18: "core-instance",
};

function readCoreSort(r: BinaryReader): CoreSort {
  const tag = r.byte();
  return coreSorts[tag] ?? r.unknown(tag, "no core sort");
}

function readSortIndex(r: BinaryReader): SortIndex {
  return { sort: readSort(r), index: r.u32() };
}

function readOptions(r: BinaryReader): CanonOptions {
  const options = { encoding: "utf8" as CanonOptions["encoding"], async: false } as {
    -readonly [K in keyof CanonOptions]: CanonOptions[K];
  };
  const given = new Set<string>();
  r.vector(() => {
    const tag = r.byte();
    const option = optionNames[tag] ?? r.unknown(tag, "no known canonical option");
    if (given.has(option)) r.fail(`the canonical option ${option} is given twice`, r.offset - 1);
    given.add(option);
    if (tag === 0) options.encoding = "utf8";
    else if (tag === 1) options.encoding = "utf16";
    else if (tag === 2) options.encoding = "latin1+utf16";
    else if (tag === 3) options.memory = r.u32();
    else if (tag === 4) options.realloc = r.u32();
    else if (tag === 5) options.postReturn = r.u32();
    else if (tag === 6) options.async = true;
    else options.callback = r.u32();
  });
  return options;
}

const encoding = "string-encoding";
const optionNames = [encoding, encoding, encoding, "memory", "realloc", "post-return", "async", "callback"];

const plainBuiltIns: Record<number, PlainBuiltIn> = {
  5: "task.cancel",
  8: "backpressure.set",
  13: "subtask.drop",
  30: "error-context.drop",
  31: "waitable-set.new",
  34: "waitable-set.drop",
  35: "waitable.join",
  36: "backpressure.inc",
  37: "backpressure.dec",
  38: "thread.index",
  40: "thread.resume-later",
};

const threadSwitches: Record<number, "thread.yield" | ThreadSwitch> = {
  12: "thread.yield",
  41: "thread.suspend",
  42: "thread.suspend-then-resume",
  43: "thread.yield-then-resume",
  44: "thread.suspend-then-promote",
  45: "thread.yield-then-promote",
};

/** Built-ins of streams, from 14 on; those of futures follow in the same order, from 21 on. */
const endBuiltIns = ["new", "read", "write", "cancel-read", "cancel-write", "drop-readable", "drop-writable"] as const;

function readCanon(r: BinaryReader): CanonDefinition {
  const tag = r.byte();
  switch (tag) {
    case 0: {
      const sort = r.byte();
      if (sort !== 0) r.unknown(sort, "not the sort of what is lifted");
      const coreFunc = r.u32();
      const options = readOptions(r);
      return { kind: "lift", coreFunc, options, type: r.u32() };
    }
    case 1: {
      const sort = r.byte();
      if (sort !== 0) r.unknown(sort, "not the sort of what is lowered");
      const func = r.u32();
      return { kind: "lower", func, options: readOptions(r) };
    }
    case 2:
      return { kind: "resource.new", resource: r.u32() };
    case 3:
      return { kind: "resource.drop", resource: r.u32() };
    case 4:
      return { kind: "resource.rep", resource: r.u32() };
    case 9: {
      const result = readResult(r);
      return { kind: "task.return", result, options: readOptions(r) };
    }
    case 0x0a:
    case 0x0b: {
      const type = r.byte();
      if (type !== 0x7f && type !== 0x7e) r.unknown(type, "neither i32 nor i64, which task context is");
      return {
        kind: tag === 0x0a ? "context.get" : "context.set",
        type: type === 0x7f ? "i32" : "i64",
        slot: r.u32(),
      };
    }
    case 6:
      return { kind: "subtask.cancel", async: r.flag() };
    case 28:
    case 29:
      return { kind: tag === 28 ? "error-context.new" : "error-context.debug-message", options: readOptions(r) };
    case 32:
    case 33:
      return {
        kind: tag === 32 ? "waitable-set.wait" : "waitable-set.poll",
        cancellable: r.flag(),
        memory: r.u32(),
      };
    case 39:
      return { kind: "thread.new-indirect", type: r.u32(), table: r.u32() };
    case 64:
      return { kind: "thread.spawn-ref", shared: r.flag(), type: r.u32() };
    case 65:
      return { kind: "thread.spawn-indirect", shared: r.flag(), type: r.u32(), table: r.u32() };
    case 66:
      return { kind: "thread.available-parallelism", shared: r.flag() };
  }
  const plain = plainBuiltIns[tag];
  if (plain) return { kind: plain };
  const thread = threadSwitches[tag];
  if (thread) return { kind: thread, cancellable: r.flag() };
  const end: EndKind = tag < 21 ? "stream" : "future";
  const builtIn = endBuiltIns[tag - (end === "stream" ? 14 : 21)];
  if (!builtIn) return r.unknown(tag, "no known canonical built-in");
  const type = r.u32();
  switch (builtIn) {
    case "read":
    case "write":
      return { kind: `${end}.${builtIn}`, type, options: readOptions(r) };
    case "cancel-read":
    case "cancel-write":
      return { kind: `${end}.${builtIn}`, type, async: r.flag() };
    default:
      return { kind: `${end}.${builtIn}`, type };
  }
}

/** A core type: a recursion group, or the type of a module. */
function readCoreType(r: BinaryReader): CoreTypeDefinition {
  const tag = r.bytes[r.offset];
  // The code of a non-final subtype is also that of a module type: the former has 0x00 before it.
  if (tag === 0x00) {
    r.byte();
    return { kind: "core-type", type: { kind: "rec", group: [readSubType(r, r.byte())] } };
  }
  if (tag !== 0x50) return { kind: "core-type", type: { kind: "rec", group: readRecGroup(r) } };
  r.byte();
  return { kind: "core-type", type: { kind: "module", declarations: r.vector(() => readModuleDeclaration(r)) } };
}

function readModuleDeclaration(r: BinaryReader): ModuleDeclaration {
  const { offset } = r;
  const tag = r.byte();
  switch (tag) {
    case 0:
      return { offset, kind: "import", module: r.name(), name: r.name(), extern: readCoreExtern(r) };
    case 1:
      return { offset, kind: "type", group: readRecGroup(r) };
    case 2: {
      const sort = r.byte();
      if (sort !== 0x10) r.unknown(sort, "no core type, which an alias in a module type names");
      const target = r.byte();
      if (target !== 1) r.unknown(target, "no target of an alias in a module type");
      return { offset, kind: "outer", depth: r.u32(), index: r.u32() };
    }
    case 3:
      return { offset, kind: "export", name: r.name(), extern: readCoreExtern(r) };
    default:
      return r.unknown(tag, "no declaration of a module type");
  }
}
