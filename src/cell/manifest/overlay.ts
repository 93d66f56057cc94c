/**
 * What an environment changes, laid over the rest of the manifest.
 *
 * Maps are merged key by key, everything else is replaced. First the short form
 * `environments.production.bindings.products`, which applies to every service that has a binding of
 * that name; then `environments.production.services`, which is more precise and so wins.
 */
import { suggest } from "./suggestion.ts";
import { type Entry, type Fields, type Finding, field, fields, type Tree } from "./tree.ts";

/** The environment's name when none is asked for; it needs no declaration. */
export const localEnvironment = "local";

export interface Overlaid {
  /** Without `environments`. */
  readonly tree: Tree;
  readonly findings: readonly Finding[];
}

export function overlay(root: Tree, environment: string): Overlaid {
  const findings: Finding[] = [];
  const environments = field(root, "environments");
  const over = field(environments, environment);
  if (over === undefined && environment !== localEnvironment) {
    const known = fields(environments).map(([name]) => name);
    findings.push({
      at: { ...(environments ?? root).at, length: 1 },
      message: `the environment "${environment}" is not declared`,
      hint: suggest(environment, [...known, localEnvironment], "declared") ?? "declare it under environments:",
    });
  }
  for (const [, declared] of fields(environments)) findings.push(...strangers(root, declared));

  let services = field(root, "services");
  for (const [name, binding] of fields(field(over, "bindings"))) {
    services = mapServices(services, (service) =>
      field(field(service, "bindings"), name) === undefined ? service : merge(service, wrap(binding, "bindings", name)),
    );
  }
  for (const [name, changes] of fields(field(over, "services"))) {
    services = mapServices(services, (service, its) => (its === name ? mergeService(service, changes) : service));
  }
  const entries = new Map<string, Entry>();
  for (const [name, value, key] of fields(root)) {
    if (name === "environments") continue;
    entries.set(name, { key, value: name === "services" && services !== undefined ? services : value });
  }
  for (const name of ["policy", "limits", "instances"]) {
    const changes = field(over, name);
    const base = entries.get(name);
    if (changes !== undefined)
      entries.set(name, { key: changes.at, value: base ? merge(base.value, changes) : changes });
  }
  return { tree: { ...(root as Fields), entries }, findings };
}

/** Services and bindings that an environment changes though nothing declares them. */
function strangers(root: Tree, over: Tree): Finding[] {
  const services = fields(field(root, "services"));
  const bindingNames = [
    ...new Set(services.flatMap(([, service]) => fields(field(service, "bindings")).map(([n]) => n))),
  ];
  const serviceNames = services.map(([name]) => name);
  const findings: Finding[] = [];
  for (const [name, , key] of fields(field(over, "bindings"))) {
    if (bindingNames.includes(name)) continue;
    findings.push({
      at: key,
      message: `no service has a binding "${name}"`,
      hint: suggest(name, bindingNames, "bindings"),
    });
  }
  for (const [name, , key] of fields(field(over, "services"))) {
    if (serviceNames.includes(name)) continue;
    findings.push({ at: key, message: `there is no service "${name}"`, hint: suggest(name, serviceNames, "services") });
  }
  return findings;
}

function mapServices(services: Tree | undefined, change: (service: Tree, name: string) => Tree): Tree | undefined {
  if (services?.kind !== "map") return services;
  const entries = new Map<string, Entry>();
  for (const [name, entry] of services.entries) entries.set(name, { key: entry.key, value: change(entry.value, name) });
  return { ...services, entries };
}

/** `source` and `component` are two ways to say one thing: the environment's replaces the other. */
function mergeService(service: Tree, changes: Tree): Tree {
  const merged = merge(service, changes);
  if (merged.kind !== "map" || (!field(changes, "source") && !field(changes, "component"))) return merged;
  const entries = new Map(merged.entries);
  if (!field(changes, "source")) entries.delete("source");
  if (!field(changes, "component")) entries.delete("component");
  return { ...merged, entries };
}

function merge(base: Tree, over: Tree): Tree {
  if (base.kind !== "map" || over.kind !== "map") return over;
  const entries = new Map<string, Entry>(base.entries);
  for (const [name, entry] of over.entries) {
    const below = entries.get(name);
    const deeper = below?.value.kind === "map" && entry.value.kind === "map";
    entries.set(name, deeper ? { key: below.key, value: merge(below.value, entry.value) } : entry);
  }
  return { ...base, entries, incomplete: (base.incomplete || over.incomplete) ?? false };
}

/** `value` under a path of keys. */
function wrap(value: Tree, ...names: readonly string[]): Tree {
  return names.reduceRight<Tree>(
    (inner, name) => ({ kind: "map", at: value.at, entries: new Map([[name, { key: value.at, value: inner }]]) }),
    value,
  );
}
