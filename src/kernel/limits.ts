/**
 * Every bound that holds when the manifest says nothing. The names are the manifest's
 * (`limits:` of a service or of the app); units are last in the name.
 */
export const limits = {
  /** Request and reply bodies that are gathered whole. A streamed body is bounded by its consumer. */
  bodyBytes: 10 * 1024 * 1024,
  headerBytes: 16 * 1024,
  /** One request's time, gateway to gateway, when no policy says otherwise. */
  timeoutMs: 30_000,
  /** How long a client may take to send its header; and to stay idle while sending a body. */
  headerTimeoutMs: 10_000,
  idleTimeoutMs: 30_000,
  /** Services one request may pass through. */
  hops: 16,
  /** Threads that serve an app: one a core, up to this. */
  shards: 64,
  /** Instances of one service on one shard. */
  instances: 16,
  /** Calls in one instance at a time, where its world allows more than one. */
  concurrency: 64,
  /** Calls that wait for an instance, on one shard. */
  queue: 1024,
  /** Linear memory of one instance. */
  memoryBytes: 256 * 1024 * 1024,
  /** Time that one call computes in its service; where an instance is in many calls, one turn of it. */
  cpuMs: 10_000,
  /** Sockets that one instance may have open, connections waiting to be accepted among them. */
  sockets: 256,
  /** A key and a value of a keyvalue binding. */
  keyBytes: 1024,
  valueBytes: 8 * 1024 * 1024,
} as const;

export type Limits = { readonly [K in keyof typeof limits]: number };
