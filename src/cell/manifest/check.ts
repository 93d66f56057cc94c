/**
 * Faults that no schema sees: between services, between routes, and between the manifest and the
 * files that it names. Reads the tree for the places and the `App` for the meaning.
 */
import { statSync } from "node:fs";
import { extname } from "node:path";
import { readEgress } from "../../capability/outgoing/egress.ts";
import { readListen, readSocketEgress } from "../../capability/sockets/sockets.ts";
import { findConflicts } from "../../gateway/conflict.ts";
import type { Route } from "../../gateway/contract.ts";
import { toCytoError } from "../../kernel/index.ts";
import type { App, RouteDeclaration } from "./contract.ts";
import { text } from "./declaration.ts";
import { looksSecret } from "./secret-name.ts";
import { suggest } from "./suggestion.ts";
import { type Finding, field, fields, items, type Place, type Tree } from "./tree.ts";

const sourceExtensions = [".ts", ".mts", ".tsx", ".js", ".mjs", ".jsx"];

export function checkApp(app: App, root: Tree, routeTrees: ReadonlyMap<RouteDeclaration, Tree>): Finding[] {
  const services = fields(field(root, "services"));
  const findings: Finding[] = [];
  for (const [name, tree, key] of services) {
    findings.push(...checkCode(app, name, tree, key), ...checkCalls(app, tree), ...checkHosts(tree));
    findings.push(...checkDirectories(app, name, tree), ...checkPlainSecrets(tree), ...checkInstances(app, name, tree));
    const service = app.services[name];
    const called = Object.values(app.services).some((other) => other.calls.includes(name));
    const told = tree.kind === "map" && !tree.incomplete && items(field(tree, "routes")).length === 0;
    if (service?.routes.length === 0 && !called && told) {
      findings.push({
        at: key,
        severity: "warning",
        message: `nothing can reach "${name}": it has no route and no service calls it`,
        hint: `give it routes, or list it under another service's calls`,
      });
    }
  }
  return [...findings, ...checkCycles(app, root), ...checkRoutes(app, routeTrees)];
}

/** Exactly one of `source` and `component`, and it is a file. */
function checkCode(app: App, name: string, tree: Tree, key: Place): Finding[] {
  const [source, component, engine] = ["source", "component", "engine"].map((word) => field(tree, word));
  if (source !== undefined && component !== undefined) {
    const hint = "source is built, component is used as it is: keep one of them";
    return [{ at: component.at, message: `"${name}" has both a source and a component`, hint }];
  }
  const given = source ?? component;
  if (given === undefined) {
    const hint = `add it: source: ${name}/service.ts`;
    return tree.kind === "map" && !tree.incomplete
      ? [{ at: key, message: `"${name}" has neither a source nor a component`, hint }]
      : [];
  }
  const findings: Finding[] = [];
  const path = app.services[name]?.source ?? app.services[name]?.component ?? "";
  const state = fileState(path);
  if (state !== "file") {
    const hint = `looked for ${path}; paths begin at the manifest's folder`;
    findings.push({ at: given.at, message: `the file "${text(given)}" ${state}`, hint });
  } else if (source !== undefined && !sourceExtensions.includes(extname(path))) {
    const hint =
      extname(path) === ".wasm" ? "write component: in place of source:" : `one of ${sourceExtensions.join(" ")}`;
    findings.push({ at: source.at, message: `"${text(source)}" is no TypeScript or JavaScript file`, hint });
  }
  if (component !== undefined && engine !== undefined) {
    const message = "engine has no effect on a built component";
    findings.push({ at: engine.at, severity: "warning", message, hint: "remove it" });
  }
  return findings;
}

function checkCalls(app: App, tree: Tree): Finding[] {
  return items(field(tree, "calls")).flatMap((item) => {
    const called = text(item);
    if (called === undefined || Object.hasOwn(app.services, called)) return [];
    const hint = suggest(called, Object.keys(app.services), "services");
    return [{ at: item.at, message: `there is no service "${called}" to call`, hint }];
  });
}

/**
 * A cycle is no fault by itself, for a call may come back on purpose; one without an end is stopped
 * at run time by `limits.hops`. So each is shown once, as a warning, at the call that closes it.
 */
function checkCycles(app: App, root: Tree): Finding[] {
  const findings: Finding[] = [];
  const done = new Set<string>();
  const visit = (name: string, trail: readonly string[]) => {
    for (const [index, called] of (app.services[name]?.calls ?? []).entries()) {
      const start = trail.indexOf(called);
      if (start >= 0) {
        const item = items(field(field(field(root, "services"), name), "calls"))[index];
        const cycle = [...trail.slice(start), called].join(" → ");
        findings.push({
          at: item?.at ?? root.at,
          severity: "warning",
          message: `the calls form a cycle: ${cycle}`,
          hint: "a request that goes round without an end is refused with 508 after limits.hops services",
        });
      } else if (Object.hasOwn(app.services, called) && !done.has(called)) {
        visit(called, [...trail, called]);
      }
    }
    done.add(name);
  };
  for (const name of Object.keys(app.services)) if (!done.has(name)) visit(name, [name]);
  return findings;
}

/** What `egress` and `listen` name can be read. */
function checkHosts(tree: Tree): Finding[] {
  const check = (key: string, what: string, read: (service: string, entries: readonly string[]) => unknown) =>
    items(field(tree, key)).flatMap((item) => {
      const host = text(item);
      if (host === undefined) return [];
      try {
        read("", [host]);
        return [];
      } catch (error) {
        return [
          { at: item.at, message: `"${withoutCredentials(host)}" names no ${what}`, hint: toCytoError(error).hint },
        ];
      }
    });
  return [
    ...check("egress", "host", readEgress),
    ...check("egress", "host and port", readSocketEgress),
    ...check("listen", "address and port", readListen),
  ];
}

function checkDirectories(app: App, name: string, tree: Tree): Finding[] {
  return fields(field(tree, "directories")).flatMap(([guest, value]) => {
    const host = app.services[name]?.directories.find((directory) => directory.guest === guest)?.host ?? "";
    const state = fileState(host);
    if (state === "is a directory") return [];
    const message = state === "file" ? "is a file, not a directory" : state;
    return [{ at: value.at, message: `the directory for ${guest} ${message}`, hint: `looked for ${host}` }];
  });
}

/** What a service says of its instances and its policy has no use for. */
function checkInstances(app: App, name: string, tree: Tree): Finding[] {
  const policy = app.services[name]?.instances.policy ?? "warm";
  const unused: readonly string[] = unusedBy[policy];
  return fields(field(tree, "instances")).flatMap(([word, , key]) => {
    if (!unused.includes(word)) return [];
    const message = `${word} has no effect on ${policy} instances`;
    return [{ at: key, severity: "warning" as const, message, hint: "remove it, or choose another policy" }];
  });
}

const unusedBy = { warm: [], fresh: ["requests", "age"], pinned: ["requests", "age", "idle", "ready"] } as const;

/** A secret written down in plain sight. Its value is in no message. */
function checkPlainSecrets(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const section of ["config", "environment"]) {
    for (const [name, value, key] of fields(field(tree, section))) {
      if (!looksSecret(name) || value.kind !== "leaf" || value.text === "") continue;
      findings.push({
        at: key,
        severity: "warning",
        message: `"${name}" looks like a secret, in plain sight`,
        hint: `cyto secret set ${name}, then secrets: [${name}]`,
      });
    }
  }
  for (const [name, value] of fields(field(tree, "bindings"))) {
    const provider = field(value, "keyvalue");
    if (provider?.kind !== "leaf" || !/:\/\/[^/@]*:[^/@]+@/.test(provider.text)) continue;
    const message = `the address of "${name}" holds a password`;
    findings.push({
      at: provider.at,
      severity: "warning",
      message,
      hint: `write \${NAME} in its place and set that variable`,
    });
  }
  return findings;
}

/** Two routes that match the same requests with the same priority: which one wins would be chance. */
function checkRoutes(app: App, routeTrees: ReadonlyMap<RouteDeclaration, Tree>): Finding[] {
  const declared = new Map<Route, Tree | undefined>();
  for (const { name, routes } of Object.values(app.services)) {
    for (const route of routes) {
      declared.set({ ...route, service: name, timeoutMs: 0, bodyBytes: 0 }, routeTrees.get(route));
    }
  }
  return findConflicts([...declared.keys()]).flatMap(({ first, second }) => {
    const tree = declared.get(second);
    if (tree === undefined) return [];
    const owner = first.service === second.service ? "this service" : `"${first.service}"`;
    const message = `the route "${second.id}" is taken: ${owner} has "${first.id}"`;
    return [{ at: tree.at, message, hint: "remove one, or tell them apart by host, query, headers or priority" }];
  });
}

function fileState(path: string): "file" | "does not exist" | "is a directory" | "cannot be read" {
  try {
    const found = statSync(path);
    return found.isDirectory() ? "is a directory" : found.isFile() ? "file" : "cannot be read";
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === "ENOENT" || code === "ENOTDIR" ? "does not exist" : "cannot be read";
  }
}

function withoutCredentials(host: string): string {
  return host.replace(/\/\/[^/@]*@/, "//…@").slice(0, 80);
}
