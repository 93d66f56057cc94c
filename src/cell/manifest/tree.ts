/**
 * YAML text as a tree of plain values, each of which knows where it was written.
 *
 * Everything after this works on trees, so that whatever is found wrong, also after an overlay,
 * points at the line that said it. Always true of a tree: keys are text, none is given twice and
 * none is a name that JavaScript objects carry already; depth and number of nodes are bounded,
 * however the aliases multiply.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  Scalar as YamlScalar,
} from "yaml";

export interface Place {
  readonly offset: number;
  readonly length: number;
  /** `services.checkout.calls[1]` */
  readonly path: string;
}

export interface Leaf {
  readonly kind: "leaf";
  readonly at: Place;
  readonly value: string | number | boolean | null;
  /** As written, without quotes: `1.10` where the value is the number 1.1. */
  readonly text: string;
  /** Written in quotes or as a block, so that it is text whatever it looks like. */
  readonly quoted: boolean;
}

export interface List {
  readonly kind: "list";
  readonly at: Place;
  readonly items: readonly Tree[];
}

export interface Fields {
  readonly kind: "map";
  readonly at: Place;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Something faulty was taken out of it: that a key is missing says nothing. */
  readonly incomplete?: boolean;
}

export interface Entry {
  readonly key: Place;
  readonly value: Tree;
}

export type Tree = Leaf | List | Fields;

/** Something wrong at a place of the text. */
export interface Finding {
  readonly at: Place;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly severity?: "error" | "warning";
}

export interface Parsed {
  /** Absent when the text is no YAML, or empty. */
  readonly tree?: Tree;
  readonly findings: readonly Finding[];
  /** 1-based line and column of an offset. */
  position(offset: number): { readonly line: number; readonly column: number };
}

const depthMax = 24;
const nodesMax = 100_000;
const findingsMax = 50;
const wholeFile: Place = { offset: 0, length: 0, path: "" };

/** Reads YAML text; never throws. */
export function parseTree(text: string): Parsed {
  const lineCounter = new LineCounter();
  const position = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  let document: Document.Parsed;
  try {
    // The library's own check for duplicate keys takes quadratic time; `convert` has one.
    document = parseDocument(text, { lineCounter, uniqueKeys: false, prettyErrors: false, logLevel: "error" });
  } catch (error) {
    const message = error instanceof RangeError ? "YAML is nested too deeply" : `YAML cannot be read: ${String(error)}`;
    return { findings: [{ at: wholeFile, message }], position };
  }
  const findings: Finding[] = document.errors.slice(0, findingsMax).map((error) => ({
    at: { offset: error.pos[0], length: Math.max(1, error.pos[1] - error.pos[0]), path: "" },
    ...syntaxMessage(error.code, error.message, text, error.pos[0]),
  }));
  if (findings.length > 0) return { findings, position };
  for (const warning of document.warnings.slice(0, findingsMax)) {
    findings.push({ at: { offset: warning.pos[0], length: 1, path: "" }, message: warning.message });
  }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    return { findings, position };
  }
  const tree = convert(document.contents, findings);
  return { ...(tree && { tree }), findings, position };
}

/** The plain value, for the schema validator. Its objects have no prototype. */
export function toPlain(tree: Tree): unknown {
  if (tree.kind === "leaf") return tree.value;
  if (tree.kind === "list") return tree.items.map(toPlain);
  const plain: Record<string, unknown> = Object.create(null);
  for (const [name, entry] of tree.entries) plain[name] = toPlain(entry.value);
  return plain;
}

/** What is under a key; `undefined` also when `tree` is no map. */
export function field(tree: Tree | undefined, name: string): Tree | undefined {
  return tree?.kind === "map" ? tree.entries.get(name)?.value : undefined;
}

/** Names and values of a map; none when `tree` is none. */
export function fields(tree: Tree | undefined): [name: string, value: Tree, key: Place][] {
  if (tree?.kind !== "map") return [];
  return [...tree.entries].map(([name, entry]) => [name, entry.value, entry.key]);
}

/** Items of a list; none when `tree` is none. */
export function items(tree: Tree | undefined): readonly Tree[] {
  return tree?.kind === "list" ? tree.items : [];
}

/** The tree without what is at `paths`. */
export function without(tree: Tree, paths: ReadonlySet<string>): Tree {
  if (tree.kind === "leaf" || paths.size === 0) return tree;
  if (tree.kind === "list") {
    return {
      ...tree,
      items: tree.items.filter((item) => !paths.has(item.at.path)).map((item) => without(item, paths)),
    };
  }
  const kept = [...tree.entries].filter(([, entry]) => !paths.has(entry.key.path));
  const entries = new Map(kept.map(([name, { key, value }]) => [name, { key, value: without(value, paths) }]));
  return { ...tree, entries, incomplete: entries.size < tree.entries.size };
}

/** A name laid onto a path: `.name`, or `["a b"]` when it is no plain word. */
export function pathTo(parent: string, name: string | number): string {
  if (typeof name === "number") return `${parent}[${name}]`;
  if (!/^[\w-]+$/.test(name)) return `${parent}[${JSON.stringify(name)}]`;
  return parent === "" ? name : `${parent}.${name}`;
}

function convert(root: Node, findings: Finding[]): Tree | undefined {
  const anchors = new Map<string, Node>();
  let nodes = 0;
  let stopped = false;

  const find = (at: Place, message: string, hint?: string) => {
    if (findings.length < findingsMax) findings.push({ at, message, hint });
  };
  const empty = (at: Place): Leaf => ({ kind: "leaf", at, value: null, text: "", quoted: false });

  const visit = (node: Node | null, fallback: Place, path: string, depth: number): Tree => {
    const at = node === null ? { ...fallback, path } : placeOf(node, path);
    if (stopped) return empty(at);
    nodes += 1;
    if (depth > depthMax || nodes > nodesMax) {
      stopped = true;
      if (depth > depthMax) find(at, `nested deeper than ${depthMax} levels`, "does an alias contain itself?");
      else find(at, `more than ${nodesMax} values`, "aliases count as often as they are used");
      return empty(at);
    }
    if (node === null) return empty(at);
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (target !== undefined) return visit(target, at, path, depth + 1);
      find(at, `alias "*${node.source}" has no anchor before it`, `quote it if it is text: "*${node.source}"`);
      return empty(at);
    }
    if ("anchor" in node && typeof node.anchor === "string") anchors.set(node.anchor, node);
    if (isSeq(node)) {
      const list = node.items as (Node | null)[];
      return { kind: "list", at, items: list.map((item, i) => visit(item, at, pathTo(path, i), depth + 1)) };
    }
    if (isMap(node)) {
      return { kind: "map", at, entries: visitPairs(node.items as Pair<Node, Node | null>[], at, path, depth) };
    }
    const scalar = node as YamlScalar;
    const value = scalar.value;
    const text = typeof scalar.source === "string" ? scalar.source : String(value ?? "");
    const quoted = scalar.type !== undefined && scalar.type !== YamlScalar.PLAIN;
    if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      return { kind: "leaf", at, value, text: typeof value === "string" ? value : text, quoted };
    }
    return { kind: "leaf", at, value: text, text, quoted };
  };

  const visitPairs = (pairs: Pair<Node, Node | null>[], parent: Place, path: string, depth: number) => {
    const entries = new Map<string, Entry>();
    const inherited: Fields[] = [];
    for (const pair of pairs) {
      const key = pair.key as Node | null;
      if (key === null || !isScalar(key)) {
        find(key === null ? parent : placeOf(key, path), "a key must be a plain word", "quote it if it is text");
        continue;
      }
      const name = typeof key.value === "string" ? key.value : (key.source ?? String(key.value));
      const at = placeOf(key, pathTo(path, name));
      if (name === "<<" && key.type === YamlScalar.PLAIN) {
        const merged = visit(pair.value, at, path, depth + 1);
        if (merged.kind === "map") inherited.push(merged);
        else find(at, '"<<" must be followed by an alias of a map');
        continue;
      }
      if (name in Object.prototype) {
        find(at, `"${name}" cannot be a name: it is reserved`);
        continue;
      }
      const earlier = entries.get(name);
      if (earlier !== undefined) {
        find(at, `key "${name}" is given twice in the same map`, "keep one of them");
        continue;
      }
      entries.set(name, { key: at, value: visit(pair.value, at, at.path, depth + 1) });
    }
    for (const map of inherited)
      for (const [name, entry] of map.entries) if (!entries.has(name)) entries.set(name, entry);
    return entries;
  };

  const tree = visit(root, wholeFile, "", 0);
  return stopped ? undefined : tree;
}

function placeOf(node: Node, path: string): Place {
  const [start, end] = node.range ?? [0, 0];
  return { offset: start, length: Math.max(1, end - start), path };
}

/** The YAML library's words, and what usually stands behind them. */
function syntaxMessage(
  code: string,
  message: string,
  text: string,
  offset: number,
): { message: string; hint?: string } {
  const line = text.slice(text.lastIndexOf("\n", offset - 1) + 1).split("\n", 1)[0] ?? "";
  switch (code) {
    case "TAB_AS_INDENT":
      return { message: "a tab is used to indent", hint: "YAML indents with spaces only" };
    case "MULTIPLE_DOCS":
      return { message: "more than one YAML document", hint: 'a manifest is one document: remove the "---" line' };
    case "BAD_INDENT":
      if (!message.startsWith("All mapping")) return { message };
      return { message: "the indentation fits no map above", hint: "keys of one map begin in the same column" };
    case "BLOCK_AS_IMPLICIT_KEY":
      return { message, hint: 'quote a text that holds ": "' };
    case "MISSING_CHAR":
    case "BAD_SCALAR_START":
    case "UNEXPECTED_TOKEN":
      // `routes: [GET /products/{sku}]`: the brace opens a map inside a flow list.
      if (!/\{/.test(line)) return { message };
      return { message, hint: 'quote texts with braces: ["GET /products/{sku}"]' };
    default:
      return { message };
  }
}
