/**
 * Types as validation sees them: trees that share their parts. Each type has a shape, which says what
 * it is and by whose key two types are compared, and an identity of its own, because a type that an
 * import or export gives a name to is another than the unnamed one it was made from.
 *
 * Resources are compared by identity alone. A type that depends on resources still to be given
 * (those that an instance type or component type binds) is made concrete by a {@link Substitution}.
 */
import type { ModuleType } from "./core-interface.ts";
import type { Primitive } from "./decode.ts";

export interface Resource {
  /** Tells resources apart in keys. */
  readonly id: number;
  /** The scope of the component that defines it; undefined where it came from elsewhere. */
  readonly home: object | undefined;
}

export type ValueType = Primitive | ValueNode;

export interface ValueNode {
  readonly kind: "value";
  readonly shape: Shape;
  /** The type that this one is a name of. */
  readonly of: TypeNode | undefined;
}

export interface ResourceNode {
  readonly kind: "resource";
  readonly resource: Resource;
  readonly of: TypeNode | undefined;
}

export interface FunctionNode {
  readonly kind: "func";
  readonly async: boolean;
  readonly params: readonly { readonly name: string; readonly type: ValueType }[];
  readonly result: ValueType | undefined;
  readonly key: number;
  readonly of: TypeNode | undefined;
}

export interface InstanceNode {
  readonly kind: "instance";
  readonly exports: ReadonlyMap<string, Entity>;
  /** Resources that each import or export of this type makes anew. */
  readonly fresh: ReadonlySet<Resource>;
  readonly of: TypeNode | undefined;
}

export interface ComponentNode {
  readonly kind: "component";
  readonly imports: ReadonlyMap<string, Entity>;
  readonly exports: ReadonlyMap<string, Entity>;
  /** Resources that whoever instantiates it gives. */
  readonly given: ReadonlySet<Resource>;
  /** Resources that each instance makes anew. */
  readonly fresh: ReadonlySet<Resource>;
  readonly of: TypeNode | undefined;
}

export type TypeNode = ValueNode | ResourceNode | FunctionNode | InstanceNode | ComponentNode;

/** What is imported, exported, or stands in an index space that can be. */
export type Entity =
  | { readonly sort: "func"; readonly type: FunctionNode }
  | { readonly sort: "type"; readonly type: TypeNode }
  | { readonly sort: "instance"; readonly type: InstanceNode }
  | { readonly sort: "component"; readonly type: ComponentNode }
  | { readonly sort: "core-module"; readonly type: ModuleType };

export type ShapeType =
  | { readonly kind: "primitive"; readonly type: Primitive }
  | { readonly kind: "record"; readonly fields: readonly { readonly name: string; readonly type: ValueType }[] }
  | {
      readonly kind: "variant";
      readonly cases: readonly { readonly name: string; readonly type: ValueType | undefined }[];
    }
  | { readonly kind: "list"; readonly element: ValueType; readonly length: number | undefined }
  | { readonly kind: "map"; readonly key: ValueType; readonly value: ValueType }
  | { readonly kind: "tuple"; readonly types: readonly ValueType[] }
  | { readonly kind: "flags" | "enum"; readonly names: readonly string[] }
  | { readonly kind: "option"; readonly type: ValueType }
  | { readonly kind: "result"; readonly ok: ValueType | undefined; readonly err: ValueType | undefined }
  | { readonly kind: "own" | "borrow"; readonly resource: ResourceNode }
  | { readonly kind: "stream" | "future"; readonly element: ValueType | undefined };

export type CoreFlat = "i32" | "i64" | "f32" | "f64";

export interface Shape {
  readonly type: ShapeType;
  /** Equal for types that are structurally the same. */
  readonly key: number;
  /** Bytes and alignment as an element of a list, where pointers have 64 bits. */
  readonly size: number;
  readonly align: number;
  /** The core values it is passed as, up to one more than are ever passed. */
  readonly flat: readonly CoreFlat[];
  /** How many parts it has once nothing is shared, itself included. */
  readonly parts: number;
  readonly depth: number;
  readonly borrows: boolean;
  /** Whether it refers to a resource, be it through a handle inside of it. */
  readonly resources: boolean;
  /** Whether it has a list or string in it, which crosses through memory. */
  readonly pointers: boolean;
}

const FLAT_MAX = 17;

interface Scalar {
  readonly size: number;
  readonly flat: readonly CoreFlat[];
}

const scalars: Record<Primitive, Scalar> = {
  bool: { size: 1, flat: ["i32"] },
  s8: { size: 1, flat: ["i32"] },
  u8: { size: 1, flat: ["i32"] },
  s16: { size: 2, flat: ["i32"] },
  u16: { size: 2, flat: ["i32"] },
  s32: { size: 4, flat: ["i32"] },
  u32: { size: 4, flat: ["i32"] },
  s64: { size: 8, flat: ["i64"] },
  u64: { size: 8, flat: ["i64"] },
  f32: { size: 4, flat: ["f32"] },
  f64: { size: 8, flat: ["f64"] },
  char: { size: 4, flat: ["i32"] },
  string: { size: 16, flat: ["i32", "i32"] },
  "error-context": { size: 4, flat: ["i32"] },
};

/** Makes shapes and functions with keys by which they can be compared, for one component. */
export class TypeTable {
  readonly #keys = new Map<string, number>();
  readonly #primitives = new Map<Primitive, Shape>();
  #resources = 0;

  resource(home: object | undefined): Resource {
    return { id: this.#resources++, home };
  }

  shapeOf(type: ValueType): Shape {
    if (typeof type !== "string") return type.shape;
    let shape = this.#primitives.get(type);
    if (!shape) {
      shape = this.shape({ kind: "primitive", type });
      this.#primitives.set(type, shape);
    }
    return shape;
  }

  /** The key of a type, or 0 for none. */
  keyOf(type: ValueType | undefined): number {
    return type === undefined ? 0 : this.shapeOf(type).key;
  }

  func(
    async: boolean,
    params: FunctionNode["params"],
    result: ValueType | undefined,
    of: TypeNode | undefined = undefined,
  ): FunctionNode {
    const named = params.map(({ name, type }) => `${name}:${this.keyOf(type)}`);
    const key = this.#key(`func ${async} ${named.join()} ${this.keyOf(result)}`);
    return { kind: "func", async, params, result, key, of };
  }

  shape(type: ShapeType): Shape {
    switch (type.kind) {
      case "primitive": {
        const { size, flat } = scalars[type.type];
        const align = type.type === "string" ? 8 : size;
        return { ...leaf, type, key: this.#key(type.type), size, align, flat, pointers: type.type === "string" };
      }
      case "record": {
        const names = type.fields.map(({ name, type }) => `${name}:${this.keyOf(type)}`);
        return this.#product(
          type,
          `record ${names.join()}`,
          type.fields.map((field) => field.type),
        );
      }
      case "tuple":
        return this.#product(type, `tuple ${type.types.map((t) => this.keyOf(t)).join()}`, type.types);
      case "variant": {
        const names = type.cases.map(({ name, type }) => `${name}:${this.keyOf(type)}`);
        return this.#sum(
          type,
          `variant ${names.join()}`,
          type.cases.map((c) => c.type),
        );
      }
      case "option":
        return this.#sum(type, `option ${this.keyOf(type.type)}`, [undefined, type.type]);
      case "result":
        return this.#sum(type, `result ${this.keyOf(type.ok)} ${this.keyOf(type.err)}`, [type.ok, type.err]);
      case "enum":
        return this.#sum(
          type,
          `enum ${type.names.join()}`,
          type.names.map(() => undefined),
        );
      case "flags": {
        const size = type.names.length <= 8 ? 1 : type.names.length <= 16 ? 2 : 4;
        return { ...leaf, type, key: this.#key(`flags ${type.names.join()}`), size, align: size, flat: ["i32"] };
      }
      case "list": {
        const element = this.shapeOf(type.element);
        const { length } = type;
        const inner = inherit([element]);
        if (length === undefined) {
          const key = this.#key(`list ${element.key}`);
          return { ...inner, type, key, size: 16, align: 8, flat: ["i32", "i32"], pointers: true };
        }
        const flat: CoreFlat[] = [];
        for (let i = 0; i < length && flat.length < FLAT_MAX; i++) flat.push(...element.flat);
        return {
          ...inner,
          type,
          key: this.#key(`list ${element.key} ${length}`),
          size: element.size * length,
          align: element.align,
          flat: flat.slice(0, FLAT_MAX),
          parts: 1 + element.parts * length,
        };
      }
      case "map": {
        const inner = inherit([this.shapeOf(type.key), this.shapeOf(type.value)]);
        const key = this.#key(`map ${this.keyOf(type.key)} ${this.keyOf(type.value)}`);
        return { ...inner, type, key, size: 16, align: 8, flat: ["i32", "i32"], pointers: true };
      }
      case "own":
      case "borrow": {
        const key = this.#key(`${type.kind} ${type.resource.resource.id}`);
        return { ...leaf, type, key, borrows: type.kind === "borrow", resources: true };
      }
      case "stream":
      case "future": {
        const inner = type.element === undefined ? leaf : inherit([this.shapeOf(type.element)]);
        // Its items cross when they are read, not with the handle.
        return { ...inner, ...handle, type, key: this.#key(`${type.kind} ${this.keyOf(type.element)}`) };
      }
    }
  }

  #product(type: ShapeType, key: string, types: readonly ValueType[]): Shape {
    const shapes = types.map((t) => this.shapeOf(t));
    let size = 0;
    const align = Math.max(1, ...shapes.map((shape) => shape.align));
    for (const shape of shapes) size = alignTo(size, shape.align) + shape.size;
    const flat = shapes.flatMap((shape) => shape.flat).slice(0, FLAT_MAX);
    return { ...inherit(shapes), type, key: this.#key(key), size: alignTo(size, align), align, flat };
  }

  #sum(type: ShapeType, key: string, types: readonly (ValueType | undefined)[]): Shape {
    const shapes = types.filter((t) => t !== undefined).map((t) => this.shapeOf(t));
    const tag = types.length <= 2 ** 8 ? 1 : types.length <= 2 ** 16 ? 2 : 4;
    const inner = Math.max(1, ...shapes.map((shape) => shape.align));
    const align = Math.max(tag, inner);
    const size = alignTo(tag, inner) + Math.max(0, ...shapes.map((shape) => shape.size));
    const joined: CoreFlat[] = [];
    for (const shape of shapes) {
      shape.flat.forEach((flat, i) => {
        joined[i] = joined[i] === undefined ? flat : join(joined[i]!, flat);
      });
    }
    const flat = (["i32", ...joined] satisfies CoreFlat[]).slice(0, FLAT_MAX);
    return { ...inherit(shapes), type, key: this.#key(key), size: alignTo(size, align), align, flat };
  }

  #key(text: string): number {
    let key = this.#keys.get(text);
    if (key === undefined) {
      key = this.#keys.size + 1;
      this.#keys.set(text, key);
    }
    return key;
  }
}

const handle = { size: 4, align: 4, flat: ["i32"] as const, pointers: false };
const leaf = { ...handle, parts: 1, depth: 1, borrows: false, resources: false };

/** What a type has because its parts have it. */
function inherit(shapes: readonly Shape[]): Pick<Shape, "parts" | "depth" | "borrows" | "resources" | "pointers"> {
  let parts = 1;
  let depth = 0;
  for (const shape of shapes) {
    parts += shape.parts;
    depth = Math.max(depth, shape.depth);
  }
  return {
    parts,
    depth: depth + 1,
    borrows: shapes.some((shape) => shape.borrows),
    resources: shapes.some((shape) => shape.resources),
    pointers: shapes.some((shape) => shape.pointers),
  };
}

function alignTo(offset: number, align: number): number {
  return Math.ceil(offset / align) * align;
}

function join(a: CoreFlat, b: CoreFlat): CoreFlat {
  if (a === b) return a;
  return (a === "i32" && b === "f32") || (a === "f32" && b === "i32") ? "i32" : "i64";
}

/** A type under a new name: the same shape, another identity. */
export function renamed<T extends TypeNode>(type: T): T {
  return { ...type, of: type };
}

/** Puts what is given in the place of resources and of types that were imported. */
export class Substitution {
  readonly #table: TypeTable;
  readonly #spend: (steps: number) => void;
  readonly #resources = new Map<Resource, Resource>();
  readonly #nodes = new Map<TypeNode, TypeNode>();
  readonly #shapes = new Map<Shape, Shape>();

  /** `spend` is told of each step, and may refuse more of them. */
  constructor(table: TypeTable, spend: (steps: number) => void) {
    this.#table = table;
    this.#spend = spend;
  }

  resource(from: Resource, to: Resource): void {
    this.#resources.set(from, to);
  }

  node(from: TypeNode, to: TypeNode): void {
    this.#nodes.set(from, to);
  }

  has(from: Resource): boolean {
    return this.#resources.has(from);
  }

  /** The resource that stands in the place of another. */
  resourceFor(resource: Resource): Resource {
    return this.#resources.get(resource) ?? resource;
  }

  entity(entity: Entity): Entity {
    if (entity.sort === "core-module") return entity;
    const type = this.type(entity.type);
    return type === entity.type ? entity : ({ sort: entity.sort, type } as Entity);
  }

  type<T extends TypeNode>(node: T): T {
    const known = this.#nodes.get(node);
    if (known) return known as T;
    this.#spend(1);
    const made = this.#make(node);
    this.#nodes.set(node, made);
    return made as T;
  }

  /** A type with everything in it replaced, itself as well where it was given. */
  inside<T extends TypeNode>(node: T): T {
    return this.#make(node) as T;
  }

  #make(node: TypeNode): TypeNode {
    const of = node.of && this.type(node.of);
    switch (node.kind) {
      case "resource": {
        const resource = this.resourceFor(node.resource);
        return resource === node.resource && of === node.of ? node : { kind: "resource", resource, of };
      }
      case "value": {
        const shape = this.#shape(node.shape);
        return shape === node.shape && of === node.of ? node : { kind: "value", shape, of };
      }
      case "func": {
        this.#spend(node.params.length);
        const params = node.params.map(({ name, type }) => ({ name, type: this.#value(type) }));
        const result = node.result && this.#value(node.result);
        const same = result === node.result && params.every(({ type }, i) => type === node.params[i]!.type);
        return same && of === node.of ? node : this.#table.func(node.async, params, result, of);
      }
      case "instance": {
        const exports = this.#entities(node.exports);
        return exports === node.exports && of === node.of ? node : { ...node, exports, of };
      }
      case "component": {
        const imports = this.#entities(node.imports);
        const exports = this.#entities(node.exports);
        const same = imports === node.imports && exports === node.exports && of === node.of;
        return same ? node : { ...node, imports, exports, of };
      }
    }
  }

  #entities(entities: ReadonlyMap<string, Entity>): ReadonlyMap<string, Entity> {
    let changed = false;
    this.#spend(entities.size);
    const made = new Map<string, Entity>();
    for (const [name, entity] of entities) {
      const replaced = this.entity(entity);
      changed ||= replaced !== entity;
      made.set(name, replaced);
    }
    return changed ? made : entities;
  }

  #value(type: ValueType): ValueType {
    return typeof type === "string" ? type : this.type(type);
  }

  #maybe(type: ValueType | undefined): ValueType | undefined {
    return type && this.#value(type);
  }

  #shape(shape: Shape): Shape {
    const known = this.#shapes.get(shape);
    if (known) return known;
    const type = this.#shapeType(shape.type);
    const made = type === shape.type ? shape : this.#table.shape(type);
    this.#shapes.set(shape, made);
    return made;
  }

  /** The same object where nothing in it is replaced. */
  #shapeType(type: ShapeType): ShapeType {
    switch (type.kind) {
      case "primitive":
      case "flags":
      case "enum":
        return type;
      case "record": {
        this.#spend(type.fields.length);
        const fields = type.fields.map(({ name, type }) => ({ name, type: this.#value(type) }));
        return fields.every((field, i) => field.type === type.fields[i]!.type) ? type : { kind: "record", fields };
      }
      case "variant": {
        this.#spend(type.cases.length);
        const cases = type.cases.map(({ name, type }) => ({ name, type: this.#maybe(type) }));
        return cases.every((c, i) => c.type === type.cases[i]!.type) ? type : { kind: "variant", cases };
      }
      case "tuple": {
        this.#spend(type.types.length);
        const types = type.types.map((t) => this.#value(t));
        return types.every((t, i) => t === type.types[i]) ? type : { kind: "tuple", types };
      }
      case "list": {
        const element = this.#value(type.element);
        return element === type.element ? type : { ...type, element };
      }
      case "map": {
        const key = this.#value(type.key);
        const value = this.#value(type.value);
        return key === type.key && value === type.value ? type : { kind: "map", key, value };
      }
      case "option": {
        const inner = this.#value(type.type);
        return inner === type.type ? type : { kind: "option", type: inner };
      }
      case "result": {
        const ok = this.#maybe(type.ok);
        const err = this.#maybe(type.err);
        return ok === type.ok && err === type.err ? type : { kind: "result", ok, err };
      }
      case "own":
      case "borrow": {
        const resource = this.type(type.resource);
        return resource === type.resource ? type : { kind: type.kind, resource };
      }
      case "stream":
      case "future": {
        const element = this.#maybe(type.element);
        return element === type.element ? type : { kind: type.kind, element };
      }
    }
  }
}

/** The types that a type is directly made of. */
export function partsOf(type: ShapeType): readonly (ValueType | undefined)[] {
  switch (type.kind) {
    case "record":
      return type.fields.map((field) => field.type);
    case "variant":
      return type.cases.map((c) => c.type);
    case "tuple":
      return type.types;
    case "list":
    case "stream":
    case "future":
      return [type.element];
    case "map":
      return [type.key, type.value];
    case "option":
      return [type.type];
    case "result":
      return [type.ok, type.err];
    default:
      return [];
  }
}
