/**
 * The words every room speaks: a call, its reply, and the three ways to shape their fall.
 *
 * Always true: header names are lower case; a body is read at most once; a reply with a streamed
 * body stays attached to its call until that body ends or is abandoned.
 */

/** Header fields in the order received, names in lower case; repeated names are repeated entries. */
export type Headers = readonly (readonly [name: string, value: string])[];

/**
 * Bytes that are at hand, or that arrive chunk by chunk. Pulling is the back-pressure: a producer
 * may not run ahead of `next()`. Ending the iteration early (`return()`) cancels the producer.
 * Trailers, where there are any, are the value that ends the iteration (see {@link trailersOf}):
 * whoever hands on the steps of a body hands them on with it.
 */
export type Body = Uint8Array | AsyncIterable<Uint8Array, unknown>;

/** The trailers with which a body ended, as its last step brought them; `undefined` when there are none. */
export function trailersOf(last: IteratorReturnResult<unknown>): Headers | undefined {
  return Array.isArray(last.value) && last.value.length > 0 ? (last.value as Headers) : undefined;
}

/** One request on its way to a service. */
export interface Call {
  /** The request id, shared by every call that a request causes. */
  readonly id: string;
  /** The service that is called. */
  readonly service: string;
  /** The service that calls; absent when the call came in through the gateway. */
  readonly caller?: string;
  /** The route that matched at the gateway, as declared: `GET /products/{sku}`. */
  readonly route?: string;
  readonly method: string;
  /** Absolute: `http://host/path?query`. */
  readonly url: string;
  readonly headers: Headers;
  readonly body?: Body;
  /** When the caller stops waiting, in milliseconds on the clock that the cell was given. */
  readonly deadlineMs: number;
  /** Services already passed through; each outgoing call is one more. */
  readonly hops: number;
  /** Aborted when the caller has gone or the deadline has passed. */
  readonly signal: AbortSignal;
}

/** What a service answers. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body?: Body;
}

/** Gateway, mesh, host and instance are all this one door. Failures are thrown as {@link CytoError}. */
export type Service = (call: Call) => Promise<Reply>;

/** A gateway plugin, a mesh guard, an aspect: something laid round the next door. */
export type Layer = (next: Service) => Service;

/** Picks one of several; `undefined` when none will do. */
export type Policy<T> = (choices: readonly T[], call: Call) => T | undefined;

/** A capability's backend: opened once for a binding, disposed with it. */
export interface Provider<C, Config = Readonly<Record<string, unknown>>> {
  open(config: Config): Promise<C & AsyncDisposable>;
}

/** Lays `layers` round `service`; the first is the outermost. */
export function stack(layers: readonly Layer[], service: Service): Service {
  return layers.reduceRight((next, layer) => layer(next), service);
}

/** The first value of a header, by lower-case name. */
export function header(headers: Headers, name: string): string | undefined {
  for (const entry of headers) if (entry[0] === name) return entry[1];
  return undefined;
}
