/**
 * A tree against the manifest's schema: every fault at once, each at its own place.
 *
 * What is at fault is taken out of the tree that comes back, so that the checks that follow work on
 * the sound rest and find their faults in the same run.
 */
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { nearest } from "../../kernel/index.ts";
import { durationPattern } from "./quantity.ts";
import { manifestSchema, type Schema } from "./schema.ts";
import { suggest } from "./suggestion.ts";
import { type Entry, type Finding, field, items, type Place, pathTo, type Tree, toPlain, without } from "./tree.ts";
import { hasVariable } from "./variables.ts";

export interface Validated {
  /** Without what is at fault. */
  readonly tree: Tree;
  readonly findings: readonly Finding[];
}

const ajv = new Ajv2020({
  allErrors: true,
  verbose: true,
  allowUnionTypes: true,
  strictTypes: false,
  ownProperties: true,
  keywords: ["patternErrorMessage"],
});
const validate = ajv.compile(manifestSchema);

export function validateTree(root: Tree): Validated {
  if (validate(toPlain(root))) return { tree: root, findings: [] };
  const findings: Finding[] = [];
  const faulty = new Set<string>();
  for (const error of validate.errors ?? []) {
    // The faulty name itself is reported by the keyword inside `propertyNames`.
    if (error.keyword === "propertyNames" || isMisspelt(error, validate.errors ?? [])) continue;
    const segments = error.instancePath.split("/").slice(1).map(unescapePointer);
    const target = find(root, segments);
    // Of another environment than this one: its variables are not known here.
    if (target.kind === "leaf" && typeof target.value === "string" && hasVariable(target.value)) continue;
    const finding = explain(error, target, segments);
    findings.push(finding);
    if (error.keyword !== "required") faulty.add(finding.at.path);
  }
  return { tree: without(root, faulty), findings };
}

/** A missing key whose misspelling is reported beside it, and a binding of an unknown kind. */
function isMisspelt(missing: ErrorObject, errors: readonly ErrorObject[]): boolean {
  if (missing.keyword !== "required") return false;
  const name = String(missing.params.missingProperty);
  return errors.some((other) => {
    if (other.keyword !== "additionalProperties" || other.instancePath !== missing.instancePath) return false;
    const unknown = String(other.params.additionalProperty);
    return nearest(unknown, [name]) !== undefined || other.instancePath.split("/").at(-2) === "bindings";
  });
}

function explain(error: ErrorObject, target: Tree, segments: readonly string[]): Finding {
  const schema = (error.parentSchema ?? {}) as Schema;
  const params = error.params as Record<string, unknown>;
  const at = target.at;
  const name = error.propertyName ?? String(params.additionalProperty ?? "");
  const key = (): Place => keyPlace(target, name);
  if (error.propertyName !== undefined) {
    return { at: key(), message: `"${name}" is no valid name`, hint: schema.patternErrorMessage };
  }
  switch (error.keyword) {
    case "additionalProperties":
      return { at: key(), message: `unknown key "${name}"`, hint: unknownKeyHint(name, schema, segments) };
    case "required": {
      const missing = String(params.missingProperty);
      const example = schema.properties?.[missing]?.examples?.[0];
      const hint = example === undefined ? undefined : `add it: ${missing}: ${JSON.stringify(example)}`;
      const where = segments.length === 0 ? "the manifest" : `"${segments.at(-1)}"`;
      return { at: { ...at, length: 1 }, message: `${where} has no "${missing}"`, hint };
    }
    case "type":
      return { at, message: typeMessage(target, params.type, schema), hint: example(schema) ?? schema.description };
    case "enum": {
      const allowed = params.allowedValues as string[];
      const hint = suggest(shown(target), allowed, "expected one of");
      return { at, message: `unknown value "${shown(target)}"`, hint };
    }
    case "pattern":
      return { at, message: `"${shown(target)}" is not valid`, hint: schema.patternErrorMessage };
    case "minimum":
    case "maximum":
      return {
        at,
        message: `${shown(target)} is out of range: must be ${String(error.message).replace("must be ", "")}`,
      };
    case "uniqueItems": {
      const twice = items(target)[Math.max(Number(params.i), Number(params.j))] ?? target;
      return { at: twice.at, message: `"${shown(twice)}" is given twice`, hint: "keep one of them" };
    }
    case "minProperties":
      return { at, message: `"${segments.at(-1)}" is empty: at least one is needed` };
    case "minLength":
      return { at, message: "is an empty text", hint: schema.description };
    default:
      return { at, message: error.message ?? `fails "${error.keyword}"` };
  }
}

function unknownKeyHint(name: string, schema: Schema, segments: readonly string[]): string | undefined {
  const known = Object.keys(schema.properties ?? {});
  const found = nearest(name, known);
  if (found !== undefined) return `did you mean "${found}"?`;
  if (segments.length === 0 && Object.hasOwn(manifestSchema.$defs?.service?.properties ?? {}, name)) {
    return `"${name}" belongs to a service: services: <name>: ${name}:`;
  }
  if (segments.at(-1) === "limits" && Object.hasOwn(manifestSchema.properties?.limits?.properties ?? {}, name)) {
    return `"${name}" bounds the whole app: it belongs to the limits beside "services"`;
  }
  if (segments.at(-2) === "bindings") return suggest(name, known, "a binding has");
  return suggest(name, known, "expected one of");
}

function typeMessage(target: Tree, type: unknown, schema: Schema): string {
  const expected = ([type].flat() as string[])
    .map((t) => typeNames[t] ?? t)
    .join(", ")
    .replace(/, ([^,]*)$/, " or $1");
  if (target.kind === "leaf" && target.value === null) return `has no value: expected ${expected}`;
  if (schema.pattern === durationPattern && target.kind === "leaf" && typeof target.value === "number") {
    return `${target.text} has no unit: expected ${expected}, such as "${target.text}s"`;
  }
  return `expected ${expected}, found ${kindOf(target)}`;
}

function example(schema: Schema): string | undefined {
  const [first] = schema.examples ?? [];
  return first === undefined ? undefined : `such as ${JSON.stringify(first)}`;
}

const typeNames: Readonly<Record<string, string>> = {
  object: "a map",
  array: "a list",
  string: "a text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
};

export function kindOf(tree: Tree): string {
  if (tree.kind === "list") return "a list";
  if (tree.kind === "map") return "a map";
  if (tree.value === null) return "nothing";
  if (typeof tree.value === "string") return "a text";
  return typeof tree.value === "number" ? `the number ${tree.text}` : String(tree.value);
}

/** A scalar as a message may show it: short, and on one line. */
function shown(tree: Tree): string {
  if (tree.kind !== "leaf") return kindOf(tree);
  const text = tree.text.replace(/\s+/g, " ");
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function find(root: Tree, segments: readonly string[]): Tree {
  let tree = root;
  for (const segment of segments) {
    const next = tree.kind === "list" ? tree.items[Number(segment)] : field(tree, segment);
    if (next === undefined) return tree;
    tree = next;
  }
  return tree;
}

function keyPlace(target: Tree, name: string): Place {
  const entry: Entry | undefined = target.kind === "map" ? target.entries.get(name) : undefined;
  return entry?.key ?? { ...target.at, path: pathTo(target.at.path, name) };
}

function unescapePointer(segment: string): string {
  return segment.replaceAll("~1", "/").replaceAll("~0", "~");
}
