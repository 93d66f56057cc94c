/**
 * wasi:keyvalue over the buckets that the manifest binds.
 *
 * One host serves `0.2.0-draft` and `0.2.0-draft2`: a cursor is the number of a page, as decimal
 * digits, which is a string to one and a number to the other. Compare-and-swap of the second has
 * no counterpart in a binding and answers with an error.
 */
import { toCytoError } from "../../kernel/index.ts";
import { type Grants, type KeyPage, type KeyValueBucket, suspending } from "../contract.ts";
import { assertLive, type HostState } from "./state.ts";

type StoreError = { readonly tag: "no-such-store" } | { readonly tag: "other"; readonly val: string };
type Waits<T> = T | Promise<T>;

export function keyvalue(grants: Grants, state: HostState) {
  return {
    "wasi:keyvalue/store": {
      Bucket,
      open(identifier: string): Bucket {
        if (!Object.hasOwn(grants.keyvalue, identifier)) throw { tag: "no-such-store" } satisfies StoreError;
        return new Bucket(grants.keyvalue[identifier]!, state);
      },
    },
    "wasi:keyvalue/atomics": { Cas, increment, swap },
    "wasi:keyvalue/batch": { getMany, setMany, deleteMany },
  };
}

/** Pages that one handle remembers the beginning of. */
const cursorsKept = 1_024;

class Bucket {
  readonly #bucket: KeyValueBucket;
  readonly #state: HostState;
  /** Where page N begins, by N. */
  #cursors: Map<string, string> | undefined;
  #pages = 0;

  constructor(bucket: KeyValueBucket, state: HostState) {
    this.#bucket = bucket;
    this.#state = state;
  }

  get(key: string): Waits<Uint8Array | undefined> {
    return this.attempt((bucket) => bucket.get(key));
  }

  set(key: string, value: Uint8Array): Waits<void> {
    return this.attempt((bucket) => bucket.set(key, value));
  }

  delete(key: string): Waits<void> {
    return this.attempt((bucket) => bucket.delete(key));
  }

  exists(key: string): Waits<boolean> {
    return this.attempt((bucket) => bucket.exists(key));
  }

  listKeys(cursor: string | bigint | undefined): Waits<KeyPage> {
    let start: string | undefined;
    if (cursor !== undefined) {
      start = this.#cursors?.get(String(cursor));
      if (start === undefined) throw other(`Cannot list keys: the cursor ${cursor} is not one that this bucket gave`);
    }
    const page = this.attempt((bucket) => bucket.keys(start));
    return page instanceof Promise ? page.then((arrived) => this.#numbered(arrived)) : this.#numbered(page);
  }

  /** Runs one operation; its failure becomes the error that the guest reads. */
  attempt<T>(operation: (bucket: KeyValueBucket) => Waits<T>): Waits<T> {
    assertLive(this.#state);
    try {
      const outcome = operation(this.#bucket);
      return outcome instanceof Promise ? outcome.catch(fail) : outcome;
    } catch (thrown) {
      return fail(thrown);
    }
  }

  #numbered(page: KeyPage): KeyPage {
    if (page.cursor === undefined) return page;
    this.#cursors ??= new Map();
    const number = String(++this.#pages);
    this.#cursors.set(number, page.cursor);
    if (this.#cursors.size > cursorsKept) this.#cursors.delete(String(this.#pages - cursorsKept));
    return { keys: page.keys, cursor: number };
  }
}

function increment(bucket: Bucket, key: string, delta: bigint): Waits<bigint> {
  return bucket.attempt((target) => target.increment(key, delta));
}

async function getMany(bucket: Bucket, keys: readonly string[]): Promise<([string, Uint8Array] | undefined)[]> {
  const values = await Promise.all(keys.map((key) => bucket.get(key)));
  return values.map((value, index) => (value === undefined ? undefined : [keys[index]!, value]));
}

async function setMany(bucket: Bucket, entries: readonly (readonly [string, Uint8Array])[]): Promise<void> {
  for (const [key, value] of entries) await bucket.set(key, value);
}

async function deleteMany(bucket: Bucket, keys: readonly string[]): Promise<void> {
  for (const key of keys) await bucket.delete(key);
}

// biome-ignore lint/complexity/noStaticOnlyClass: a resource is a class, and none of these is ever made.
class Cas {
  static new(): never {
    throw withoutSwap;
  }

  static newWithRead(): never {
    throw withoutSwap;
  }
}

function swap(): never {
  throw { tag: "store-error", val: withoutSwap };
}

const withoutSwap = other("Cannot compare and swap: a keyvalue binding has only `increment`");

function other(val: string): StoreError {
  return { tag: "other", val };
}

function fail(thrown: unknown): never {
  throw other(toCytoError(thrown).message);
}

for (const method of [
  Bucket.prototype.get,
  Bucket.prototype.set,
  Bucket.prototype.delete,
  Bucket.prototype.exists,
  Bucket.prototype.listKeys,
  increment,
  getMany,
  setMany,
  deleteMany,
])
  suspending(method);
