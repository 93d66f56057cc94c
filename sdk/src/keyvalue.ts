/** The client of a keyvalue binding, over whatever reaches the bytes. */
import type { KeyValue } from "./contract.ts";
import { requireText } from "./entry.ts";

/** What an engine's world gives. `act` words the operation for an error. */
export interface ByteStore {
  get(act: string, key: string): Promise<Uint8Array | undefined>;
  set(act: string, key: string, value: Uint8Array): Promise<void>;
  delete(act: string, key: string): Promise<void>;
  exists(act: string, key: string): Promise<boolean>;
  increment(act: string, key: string, delta: number): Promise<number>;
  /** One page of keys, and where the next begins. */
  page(act: string, cursor: string | undefined): Promise<{ keys: readonly string[]; cursor: string | undefined }>;
}

export function createKeyValue<T>(binding: string, open: (name: string) => ByteStore): KeyValue<T> {
  const name = requireText("a keyvalue binding's name", binding);
  const store = open(name);

  async function ask<R>(verb: string, key: string, work: (act: string, key: string) => Promise<R>): Promise<R> {
    const text = requireText(`a key of ${name}`, key);
    return work(`${verb} "${text}" of keyvalue ${name}`, text);
  }

  const getBytes = (key: string) => ask("get", key, store.get);

  async function getText(key: string): Promise<string | undefined> {
    const bytes = await getBytes(key);
    return bytes && new TextDecoder().decode(bytes);
  }

  const setText = (key: string, text: string) =>
    ask("set", key, (act, known) => store.set(act, known, new TextEncoder().encode(text)));

  return {
    getBytes,
    getText,
    setText,

    setBytes(key, bytes) {
      return ask("set", key, (act, known) => {
        if (!(bytes instanceof Uint8Array)) throw new TypeError(`Cannot ${act}: the value is not a Uint8Array`);
        return store.set(act, known, bytes);
      });
    },

    async get(key) {
      const text = await getText(key);
      if (text === undefined) return undefined;
      try {
        return JSON.parse(text) as T;
      } catch (cause) {
        const message = `Cannot get "${key}" of keyvalue ${name}: the value is not JSON. Read it with getText or getBytes.`;
        throw new TypeError(message, { cause });
      }
    },

    async set(key, value) {
      const text = JSON.stringify(value);
      if (text === undefined) {
        throw new TypeError(`Cannot set "${key}" of keyvalue ${name}: ${typeof value} cannot be written as JSON`);
      }
      await setText(key, text);
    },

    delete: (key) => ask("delete", key, store.delete),

    has: (key) => ask("look for", key, store.exists),

    increment(key, delta = 1) {
      return ask("increment", key, (act, known) => {
        if (!Number.isSafeInteger(delta)) throw new RangeError(`Cannot ${act}: ${delta} is not a whole number`);
        return store.increment(act, known, delta);
      });
    },

    async *keys() {
      let cursor: string | undefined;
      do {
        const page = await store.page(`list the keys of keyvalue ${name}`, cursor);
        yield* page.keys;
        cursor = page.cursor;
      } while (cursor !== undefined);
    },
  };
}
