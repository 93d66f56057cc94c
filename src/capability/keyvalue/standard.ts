/** The keyvalue providers that ship, and how a manifest names them. */
import { type Clock, CytoError, nearest } from "../../kernel/index.ts";
import type { KeyValueProvider } from "./contract.ts";
import { createMemoryKeyValue } from "./memory.ts";
import { createRemoteKeyValue, type KeyValueOwnerLink, readHere } from "./remote.ts";
import { createSqliteKeyValue } from "./sqlite.ts";

export type KeyValueProviderName = "sqlite" | "redis" | "memory";

export type KeyValueProviders = Readonly<Record<KeyValueProviderName, KeyValueProvider>>;

/** Made once a cell: its providers hold what bindings share. */
export function createKeyValueProviders({ clock }: { readonly clock: Clock }): KeyValueProviders {
  return {
    // The default: durable, on one machine, with nothing to install.
    sqlite: createSqliteKeyValue({ clock }),
    // Shared by many machines, and what most teams already run.
    redis: createRedisOnDemand(clock),
    // For tests, and for what may be lost with the process.
    memory: createMemoryKeyValue(),
  };
}

/** The same for one of several threads: what the process itself keeps has one owner among them. */
export function createShardKeyValueProviders(clock: Clock, owner: KeyValueOwnerLink): KeyValueProviders {
  return {
    // Many readers, one writer.
    sqlite: readHere(createSqliteKeyValue({ clock }), createRemoteKeyValue("sqlite", owner)),
    // The server is the owner.
    redis: createRedisOnDemand(clock),
    memory: createRemoteKeyValue("memory", owner),
  };
}

/** The client is large: who binds no Redis does not load it. */
function createRedisOnDemand(clock: Clock): KeyValueProvider {
  let provider: Promise<KeyValueProvider> | undefined;
  return {
    async open(config) {
      provider ??= import("./redis.ts").then(({ createRedisKeyValue }) => createRedisKeyValue({ clock }));
      return (await provider).open(config);
    },
  };
}

export interface KeyValueChoice {
  readonly provider: KeyValueProviderName;
  readonly options: Readonly<Record<string, string>>;
}

/** Reads a manifest's short form: `sqlite`, `memory`, or the URL of a Redis server. */
export function readKeyValueChoice(written: string): KeyValueChoice {
  if (written === "sqlite" || written === "memory") return { provider: written, options: {} };
  if (/^(rediss?|unix):/.test(written)) return { provider: "redis", options: { url: written } };
  const names = ["sqlite", "memory", "redis"];
  const meant = nearest(written, names);
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(written)?.[0];
  throw new CytoError("invalid-manifest", `Cannot bind keyvalue: no provider is named "${scheme ?? written}"`, {
    hint:
      written === "redis"
        ? 'Redis needs its address: keyvalue: "redis://host:6379".'
        : `${meant === undefined ? "" : `Did you mean "${meant}"? `}Write sqlite, memory, or a "redis://host:6379" URL.`,
  });
}
