/**
 * A validated tree made into the `App` that the cell works on: defaults filled in, paths made
 * absolute, quantities made numbers. Faults of shape are gone by now; faults inside a text (a route,
 * a provider's address) are found here.
 */
import { resolve } from "node:path";
import { type KeyValueChoice, readKeyValueChoice } from "../../capability/keyvalue/standard.ts";
import { type Limits, toCytoError } from "../../kernel/index.ts";
import type {
  App,
  BindingDeclaration,
  InstancesDeclaration,
  PolicyDeclaration,
  RouteDeclaration,
  ServiceDeclaration,
} from "./contract.ts";
import { toBytes, toMilliseconds } from "./quantity.ts";
import { readRoute } from "./route.ts";
import { limitUnit } from "./schema.ts";
import { type Finding, field, fields, items, type Leaf, type Tree } from "./tree.ts";

export interface Declared {
  readonly app: App;
  /** Where each route of the app was written, for faults between routes. */
  readonly routeTrees: ReadonlyMap<RouteDeclaration, Tree>;
  readonly findings: readonly Finding[];
}

export function declareApp(root: Tree, environment: string, directory: string): Declared {
  const findings: Finding[] = [];
  const routeTrees = new Map<RouteDeclaration, Tree>();
  const name = text(field(root, "app")) ?? "";
  const limits = readLimits(field(root, "limits"));
  const policy = readPolicy(field(root, "policy"));
  const instances = readInstances(field(root, "instances"));
  const services: Record<string, ServiceDeclaration> = {};

  for (const [service, tree] of fields(field(root, "services"))) {
    const routes: RouteDeclaration[] = [];
    for (const item of items(field(tree, "routes"))) {
      const route = readRoute(item, findings);
      if (route === undefined) continue;
      routes.push(route);
      routeTrees.set(route, item);
    }
    const bindings: Record<string, BindingDeclaration> = {};
    for (const [binding, value] of fields(field(tree, "bindings"))) {
      const provider = leaf(field(value, "keyvalue"));
      if (provider === undefined) continue;
      const namespace = text(field(value, "namespace")) ?? `${name}/${service}/${binding}`;
      const read = readProvider(provider, findings);
      if (read !== undefined) bindings[binding] = { kind: "keyvalue", ...read, namespace };
    }
    const source = text(field(tree, "source"));
    const component = text(field(tree, "component"));
    services[service] = {
      name: service,
      ...(source !== undefined && { source: resolve(directory, source) }),
      ...(component !== undefined && { component: resolve(directory, component) }),
      engine: text(field(tree, "engine")) === "starlingmonkey" ? "starlingmonkey" : "quickjs",
      routes,
      bindings,
      config: texts(field(tree, "config")),
      secrets: names(field(tree, "secrets")),
      egress: names(field(tree, "egress")),
      listen: names(field(tree, "listen")),
      calls: names(field(tree, "calls")),
      directories: fields(field(tree, "directories")).map(([guest, value]) => ({
        guest,
        host: resolve(directory, text(value) ?? text(field(value, "host")) ?? "."),
        readOnly: leaf(field(value, "readOnly"))?.value !== false,
      })),
      environment: texts(field(tree, "environment")),
      policy: { ...policy, ...readPolicy(field(tree, "policy")) },
      limits: { ...limits, ...readLimits(field(tree, "limits")) },
      instances: { ...instances, ...readInstances(field(tree, "instances")) },
    };
  }
  return { app: { name, environment, directory, services, limits }, routeTrees, findings };
}

function readProvider(tree: Leaf, findings: Finding[]): KeyValueChoice | undefined {
  const written = tree.text.trim();
  try {
    const choice = readKeyValueChoice(written);
    const url = choice.options.url;
    if (url === undefined || url.startsWith("unix:") || URL.parse(url)?.hostname) return choice;
    findings.push({
      at: tree.at,
      message: "the address of Redis cannot be read",
      hint: "such as redis://127.0.0.1:6379",
    });
  } catch (error) {
    const { message, hint } = toCytoError(error);
    findings.push({ at: tree.at, message, hint });
  }
  return undefined;
}

function readPolicy(tree: Tree | undefined): PolicyDeclaration {
  const timeout = text(field(tree, "timeout"));
  const attempts = leaf(field(field(tree, "retry"), "attempts"));
  return {
    ...(timeout !== undefined && { timeoutMs: toMilliseconds(timeout) }),
    ...(attempts !== undefined && { retry: { attempts: Number(attempts.value) } }),
  };
}

function readInstances(tree: Tree | undefined): InstancesDeclaration {
  const policy = text(field(tree, "policy"));
  const [age, idle] = ["age", "idle"].map((name) => text(field(tree, name)));
  const [requests, ready] = ["requests", "ready"].map((name) => leaf(field(tree, name))?.value);
  return {
    ...(policy !== undefined && { policy: policy as NonNullable<InstancesDeclaration["policy"]> }),
    ...(requests !== undefined && { requests: Number(requests) }),
    ...(age !== undefined && { ageMs: toMilliseconds(age) }),
    ...(idle !== undefined && { idleMs: toMilliseconds(idle) }),
    ...(ready !== undefined && { ready: Number(ready) }),
  };
}

function readLimits(tree: Tree | undefined): Partial<Limits> {
  const read: Partial<Record<keyof Limits, number>> = {};
  for (const [name, value] of fields(tree) as [keyof Limits, Tree, unknown][]) {
    const written = leaf(value)?.value;
    if (typeof written !== "string" && typeof written !== "number") continue;
    read[name] = limitUnit(name) === "ms" ? toMilliseconds(written) : toBytes(written);
  }
  return read;
}

function leaf(tree: Tree | undefined): Leaf | undefined {
  return tree?.kind === "leaf" ? tree : undefined;
}

/** The text of a scalar that was written as one. */
export function text(tree: Tree | undefined): string | undefined {
  return tree?.kind === "leaf" && typeof tree.value === "string" ? tree.value : undefined;
}

function names(tree: Tree | undefined): readonly string[] {
  return items(tree).flatMap((item) => text(item) ?? []);
}

function texts(tree: Tree | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(
    fields(tree).flatMap(([name, value]) => (value.kind === "leaf" ? [[name, value.text]] : [])),
  );
}
