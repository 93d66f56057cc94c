/**
 * Component bytes to definitions, in the order of the binary: each adds one entry to one index
 * space of its component. Nothing is resolved here; `plan.ts` gives the indices their meaning.
 *
 * Follows the Component Model's binary format (design/mvp/Binary.md).
 */
import { CytoError } from "../kernel/index.ts";
import { BinaryReader, sniff } from "./binary.ts";

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

/** One line inside an instance or component type. */
export type Declaration =
  | { readonly kind: "core-type" }
  | { readonly kind: "type"; readonly type: TypeDefinition }
  | AliasDefinition
  | { readonly kind: "import" | "export"; readonly name: string; readonly extern: Extern };

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

export type Definition =
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
  | { readonly kind: "core-type" }
  | { readonly kind: "component"; readonly component: ComponentDefinition }
  | {
      readonly kind: "instantiate";
      readonly component: number;
      readonly args: readonly { readonly name: string; readonly item: SortIndex }[];
    }
  | { readonly kind: "bundle"; readonly exports: readonly { readonly name: string; readonly item: SortIndex }[] }
  | AliasDefinition
  | { readonly kind: "type"; readonly type: TypeDefinition }
  | { readonly kind: "canon"; readonly canon: CanonDefinition }
  | { readonly kind: "import"; readonly name: string; readonly extern: Extern }
  | { readonly kind: "export"; readonly name: string; readonly item: SortIndex };

export interface ComponentDefinition {
  readonly definitions: readonly Definition[];
}

/** Deeper nesting than any tool makes is refused rather than recursed into. */
const NESTING_MAX = 64;

/** Throws CytoError `invalid-component`, saying what the bytes are instead or where they break. */
export function decode(bytes: Uint8Array): ComponentDefinition {
  const kind = sniff(bytes);
  if (kind !== "component") {
    const problem = {
      empty: "the file is empty",
      "core-module": "it is a core WebAssembly module, not a component",
      text: "it is WebAssembly text, not a binary",
      unknown: "it does not begin like WebAssembly",
    }[kind];
    throw new CytoError("invalid-component", `Cannot decode the component: ${problem}`, {
      hint:
        kind === "core-module"
          ? "Wrap it with `wasm-tools component new`, or build for a component target such as wasm32-wasip2."
          : "Give the .wasm file that the component toolchain wrote.",
    });
  }
  return decodeComponent(new BinaryReader(bytes, 8), 0);
}

function decodeComponent(reader: BinaryReader, depth: number): ComponentDefinition {
  if (depth > NESTING_MAX) reader.fail(`components are nested more than ${NESTING_MAX} deep`);
  const definitions: Definition[] = [];
  const add = (definition: Definition) => definitions.push(definition);
  while (!reader.done) {
    const id = reader.byte();
    const section = reader.section(reader.u32());
    switch (id) {
      case 0:
        continue;
      case 1:
        add({ kind: "core-module", bytes: section.bytes.subarray(section.offset, section.end) });
        continue;
      case 4: {
        if (sniff(section.bytes.subarray(section.offset, section.end)) !== "component") {
          section.fail("a nested component does not begin like one");
        }
        section.offset += 8;
        add({ kind: "component", component: decodeComponent(section, depth + 1) });
        continue;
      }
      case 9:
      case 12:
        section.fail("component start functions and values are not supported");
    }
    const read = sectionReaders[id];
    if (!read) section.fail(`${id} is no section of a component`);
    section.vector(() => add(read!(section)));
    if (!section.done) section.fail("a section is longer than its items");
  }
  return { definitions };
}

const sectionReaders: Record<number, (r: BinaryReader) => Definition> = {
  2: readCoreInstance,
  3: (r) => {
    skipCoreType(r);
    return { kind: "core-type" };
  },
  5: readInstance,
  6: readAlias,
  7: (r) => ({ kind: "type", type: readType(r, 0) }),
  8: (r) => ({ kind: "canon", canon: readCanon(r) }),
  10: (r) => ({ kind: "import", name: readExternName(r), extern: readExtern(r) }),
  11: (r) => {
    const name = readExternName(r);
    const item = readSortIndex(r);
    r.optional(() => readExtern(r));
    return { kind: "export", name, item };
  },
};

function readCoreInstance(r: BinaryReader): Definition {
  const tag = r.byte();
  if (tag === 0) {
    const module = r.u32();
    const args = r.vector(() => {
      const name = r.name();
      if (r.byte() !== 0x12) r.fail("a core argument is no instance");
      return { name, instance: r.u32() };
    });
    return { kind: "core-instantiate", module, args };
  }
  if (tag !== 1) r.fail(`0x${tag.toString(16)} is no core instance`);
  const exports = r.vector(() => ({ name: r.name(), item: { sort: readCoreSort(r), index: r.u32() } }));
  return { kind: "core-bundle", exports };
}

function readInstance(r: BinaryReader): Definition {
  const tag = r.byte();
  if (tag === 0) {
    const component = r.u32();
    return { kind: "instantiate", component, args: r.vector(() => ({ name: r.name(), item: readSortIndex(r) })) };
  }
  if (tag !== 1) r.fail(`0x${tag.toString(16)} is no instance`);
  return { kind: "bundle", exports: r.vector(() => ({ name: readExternName(r), item: readSortIndex(r) })) };
}

function readAlias(r: BinaryReader): AliasDefinition {
  const sort = readSort(r);
  const tag = r.byte();
  if (tag === 0) return { kind: "alias", sort, from: { of: "instance", index: r.u32(), name: r.name() } };
  if (tag === 1) return { kind: "alias", sort, from: { of: "core-instance", index: r.u32(), name: r.name() } };
  if (tag !== 2) r.fail(`0x${tag.toString(16)} is no alias`);
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
  const value = r.s33();
  if (value >= 0) return value;
  const primitive = primitives[value + 128];
  if (primitive) return primitive;
  r.offset = at;
  return r.fail("a value type is unknown");
}

function readType(r: BinaryReader, depth: number): TypeDefinition {
  if (depth > NESTING_MAX) r.fail(`types are nested more than ${NESTING_MAX} deep`);
  const value = () => readValueType(r);
  const labelled = () => ({ name: r.name(), type: value() });
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
        if (r.byte() !== 0) r.fail("a variant case refines another");
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
      const results = r.byte();
      if (results === 0) return { kind: "func", async: tag === 0x43, params, result: value() };
      if (results !== 1 || r.byte() !== 0) r.fail("a function has named results");
      return { kind: "func", async: tag === 0x43, params, result: undefined };
    }
    case 0x41:
    case 0x42:
      return {
        kind: tag === 0x41 ? "component" : "instance",
        declarations: r.vector(() => readDeclaration(r, depth + 1)),
      };
    case 0x3f: {
      if (r.byte() !== 0x7f) r.fail("a resource is not represented by an i32");
      return { kind: "resource", destructor: r.optional(() => r.u32()) };
    }
    default:
      return r.fail(`0x${tag.toString(16)} is no known type`);
  }
}

function readDeclaration(r: BinaryReader, depth: number): Declaration {
  const tag = r.byte();
  switch (tag) {
    case 0:
      skipCoreType(r);
      return { kind: "core-type" };
    case 1:
      return { kind: "type", type: readType(r, depth) };
    case 2:
      return readAlias(r);
    case 3:
    case 4:
      return { kind: tag === 3 ? "import" : "export", name: readExternName(r), extern: readExtern(r) };
    default:
      return r.fail(`0x${tag.toString(16)} is no declaration`);
  }
}

function readExternName(r: BinaryReader): string {
  const tag = r.byte();
  if (tag > 2) r.fail("a name has an unknown form");
  const name = r.name();
  // Form 2 carries the part of the version that the canonical name leaves out.
  return tag === 2 ? `${name}${r.name()}` : name;
}

function readExtern(r: BinaryReader): Extern {
  const tag = r.byte();
  switch (tag) {
    case 0:
      if (r.byte() !== 0x11) r.fail("a core extern is no module");
      return { sort: "module", type: r.u32() };
    case 1:
      return { sort: "func", type: r.u32() };
    case 3: {
      const bound = r.byte();
      if (bound === 0) return { sort: "type", bound: "eq", type: r.u32() };
      if (bound === 1) return { sort: "type", bound: "resource" };
      return r.fail("a type bound is unknown");
    }
    case 4:
      return { sort: "component", type: r.u32() };
    case 5:
      return { sort: "instance", type: r.u32() };
    default:
      return r.fail(`0x${tag.toString(16)} is no import or export of a known kind`);
  }
}

function readSort(r: BinaryReader): Sort {
  const sorts: readonly (Sort | undefined)[] = [undefined, "func", "value", "type", "component", "instance"];
  const tag = r.byte();
  if (tag === 0) return readCoreSort(r);
  return sorts[tag] ?? r.fail(`0x${tag.toString(16)} is no sort`);
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
  return coreSorts[tag] ?? r.fail(`0x${tag.toString(16)} is no core sort`);
}

function readSortIndex(r: BinaryReader): SortIndex {
  return { sort: readSort(r), index: r.u32() };
}

function readOptions(r: BinaryReader): CanonOptions {
  const options = { encoding: "utf8" as CanonOptions["encoding"], async: false } as {
    -readonly [K in keyof CanonOptions]: CanonOptions[K];
  };
  r.vector(() => {
    const tag = r.byte();
    if (tag === 0) options.encoding = "utf8";
    else if (tag === 1) options.encoding = "utf16";
    else if (tag === 2) options.encoding = "latin1+utf16";
    else if (tag === 3) options.memory = r.u32();
    else if (tag === 4) options.realloc = r.u32();
    else if (tag === 5) options.postReturn = r.u32();
    else if (tag === 6) options.async = true;
    else if (tag === 7) options.callback = r.u32();
    else r.fail(`0x${tag.toString(16)} is no known canonical option`);
  });
  return options;
}

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
      if (r.byte() !== 0) r.fail("a lift is malformed");
      const coreFunc = r.u32();
      const options = readOptions(r);
      return { kind: "lift", coreFunc, options, type: r.u32() };
    }
    case 1: {
      if (r.byte() !== 0) r.fail("a lower is malformed");
      const func = r.u32();
      return { kind: "lower", func, options: readOptions(r) };
    }
    case 2:
      return { kind: "resource.new", resource: r.u32() };
    case 3:
    case 7:
      return { kind: "resource.drop", resource: r.u32() };
    case 4:
      return { kind: "resource.rep", resource: r.u32() };
    case 9: {
      const some = r.byte();
      if (some > 1) r.fail("a task.return has named results");
      const result = some === 0 ? readValueType(r) : void r.byte();
      return { kind: "task.return", result, options: readOptions(r) };
    }
    case 0x0a:
    case 0x0b: {
      const type = r.byte();
      if (type !== 0x7f && type !== 0x7e) r.fail("task context is neither an i32 nor an i64");
      return {
        kind: tag === 0x0a ? "context.get" : "context.set",
        type: type === 0x7f ? "i32" : "i64",
        slot: r.u32(),
      };
    }
    case 6:
      return { kind: "subtask.cancel", async: readFlag(r) };
    case 28:
    case 29:
      return { kind: tag === 28 ? "error-context.new" : "error-context.debug-message", options: readOptions(r) };
    case 32:
    case 33:
      return {
        kind: tag === 32 ? "waitable-set.wait" : "waitable-set.poll",
        cancellable: readFlag(r),
        memory: r.u32(),
      };
    case 39:
      return { kind: "thread.new-indirect", type: r.u32(), table: r.u32() };
  }
  const plain = plainBuiltIns[tag];
  if (plain) return { kind: plain };
  const thread = threadSwitches[tag];
  if (thread) return { kind: thread, cancellable: readFlag(r) };
  const end: EndKind = tag < 21 ? "stream" : "future";
  const builtIn = endBuiltIns[tag - (end === "stream" ? 14 : 21)];
  if (!builtIn) return r.fail(`0x${tag.toString(16)} is no known canonical built-in`);
  const type = r.u32();
  switch (builtIn) {
    case "read":
    case "write":
      return { kind: `${end}.${builtIn}`, type, options: readOptions(r) };
    case "cancel-read":
    case "cancel-write":
      return { kind: `${end}.${builtIn}`, type, async: readFlag(r) };
    default:
      return { kind: `${end}.${builtIn}`, type };
  }
}

function readFlag(r: BinaryReader): boolean {
  const flag = r.byte();
  if (flag > 1) r.fail(`0x${flag.toString(16)} is no flag`);
  return flag === 1;
}

/** Core types only describe imported modules, which are not supported: they are read past. */
function skipCoreType(r: BinaryReader): void {
  const valueType = () => {
    const type = r.byte();
    if (type === 0x63 || type === 0x64) r.s33();
  };
  const tag = r.byte();
  if (tag === 0x60) {
    r.vector(valueType);
    r.vector(valueType);
    return;
  }
  if (tag !== 0x50) r.fail(`0x${tag.toString(16)} is no supported core type`);
  r.vector(() => {
    const declaration = r.byte();
    if (declaration === 1) return skipCoreType(r);
    if (declaration === 2) {
      r.byte();
      r.byte();
      r.u32();
      r.u32();
      return;
    }
    if (declaration === 0) {
      r.name();
      r.name();
    } else if (declaration === 3) r.name();
    else r.fail("a module type is malformed");
    const kind = r.byte();
    if (kind === 0) r.u32();
    else if (kind === 3) {
      valueType();
      r.byte();
    } else {
      if (kind === 1) valueType();
      const flags = r.byte();
      r.u32();
      if (flags & 1) r.u32();
    }
  });
}
