/**
 * Where things stand in an author's file: the imports of a specifier, the default export.
 *
 * Read only after something failed, so a full parse is affordable. A file that does not parse has
 * no positions; its own syntax error is reported instead.
 */
import { parseSync } from "rolldown/utils";

export interface Position {
  /** 1-based. */
  readonly line: number;
  readonly column: number;
}

export interface ImportSite extends Position {
  /** Inside a `try` block: the code is ready for the import to fail. */
  readonly guarded: boolean;
}

/** Every import, re-export, `import()` and `require()` of `specifier` in `code`. */
export function importSites(file: string, code: string, specifier: string): ImportSite[] {
  const sites: ImportSite[] = [];
  walk(parseSync(file, code).program, false, (node, guarded) => {
    const named = importedBy(node);
    if (named !== undefined && named.value === specifier) sites.push({ ...positionAt(code, named.start), guarded });
  });
  return sites;
}

/** Where `export default` stands, if it does. */
export function defaultExport(file: string, code: string): Position | undefined {
  let found: Position | undefined;
  walk(parseSync(file, code).program, false, (node) => {
    if (node.type === "ExportDefaultDeclaration") found ??= positionAt(code, Number(node.start));
  });
  return found;
}

/** An offset in UTF-16 units as a line and a column. */
export function positionAt(code: string, offset: number): Position {
  const before = code.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}

type Node = Record<string, unknown>;

function importedBy(node: Node): { value: unknown; start: number } | undefined {
  // The bundler renames what it leaves of `require`.
  const isRequire = node.type === "CallExpression" && /^(__)?require$/.test(String((node.callee as Node).name));
  const literal = isRequire ? (node.arguments as Node[])[0] : node.source;
  if (!isNode(literal) || literal.type !== "Literal") return undefined;
  return { value: literal.value, start: Number(literal.start) };
}

function walk(node: unknown, guarded: boolean, visit: (node: Node, guarded: boolean) => void): void {
  if (Array.isArray(node)) for (const each of node) walk(each, guarded, visit);
  if (!isNode(node)) return;
  visit(node, guarded);
  for (const [key, child] of Object.entries(node)) {
    if (typeof child === "object" && child !== null) {
      walk(child, guarded || (node.type === "TryStatement" && key === "block"), visit);
    }
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value;
}
