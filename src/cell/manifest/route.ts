/**
 * A route as the manifest writes it, `GET /products/{sku}` or a map, read into its parts.
 *
 * `GET|HEAD /x` takes several methods, `/x` and `* /x` any. A path is made of literal segments and
 * `{name}`; the last may be `{name...}` or `*`, which take all that is left.
 */
import { parsePattern } from "../../gateway/pattern.ts";
import { nearest, toCytoError } from "../../kernel/index.ts";
import type { RouteDeclaration } from "./contract.ts";
import { type Finding, field, fields, type Tree } from "./tree.ts";

const knownMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Adds what is wrong to `findings`; `undefined` when no route can be made of it. */
export function readRoute(tree: Tree, findings: Finding[]): RouteDeclaration | undefined {
  const match = tree.kind === "map" ? field(tree, "match") : tree;
  if (match?.kind !== "leaf" || typeof match.value !== "string") return undefined;
  const before = findings.length;
  const fault = (message: string, hint?: string) => {
    findings.push({ at: match.at, message, hint });
  };

  const id = match.value.trim().replace(/\s+/g, " ");
  const [, verbs = "*", path = ""] = /^(?:([^\s/]+) )?(.*)$/.exec(id) ?? [];
  const methods = verbs === "*" || verbs === "ANY" ? [] : verbs.split(/[|,]/);
  for (const method of methods) {
    if (knownMethods.includes(method)) continue;
    const meant = nearest(method.toUpperCase(), knownMethods);
    const hint = meant ? `did you mean "${meant}"?` : `methods: ${knownMethods.join(", ")}, or none for any`;
    fault(`"${method}" is no HTTP method`, hint);
  }
  if (new Set(methods).size < methods.length) fault(`"${verbs}" names a method twice`);
  const wrong = pathFault(id, path);
  if (wrong !== undefined) fault(wrong.message, wrong.hint);

  const host = field(tree, "host");
  const hostName = host?.kind === "leaf" ? String(host.value).toLowerCase() : undefined;
  if (host !== undefined && hostName !== undefined && !isHost(hostName)) {
    findings.push({
      at: host.at,
      message: `"${hostName}" is no host name`,
      hint: "such as shop.example.com or *.example.com",
    });
  }
  const priority = field(tree, "priority");
  const query = readMatches(field(tree, "query"), findings, (name) => name);
  const headers = readMatches(field(tree, "headers"), findings, (name) => name.toLowerCase());
  if (findings.length > before) return undefined;
  return {
    id,
    methods,
    path,
    ...(hostName !== undefined && { host: hostName }),
    query,
    headers,
    priority: priority?.kind === "leaf" ? Number(priority.value) : 0,
  };
}

/** A DNS name or an address; a first `*.` stands for one label or more. */
function isHost(text: string): boolean {
  const label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
  return new RegExp(`^((\\*\\.)?${label}(\\.${label})*|\\[[0-9a-f:.]+\\])$`).test(text);
}

/** What is wrong with a path, if anything. */
function pathFault(
  id: string,
  path: string,
): { readonly message: string; readonly hint?: string | undefined } | undefined {
  const hint = 'write "METHOD /path", such as "GET /products/{sku}"';
  if (id === "") return { message: "the route is empty", hint };
  if (!path.startsWith("/")) return { message: `the route "${id}" has no path that begins with "/"`, hint };
  const [, name] = /\/:([^/]+)/.exec(path) ?? [];
  if (name !== undefined) return { message: `":${name}" is no parameter here`, hint: `write {${name}}` };
  try {
    parsePattern(path);
    return undefined;
  } catch (error) {
    return toCytoError(error);
  }
}

function readMatches(
  tree: Tree | undefined,
  findings: Finding[],
  toName: (name: string) => string,
): Readonly<Record<string, string | true>> {
  const matches: [string, string | true][] = [];
  for (const [name, value] of fields(tree)) {
    if (value.kind !== "leaf") continue;
    if (value.value === false) {
      findings.push({
        at: value.at,
        message: "expected a value, or true for any",
        hint: 'quote it if it is text: "false"',
      });
    }
    matches.push([toName(name), value.value === true ? true : value.text]);
  }
  return Object.fromEntries(matches);
}
