/**
 * What this room offers: bytes in, a callable instance out.
 *
 * `load` decodes and compiles once; `instantiate` links against host objects in the JavaScript
 * embedding convention of the Component Model's tooling:
 *
 * - an import object is keyed by interface without version: `{ "wasi:io/streams": { InputStream } }`;
 *   functions are lowerCamelCase, resources are classes (methods on the prototype, `[Symbol.dispose]`
 *   called when the guest drops its handle; static functions on the class);
 * - `result<T, E>` as a function's result returns T or throws (an error whose `payload` is E, or E
 *   itself); nested it is `{ tag: "ok" | "err", val }`; `variant` is `{ tag, val }`; `enum` is its
 *   name; `flags` is an object of booleans; `option<T>` is `T | undefined` (nested: `{ tag, val }`);
 *   `list<u8>` is a Uint8Array (other numbers their typed array); `tuple` is an array; `u64` and `s64`
 *   are bigints; `char` is a string;
 * - a host function may return a promise where the guest is to be suspended (JSPI) until it settles.
 *   Only functions wrapped by {@link suspending} may do so.
 */
import type { Body, Call, Clock, Random, Reply } from "../kernel/index.ts";

export type HostFunction = (...args: never[]) => unknown;
/** Host objects by versionless interface name. */
export type ImportObject = Record<string, Record<string, HostFunction | (new (...args: never[]) => unknown)>>;

/** Which of the known shapes a component has. `service` is the lean world, `http` is wasi:http 0.2. */
export type World = "service" | "http";

export interface Component {
  /** `sha256:…` of the bytes. */
  readonly digest: string;
  /** Length of the bytes. */
  readonly size: number;
  /** Names as written in the binary: `wasi:io/streams@0.2.6`. */
  readonly imports: readonly string[];
  readonly exports: readonly string[];
  /** `undefined` when it exports nothing that can be called as a service. */
  readonly world: World | undefined;
  /** Links and instantiates. Throws `unbound-import` naming every import that is not given. */
  instantiate(imports: ImportObject, options?: InstantiateOptions): CoreInstance;
}

export interface LoadOptions {
  /** The most linear memory that each memory of an instance may grow to, in bytes. */
  readonly memoryBytes?: number;
}

export interface InstantiateOptions {
  /**
   * Whether host functions may suspend the guest; true unless said. Without it exports are plain
   * synchronous calls, and a host function that returns a promise traps.
   */
  readonly suspend?: boolean;
}

export interface CoreInstance extends Disposable {
  /**
   * By versionless interface, then by lowerCamelCase function; `$root` holds what the world itself
   * exports. Each returns a promise when the instance has an import that may suspend.
   */
  readonly exports: Record<string, Record<string, (...args: never[]) => unknown>>;
  /** Bytes of linear memory now held. */
  memoryBytes(): number;
}

/** A keyvalue binding as an instance reaches it. */
export interface KeyValueBucket {
  get(key: string): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  set(key: string, value: Uint8Array): Promise<void> | void;
  delete(key: string): Promise<void> | void;
  exists(key: string): Promise<boolean> | boolean;
  /** One page of keys in order, and where the next begins. */
  keys(cursor?: string): Promise<KeyPage> | KeyPage;
  /** Adds and answers the sum; a missing key counts as zero. */
  increment(key: string, delta: bigint): Promise<bigint> | bigint;
}

export interface KeyPage {
  readonly keys: readonly string[];
  /** Absent on the last page. */
  readonly cursor?: string;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "critical";

/**
 * Everything that one instance may reach. `cell/` makes it from the manifest; what is absent is
 * denied, and the error names the binding that would satisfy it.
 */
export interface Grants {
  readonly service: string;
  readonly clock: Clock;
  readonly random: Random;
  /** By the name the manifest gives the binding. */
  readonly keyvalue: Readonly<Record<string, KeyValueBucket>>;
  /** Configuration values. */
  readonly config: Readonly<Record<string, string>>;
  /** Names bound as secrets; read when asked for, never kept by the engine. */
  secret(name: string): Promise<string>;
  /** Leaves the platform. Refuses what the manifest's `egress` does not list. `call` is what it was caused by. */
  fetch(request: OutgoingRequest, parent: Call | undefined): Promise<Reply>;
  /** Service to service. Refuses what the manifest's `calls` does not list. */
  invoke(service: string, request: OutgoingRequest, parent: Call | undefined): Promise<Reply>;
  log(level: LogLevel, context: string, message: string, call: Call | undefined): void;
  /** Host directories by guest path; nothing else of the file system exists. */
  readonly directories: readonly { readonly guest: string; readonly host: string; readonly readOnly: boolean }[];
  readonly environment: readonly (readonly [string, string])[];
  readonly args: readonly string[];
}

export interface OutgoingRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: Body;
  readonly signal: AbortSignal;
}

/** A component linked to its grants, with its own memory, ready to be called. */
export interface Instance {
  /** Settles when the head of the reply is known; its body streams on. Throws CytoError. */
  handle(call: Call): Promise<Reply>;
  /** How many calls it may be in at a time: 1 for a world that blocks. */
  readonly concurrency: number;
  /** Calls not yet finished, bodies included; counted from the moment `handle` is called. */
  readonly active: number;
  /** Set once it trapped or misbehaved; it is then never called again. */
  readonly broken: Error | undefined;
  /**
   * Set by whoever pools the instance, undefined until then. The instance calls it each time that
   * `active` has gone down, and when it broke.
   */
  onFinish: (() => void) | undefined;
  /** Settles when `active` is zero and no `waitUntil` work is left. */
  idle(): Promise<void>;
  memoryBytes(): number;
  [Symbol.dispose](): void;
}

const suspends = new WeakSet<object>();

/** Marks a host function that may return a promise: the guest is suspended until it settles. */
export function suspending<F extends HostFunction>(fn: F): F {
  suspends.add(fn);
  return fn;
}

export function maySuspend(fn: object): boolean {
  return suspends.has(fn);
}
