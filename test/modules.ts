/** The repository's own modules, parsed: what each imports and which ambient things it touches. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAst } from "rolldown/parseAst";

export interface Use {
  readonly what: string;
  readonly line: number;
}

export interface Import extends Use {
  /** Erased before it runs. */
  readonly typeOnly: boolean;
}

export interface Module {
  /** Relative to the repository, with forward slashes: `src/kernel/call.ts`. */
  readonly path: string;
  readonly imports: readonly Import[];
  /** `Date.now`, `new Date()`, `Math.random`, `setTimeout`, `process.env`, … */
  readonly ambient: readonly Use[];
  /** `export default`, `export *`. */
  readonly exports: readonly Use[];
}

export const repository = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Every TypeScript module under `folder`. */
export function readModules(folder: string): Module[] {
  const names = readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" });
  return names
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => /\.[mc]?[tj]s$/.test(name) && !/(^|\/)(\.|node_modules\/)/.test(name) && !name.endsWith(".d.ts"))
    .sort()
    .map((name) => parseModule(`${folder}/${name}`, readFileSync(join(repository, folder, name), "utf8")));
}

interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

export function parseModule(path: string, source: string): Module {
  const imports: Import[] = [];
  const ambient: Use[] = [];
  const exports: Use[] = [];
  const lineOf = (node: SyntaxNode) => source.slice(0, node.start).split("\n").length;
  const importOf = (node: SyntaxNode, from: unknown, typeOnly: boolean) => {
    if (isNode(from) && typeof from.value === "string") {
      imports.push({ what: from.value, line: lineOf(node), typeOnly });
    }
  };
  const note = (node: SyntaxNode, what: string) => ambient.push({ what, line: lineOf(node) });

  const visit = (node: SyntaxNode): void => {
    switch (node.type) {
      case "ImportDeclaration":
        importOf(node, node.source, node.importKind === "type" || allTypes(node.specifiers, "importKind"));
        return;
      case "ExportNamedDeclaration":
        importOf(node, node.source, node.exportKind === "type" || allTypes(node.specifiers, "exportKind"));
        break;
      case "ExportAllDeclaration":
        importOf(node, node.source, node.exportKind === "type");
        exports.push({ what: "export *", line: lineOf(node) });
        break;
      case "ExportDefaultDeclaration":
        exports.push({ what: "export default", line: lineOf(node) });
        break;
      case "ImportExpression":
        importOf(node, node.source, false);
        break;
      case "TSImportType":
        importOf(node, isNode(node.source) ? node.source : node.argument, true);
        break;
      case "NewExpression":
        if (nameOf(node.callee) === "Date" && (node.arguments as unknown[]).length === 0) note(node, "new Date()");
        break;
      case "CallExpression": {
        const name = nameOf(node.callee);
        if (name !== undefined && ambientCalls.has(name)) note(node, name);
        break;
      }
      case "MemberExpression":
        if (nameOf(node) === "process.env") note(node, "process.env");
        break;
    }
    for (const child of Object.values(node)) {
      if (isNode(child)) visit(child);
      else if (Array.isArray(child)) for (const item of child) if (isNode(item)) visit(item);
    }
  };
  visit(parseAst(source, { lang: path.endsWith("x") ? "tsx" : "ts" }, path) as unknown as SyntaxNode);
  return { path, imports, ambient, exports };
}

const ambientCalls = new Set([
  ...["Date", "Date.now", "performance.now", "process.hrtime", "process.hrtime.bigint", "AbortSignal.timeout"],
  ...["setTimeout", "setInterval", "Math.random", "randomBytes", "randomUUID", "randomFillSync", "randomInt"],
  ...["crypto.randomUUID", "crypto.getRandomValues", "globalThis.setTimeout", "globalThis.setInterval"],
]);

/** `a.b.c` of an identifier or a chain of plain members. */
function nameOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === "Identifier") return String(node.name);
  if (node.type !== "MemberExpression" || node.computed === true) return undefined;
  const object = nameOf(node.object);
  const property = isNode(node.property) ? node.property.name : undefined;
  return object === undefined ? undefined : `${object}.${String(property)}`;
}

function allTypes(specifiers: unknown, kind: "importKind" | "exportKind"): boolean {
  if (!Array.isArray(specifiers) || specifiers.length === 0) return false;
  return specifiers.every((specifier) => isNode(specifier) && specifier[kind] === "type");
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}
