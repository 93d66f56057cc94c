/**
 * keyvalue: bytes under a key, in a namespace that nobody else sees.
 *
 * Always true: what `set`, `delete` or `increment` acknowledged survives a crash of the process
 * (the memory provider excepted, which says so); a read after an acknowledged write sees it;
 * `increment` is atomic over every host that shares the backend; keys are ordered by their UTF-8
 * bytes; a counter is stored as decimal text, so `get` reads what `increment` wrote.
 *
 * A read may answer at once instead of promising: a guest is then not suspended for it.
 */
import type { Limits, Provider } from "../../kernel/index.ts";

export interface KeyValue {
  get(key: string): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  set(key: string, value: Uint8Array): Promise<void>;
  /** Settles alike whether the key was there or not. */
  delete(key: string): Promise<void>;
  exists(key: string): Promise<boolean> | boolean;
  /**
   * One page of keys in order; start without a cursor and go on with the one given until none is.
   * A key that is there the whole time is seen exactly once.
   */
  keys(cursor?: string): Promise<KeyPage> | KeyPage;
  /** Adds to the whole number (64 bits, signed) under the key (absent: 0) and answers the sum. */
  increment(key: string, delta: bigint): Promise<bigint>;
}

export interface KeyPage {
  readonly keys: readonly string[];
  /** Absent on the last page. */
  readonly cursor?: string;
}

/** What every provider is opened with; `options` are the binding's own. */
export interface KeyValueConfig {
  readonly namespace: string;
  /** Where an embedded provider may keep files, absolute: `<project>/.cyto/data`. */
  readonly dataDirectory: string;
  readonly options: Readonly<Record<string, string>>;
  /** Where absent, the kernel's defaults hold. */
  readonly limits?: Partial<Pick<Limits, "keyBytes" | "valueBytes">>;
}

/** Bindings opened by one provider share its files and connections; each is disposed on its own. */
export type KeyValueProvider = Provider<KeyValue, KeyValueConfig>;
