/**
 * keyvalue that another thread keeps: one store for all shards of a host.
 *
 * The owner opens the bindings of its providers for a client and does what it is asked; the client is
 * a provider like any other. Between them is whatever calls functions of the other thread. The owner
 * checks keys and values, so that both threads hold to the same bounds.
 */
import { CytoError } from "../../kernel/index.ts";
import type { KeyValue, KeyValueConfig, KeyValueProvider } from "./contract.ts";

/** What the owner answers. */
export interface KeyValueOwner {
  openKeyValue(provider: string, config: KeyValueConfig): Promise<number>;
  useKeyValue(binding: number, verb: keyof KeyValue, args: readonly unknown[]): Promise<unknown>;
  closeKeyValue(binding: number): Promise<void>;
}

/** How a client reaches it: a link's `ask`. */
export interface KeyValueOwnerLink {
  ask<K extends keyof KeyValueOwner>(
    name: K,
    ...args: Parameters<KeyValueOwner[K]>
  ): Promise<Awaited<ReturnType<KeyValueOwner[K]>>>;
}

export interface KeyValueSession {
  readonly answers: KeyValueOwner;
  /** Closes what the client has left open. */
  close(): Promise<void>;
}

/** For one client; bindings of several clients share what the providers hold. */
export function openKeyValueSession(providers: Readonly<Record<string, KeyValueProvider>>): KeyValueSession {
  const bindings = new Map<number, KeyValue & AsyncDisposable>();
  let last = 0;
  return {
    answers: {
      async openKeyValue(provider, config) {
        const opened = await providers[provider]?.open(config);
        if (opened === undefined)
          throw new CytoError("internal", `Cannot open keyvalue provider ${provider}: it is not kept here`);
        bindings.set(++last, opened);
        return last;
      },
      async useKeyValue(binding, verb, args) {
        const opened = bindings.get(binding);
        if (opened === undefined)
          throw new CytoError("backend-unavailable", "Cannot use a keyvalue binding: it was closed");
        return (opened[verb] as (...args: readonly unknown[]) => unknown)(...args);
      },
      async closeKeyValue(binding) {
        const opened = bindings.get(binding);
        bindings.delete(binding);
        await opened?.[Symbol.asyncDispose]();
      },
    },
    async close() {
      const open = [...bindings.values()];
      bindings.clear();
      await Promise.all(open.map((binding) => binding[Symbol.asyncDispose]()));
    },
  };
}

/** The owner's provider of that name. */
export function createRemoteKeyValue(provider: string, owner: KeyValueOwnerLink): KeyValueProvider {
  return {
    async open(config) {
      const binding = await owner.ask("openKeyValue", provider, config);
      const use = <V extends keyof KeyValue>(verb: V, ...args: Parameters<KeyValue[V]>) =>
        owner.ask("useKeyValue", binding, verb, args) as Promise<Awaited<ReturnType<KeyValue[V]>>>;
      return {
        get: (key) => use("get", key),
        // It goes over at the end of the turn, and is its caller's until then.
        set: (key, value) => use("set", key, Uint8Array.from(value)),
        delete: (key) => use("delete", key),
        exists: (key) => use("exists", key),
        keys: (cursor) => use("keys", cursor),
        increment: (key, delta) => use("increment", key, delta),
        [Symbol.asyncDispose]: () => owner.ask("closeKeyValue", binding),
      };
    },
  };
}

/**
 * Reads here, writes at the owner: for a store that both threads can open. One writer shares its flushes
 * between all shards and never waits for a lock; a reader waits for nobody.
 */
export function readHere(here: KeyValueProvider, owner: KeyValueProvider): KeyValueProvider {
  return {
    async open(config) {
      await using opened = new AsyncDisposableStack();
      // The owner makes what is not there yet.
      const writer = opened.use(await owner.open(config));
      const reader = opened.use(await here.open(config));
      const closing = opened.move();
      return {
        get: reader.get,
        exists: reader.exists,
        keys: reader.keys,
        set: writer.set,
        delete: writer.delete,
        increment: writer.increment,
        [Symbol.asyncDispose]: () => closing.disposeAsync(),
      };
    },
  };
}
