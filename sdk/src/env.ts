/**
 * `env`: the bindings by name.
 *
 * A configuration value wins. Then the table that the builder may give says which names are keyvalue
 * bindings and which are services. Without a table a name in lower case is a client that is both (only
 * the manifest knows, and using it wrongly fails with the name), and any other name is configuration that
 * is not set: undefined.
 */
import { config, keyvalue, service } from "./bindings.ts";
import { scope } from "./operation.ts";

export interface BindingTable {
  readonly keyvalue?: readonly string[];
  readonly services?: readonly string[];
}

export function createEnv(table?: BindingTable): Readonly<Record<string, unknown>> {
  const clients = new Map<string, unknown>();
  const find = (name: string): unknown => {
    if (table?.keyvalue?.includes(name)) return keyvalue(name);
    if (table?.services?.includes(name)) return service(name);
    if (table || !/^[a-z][\w-]*$/.test(name) || name === "then") return undefined;
    return { ...keyvalue(name), ...service(name) };
  };
  const get = (name: string): unknown => {
    const client = clients.get(name);
    if (client !== undefined) return client;
    const value = scope.awake ? config(name) : undefined;
    if (value !== undefined) return value;
    const made = find(name);
    if (made !== undefined) clients.set(name, made);
    return made;
  };
  const names = () => [
    ...new Set([
      ...(scope.awake ? Object.keys(config.all()) : []),
      ...(table?.keyvalue ?? []),
      ...(table?.services ?? []),
    ]),
  ];
  return new Proxy(Object.create(null) as Record<string, unknown>, {
    get: (_, name) => (typeof name === "string" && name !== "" ? get(name) : undefined),
    has: (_, name) => typeof name === "string" && names().includes(name),
    ownKeys: names,
    getOwnPropertyDescriptor: (_, name) =>
      typeof name === "string" && names().includes(name)
        ? { value: get(name), enumerable: true, configurable: true, writable: false }
        : undefined,
    set: (_, name) => {
      throw new TypeError(`Cannot set env.${String(name)}: env is read-only`);
    },
  });
}
