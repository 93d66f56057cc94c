/**
 * What authors of services see, the same on both engines. Request, Response, Headers and AbortSignal are
 * the standard ones.
 */

/** A service: the default export of its module. A Hono app is one too. */
export interface ServiceHandler<Env = DefaultEnv> {
  /** Answers one request. What it throws becomes a 500, logged with its stack. */
  fetch(request: Request, env: Env, context: Context): Response | Promise<Response>;
}

/** The call that is being answered. */
export interface Context {
  /** The request id: the same in logs and traces, and in every call that this one causes. */
  readonly id: string;
  /** Aborted when the caller has gone or the deadline has passed; also `request.signal`. */
  readonly signal: AbortSignal;
  /** Keeps the instance until `work` has settled, though the response has gone out. A rejection is logged. */
  waitUntil(work: Promise<unknown>): void;
}

/**
 * The bindings by name: a configuration value is a string; a keyvalue binding and another service are
 * their clients. Declare your own to have them typed:
 * `{ GREETING: string; products: KeyValue<Product>; inventory: ServiceClient }`.
 */
export type DefaultEnv = Readonly<Record<string, unknown>>;

/** A keyvalue binding. Values are JSON unless said otherwise. */
export interface KeyValue<T = unknown> {
  /** The value under `key`, parsed from JSON; undefined when there is none. */
  get(key: string): Promise<T | undefined>;
  /** Writes `value` as JSON. Acknowledged once it is durable. */
  set(key: string, value: T): Promise<void>;
  delete(key: string): Promise<void>;
  has(key: string): Promise<boolean>;
  /** All keys in order, fetched page by page as the loop goes on. */
  keys(): AsyncIterableIterator<string>;
  /** Adds to the whole number under `key` (none: 0) and answers the sum. Atomic over all instances. */
  increment(key: string, delta?: number): Promise<number>;
  getText(key: string): Promise<string | undefined>;
  setText(key: string, text: string): Promise<void>;
  getBytes(key: string): Promise<Uint8Array | undefined>;
  setBytes(key: string, bytes: Uint8Array): Promise<void>;
}

/** Another service of the app. */
export interface ServiceClient {
  /**
   * Calls it. A path (`/items/7`) is enough as address. The response is the service's own, whatever its
   * status; a call that could not be made rejects with a TypeError whose `code` says why.
   */
  fetch(input: string | URL | Request, init?: RequestInit): Promise<Response>;
}

/** A configuration value; undefined when the manifest gives none. */
export interface Config {
  (key: string): string | undefined;
  /** Every configuration value. */
  all(): Record<string, string>;
}

/** A binding answered with an error. `code` is the platform's: `backend-unavailable`, `not-permitted`, … */
export class BindingError extends Error {
  override readonly name = "BindingError";
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
