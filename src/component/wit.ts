/**
 * The interface of a component as WIT: what its world imports and exports, and every interface and type
 * that these name, written out by package. The text can be given to other WIT tools.
 *
 * Types are told apart by where they come from, as validation tracks it: what an interface takes from
 * another is a `use`, what it names itself is a definition. Comments of the original WIT are in no binary.
 */
import { adapt, describesWorld } from "./adapt.ts";
import { sniff } from "./binary.ts";
import { decode } from "./decode.ts";
import { validate } from "./validate.ts";
import type {
  ComponentNode,
  Entity,
  FunctionNode,
  InstanceNode,
  ResourceNode,
  ShapeType,
  TypeNode,
  ValueNode,
  ValueType,
} from "./validate-types.ts";

export interface Wit {
  readonly imports: readonly WorldItem[];
  readonly exports: readonly WorldItem[];
  readonly packages: readonly WitPackage[];
}

export type WorldItem =
  | { readonly kind: "interface"; readonly name: string }
  | ({ readonly kind: "inline" } & WitInterface)
  | { readonly kind: "use"; readonly from: string; readonly names: readonly UsedName[] }
  | TypeItem
  | WitFunction
  /** A core module or component: WIT has no way to say it. */
  | { readonly kind: "other"; readonly name: string; readonly sort: string };

export interface WitPackage {
  /** `wasi:io@0.2.12` */
  readonly name: string;
  readonly interfaces: readonly WitInterface[];
}

export interface WitInterface {
  readonly name: string;
  readonly uses: readonly { readonly from: string; readonly names: readonly UsedName[] }[];
  readonly types: readonly TypeItem[];
  readonly functions: readonly WitFunction[];
}

export interface UsedName {
  readonly name: string;
  /** What it is called here, where that differs. */
  readonly as?: string;
}

export type TypeItem =
  | { readonly kind: "type"; readonly name: string; readonly type: string }
  | { readonly kind: "record"; readonly name: string; readonly fields: readonly Labelled[] }
  | {
      readonly kind: "variant";
      readonly name: string;
      readonly cases: readonly { readonly name: string; readonly type?: string }[];
    }
  | { readonly kind: "enum" | "flags"; readonly name: string; readonly names: readonly string[] }
  | { readonly kind: "resource"; readonly name: string; readonly functions: readonly WitFunction[] };

export interface Labelled {
  readonly name: string;
  readonly type: string;
}

export interface WitFunction {
  readonly kind: "func" | "method" | "static" | "constructor";
  readonly name: string;
  readonly async: boolean;
  /** Without the resource that a method is of. */
  readonly params: readonly Labelled[];
  readonly result?: string;
}

/** Where a type has its name. */
interface Origin {
  readonly from: string;
  readonly name: string;
}

/**
 * Of what {@link load} takes; undefined for a program of WASI 0.1, which has no interface of its own.
 * Throws `invalid-component` as it does.
 */
export async function readWit(bytes: Uint8Array): Promise<Wit | undefined> {
  const core = sniff(bytes) === "core-module";
  if (core && !describesWorld(bytes)) return undefined;
  return witOf(validate(decode(core ? await adapt(bytes) : bytes)));
}

export function witOf(component: ComponentNode): Wit {
  const origins = new Map<TypeNode, Origin>();
  const packages = new Map<string, Map<string, WitInterface>>();
  const interfaceOf = (name: string, instance: InstanceNode) => describeInterface(name, instance.exports, origins);

  function world(entities: ReadonlyMap<string, Entity>): WorldItem[] {
    const items: WorldItem[] = [];
    const plain = new Map<string, Entity>();
    for (const [name, entity] of entities) {
      if (entity.sort === "instance" && name.includes(":")) {
        const [packageName, interfaceName] = splitName(name);
        const interfaces = packages.get(packageName) ?? new Map<string, WitInterface>();
        const described = interfaceOf(name, entity.type);
        // Imported and exported it may be seen in part only: the fuller is shown.
        const before = interfaces.get(interfaceName);
        if (!before || size(before) < size(described)) interfaces.set(interfaceName, described);
        packages.set(packageName, interfaces);
        items.push({ kind: "interface", name });
      } else if (entity.sort === "instance") items.push({ kind: "inline", ...interfaceOf(name, entity.type) });
      else if (entity.sort === "func" || entity.sort === "type") plain.set(name, entity);
      else items.push({ kind: "other", name, sort: entity.sort });
    }
    const { uses, types, functions } = describeInterface("", plain, origins);
    return [...uses.map((use) => ({ kind: "use" as const, ...use })), ...types, ...items, ...functions];
  }

  const imports = world(component.imports);
  const exports = world(component.exports);
  return {
    imports,
    exports,
    packages: [...packages].map(([name, interfaces]) => ({ name, interfaces: [...interfaces.values()] })),
  };
}

function size({ uses, types, functions }: WitInterface): number {
  return uses.length + types.length + functions.length;
}

/** `wasi:io/poll@0.2.12` as package `wasi:io@0.2.12` and interface `poll`. */
function splitName(name: string): readonly [packageName: string, interfaceName: string] {
  const [, before, inner, version = ""] = /^(.*)\/([^@]*)(@.*)?$/.exec(name)!;
  return [`${before}${version}`, inner!];
}

function describeInterface(
  from: string,
  entities: ReadonlyMap<string, Entity>,
  origins: Map<TypeNode, Origin>,
): WitInterface {
  /** Types that have a name here. */
  const local = new Map<TypeNode, string>();
  const uses = new Map<string, UsedName[]>();
  const types: TypeItem[] = [];
  const functions: WitFunction[] = [];
  const members = new Map<string, WitFunction[]>();

  function use(origin: Origin, as: string): void {
    const names = uses.get(origin.from) ?? [];
    names.push(origin.name === as ? { name: as } : { name: origin.name, as });
    uses.set(origin.from, names);
  }

  /** The name of a type here. One of another interface is used from there. */
  function nameOf(type: TypeNode): string | undefined {
    for (let node: TypeNode | undefined = type; node; node = node.of) {
      const known = local.get(node);
      if (known !== undefined) return known;
      const origin = origins.get(node);
      if (origin && origin.from !== from && origin.from !== "") {
        use(origin, origin.name);
        local.set(type, origin.name);
        return origin.name;
      }
    }
    return undefined;
  }

  function typeText(type: ValueType): string {
    if (typeof type === "string") return type;
    const name = nameOf(type);
    return name === undefined ? shapeText(type.shape.type) : spelled(name);
  }

  const resourceText = (resource: ResourceNode) => spelled(nameOf(resource) ?? "resource");

  function shapeText(shape: ShapeType): string {
    switch (shape.kind) {
      case "primitive":
        return shape.type;
      case "list":
        return `list<${typeText(shape.element)}${shape.length === undefined ? "" : `, ${shape.length}`}>`;
      case "map":
        return `map<${typeText(shape.key)}, ${typeText(shape.value)}>`;
      case "tuple":
        return `tuple<${shape.types.map(typeText).join(", ")}>`;
      case "option":
        return `option<${typeText(shape.type)}>`;
      case "result": {
        if (shape.ok === undefined && shape.err === undefined) return "result";
        const ok = shape.ok === undefined ? "_" : typeText(shape.ok);
        return shape.err === undefined ? `result<${ok}>` : `result<${ok}, ${typeText(shape.err)}>`;
      }
      case "own":
        return resourceText(shape.resource);
      case "borrow":
        return `borrow<${resourceText(shape.resource)}>`;
      case "stream":
      case "future":
        return shape.element === undefined ? shape.kind : `${shape.kind}<${typeText(shape.element)}>`;
      default:
        // Validation lets none of these through without a name.
        return shape.kind;
    }
  }

  function defineType(name: string, type: TypeNode): void {
    const before = type.of && known(type.of);
    local.set(type, name);
    if (!origins.has(type)) origins.set(type, { from, name });
    if (typeof before === "string") types.push({ kind: "type", name, type: spelled(before) });
    else if (before) use(before, name);
    else if (type.kind === "resource") {
      const functions: WitFunction[] = [];
      members.set(name, functions);
      types.push({ kind: "resource", name, functions });
    } else if (type.kind === "value") types.push(definition(name, type));
  }

  /** The name here, or the place elsewhere, of a type that another is a name of. */
  function known(type: TypeNode): string | Origin | undefined {
    for (let node: TypeNode | undefined = type; node; node = node.of) {
      const name = local.get(node);
      if (name !== undefined) return name;
      const origin = origins.get(node);
      if (origin && origin.from !== from) return origin;
    }
    return undefined;
  }

  function definition(name: string, { shape: { type } }: ValueNode): TypeItem {
    switch (type.kind) {
      case "record":
        return { kind: "record", name, fields: type.fields.map(labelled) };
      case "variant": {
        const cases = type.cases.map((c) => ({
          name: c.name,
          ...(c.type !== undefined && { type: typeText(c.type) }),
        }));
        return { kind: "variant", name, cases };
      }
      case "enum":
      case "flags":
        return { kind: type.kind, name, names: type.names };
      default:
        return { kind: "type", name, type: shapeText(type) };
    }
  }

  const labelled = ({ name, type }: { readonly name: string; readonly type: ValueType }): Labelled => ({
    name,
    type: typeText(type),
  });

  function defineFunction(name: string, type: FunctionNode): void {
    const found = /^\[(method|static|constructor)\]([^.]*)(?:\.(.*))?$/.exec(name);
    const kind = (found?.[1] ?? "func") as WitFunction["kind"];
    const params = (kind === "method" ? type.params.slice(1) : type.params).map(labelled);
    const result = type.result === undefined ? undefined : typeText(type.result);
    const own = kind === "constructor" && result === spelled(found![2]!);
    const described: WitFunction = {
      kind,
      name: found ? (found[3] ?? found[2]!) : name,
      async: type.async,
      params,
      ...(result !== undefined && !own && { result }),
    };
    (found ? (members.get(found[2]!) ?? functions) : functions).push(described);
  }

  for (const [name, entity] of entities) {
    if (entity.sort === "type") defineType(name, entity.type);
    else if (entity.sort === "func") defineFunction(name, entity.type);
  }
  const interfaceName = from.includes(":") ? splitName(from)[1] : from;
  return { name: interfaceName, uses: [...uses].map(([from, names]) => ({ from, names })), types, functions };
}

/** The text of it all: the world first, then the packages that it names. */
export function printWit({ imports, exports, packages }: Wit): string {
  const lines = ["package root:component;", "", "world root {"];
  const items = [
    ...imports.map((item) => ["import", item] as const),
    ...exports.map((item) => ["export", item] as const),
  ];
  let before: string | undefined;
  for (const [verb, item] of items) {
    if (before !== undefined && before !== verb) lines.push("");
    before = verb;
    lines.push(...worldLines(verb, item).map(indent));
  }
  lines.push("}");
  for (const { name, interfaces } of packages) {
    lines.push("", `package ${name} {`);
    interfaces.forEach((described, i) => {
      if (i > 0) lines.push("");
      lines.push(...interfaceLines(`interface ${spelled(described.name)}`, described, name).map(indent));
    });
    lines.push("}");
  }
  return `${lines.join("\n")}\n`;
}

function worldLines(verb: string, item: WorldItem): string[] {
  switch (item.kind) {
    case "interface":
      return [`${verb} ${item.name};`];
    case "inline":
      return interfaceLines(`${verb} ${spelled(item.name)}: interface`, item);
    case "use":
      return [useLine(item)];
    case "other":
      return [`// ${verb} ${item.name}: a ${item.sort}, which WIT cannot describe`];
    case "func":
    case "method":
    case "static":
    case "constructor":
      return [`${verb} ${functionLine(item)}`];
    default:
      return typeLines(item);
  }
}

function interfaceLines(head: string, { uses, types, functions }: WitInterface, packageName?: string): string[] {
  const blocks = [
    ...(uses.length > 0 ? [uses.map((use) => useLine(use, packageName))] : []),
    ...types.map(typeLines),
    ...functions.map((described) => [functionLine(described)]),
  ];
  return [`${head} {`, ...blocks.flatMap((block, i) => (i > 0 ? ["", ...block] : block)).map(indent), "}"];
}

/** Inside of its own package an interface goes by its plain name. */
function useLine(
  { from, names }: { readonly from: string; readonly names: readonly UsedName[] },
  packageName?: string,
): string {
  const list = names.map(({ name, as }) => (as === undefined ? spelled(name) : `${spelled(name)} as ${spelled(as)}`));
  const [owner, inner] = splitName(from);
  return `use ${owner === packageName ? spelled(inner) : from}.{${list.join(", ")}};`;
}

function typeLines(item: TypeItem): string[] {
  const name = spelled(item.name);
  const block = (lines: readonly string[]) => [`${item.kind} ${name} {`, ...lines.map(indent), "}"];
  switch (item.kind) {
    case "type":
      return [`type ${name} = ${item.type};`];
    case "record":
      return block(item.fields.map((field) => `${spelled(field.name)}: ${field.type},`));
    case "variant":
      return block(item.cases.map((c) => `${spelled(c.name)}${c.type === undefined ? "" : `(${c.type})`},`));
    case "enum":
    case "flags":
      return block(item.names.map((label) => `${spelled(label)},`));
    case "resource":
      return item.functions.length === 0 ? [`resource ${name};`] : block(item.functions.map(functionLine));
  }
}

function functionLine({ kind, name, async, params, result }: WitFunction): string {
  const list = params.map((param) => `${spelled(param.name)}: ${param.type}`).join(", ");
  const answer = result === undefined ? "" : ` -> ${result}`;
  if (kind === "constructor") return `constructor(${list})${answer};`;
  return `${spelled(name)}: ${kind === "static" ? "static " : ""}${async ? "async " : ""}func(${list})${answer};`;
}

function indent(line: string): string {
  return line === "" ? line : `  ${line}`;
}

const keywords = new Set(
  (
    "as async bool borrow char constructor enum error-context export f32 f64 flags from func future import include " +
    "interface list map option own package record resource result s16 s32 s64 s8 static stream string tuple type " +
    "u16 u32 u64 u8 use variant with world"
  ).split(" "),
);

/** A name that is a word of WIT is written with a mark before it. */
function spelled(name: string): string {
  return keywords.has(name) ? `%${name}` : name;
}
