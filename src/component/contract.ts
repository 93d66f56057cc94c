/**
 * What this room offers: bytes in, a callable instance out.
 *
 * `load` decodes and compiles once; `instantiate` links against host objects in the JavaScript
 * embedding convention of the Component Model's tooling:
 *
 * - an import object is keyed by interface without version: `{ "wasi:io/streams": { InputStream } }`,
 *   or with its `major.minor`, which goes first: `"wasi:http/types@0.3"`;
 *   functions are lowerCamelCase, resources are classes (methods on the prototype, `[Symbol.dispose]`
 *   called when the guest drops its handle; static functions on the class), which guests export as well;
 * - `result<T, E>` as a function's result returns T or throws (an error whose `payload` is E, or E
 *   itself); nested it is `{ tag: "ok" | "err", val }`; `variant` is `{ tag, val }`; `enum` is its
 *   name; `flags` is an object of booleans; `option<T>` is `T | undefined` (nested: `{ tag, val }`);
 *   `list<u8>` is a Uint8Array (other numbers their typed array); `tuple` is an array; `u64` and `s64`
 *   are bigints; `char` is a string;
 * - a host function may return a promise where the guest is to be suspended (JSPI) until it settles.
 *   Only functions wrapped by {@link suspending}, and those of an `async func`, may do so;
 * - an `async func` of the host answers with a value or a promise, and is given an {@link AsyncCall}
 *   after its own arguments; one that a guest exports answers with a promise, and may be given
 *   {@link TaskOptions};
 * - `stream<T>` from a guest is a {@link StreamReader}; to a guest it is a {@link StreamSource}, a
 *   `StreamReader` passed on, or any (async) iterable of chunks. A chunk is an array of T, or the
 *   typed array of a number type (`Uint8Array` for `stream<u8>`); of `stream` without a type it is an
 *   array of undefined;
 * - `future<T>` from a guest is a {@link FutureReader}; to a guest it is a promise of T, or a
 *   `FutureReader` passed on;
 * - `error-context` is an Error.
 */

import type { Body, Call, Clock, Random, Reply } from "../kernel/index.ts";
import type { CompiledCode } from "./core-module.ts";
import type { Metering } from "./meter.ts";
import type { WeaveReport } from "./weave/weave.ts";

export type HostFunction = (...args: never[]) => unknown;
/** Host objects by versionless interface name. */
export type ImportObject = Record<string, Record<string, HostFunction | (new (...args: never[]) => unknown)>>;

/** Items of a `stream<T>`: the typed array of a number type, an array otherwise. */
export type Chunk = ArrayLike<unknown>;

/** The end of a guest's stream that JavaScript reads. */
export interface StreamReader<C extends Chunk = Chunk> extends AsyncIterable<C>, Disposable {
  /**
   * At most `max` items and at least one, as soon as there are any; `undefined` when the writer has
   * gone. One read at a time.
   */
  read(max?: number): C | undefined | Promise<C | undefined>;
  /** Nothing more will be read: the writer hears of it. */
  [Symbol.dispose](): void;
}

/** Where the items of a stream come from that JavaScript gives to a guest. */
export interface StreamSource<C extends Chunk = Chunk> {
  /**
   * The next items, as many as are at hand; `undefined` at the end. Called again only after it has
   * answered. A rejection ends the stream as its end does: say why elsewhere, in a future.
   */
  pull(): C | undefined | Promise<C | undefined>;
  /** No more will be asked for. */
  cancel(): void;
}

/** The end of a guest's future that JavaScript reads. Not a thenable, so that promises can carry it. */
export interface FutureReader<T = unknown> extends Disposable {
  /** Its value, once; rejects when the writer went without writing (which traps that guest as well). */
  read(): Promise<T>;
  /** It will not be read. */
  [Symbol.dispose](): void;
}

/** What a host function of an `async func` learns of its call. */
export interface AsyncCall {
  /** Aborted when the guest cancels the call, and when its instance ends. */
  readonly signal: AbortSignal;
  /** The `cause` of the exported call whose task this call belongs to. */
  readonly cause?: unknown;
}

/** What an `async func` that a guest exports may be given after its own arguments. */
export interface TaskOptions {
  /**
   * Aborted: the guest is asked to cancel. The call then rejects with the signal's reason, once the
   * guest has; unless it returns all the same.
   */
  readonly signal?: AbortSignal;
  /** What the call is for: host functions that it calls find it in {@link AsyncCall.cause}. */
  readonly cause?: unknown;
  /**
   * Asked while the guest computes, where it is metered: whether anybody waits for what it does. Once nobody
   * does it may use 50 ms more. Unless given, somebody does as long as the signal is not aborted.
   */
  readonly wanted?: () => boolean;
  /** Told once when the task has ended, which may be long after it returned; with the error of a trap. */
  readonly ended?: (trapped: Error | undefined) => void;
}

/**
 * Which of the known shapes a component has. `service` is the lean world, `http` is wasi:http 0.2,
 * `handler` is wasi:http 0.3, `command` runs once to its end: `wasi:cli/run`, or `_start` of WASI 0.1.
 */
export type World = "service" | "http" | "handler" | "command";

/** What an instance exports, to a program that has no declarations of it. */
export type AnyExports = Record<string, Record<string, (...args: never[]) => unknown>>;

/** `Imports` and `Exports` are those that `cyto inspect --types` declares; nothing checks that they are its. */
export interface Component<Imports = ImportObject, Exports = AnyExports> {
  /** `sha256:…` of the bytes. */
  readonly digest: string;
  /** Length of the bytes. */
  readonly size: number;
  /** Names as written in the binary: `wasi:io/streams@0.2.6`. */
  readonly imports: readonly string[];
  readonly exports: readonly string[];
  /** `undefined` when it exports nothing that can be called as a service. */
  readonly world: World | undefined;
  /**
   * A stack of V8 in the author's terms: only frames of the component, each with its offset in the file where that
   * is certain.
   */
  retell(stack: string): string;
  /** What was woven into each of its core modules. */
  readonly woven: readonly WeaveReport[];
  /** Links and instantiates. Throws `unbound-import` naming every import that is not given. */
  instantiate(imports: Imports, options?: InstantiateOptions): CoreInstance<Exports>;
}

/**
 * A component compiled and not yet linked: what another thread needs to have the same component.
 * It can be posted there (structured clone), and threads share the compiled code.
 */
export interface ComponentParts {
  readonly digest: string;
  readonly size: number;
  /** The component without the modules that were compiled; absent where it is one program of WASI 0.1. */
  readonly definition: Uint8Array | undefined;
  /** Undefined where nothing needs the module. */
  readonly modules: readonly (CompiledCode | undefined)[];
  /** Whether the modules were compiled so that their instances can be reset. */
  readonly resets: boolean;
}

export interface LoadOptions {
  /** The most linear memory that each memory of an instance may grow to, in bytes. */
  readonly memoryBytes?: number;
  /** Instances are to be reset, where the component's modules allow it. */
  readonly reset?: boolean;
  /** Its code counts down as it runs, so that a guest can be interrupted and ended. Instances then need `cpu`. */
  readonly metered?: boolean;
  /** Keeps what was made of a component's bytes, by a name that says of which and how. */
  readonly cache?: ComponentCache;
  /** Milliseconds, for the report of what was woven. */
  readonly monotonic?: () => number;
}

/** A place to keep blobs. What it cannot read is as if it had never been written. */
export interface ComponentCache {
  read(name: string): Promise<Uint8Array | undefined> | Uint8Array | undefined;
  write(name: string, content: Uint8Array): Promise<void> | void;
}

export interface InstantiateOptions {
  /**
   * Whether host functions may suspend the guest; true unless said. Without it exports are plain
   * synchronous calls, and a host function that returns a promise traps.
   */
  readonly suspend?: boolean;
  /**
   * What becomes of a call that waits for something that neither the guest nor a host function will
   * bring about: it waits for another call to do so (the default), or traps.
   */
  readonly deadlock?: "wait" | "trap";
  /** For a component that was loaded `metered`: who interrupts it, and what one call may use. */
  readonly cpu?: CpuOptions;
}

export interface CpuOptions {
  /** Of this thread. */
  readonly metering: Metering;
  /** CPU time that one call may use in the guest; with it used up, the instance traps. */
  readonly cpuMs: number;
}

export interface CoreInstance<Exports = AnyExports> extends Disposable {
  /**
   * By interface, then by lowerCamelCase function, and by PascalCase class for a resource; `$root` holds
   * what the world itself exports. An interface goes by its name, and by its name with `major.minor`
   * (`wasi:cli/run@0.3`). A function answers with a promise when its call takes time.
   */
  readonly exports: Exports;
  /** Bytes of linear memory now held. */
  memoryBytes(): number;
  /**
   * Puts it back to the state in which it was made; its handles are dropped. To be called while no
   * call is under way. Answers false when that cannot be done, and it is to be disposed. Absent where
   * it never can.
   */
  reset?(): boolean;
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
  /** Of a middleware: hands a request on to what it stands before. */
  next?(request: OutgoingRequest, parent: Call | undefined): Promise<Reply>;
  log(level: LogLevel, context: string, message: string, call: Call | undefined): void;
  /** What its sockets may reach, and be reached at; nothing when it is absent. */
  readonly sockets?: SocketGrants;
  /** Host directories by guest path; nothing else of the file system exists. */
  readonly directories: readonly { readonly guest: string; readonly host: string; readonly readOnly: boolean }[];
  readonly environment: readonly (readonly [string, string])[];
  readonly args: readonly string[];
  /** Of a service there are none: its input is empty, and its output is its log. */
  readonly stdio?: StandardStreams;
}

/** The standard streams of a command. In place of one that is absent is what a service has. */
export interface StandardStreams {
  readonly stdin?: StandardInput;
  readonly stdout?: StandardOutput;
  readonly stderr?: StandardOutput;
}

export interface StandardInput {
  /** The next bytes, `undefined` at the end; asked again only after it has answered. */
  pull(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** No more will be asked for. */
  cancel(): void;
  readonly terminal: boolean;
}

export interface StandardOutput {
  /**
   * Takes all of `bytes`. Where the reader is behind it answers a promise, which settles when there is
   * room for more and rejects when nobody reads any longer.
   */
  write(bytes: Uint8Array): undefined | Promise<undefined>;
  readonly terminal: boolean;
}

export type SocketProtocol = "tcp" | "udp";

/**
 * What sockets may do. Each question is answered with the reason against it, or `undefined`: it may.
 * Addresses are in canonical form, IPv6 without brackets and zone.
 */
export interface SocketGrants {
  /** Sockets that one instance may have open. */
  readonly sockets: number;
  /** To have the address, with port 0 any free port, for whatever it may do from there. */
  bind(protocol: SocketProtocol, address: string, port: number): string | undefined;
  /** To be reached there by anyone: connections of TCP, datagrams of UDP. */
  listen(protocol: SocketProtocol, address: string, port: number): string | undefined;
  /** To reach it; and for UDP, to hear from it. */
  connect(protocol: SocketProtocol, address: string, port: number): string | undefined;
  /** To look a name up, in lower case and punycode. */
  resolve(name: string): string | undefined;
  /** What such a name resolved to, which may from then on be reached where the name may. */
  resolved(name: string, addresses: readonly string[]): void;
}

export interface OutgoingRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: Body;
  /** The longest that making a connection may take, where one has to be made. */
  readonly connectTimeoutMs?: number;
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
  /**
   * Puts it back to the state in which it was opened, so that nothing is left of what it was called
   * with. Answers false when that cannot be done, and it is to be replaced. Absent where it never can.
   */
  reset?(): boolean;
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
