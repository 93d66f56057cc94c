/**
 * A component's imports and exports as TypeScript declares them: what `load<Imports, Exports>` is given.
 *
 * Types stand in a namespace for each interface; `Imports` and `Exports` are what the host gives and
 * gets, by interface, in the convention of contract.ts. A function that is not `async` may take its time
 * all the same (a host function that is {@link suspending}, a guest that calls one or is metered): its
 * answer is then a promise, and the declarations say so. Interfaces of WASI are described and left out of
 * `Imports`, because the engine has hosts for them.
 */
import { camelCase, pascalCase, withMinorVersion, withoutVersion } from "./types.ts";
import type { Labelled, TypeItem, Wit, WitFunction, WitInterface, WorldItem } from "./wit.ts";

type Direction = "imports" | "exports";

/** An interface and the name of the namespace that its types are in. */
interface Space {
  readonly name: string;
  readonly namespace: string;
  readonly described: WitInterface;
  readonly direction: Direction;
}

/** `list<u8>` as its word and what it is of. */
interface Expression {
  readonly word: string;
  /** A name of the component's and no word of WIT. */
  readonly named: boolean;
  readonly of: readonly Expression[];
}

export function printDeclarations(wit: Wit): string {
  const spaces = spacesOf(wit);
  const find = (name: string) => spaces.find((space) => space.name === name);
  const lines = ["// Declarations of a component, printed by `cyto inspect --types`.", ""];
  for (const space of spaces) {
    const types = space.described.types.flatMap((item) => declare(item, space, find));
    if (types.length === 0) continue;
    lines.push(
      `/** ${title(space)} */`,
      `export declare namespace ${space.namespace} {`,
      ...types.map(indent),
      "}",
      "",
    );
  }
  for (const direction of ["imports", "exports"] as const) {
    const within = spaces.filter((space) => exchanged(wit, space, direction));
    const given = direction === "imports" ? within.filter(({ name }) => name.startsWith("wasi:")) : [];
    for (const { name } of given) lines.push(`// The engine has a host for ${name}.`);
    lines.push(`export interface ${pascalCase(direction)} {`);
    for (const space of within) {
      if (given.includes(space)) continue;
      const members = membersOf({ ...space, direction }, find);
      if (members.length > 0)
        lines.push(...[`${quote(keyOf(space, within))}: {`, ...members.map(indent), "};"].map(indent));
    }
    lines.push("}", "");
  }
  return lines.join("\n");
}

type Find = (name: string) => Space | undefined;

function spacesOf({ imports, exports, packages }: Wit): readonly Space[] {
  const spaces: Space[] = [];
  const add = (name: string, described: WitInterface, direction: Direction) => {
    let namespace = pascalCase(withoutVersion(name).replace(/[^a-zA-Z0-9]+/g, "-"));
    if (spaces.some((space) => space.namespace === namespace))
      namespace += name.replace(/^[^@]*/, "").replace(/\W/g, "_");
    while (spaces.some((space) => space.namespace === namespace)) namespace += "_";
    spaces.push({ name, namespace, described, direction });
  };
  const exported = new Set(exports.flatMap((item) => (item.kind === "interface" ? [item.name] : [])));
  for (const { name: owner, interfaces } of packages) {
    const [packageName, version] = owner.split("@");
    for (const described of interfaces) {
      const name = `${packageName}/${described.name}${version === undefined ? "" : `@${version}`}`;
      add(name, described, exported.has(name) ? "exports" : "imports");
    }
  }
  for (const [direction, items] of [
    ["imports", imports],
    ["exports", exports],
  ] as const) {
    for (const item of items) if (item.kind === "inline") add(item.name, item, direction);
    add("$root", rootOf(items), direction);
  }
  return spaces;
}

/** What the world itself imports or exports. */
function rootOf(items: readonly WorldItem[]): WitInterface {
  const uses = items.filter((item) => item.kind === "use");
  const functions = items.filter((item) => isFunction(item));
  const types = items.filter((item) => isType(item));
  return { name: "", uses, types, functions };
}

function isFunction(item: WorldItem): item is WitFunction {
  return item.kind === "func" || item.kind === "method" || item.kind === "static" || item.kind === "constructor";
}

function isType(item: WorldItem): item is TypeItem {
  return !isFunction(item) && !["interface", "inline", "use", "other"].includes(item.kind);
}

function exchanged(wit: Wit, space: Space, direction: Direction): boolean {
  if (!space.name.includes(":")) return space.direction === direction;
  return wit[direction].some((item) => item.kind === "interface" && item.name === space.name);
}

function title({ name }: Space): string {
  return name === "$root" ? "What the world itself names." : name;
}

/** Of several versions each goes by its own. */
function keyOf({ name }: Space, within: readonly Space[]): string {
  const bare = withoutVersion(name);
  return within.filter((other) => withoutVersion(other.name) === bare).length > 1 ? withMinorVersion(name) : bare;
}

/** The functions of an interface, and its resources as classes. */
function membersOf(space: Space, find: Find): string[] {
  const lines: string[] = [];
  for (const item of space.described.types) {
    if (item.kind !== "resource") continue;
    const type = `${space.namespace}.${pascalCase(plain(item.name))}`;
    lines.push(`${pascalCase(plain(item.name))}: {`, `  readonly prototype: ${type};`);
    for (const member of item.functions) {
      if (member.kind === "constructor")
        lines.push(...signature(member, space, find, "new ", member.result ?? item.name).map(indent));
      if (member.kind === "static")
        lines.push(...signature(member, space, find, property(camelCase(member.name))).map(indent));
    }
    lines.push("};");
  }
  for (const member of space.described.functions)
    lines.push(...signature(member, space, find, property(camelCase(member.name))));
  return lines;
}

function signature(func: WitFunction, space: Space, find: Find, name: string, answer = func.result): string[] {
  const toGuest = space.direction === "exports";
  const params = func.params.map((param) => `${parameter(param)}: ${typeOf(param.type, space, find, toGuest)}`);
  if (func.async) params.push(toGuest ? `options?: ${engine("TaskOptions")}` : `call: ${engine("AsyncCall")}`);
  const whole = answer === undefined ? undefined : shapeOf(parse(answer), space, find);
  let result = "void";
  const lines: string[] = [];
  if (whole !== undefined && !whole.expression.named && whole.expression.word === "result") {
    const [ok, err] = whole.expression.of;
    if (ok !== undefined && ok.word !== "_") result = expressed(ok, whole.space, find, !toGuest);
    const thrown = err === undefined ? "undefined" : expressed(err, whole.space, find, !toGuest);
    lines.push(`/** Throws an error with the payload ${thrown} */`);
  } else if (answer !== undefined) result = typeOf(answer, space, find, !toGuest);
  const promise = `${builtIn("Promise", space)}<${result}>`;
  lines.push(`${name}(${params.join(", ")}): ${func.async && toGuest ? promise : `${result} | ${promise}`};`);
  return lines;
}

/** The declaration of a type in its namespace. */
function declare(item: TypeItem, space: Space, find: Find): string[] {
  const name = pascalCase(plain(item.name));
  const of = (type: string) => typeOf(type, space, find, false);
  switch (item.kind) {
    case "type":
      return [`type ${name} = ${of(item.type)};`];
    case "record": {
      const fields = item.fields.map((field) => {
        const type = of(field.type);
        return `  ${property(camelCase(field.name))}${type.endsWith("| undefined") ? "?" : ""}: ${type};`;
      });
      return [`interface ${name} {`, ...fields, "}"];
    }
    case "variant": {
      const cases = item.cases.map(
        ({ name, type }) => `  | { tag: ${quote(name)}${type === undefined ? "" : `; val: ${of(type)}`} }`,
      );
      return [`type ${name} =`, ...cases.slice(0, -1), `${cases.at(-1)};`];
    }
    case "enum":
      return [`type ${name} = ${item.names.map(quote).join(" | ")};`];
    case "flags":
      return [`interface ${name} {`, ...item.names.map((flag) => `  ${property(camelCase(flag))}?: boolean;`), "}"];
    case "resource": {
      const methods = item.functions.filter(({ kind }) => kind === "method");
      return [
        `interface ${name} {`,
        ...methods.flatMap((method) => signature(method, space, find, property(camelCase(method.name)))).map(indent),
        `  [Symbol.dispose]${space.direction === "exports" ? "" : "?"}(): void;`,
        "}",
      ];
    }
  }
}

function typeOf(text: string, space: Space, find: Find, toGuest: boolean): string {
  return expressed(parse(text), space, find, toGuest);
}

const primitives: Readonly<Record<string, string>> = {
  bool: "boolean",
  char: "string",
  string: "string",
  s64: "bigint",
  u64: "bigint",
  ...Object.fromEntries("s8 u8 s16 u16 s32 u32 f32 f64".split(" ").map((name) => [name, "number"])),
};

const arrays: Readonly<Record<string, string>> = {
  s8: "Int8Array",
  u8: "Uint8Array",
  s16: "Int16Array",
  u16: "Uint16Array",
  s32: "Int32Array",
  u32: "Uint32Array",
  s64: "BigInt64Array",
  u64: "BigUint64Array",
  f32: "Float32Array",
  f64: "Float64Array",
};

/** `toGuest`: JavaScript gives the value, which it may do in more ways than it gets one. */
function expressed(expression: Expression, space: Space, find: Find, toGuest: boolean): string {
  const inner = (of: Expression | undefined) =>
    of === undefined || of.word === "_" ? "undefined" : expressed(of, space, find, toGuest);
  const { word, of } = expression;
  if (expression.named) {
    const at = placeOf(word, space, find);
    return at === undefined ? "unknown" : `${at.space.namespace}.${pascalCase(at.name)}`;
  }
  switch (word) {
    case "error-context":
      return builtIn("Error", space);
    case "list":
      return listOf(of[0], space, find, inner);
    case "map":
      return `${builtIn("Map", space)}<${inner(of[0])}, ${inner(of[1])}>`;
    case "tuple":
      return `[${of.map(inner).join(", ")}]`;
    case "option": {
      const { expression: shape } = shapeOf(of[0]!, space, find);
      if (!shape.named && shape.word === "option") return `({ tag: "none" } | { tag: "some"; val: ${inner(of[0])} })`;
      return `${inner(of[0])} | undefined`;
    }
    case "result": {
      const half = (tag: string, type: Expression | undefined) =>
        `{ tag: "${tag}"; ${type === undefined || type.word === "_" ? "val?: undefined" : `val: ${inner(type)}`} }`;
      return `(${half("ok", of[0])} | ${half("err", of[1])})`;
    }
    case "borrow":
      return inner(of[0]);
    case "stream": {
      const chunk = of[0] === undefined ? "undefined[]" : listOf(of[0], space, find, inner);
      if (!toGuest) return `${engine("StreamReader")}<${chunk}>`;
      const iterable = `${builtIn("Iterable", space)}<${chunk}> | ${builtIn("AsyncIterable", space)}<${chunk}>`;
      return `(${engine("StreamSource")}<${chunk}> | ${iterable})`;
    }
    case "future": {
      const reader = `${engine("FutureReader")}<${inner(of[0])}>`;
      return toGuest ? `(${reader} | ${builtIn("Promise", space)}<${inner(of[0])}>)` : reader;
    }
    default:
      return primitives[word] ?? "unknown";
  }
}

/** An array, or the typed array of a type of number. */
function listOf(
  element: Expression | undefined,
  space: Space,
  find: Find,
  inner: (of: Expression | undefined) => string,
): string {
  const { expression } = shapeOf(element!, space, find);
  const array = expression.named ? undefined : arrays[expression.word];
  if (array !== undefined) return builtIn(array, space);
  const text = inner(element);
  return /^[\w.]+$/.test(text) ? `${text}[]` : `(${text})[]`;
}

/** Where a name of an interface is defined, and as what. */
function placeOf(name: string, space: Space, find: Find): { readonly space: Space; readonly name: string } | undefined {
  if (space.described.types.some((item) => plain(item.name) === name)) return { space, name };
  for (const { from, names } of space.described.uses) {
    const used = names.find((one) => plain(one.as ?? one.name) === name);
    const there = used && find(from);
    if (there) return placeOf(plain(used.name), there, find);
  }
  return undefined;
}

/** What an expression is behind its names; it stays a name where that is of a record and its like. */
function shapeOf(expression: Expression, space: Space, find: Find): { expression: Expression; space: Space } {
  if (!expression.named) return { expression, space };
  const at = placeOf(expression.word, space, find);
  const item = at?.space.described.types.find((one) => plain(one.name) === at.name);
  if (at === undefined || item?.kind !== "type") return { expression, space };
  return shapeOf(parse(item.type), at.space, find);
}

const words = new Set([
  ...Object.keys(primitives),
  ..."list map tuple option result borrow stream future error-context _".split(" "),
]);

/** The text of a type, as wit.ts writes it. */
function parse(text: string): Expression {
  const tokens = text.match(/%?[\w-]+|[<>,]/g) ?? [];
  let at = 0;
  function next(): Expression {
    const token = tokens[at++]!;
    const of: Expression[] = [];
    if (tokens[at] === "<") {
      do {
        at++;
        of.push(next());
      } while (tokens[at] === ",");
      at++;
    }
    // A word that is no name would have been marked, had it been one.
    return { word: plain(token), named: !words.has(token), of };
  }
  return next();
}

function plain(name: string): string {
  return name.replace("%", "");
}

/** A name of TypeScript's own, which a type of the interface may hide. */
function builtIn(name: string, { described }: Space): string {
  return described.types.some((item) => pascalCase(plain(item.name)) === name) ? `globalThis.${name}` : name;
}

function engine(name: string): string {
  return `import("cytoplane/component").${name}`;
}

const reserved = new Set(
  (
    "arguments await break case catch class const continue debugger default delete do else enum eval export extends " +
    "false finally for function if implements import in instanceof interface let new null package private protected " +
    "public return static super switch this throw true try typeof var void while with yield"
  ).split(" "),
);

function parameter({ name }: Labelled): string {
  const word = camelCase(name);
  return reserved.has(word) ? `${word}_` : word;
}

/** A number as a name, or `new`, is only a property in quotes. */
function property(name: string): string {
  return name === "new" || name === "constructor" ? quote(name) : name;
}

const quote = (text: string) => JSON.stringify(text);
const indent = (line: string) => `  ${line}`;
