/**
 * `${NAME}` and `${NAME:-default}` in the values of a manifest; `$${` is a plain `${`.
 *
 * Only what the chosen environment uses is looked up, so that a laptop needs no production
 * variables. A name without value and default is a fault, never an empty text.
 */
import { type Entry, type Finding, pathTo, type Tree } from "./tree.ts";

const reference = /\$(\$)?\{([^}]*)\}/g;

export function hasVariable(text: string): boolean {
  return /(^|[^$])\$\{/.test(text);
}

export interface Substituted {
  readonly tree: Tree;
  readonly findings: readonly Finding[];
  /** Paths of values that are still references. */
  readonly unresolved: ReadonlySet<string>;
}

/** Puts values for the references everywhere but in environments other than `environment`. */
export function substitute(
  root: Tree,
  environment: string,
  variables: Readonly<Record<string, string | undefined>>,
): Substituted {
  const findings: Finding[] = [];
  const chosen = pathTo("environments", environment);

  const visit = (tree: Tree): Tree => {
    if (tree.kind === "list") return { ...tree, items: tree.items.map(visit) };
    if (tree.kind === "map") {
      const entries = new Map<string, Entry>();
      for (const [name, entry] of tree.entries) {
        const foreign = tree.at.path === "environments" && entry.key.path !== chosen;
        entries.set(name, foreign ? entry : { key: entry.key, value: visit(entry.value) });
      }
      return { ...tree, entries };
    }
    if (typeof tree.value !== "string" || !tree.value.includes("${")) return tree;
    const text = tree.value.replace(reference, (whole, escaped: string | undefined, inside: string) => {
      if (escaped !== undefined) return whole.slice(1);
      const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside) ?? [];
      if (name === undefined) {
        findings.push({
          at: tree.at,
          message: `"${whole}" names no variable`,
          hint: `write \${NAME} or \${NAME:-default}`,
        });
        return whole;
      }
      const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
      if (value !== undefined && value !== "") return value;
      if (fallback !== undefined) return fallback;
      const hint = `set it in the environment of the process, or give a default: \${${name}:-…}`;
      findings.push({ at: tree.at, message: `the variable ${name} is not set`, hint });
      return whole;
    });
    return { ...tree, text, value: tree.quoted ? text : resolvePlain(text) };
  };
  const tree = visit(root);
  return { tree, findings, unresolved: new Set(findings.map((finding) => finding.at.path)) };
}

/** What an unquoted scalar means in YAML: a number, a truth, or a text. */
function resolvePlain(text: string): string | number | boolean {
  if (/^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/.test(text)) return Number(text);
  return text === "true" ? true : text === "false" ? false : text;
}
