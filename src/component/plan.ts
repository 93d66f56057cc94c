/**
 * Definitions to a plan: the component's whole wiring, worked out once so that instantiating only
 * follows it. Nested components are inlined, aliases and types resolved, and every function that a
 * core module can import stands for itself: another core export, or a trampoline into JavaScript.
 *
 * The Component Model's linking is static, so everything here holds for every instance.
 */
import { CytoError } from "../kernel/index.ts";
import type {
  CanonDefinition,
  CanonOptions,
  ComponentDefinition,
  Declaration,
  Definition,
  EndKind,
  Extern,
  PlainBuiltIn,
  Sort,
  TypeDefinition,
  ValueTypeRef,
} from "./decode.ts";
import { type Signature, signatureOf } from "./signature.ts";
import { type ResolvedFunction, type ResourceType, type ValueType, withMinorVersion, withoutVersion } from "./types.ts";

/** Something that a core module can import or export. */
export type CoreItem =
  | { readonly from: "instance"; readonly instance: number; readonly name: string }
  | { readonly from: "trampoline"; readonly index: number };

/** A core instance, or a bundle of items that poses as one. */
export type CoreNamespace = number | ReadonlyMap<string, CoreItem>;

export interface ContextPlan {
  readonly home: number;
  readonly memory: CoreItem | undefined;
  readonly realloc: CoreItem | undefined;
  readonly encoding: CanonOptions["encoding"];
}

export interface HostFunctionPlan {
  readonly kind: "host";
  /** Its type is `async`: it may take its time. */
  readonly async: boolean;
  /** With `major.minor`, if it has a version; `$root` for functions that the world imports directly. */
  readonly interface: string;
  readonly name: string;
  readonly signature: Signature;
}

export interface LiftPlan {
  readonly kind: "lift";
  readonly home: number;
  readonly core: CoreItem;
  readonly context: number;
  readonly postReturn: CoreItem | undefined;
  /** Present for functions lifted with the callback form of component-model async. */
  readonly callback: CoreItem | undefined;
  /** Lifted with the option `async`: the result comes by `task.return`. */
  readonly async: boolean;
  /** Its type is `async`: it may block. */
  readonly asyncType: boolean;
  readonly signature: Signature;
}

/** A resource that an interface exports. */
export interface ResourcePlan {
  readonly kind: "resource";
  readonly resource: ResourceType;
}

export type FunctionPlan = HostFunctionPlan | LiftPlan;

export type Trampoline =
  | { readonly kind: "lower"; readonly func: FunctionPlan; readonly context: number; readonly async: boolean }
  | {
      readonly kind: "resource.new" | "resource.rep" | "resource.drop";
      readonly type: ResourceType;
      readonly home: number;
    }
  | BuiltIn
  | { readonly kind: "unsupported"; readonly name: string };

/** A built-in of component-model async; `home` is the instance that calls it. */
export type BuiltIn = { readonly home: number } & (
  | { readonly kind: "task.return"; readonly result: ValueType | undefined; readonly context: number }
  | { readonly kind: "context.get" | "context.set"; readonly type: "i32" | "i64"; readonly slot: number }
  | { readonly kind: PlainBuiltIn }
  | { readonly kind: "subtask.cancel"; readonly async: boolean }
  | {
      readonly kind: "waitable-set.wait" | "waitable-set.poll";
      readonly cancellable: boolean;
      readonly memory: CoreItem;
    }
  | { readonly kind: "thread.yield"; readonly cancellable: boolean }
  | {
      readonly kind: `${EndKind}.new` | `${EndKind}.drop-${"readable" | "writable"}`;
      readonly element: ValueType | undefined;
    }
  | {
      readonly kind: `${EndKind}.${"read" | "write"}`;
      readonly element: ValueType | undefined;
      readonly context: number;
      readonly async: boolean;
    }
  | {
      readonly kind: `${EndKind}.cancel-${"read" | "write"}`;
      readonly element: ValueType | undefined;
      readonly async: boolean;
    }
  | { readonly kind: "error-context.new" | "error-context.debug-message"; readonly context: number }
);

export interface Plan extends Linking {
  /** The binaries of the core modules, which `instances` refer to by index. */
  readonly modules: readonly Uint8Array[];
}

export interface InstancePlan {
  readonly module: number;
  /** The component instance that it is of. */
  readonly home: number;
  readonly imports: readonly { readonly name: string; readonly from: CoreNamespace }[];
}

/** The wiring alone. */
export interface Linking {
  /** In the order in which they are made; one that was found to be needless is undefined. */
  readonly instances: readonly (InstancePlan | undefined)[];
  readonly contexts: readonly ContextPlan[];
  readonly trampolines: readonly Trampoline[];
  readonly destructors: ReadonlyMap<ResourceType, CoreItem>;
  readonly memories: readonly CoreItem[];
  /** Component instances that hold handles of their own: of each, which one it is inside of. */
  readonly homes: readonly (number | undefined)[];
  /** Names with versions, as the binary has them. */
  readonly importNames: readonly string[];
  readonly exportNames: readonly string[];
  /** By interface, with `major.minor` and without version, then by function. */
  readonly exports: ReadonlyMap<string, ReadonlyMap<string, LiftPlan | ResourcePlan>>;
}

type TypeEntry =
  | ValueType
  | ResolvedFunction
  | { readonly kind: "resource"; readonly resource: ResourceType }
  | { readonly kind: "instance"; readonly declarations: readonly Declaration[]; readonly scope: Scope }
  | { readonly kind: "component"; readonly declarations: readonly Declaration[]; readonly scope: Scope };

type Exports = ReadonlyMap<string, Item>;

type Item =
  | { readonly sort: "func"; readonly value: FunctionPlan }
  | { readonly sort: "type"; readonly value: TypeEntry }
  | { readonly sort: "instance"; readonly value: Exports }
  | { readonly sort: "component"; readonly value: { readonly definition: ComponentDefinition; readonly scope: Scope } }
  | { readonly sort: "core-module"; readonly value: number };

/** The index spaces of one component or of one component or instance type. */
interface Scope {
  readonly parent: Scope | undefined;
  readonly home: number;
  readonly spaces: { readonly [S in Sort]: unknown[] };
}

/** Inlining stops here, so that a small file cannot stand for an endless component. */
const INSTANCES_MAX = 10_000;
/** The same in definitions, and in parts of the types of functions. */
const STEPS_MAX = 1_000_000;

export function planOf(definition: ComponentDefinition): Plan {
  const planner = createPlanner();
  const exported = planner.component(definition, undefined, undefined, undefined);
  return planner.finish(exported);
}

function fail(problem: string): never {
  throw new CytoError("invalid-component", `Cannot link the component: ${problem}`);
}

function createPlanner() {
  const modules: Uint8Array[] = [];
  const instances: { module: number; home: number; imports: { name: string; from: CoreNamespace }[] }[] = [];
  const contexts: ContextPlan[] = [];
  const contextIndices = new Map<string, number>();
  const trampolines: Trampoline[] = [];
  const destructors = new Map<ResourceType, CoreItem>();
  const memories = new Map<string, CoreItem>();
  const hostResources = new Map<string, ResourceType>();
  const importNames: string[] = [];
  const exportNames: string[] = [];
  const homes: (number | undefined)[] = [];
  let inlined = 0;
  let steps = 0;
  const weights = new WeakMap<object, number>();

  function spend(amount: number): void {
    steps += amount;
    if (steps > STEPS_MAX) fail(`more than ${STEPS_MAX} definitions and parts of types come together`);
  }

  /** How many parts a type has when nothing is shared. */
  function weigh(part: unknown): number {
    if (typeof part !== "object" || part === null) return 0;
    let weight = weights.get(part);
    if (weight === undefined) {
      weight = Object.values(part).reduce((sum: number, inner) => sum + weigh(inner), 1);
      weights.set(part, weight);
    }
    return weight;
  }

  function signature(type: ResolvedFunction): Signature {
    spend(weigh(type));
    return signatureOf(type);
  }

  function newScope(parent: Scope | undefined, home: number): Scope {
    const spaces = {} as Record<Sort, unknown[]>;
    for (const sort of sorts) spaces[sort] = [];
    return { parent, home, spaces };
  }

  function at<T>(scope: Scope, sort: Sort, index: number): T {
    const space = scope.spaces[sort];
    if (index >= space.length) fail(`${sort} ${index} does not exist`);
    return space[index] as T;
  }

  /**
   * Evaluates a component inside of the instance `container`. Without `args` it is the root, whose
   * imports are the host's.
   */
  function component(
    definition: ComponentDefinition,
    parent: Scope | undefined,
    args: ReadonlyMap<string, Item> | undefined,
    container: number | undefined,
  ): Exports {
    if (++inlined > INSTANCES_MAX) fail(`more than ${INSTANCES_MAX} instances are made`);
    const scope = newScope(parent, homes.push(container) - 1);
    const exported = new Map<string, Item>();
    for (const step of definition.definitions) evaluate(step, scope, args, exported);
    return exported;
  }

  function evaluate(
    step: Definition,
    scope: Scope,
    args: ReadonlyMap<string, Item> | undefined,
    exported: Map<string, Item>,
  ): void {
    const { spaces } = scope;
    spend(1);
    switch (step.kind) {
      case "core-module":
        spaces["core-module"].push(modules.push(step.bytes) - 1);
        return;
      case "core-type":
        spaces["core-type"].push(undefined);
        return;
      case "core-instantiate": {
        if (++inlined > INSTANCES_MAX) fail(`more than ${INSTANCES_MAX} instances are made`);
        const imports = step.args.map((arg) => ({
          name: arg.name,
          from: at<CoreNamespace>(scope, "core-instance", arg.instance),
        }));
        instances.push({ module: at<number>(scope, "core-module", step.module), home: scope.home, imports });
        spaces["core-instance"].push(instances.length - 1);
        return;
      }
      case "core-bundle": {
        const bundle = new Map<string, CoreItem>();
        for (const { name, item } of step.exports) bundle.set(name, at<CoreItem>(scope, item.sort, item.index));
        spaces["core-instance"].push(bundle);
        return;
      }
      case "component":
        spaces.component.push({ definition: step.component, scope });
        return;
      case "instantiate": {
        const nested = at<{ definition: ComponentDefinition; scope: Scope }>(scope, "component", step.component);
        const given = new Map(step.args.map((arg) => [arg.name, itemAt(scope, arg.item.sort, arg.item.index)]));
        spaces.instance.push(component(nested.definition, nested.scope, given, scope.home));
        return;
      }
      case "bundle":
        spaces.instance.push(
          new Map(step.exports.map(({ name, item }) => [name, itemAt(scope, item.sort, item.index)])),
        );
        return;
      case "alias":
        alias(step, scope);
        return;
      case "type":
        spaces.type.push(typeEntry(step.type, scope));
        return;
      case "canon":
        canon(step.canon, scope);
        return;
      case "import": {
        let item: Item | undefined;
        if (args) {
          item = args.get(step.name) ?? fail(`nothing is given for the import ${step.name} of a nested component`);
        } else {
          importNames.push(step.name);
          item = hostItem(step.name, step.extern, scope, "$root");
        }
        spaces[item.sort].push(item.value);
        return;
      }
      case "export": {
        const item = itemAt(scope, step.item.sort, step.item.index);
        if (!args) exportNames.push(step.name);
        exported.set(step.name, item);
        spaces[item.sort].push(item.value);
        return;
      }
    }
  }

  function itemAt(scope: Scope, sort: Sort, index: number): Item {
    if (sort !== "func" && sort !== "type" && sort !== "instance" && sort !== "component" && sort !== "core-module") {
      fail(`a ${sort} cannot be passed between components`);
    }
    return { sort, value: at(scope, sort, index) } as Item;
  }

  function alias(step: Extract<Definition, { kind: "alias" }>, scope: Scope): void {
    const space = scope.spaces[step.sort];
    const { from } = step;
    if (from.of === "outer") {
      let outer: Scope | undefined = scope;
      for (let i = 0; i < from.depth; i++) outer = outer?.parent;
      if (!outer) fail(`an alias reaches ${from.depth} components out`);
      space.push(at(outer, step.sort, from.index));
    } else if (from.of === "instance") {
      const item = at<Exports>(scope, "instance", from.index).get(from.name);
      if (!item || item.sort !== step.sort) fail(`an instance exports no ${step.sort} ${from.name}`);
      space.push(item.value);
    } else {
      const namespace = at<CoreNamespace>(scope, "core-instance", from.index);
      const item: CoreItem =
        typeof namespace === "number"
          ? { from: "instance", instance: namespace, name: from.name }
          : (namespace.get(from.name) ?? fail(`a core instance exports no ${from.name}`));
      if (step.sort === "core-memory" && item.from === "instance") memories.set(`${item.instance} ${item.name}`, item);
      space.push(item);
    }
  }

  /** An import of the root, as something that the host will give. */
  function hostItem(name: string, extern: Extern, scope: Scope, under: string): Item {
    switch (extern.sort) {
      case "func": {
        const type = functionAt(scope, extern.type);
        const { async } = type;
        const value: HostFunctionPlan = { kind: "host", async, interface: under, name, signature: signature(type) };
        return { sort: "func", value };
      }
      case "type": {
        if (extern.bound === "eq") return { sort: "type", value: at<TypeEntry>(scope, "type", extern.type) };
        return { sort: "type", value: { kind: "resource", resource: hostResource(under, name) } };
      }
      case "instance": {
        const type = at<TypeEntry>(scope, "type", extern.type);
        if (type.kind !== "instance") fail(`the type of import ${name} is no instance type`);
        return { sort: "instance", value: hostInstance(withMinorVersion(name), type.declarations, type.scope) };
      }
      default:
        return fail(`it imports the ${extern.sort} ${name}, which a host cannot give`);
    }
  }

  /** One identity for a resource of the host, however many versions of its interface are imported. */
  function hostResource(under: string, name: string): ResourceType {
    const key = `${under}#${name}`;
    let resource = hostResources.get(key);
    if (!resource) {
      resource = { name, home: undefined };
      hostResources.set(key, resource);
    }
    return resource;
  }

  function hostInstance(name: string, declarations: readonly Declaration[], parent: Scope): Exports {
    const scope = newScope(parent, parent.home);
    const exported = new Map<string, Item>();
    for (const declaration of declarations) {
      switch (declaration.kind) {
        case "core-type":
          scope.spaces["core-type"].push(undefined);
          break;
        case "type":
          scope.spaces.type.push(typeEntry(declaration.type, scope));
          break;
        case "alias":
          alias(declaration, scope);
          break;
        case "import":
          fail(`the instance type of ${name} declares an import`);
          break;
        case "export": {
          const item = hostItem(declaration.name, declaration.extern, scope, name);
          exported.set(declaration.name, item);
          scope.spaces[item.sort].push(item.value);
        }
      }
    }
    return exported;
  }

  function typeEntry(type: TypeDefinition, scope: Scope): TypeEntry {
    const value = (ref: ValueTypeRef) => valueType(ref, scope);
    const maybe = (ref: ValueTypeRef | undefined) => (ref === undefined ? undefined : value(ref));
    switch (type.kind) {
      case "primitive":
      case "flags":
      case "enum":
        return type;
      case "record":
        return { kind: "record", fields: type.fields.map((field) => ({ name: field.name, type: value(field.type) })) };
      case "variant":
        return { kind: "variant", cases: type.cases.map((c) => ({ name: c.name, type: maybe(c.type) })) };
      case "list":
        return { kind: "list", element: value(type.element), length: type.length };
      case "map":
        return { kind: "map", key: value(type.key), value: value(type.value) };
      case "tuple":
        return { kind: "tuple", types: type.types.map(value) };
      case "option":
        return { kind: "option", type: value(type.type) };
      case "result":
        return { kind: "result", ok: maybe(type.ok), err: maybe(type.err) };
      case "own":
      case "borrow":
        return { kind: type.kind, resource: resourceAt(scope, type.resource) };
      case "stream":
      case "future":
        return { kind: type.kind, element: maybe(type.element) };
      case "func": {
        const params = type.params.map((param) => ({ name: param.name, type: value(param.type) }));
        return { kind: "func", async: type.async, params, result: maybe(type.result) };
      }
      case "instance":
      case "component":
        return { kind: type.kind, declarations: type.declarations, scope };
      case "resource": {
        const resource: ResourceType = { name: "resource", home: scope.home };
        if (type.destructor !== undefined) {
          destructors.set(resource, at<CoreItem>(scope, "core-func", type.destructor));
        }
        return { kind: "resource", resource };
      }
    }
  }

  function valueType(ref: ValueTypeRef, scope: Scope): ValueType {
    if (typeof ref === "string") return primitiveTypes[ref];
    const entry = at<TypeEntry>(scope, "type", ref);
    if (entry.kind === "func" || entry.kind === "resource" || entry.kind === "instance" || entry.kind === "component") {
      fail(`type ${ref} is a ${entry.kind}, not the type of a value`);
    }
    return entry;
  }

  function functionAt(scope: Scope, index: number): ResolvedFunction {
    const entry = at<TypeEntry>(scope, "type", index);
    return entry.kind === "func" ? entry : fail(`type ${index} is no function type`);
  }

  function resourceAt(scope: Scope, index: number): ResourceType {
    const entry = at<TypeEntry>(scope, "type", index);
    return entry.kind === "resource" ? entry.resource : fail(`type ${index} is no resource type`);
  }

  function context(options: CanonOptions, scope: Scope): number {
    const core = (sort: Sort, index: number | undefined) =>
      index === undefined ? undefined : at<CoreItem>(scope, sort, index);
    const plan: ContextPlan = {
      home: scope.home,
      memory: core("core-memory", options.memory),
      realloc: core("core-func", options.realloc),
      encoding: options.encoding,
    };
    const key = JSON.stringify(plan);
    let index = contextIndices.get(key);
    if (index === undefined) {
      index = contexts.push(plan) - 1;
      contextIndices.set(key, index);
    }
    return index;
  }

  function canon(step: CanonDefinition, scope: Scope): void {
    const add = (trampoline: Trampoline) => {
      const item: CoreItem = { from: "trampoline", index: trampolines.push(trampoline) - 1 };
      scope.spaces["core-func"].push(item);
    };
    const { home } = scope;
    switch (step.kind) {
      case "lift": {
        const { options } = step;
        const core = (index: number | undefined) =>
          index === undefined ? undefined : at<CoreItem>(scope, "core-func", index);
        const type = functionAt(scope, step.type);
        const lift: LiftPlan = {
          kind: "lift",
          home: scope.home,
          core: at<CoreItem>(scope, "core-func", step.coreFunc),
          context: context(options, scope),
          postReturn: core(options.postReturn),
          callback: core(options.callback),
          async: options.async,
          asyncType: type.async,
          signature: signature(type),
        };
        scope.spaces.func.push(lift);
        return;
      }
      case "lower": {
        const func = at<FunctionPlan>(scope, "func", step.func);
        add({ kind: "lower", func, context: context(step.options, scope), async: step.options.async });
        return;
      }
      case "resource.new":
      case "resource.rep":
      case "resource.drop":
        add({ kind: step.kind, type: resourceAt(scope, step.resource), home });
        return;
      case "task.return": {
        const result = step.result === undefined ? undefined : valueType(step.result, scope);
        add({ kind: step.kind, home, result, context: context(step.options, scope) });
        return;
      }
      case "stream.new":
      case "stream.drop-readable":
      case "stream.drop-writable":
      case "future.new":
      case "future.drop-readable":
      case "future.drop-writable":
        add({ kind: step.kind, home, element: elementAt(scope, step.type) });
        return;
      case "stream.read":
      case "stream.write":
      case "future.read":
      case "future.write": {
        const { async } = step.options;
        add({
          kind: step.kind,
          home,
          element: elementAt(scope, step.type),
          context: context(step.options, scope),
          async,
        });
        return;
      }
      case "stream.cancel-read":
      case "stream.cancel-write":
      case "future.cancel-read":
      case "future.cancel-write":
        add({ kind: step.kind, home, element: elementAt(scope, step.type), async: step.async });
        return;
      case "error-context.new":
      case "error-context.debug-message":
        add({ kind: step.kind, home, context: context(step.options, scope) });
        return;
      case "waitable-set.wait":
      case "waitable-set.poll": {
        const memory = at<CoreItem>(scope, "core-memory", step.memory);
        add({ kind: step.kind, home, cancellable: step.cancellable, memory });
        return;
      }
      case "context.get":
      case "context.set":
        add({ kind: step.kind, home, type: step.type, slot: step.slot });
        return;
      case "subtask.cancel":
        add({ kind: step.kind, home, async: step.async });
        return;
      case "thread.yield":
        add({ kind: step.kind, home, cancellable: step.cancellable });
        return;
      case "thread.index":
      case "thread.resume-later":
      case "thread.new-indirect":
      case "thread.suspend":
      case "thread.suspend-then-resume":
      case "thread.yield-then-resume":
      case "thread.suspend-then-promote":
      case "thread.yield-then-promote":
      case "thread.spawn-ref":
      case "thread.spawn-indirect":
      case "thread.available-parallelism":
        add({ kind: "unsupported", name: step.kind });
        return;
      default:
        add({ kind: step.kind, home });
    }
  }

  /** What a stream or future type is of. */
  function elementAt(scope: Scope, index: number): ValueType | undefined {
    const entry = at<TypeEntry>(scope, "type", index);
    if (entry.kind !== "stream" && entry.kind !== "future") fail(`type ${index} is no stream or future`);
    return entry.element;
  }

  function finish(exported: Exports): Plan {
    const exports = new Map<string, Map<string, LiftPlan | ResourcePlan>>();
    const put = (under: string, name: string, item: Item) => {
      if (item.sort !== "func" && item.sort !== "type") return;
      const { value } = item;
      if (value.kind !== "lift" && value.kind !== "resource") return;
      // The host's own it has classes for.
      if (value.kind === "resource" && value.resource.home === undefined) return;
      const items = exports.get(under) ?? new Map<string, LiftPlan | ResourcePlan>();
      exports.set(under, items.set(name, value));
    };
    for (const [name, item] of exported) {
      if (item.sort === "instance") {
        for (const [inner, innerItem] of item.value) put(withMinorVersion(name), inner, innerItem);
      } else put("$root", name, item);
    }
    // Of several versions, the newest goes by the bare name.
    for (const [name, items] of [...exports].sort(byMinorVersion)) exports.set(withoutVersion(name), items);
    return {
      modules,
      instances,
      contexts,
      trampolines,
      destructors,
      memories: [...memories.values()],
      homes,
      importNames,
      exportNames,
      exports,
    };
  }

  return { component, finish };
}

function byMinorVersion([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a.localeCompare(b, "en", { numeric: true });
}

const sorts: readonly Sort[] = [
  "func",
  "value",
  "type",
  "component",
  "instance",
  "core-func",
  "core-table",
  "core-memory",
  "core-global",
  "core-tag",
  "core-type",
  "core-module",
  "core-instance",
];

const primitiveTypes = Object.fromEntries(
  (
    "bool s8 u8 s16 u16 s32 u32 s64 u64 f32 f64 char string error-context".split(" ") as Extract<ValueTypeRef, string>[]
  ).map((type) => [type, { kind: "primitive", type }]),
) as Record<Extract<ValueTypeRef, string>, ValueType>;
