/**
 * `env`: the bindings by name.
 *
 * A configuration value wins. Then the table that the builder may give says which names are keyvalue
 * bindings and which are services. Without a table a name in lower case is a client that is both (only
 * the manifest knows, and using it wrongly fails with the name), and any other name is configuration that
 * is not set: undefined.
 */
import type { Config, KeyValue, ServiceClient } from "./contract.ts";
import { scope } from "./operation.ts";

export interface BindingTable {
  readonly keyvalue?: readonly string[];
  readonly services?: readonly string[];
}

/** What an engine's world gives. */
export interface Clients {
  readonly config: Config;
  keyvalue(name: string): KeyValue;
  service(name: string): ServiceClient;
}

export function createEnv({ config, keyvalue, service }: Clients, table?: BindingTable): Record<string, unknown> {
  const clients = new Map<string, unknown>();

  function find(name: string): unknown {
    if (table?.keyvalue?.includes(name)) return keyvalue(name);
    if (table?.services?.includes(name)) return service(name);
    if (table || name === "then" || !/^[a-z][\w-]*$/.test(name)) return undefined;
    return { ...keyvalue(name), ...service(name) };
  }

  function get(name: string): unknown {
    if (clients.has(name)) return clients.get(name);
    const value = scope.awake ? config(name) : undefined;
    if (value !== undefined) return value;
    const client = find(name);
    if (client !== undefined) clients.set(name, client);
    return client;
  }

  function names(): string[] {
    const configured = scope.awake ? Object.keys(config.all()) : [];
    return [...new Set([...configured, ...(table?.keyvalue ?? []), ...(table?.services ?? [])])];
  }

  const known = (name: string | symbol): name is string => typeof name === "string" && names().includes(name);
  return new Proxy(Object.create(null) as Record<string, unknown>, {
    get: (_, name) => (typeof name === "string" && name !== "" ? get(name) : undefined),
    has: (_, name) => known(name),
    ownKeys: names,
    getOwnPropertyDescriptor: (_, name) =>
      known(name) ? { value: get(name), enumerable: true, configurable: true, writable: true } : undefined,
    set(_, name) {
      throw new TypeError(`Cannot set env.${String(name)}: env is read-only`);
    },
  });
}
