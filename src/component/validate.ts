/**
 * Holds a decoded component to the rules of the Component Model, before anything is made of it: every
 * index names something of the right sort, types and names are well formed, what is given fits what is
 * asked for, and nothing leaves a component whose type cannot be named outside.
 *
 * Every refusal names the byte, the section and the rule. What it costs is bounded by the size of the
 * file: types share their parts however often they are repeated, and what the parts would amount to
 * if unshared has a limit.
 */
import { invalid } from "./binary.ts";
import {
  addImport,
  type CoreItem,
  type CoreSpace,
  type CoreType,
  CoreTypes,
  coreInterfaceOf,
  type ModuleType,
  resolveExtern,
} from "./core-interface.ts";
import type { SubType } from "./core-type.ts";
import type {
  AliasDefinition,
  ComponentDefinition,
  CoreSort,
  CoreTypeDefinition,
  Declaration,
  Definition,
  Extern,
  ExternName,
  ModuleDeclaration,
  Sort,
  SortIndex,
  TypeDefinition,
  ValueTypeRef,
} from "./decode.ts";
import { a, completesVersion, isInterfaceName, isLabel, parseExternName, quote, uniqueKey } from "./extern-name.ts";
import { Bounds } from "./validate-bounds.ts";
import { canonType } from "./validate-canon.ts";
import { Fit, type Instantiation } from "./validate-fit.ts";
import {
  type ComponentNode,
  type Entity,
  type FunctionNode,
  type InstanceNode,
  partsOf,
  type Resource,
  type ResourceNode,
  renamed,
  type ShapeType,
  type TypeNode,
  TypeTable,
  type ValueType,
} from "./validate-types.ts";

/** Throws `invalid-component`; answers what the component imports and exports. */
export function validate(definition: ComponentDefinition): ComponentNode {
  return new Validator().component(definition, undefined);
}

/** The index spaces of a component, or of a component or instance type. */
export interface Scope {
  readonly kind: "component" | "component type" | "instance type";
  readonly parent: Scope | undefined;
  readonly types: TypeNode[];
  readonly funcs: FunctionNode[];
  readonly instances: InstanceNode[];
  readonly components: ComponentNode[];
  readonly modules: ModuleType[];
  readonly coreTypes: (CoreType | ModuleType)[];
  readonly coreInstances: ReadonlyMap<string, CoreItem>[];
  readonly core: Record<CoreItem["kind"], CoreItem[]>;
  readonly imports: Names;
  readonly exports: Names;
  /** Resources that come from outside, and those that each instance makes. */
  readonly given: Set<Resource>;
  readonly fresh: Set<Resource>;
}

/** What is imported or exported so far. */
interface Names {
  readonly entities: Map<string, Entity>;
  /** By the key that tells names apart. */
  readonly taken: Map<string, string>;
  /** Resources by the name that they are imported or exported under. */
  readonly resources: Map<string, ResourceNode>;
  /** Types that have a name outside, and those found to be made of such types. */
  readonly named: Set<TypeNode>;
}

const VALUE_DEPTH_MAX = 100;
/** A type that takes more as an element of a list would overflow the Canonical ABI's numbers. */
const SIZE_MAX = 2 ** 28;
class Validator {
  readonly table = new TypeTable();
  readonly coreTypes = new CoreTypes();
  readonly #bounds: Bounds;
  readonly #fit: Fit;
  #offset = 0;
  #section = "";

  readonly fail: (problem: string) => never = (problem) => {
    throw invalid(problem, `the ${this.#section} section`, this.#offset);
  };

  constructor() {
    this.#bounds = new Bounds(this.table, this.fail);
    this.#fit = new Fit(this.table, this.coreTypes, this.#bounds.spend);
  }

  #enter(at: { readonly offset: number }, section: string): void {
    this.#offset = at.offset;
    this.#section = section;
  }

  component(definition: ComponentDefinition, parent: Scope | undefined): ComponentNode {
    const scope = newScope("component", parent);
    for (const step of definition.definitions) {
      this.#enter(step, sectionOf[step.kind]);
      this.#define(step, scope);
    }
    return this.#bounds.bounded(this.#componentOf(scope));
  }

  #componentOf(scope: Scope): ComponentNode {
    const [imports, exports] = [scope.imports.entities, scope.exports.entities];
    return { kind: "component", imports, exports, given: scope.given, fresh: scope.fresh, of: undefined };
  }

  #define(step: Definition, scope: Scope): void {
    switch (step.kind) {
      case "core-module":
        scope.modules.push(coreInterfaceOf(step.bytes, step.offset, this.coreTypes));
        return;
      case "core-instantiate":
        scope.coreInstances.push(this.#coreInstantiate(step, scope));
        return;
      case "core-bundle": {
        const exports = new Map<string, CoreItem>();
        for (const { name, item } of step.exports) {
          if (exports.has(name)) this.fail(`two exports are called ${quote(name)}`);
          exports.set(name, this.#coreItem(item, scope));
        }
        scope.coreInstances.push(exports);
        return;
      }
      case "core-type":
        this.#coreType(step, scope);
        return;
      case "component": {
        const component = this.component(step.component, scope);
        this.#enter(step, "component");
        scope.components.push(component);
        return;
      }
      case "instantiate": {
        const args = new Map<string, Entity>();
        for (const { name, item } of step.args) {
          if (args.has(name)) this.fail(`two arguments are called ${quote(name)}`);
          args.set(name, this.entity(item, scope));
        }
        const component = this.at(scope.components, step.component, "component");
        const made = this.#fit.instantiate(component, args, (resource) => scope.fresh.add(resource));
        if (typeof made === "string") this.fail(made);
        scope.instances.push(this.#bounds.bounded(instanceOf((made as Instantiation).exports)));
        return;
      }
      case "bundle": {
        const names = newNames();
        for (const { item, ...name } of step.exports) {
          const entity = this.entity(item, scope);
          // A resource's new name is its own; of other types the parts go on referring to each other.
          const resource = entity.sort === "type" && entity.type.kind === "resource";
          this.#name(name, resource ? freshly(entity) : entity, names, "export");
        }
        scope.instances.push(this.#bounds.bounded(instanceOf(names.entities)));
        return;
      }
      case "alias":
        this.#alias(step, scope);
        return;
      case "type":
        scope.types.push(this.#bounds.bounded(this.#type(step.type, scope)));
        return;
      case "canon": {
        const made = canonType(step.canon, scope, this);
        if (made.kind === "func") scope.funcs.push(made);
        else scope.core.func.push({ kind: "func", type: made });
        return;
      }
      case "import": {
        const entity = this.#extern(step.extern, scope, scope.given);
        this.#import(step, entity, scope);
        return;
      }
      case "export": {
        let entity = freshly(this.entity(step.item, scope));
        if (step.extern) {
          // What is ascribed as any resource is a resource of its own from here on.
          const brought = new Set<Resource>();
          const ascribed = this.#extern(step.extern, scope, brought);
          const given = this.#fit.substitution();
          this.#fit.bind(entity, ascribed, brought, given);
          const problem = this.#fit.mismatch(entity, ascribed, given);
          for (const resource of brought) scope.fresh.add(resource);
          if (problem) this.fail(`the type of the export ${quote(step.name)} does not fit: ${problem}`);
          entity = ascribed;
        }
        this.#export(step, entity, scope);
      }
    }
  }

  #import(name: ExternName, entity: Entity, scope: Scope): void {
    this.#name(name, this.#bounds.imported(entity), scope.imports, "import");
    this.#show("import", name, entity, scope);
    push(entity, scope);
  }

  #export(name: ExternName, entity: Entity, scope: Scope): void {
    this.#name(name, this.#bounds.imported(entity), scope.exports, "export");
    this.#show("export", name, entity, scope);
    push(entity, scope);
  }

  // --- names

  /** Checks a name, and that what it names is what the name says; takes it. */
  #name(called: ExternName, entity: Entity, names: Names, how: "import" | "export"): void {
    const { name, attributes } = called;
    const parsed = parseExternName(name) ?? this.fail(`${quote(name)} is no name of an ${how}`);
    const key = uniqueKey(name);
    const before = names.taken.get(key);
    if (before !== undefined) this.fail(`the ${how} ${quote(name)} conflicts with ${quote(before)}`);
    names.taken.set(key, name);
    names.entities.set(name, entity);
    if (entity.sort === "type" && entity.type.kind === "resource") names.resources.set(name, entity.type);
    if (attributes?.implements !== undefined) {
      if (!isInterfaceName(attributes.implements)) this.fail(`${quote(attributes.implements)} is no interface's name`);
      if (entity.sort !== "instance" || parsed.kind !== "label") {
        this.fail(`${quote(name)} cannot implement an interface: only an instance with a plain name can`);
      }
    }
    if (attributes?.versionSuffix !== undefined && !completesVersion(name, attributes.versionSuffix)) {
      this.fail(`${quote(attributes.versionSuffix)} does not complete the version of ${quote(name)}`);
    }
    if (!("resource" in parsed)) return;
    if (entity.sort !== "func") this.fail(`${quote(name)} is no function, which its name says`);
    const resource = names.resources.get(parsed.resource);
    if (!resource) this.fail(`${quote(name)} is a ${parsed.kind} of no resource that is ${how}ed before it`);
    const { params, result } = entity.type as FunctionNode;
    if (parsed.kind === "constructor") {
      const shape = result === undefined ? undefined : this.table.shapeOf(result).type;
      const made = shape?.kind === "result" && shape.ok !== undefined ? this.table.shapeOf(shape.ok).type : shape;
      if (made?.kind !== "own" || made.resource !== resource) {
        this.fail(`${quote(name)} does not answer with an own handle of ${quote(parsed.resource)}`);
      }
    } else if (parsed.kind === "method") {
      const [self] = params;
      const shape = self && this.table.shapeOf(self.type).type;
      if (self?.name !== "self" || shape?.kind !== "borrow" || shape.resource !== resource) {
        this.fail(`${quote(name)} does not take a borrow of ${quote(parsed.resource)} as its first parameter self`);
      }
    }
  }

  /** Labels inside of a type. */
  #labels(labels: readonly string[], what: string): void {
    const taken = new Map<string, string>();
    for (const label of labels) {
      if (!isLabel(label)) this.fail(`${quote(label)} is no name of a ${what}: it is not in kebab-case`);
      const before = taken.get(label.toLowerCase());
      if (before !== undefined) this.fail(`the ${what} ${quote(label)} conflicts with ${quote(before)}`);
      taken.set(label.toLowerCase(), label);
    }
  }

  // --- what is visible outside

  /** Every record, variant, enum, flags and resource that is imported or exported has a name outside. */
  #show(how: "import" | "export", { name }: ExternName, entity: Entity, scope: Scope): void {
    if (scope.kind === "instance type") return;
    if (!this.#register(how, entity, scope)) {
      this.fail(`the ${how} ${quote(name)} uses a type that is not ${how === "import" ? "" : "imported or "}${how}ed`);
    }
  }

  #register(how: "import" | "export", entity: Entity, scope: Scope): boolean {
    this.#bounds.spend(1);
    const { named } = how === "import" ? scope.imports : scope.exports;
    switch (entity.sort) {
      case "type":
        // Looked at is the type that gets the name: of itself it needs none.
        if (!this.#partsNamed(entity.type, named)) return false;
        scope.exports.named.add(entity.type);
        if (how === "import") scope.imports.named.add(entity.type);
        return true;
      case "instance":
        return [...entity.type.exports.values()].every((inner) => this.#register(how, inner, scope));
      case "func":
        return this.#partsNamed(entity.type, named);
      default:
        return true;
    }
  }

  #isNamed(type: ValueType | undefined, named: Set<TypeNode>): boolean {
    if (type === undefined || typeof type === "string" || named.has(type)) return true;
    const { kind } = type.shape.type;
    if (kind === "record" || kind === "variant" || kind === "flags" || kind === "enum") return false;
    if (!this.#partsNamed(type, named)) return false;
    // So that what many types share is looked at once.
    named.add(type);
    return true;
  }

  #partsNamed(type: TypeNode, named: Set<TypeNode>): boolean {
    this.#bounds.spend(1);
    switch (type.kind) {
      case "value": {
        const shape = type.shape.type;
        if (shape.kind === "own" || shape.kind === "borrow") return named.has(shape.resource);
        return partsOf(shape).every((part) => this.#isNamed(part, named));
      }
      case "func":
        return [...type.params.map((param) => param.type), type.result].every((part) => this.#isNamed(part, named));
      case "instance":
        return [...type.exports.values()].every(
          (entity) =>
            entity.sort === "component" || entity.sort === "core-module" || this.#partsNamed(entity.type, named),
        );
      default:
        return true;
    }
  }

  // --- types

  #type(definition: TypeDefinition, scope: Scope): TypeNode {
    switch (definition.kind) {
      case "func":
        return this.#func(definition, scope);
      case "resource": {
        if (scope.kind !== "component") this.fail(`a resource cannot be defined in ${a(scope.kind)}`);
        if (definition.destructor !== undefined) {
          const destructor = this.coreFunc(definition.destructor, scope);
          if (destructor !== this.coreTypes.func(["i32"], []))
            this.fail("a destructor takes an i32 and answers nothing");
        }
        const resource = this.table.resource(scope);
        scope.fresh.add(resource);
        return { kind: "resource", resource, of: undefined };
      }
      case "component":
      case "instance": {
        const inner = newScope(definition.kind === "component" ? "component type" : "instance type", scope);
        const at = { offset: this.#offset };
        for (const declaration of definition.declarations) this.#declare(declaration, inner);
        this.#enter(at, "type");
        if (definition.kind === "component") return this.#componentOf(inner);
        return { kind: "instance", exports: inner.exports.entities, fresh: inner.fresh, of: undefined };
      }
      default: {
        const shape = this.table.shape(this.#shapeType(definition, scope));
        if (shape.depth > VALUE_DEPTH_MAX) this.fail(`a type is nested more than ${VALUE_DEPTH_MAX} deep`);
        if (shape.size >= SIZE_MAX) this.fail(`a type takes ${shape.size} bytes, more than ${SIZE_MAX - 1}`);
        return { kind: "value", shape, of: undefined };
      }
    }
  }

  #func(definition: Extract<TypeDefinition, { kind: "func" }>, scope: Scope): FunctionNode {
    this.#labels(
      definition.params.map((param) => param.name),
      "parameter",
    );
    const params = definition.params.map(({ name, type }) => ({ name, type: this.value(type, scope) }));
    const result = definition.result === undefined ? undefined : this.value(definition.result, scope);
    if (result !== undefined && this.table.shapeOf(result).borrows) this.fail("a result has a borrow in it");
    return this.table.func(definition.async, params, result);
  }

  #shapeType(
    definition: Exclude<TypeDefinition, { kind: "func" | "resource" | "component" | "instance" }>,
    scope: Scope,
  ): ShapeType {
    const value = (ref: ValueTypeRef) => this.value(ref, scope);
    const maybe = (ref: ValueTypeRef | undefined) => (ref === undefined ? undefined : value(ref));
    const some = <T>(items: readonly T[], what: string) =>
      items.length > 0 ? items : this.fail(`${a(what)} is empty`);
    switch (definition.kind) {
      case "primitive":
        return definition;
      case "record": {
        const { fields } = definition;
        this.#labels(
          some(fields, "record").map((field) => field.name),
          "field",
        );
        return { kind: "record", fields: fields.map(({ name, type }) => ({ name, type: value(type) })) };
      }
      case "variant": {
        const { cases } = definition;
        this.#labels(
          some(cases, "variant").map((c) => c.name),
          "case",
        );
        return { kind: "variant", cases: cases.map(({ name, type }) => ({ name, type: maybe(type) })) };
      }
      case "flags":
        if (definition.names.length > 32) this.fail(`${definition.names.length} flags are more than 32`);
        this.#labels(some(definition.names, "flags type"), "flag");
        return definition;
      case "enum":
        this.#labels(some(definition.names, "enum"), "case");
        return definition;
      case "list":
        if (definition.length === 0) this.fail("a list of fixed length is empty");
        return { kind: "list", element: value(definition.element), length: definition.length };
      case "map": {
        const key = value(definition.key);
        const shape = this.table.shapeOf(key).type;
        if (shape.kind !== "primitive" || notKeys.includes(shape.type)) {
          this.fail(`the key of a map is neither a number without fraction nor a bool, char or string`);
        }
        return { kind: "map", key, value: value(definition.value) };
      }
      case "tuple":
        return { kind: "tuple", types: some(definition.types, "tuple").map(value) };
      case "option":
        return { kind: "option", type: value(definition.type) };
      case "result":
        return { kind: "result", ok: maybe(definition.ok), err: maybe(definition.err) };
      case "own":
      case "borrow":
        return { kind: definition.kind, resource: this.resource(definition.resource, scope) };
      case "stream":
      case "future": {
        const element = maybe(definition.element);
        const shape = element === undefined ? undefined : this.table.shapeOf(element);
        if (shape?.borrows) this.fail(`a ${definition.kind} has a borrow in it`);
        if (definition.kind === "stream" && shape?.type.kind === "primitive" && shape.type.type === "char") {
          this.fail("a stream of char is not allowed yet");
        }
        return { kind: definition.kind, element };
      }
    }
  }

  value(ref: ValueTypeRef, scope: Scope): ValueType {
    if (typeof ref === "string") return ref;
    const type = this.at(scope.types, ref, "type");
    return type.kind === "value" ? type : this.fail(`type ${ref} is the type of ${a(type.kind)}, not of a value`);
  }

  resource(index: number, scope: Scope): ResourceNode {
    const type = this.at(scope.types, index, "type");
    return type.kind === "resource" ? type : this.fail(`type ${index} is no resource`);
  }

  #declare(declaration: Declaration, scope: Scope): void {
    this.#enter(declaration, "type");
    switch (declaration.kind) {
      case "core-type":
        this.#coreType(declaration, scope);
        return;
      case "type":
        scope.types.push(this.#bounds.bounded(this.#type(declaration.type, scope)));
        return;
      case "alias": {
        const { sort, from } = declaration;
        const allowed = from.of === "outer" ? ["type", "core-type"] : ["type", "instance"];
        if (!allowed.includes(sort)) this.fail(`${a(scope.kind)} cannot alias ${a(sort)} here`);
        this.#alias(declaration, scope);
        return;
      }
      case "import":
        this.#import(declaration, this.#extern(declaration.extern, scope, scope.given), scope);
        return;
      case "export":
        this.#export(declaration, this.#extern(declaration.extern, scope, scope.fresh), scope);
    }
  }

  /** What an import or export is said to be. The resources it brings are added to `brought`. */
  #extern(extern: Extern, scope: Scope, brought: Set<Resource>): Entity {
    switch (extern.sort) {
      case "module": {
        const type = this.at(scope.coreTypes, extern.type, "core type");
        return type.kind === "module"
          ? { sort: "core-module", type }
          : this.fail(`core type ${extern.type} is not the type of a module`);
      }
      case "type": {
        if (extern.bound === "eq") return { sort: "type", type: renamed(this.at(scope.types, extern.type, "type")) };
        const resource = this.table.resource(undefined);
        brought.add(resource);
        return { sort: "type", type: { kind: "resource", resource, of: undefined } };
      }
      case "func":
        return { sort: "func", type: this.typed(extern.type, "func", scope) };
      case "component":
        return { sort: "component", type: this.typed(extern.type, "component", scope) };
      case "instance": {
        const type = this.typed(extern.type, "instance", scope);
        const opened = this.#fit.substitution();
        this.#fit.renew(type.fresh, opened, (resource) => brought.add(resource));
        return { sort: "instance", type: instanceOf(opened.type(type).exports) };
      }
    }
  }

  typed<K extends "func" | "component" | "instance">(
    index: number,
    kind: K,
    scope: Scope,
  ): Extract<TypeNode, { kind: K }> {
    const type = this.at(scope.types, index, "type");
    if (type.kind !== kind) this.fail(`type ${index} is the type of ${a(type.kind)}, not of ${a(kind)}`);
    return type as Extract<TypeNode, { kind: K }>;
  }

  // --- index spaces

  at<T>(space: readonly T[], index: number, sort: string): T {
    return index < space.length ? space[index]! : this.fail(`${sort} ${index} does not exist`);
  }

  coreFunc(index: number, scope: Scope): CoreType {
    const item = this.at(scope.core.func, index, "core function");
    return item.kind === "func" ? item.type : this.fail(`core function ${index} does not exist`);
  }

  #coreItem({ sort, index }: SortIndex, scope: Scope): CoreItem {
    const kind = coreKinds[sort as CoreSort] ?? this.fail(`a ${sort} cannot be exported from a core instance`);
    return this.at(scope.core[kind], index, `core ${kind}`);
  }

  /** Something that can be given to a component, or exported from one. */
  entity({ sort, index }: SortIndex, scope: Scope): Entity {
    switch (sort) {
      case "func":
        return { sort, type: this.at(scope.funcs, index, "function") };
      case "type":
        return { sort, type: this.at(scope.types, index, "type") };
      case "instance":
        return { sort, type: this.at(scope.instances, index, "instance") };
      case "component":
        return { sort, type: this.at(scope.components, index, "component") };
      case "core-module":
        return { sort, type: this.at(scope.modules, index, "core module") };
      default:
        return this.fail(`a ${sort} cannot pass from one component to another`);
    }
  }

  #alias({ sort, from }: AliasDefinition, scope: Scope): void {
    if (from.of === "outer") this.#outer(sort, from.depth, from.index, scope);
    else if (from.of === "instance") {
      const instance = this.at(scope.instances, from.index, "instance");
      const entity = instance.exports.get(from.name);
      if (!entity) this.fail(`instance ${from.index} exports nothing called ${quote(from.name)}`);
      if (entity.sort !== sort) this.fail(`the export ${quote(from.name)} is ${a(entity.sort)}, not ${a(sort)}`);
      push(entity, scope);
    } else {
      const item = this.at(scope.coreInstances, from.index, "core instance").get(from.name);
      if (!item) this.fail(`core instance ${from.index} exports nothing called ${quote(from.name)}`);
      const kind = coreKinds[sort as CoreSort];
      if (item.kind !== kind) this.fail(`the export ${quote(from.name)} is a ${item.kind}, not a ${sort}`);
      scope.core[item.kind].push(item);
    }
  }

  #outer(sort: Sort, depth: number, index: number, scope: Scope): void {
    let outer: Scope | undefined = scope;
    let leaves = false;
    for (let i = 0; i < depth && outer; i++) {
      leaves ||= outer.kind === "component";
      outer = outer.parent;
    }
    if (!outer) this.fail(`an alias reaches ${depth} components out, more than there are`);
    const from = outer as Scope;
    if (sort === "core-type") scope.coreTypes.push(this.at(from.coreTypes, index, "core type"));
    else if (sort === "core-module") scope.modules.push(this.at(from.modules, index, "core module"));
    else if (sort === "component") scope.components.push(this.at(from.components, index, "component"));
    else {
      const type = this.at(from.types, index, "type");
      if (leaves && this.#refersToResources(type)) {
        this.fail(`type ${index} of an enclosing component refers to a resource, which each instance has its own of`);
      }
      scope.types.push(type);
    }
  }

  /** Whether a type refers to a resource that it does not bring itself. */
  #refersToResources(type: TypeNode): boolean {
    const bound = new Set<Resource>();
    const seen = new Set<TypeNode>();
    const free = (node: TypeNode): boolean => {
      if (seen.has(node)) return false;
      seen.add(node);
      this.#bounds.spend(1);
      switch (node.kind) {
        case "resource":
          return !bound.has(node.resource);
        case "value": {
          if (!node.shape.resources) return false;
          const { type } = node.shape;
          if (type.kind === "own" || type.kind === "borrow") return free(type.resource);
          return partsOf(type).some((part) => part !== undefined && typeof part !== "string" && free(part));
        }
        case "func":
          return [...node.params.map((param) => param.type), node.result].some(
            (part) => part !== undefined && typeof part !== "string" && free(part),
          );
        case "instance":
        case "component": {
          for (const resource of node.fresh) bound.add(resource);
          if (node.kind === "component") for (const resource of node.given) bound.add(resource);
          const entities = [...(node.kind === "component" ? node.imports.values() : []), ...node.exports.values()];
          return entities.some((entity) => entity.sort !== "core-module" && free(entity.type));
        }
      }
    };
    return free(type);
  }

  // --- core types and core instances

  #coreType({ type }: CoreTypeDefinition, scope: Scope): void {
    if (type.kind === "rec") scope.coreTypes.push(...this.#group(type.group, scope.coreTypes));
    else scope.coreTypes.push(this.#moduleType(type.declarations, scope));
  }

  #group(group: readonly SubType[], space: readonly (CoreType | ModuleType)[]): readonly CoreType[] {
    return this.coreTypes.group(group, space.length, this.#space(space), this.fail);
  }

  #space(space: readonly (CoreType | ModuleType)[]): CoreSpace {
    return (index) => {
      const type = this.at(space, index, "core type");
      return type.kind === "core" ? type : this.fail(`core type ${index} is the type of a module`);
    };
  }

  #moduleType(declarations: readonly ModuleDeclaration[], scope: Scope): ModuleType {
    const types: (CoreType | ModuleType)[] = [];
    const imports = new Map<string, Map<string, CoreItem>>();
    const exports = new Map<string, CoreItem>();
    const section = this.#section;
    for (const declaration of declarations) {
      this.#enter(declaration, section);
      switch (declaration.kind) {
        case "type":
          types.push(...this.#group(declaration.group, types));
          break;
        case "outer": {
          let outer: { readonly coreTypes: readonly (CoreType | ModuleType)[]; readonly parent: Scope | undefined } = {
            coreTypes: types,
            parent: scope,
          };
          for (let i = 0; i < declaration.depth; i++) {
            outer =
              outer.parent ?? this.fail(`an alias reaches ${declaration.depth} components out, more than there are`);
          }
          types.push(this.#space(outer.coreTypes)(declaration.index));
          break;
        }
        case "import":
          addImport(imports, declaration.module, declaration.name, this.#coreExtern(declaration, types), this.fail);
          break;
        case "export":
          if (exports.has(declaration.name)) this.fail(`two exports are called ${quote(declaration.name)}`);
          exports.set(declaration.name, this.#coreExtern(declaration, types));
      }
    }
    return { kind: "module", imports, exports };
  }

  #coreExtern({ extern }: Extract<ModuleDeclaration, { extern: unknown }>, types: (CoreType | ModuleType)[]): CoreItem {
    const item = resolveExtern(extern, this.#space(types), this.fail);
    if (item.kind === "memory" && item.limits.min * item.pageBytes > (item.limits.wide ? 2 ** 64 : 2 ** 32)) {
      this.fail(`a memory of ${item.limits.min} pages is larger than its addresses reach`);
    }
    return item;
  }

  #coreInstantiate(
    { module, args }: Extract<Definition, { kind: "core-instantiate" }>,
    scope: Scope,
  ): ReadonlyMap<string, CoreItem> {
    const given = new Map<string, ReadonlyMap<string, CoreItem>>();
    for (const { name, instance } of args) {
      if (given.has(name)) this.fail(`two arguments are called ${quote(name)}`);
      given.set(name, this.at(scope.coreInstances, instance, "core instance"));
    }
    const { imports, exports } = this.at(scope.modules, module, "core module");
    for (const [from, names] of imports) {
      const items = given.get(from) ?? this.fail(`core module ${module} needs ${quote(from)}, which is not given`);
      this.#bounds.spend(names.size);
      for (const [name, wanted] of names) {
        const item =
          items.get(name) ?? this.fail(`core module ${module} needs ${quote(name)} of ${quote(from)}, which has none`);
        const problem = this.coreTypes.mismatch(item, wanted);
        if (problem) this.fail(`what is given for ${quote(name)} of ${quote(from)} does not fit: ${problem}`);
      }
    }
    return exports;
  }
}

export type { Validator };

function newScope(kind: Scope["kind"], parent: Scope | undefined): Scope {
  return {
    kind,
    parent,
    types: [],
    funcs: [],
    instances: [],
    components: [],
    modules: [],
    coreTypes: [],
    coreInstances: [],
    core: { func: [], table: [], memory: [], global: [], tag: [] },
    imports: newNames(),
    exports: newNames(),
    given: new Set(),
    fresh: new Set(),
  };
}

function newNames(): Names {
  return { entities: new Map(), taken: new Map(), resources: new Map(), named: new Set() };
}

function instanceOf(exports: ReadonlyMap<string, Entity>): InstanceNode {
  return { kind: "instance", exports, fresh: new Set(), of: undefined };
}

/** What is exported is a new name of it. */
function freshly(entity: Entity): Entity {
  return entity.sort === "type" ? { sort: "type", type: renamed(entity.type) } : entity;
}

function push(entity: Entity, scope: Scope): void {
  switch (entity.sort) {
    case "func":
      scope.funcs.push(entity.type);
      return;
    case "type":
      scope.types.push(entity.type);
      return;
    case "instance":
      scope.instances.push(entity.type);
      return;
    case "component":
      scope.components.push(entity.type);
      return;
    case "core-module":
      scope.modules.push(entity.type);
  }
}

const notKeys: readonly string[] = ["f32", "f64", "error-context"];

const coreKinds: Partial<Record<CoreSort, CoreItem["kind"]>> = {
  "core-func": "func",
  "core-table": "table",
  "core-memory": "memory",
  "core-global": "global",
  "core-tag": "tag",
};

const sectionOf: Record<Definition["kind"], string> = {
  "core-module": "core module",
  "core-instantiate": "core instance",
  "core-bundle": "core instance",
  "core-type": "core type",
  component: "component",
  instantiate: "instance",
  bundle: "instance",
  alias: "alias",
  type: "type",
  canon: "canon",
  import: "import",
  export: "export",
};
