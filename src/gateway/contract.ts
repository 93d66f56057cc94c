/** What the front door is told, and what it tells. It knows routes and a next door, nothing else. */
import type { Clock, CytoError, Random, Service } from "../kernel/index.ts";

/** Which requests go to which service. Precedence among several that match: see router.ts. */
export interface Route {
  /** As declared: `GET /products/{sku}`; names the route in metrics and logs. */
  readonly id: string;
  readonly service: string;
  /** None: all of {@link ANY_METHOD}. A GET route answers HEAD too, unless a route names HEAD. */
  readonly methods: readonly string[];
  /** See pattern.ts: `/products/{sku}`, `/files/{rest...}`, `/files/*`. */
  readonly path: string;
  /** Exact, or `*.example.com` for all below it; without port. */
  readonly host?: string;
  /** Name to exact value, or `true` for "present"; header names in any case. */
  readonly query: Readonly<Record<string, string | true>>;
  readonly headers: Readonly<Record<string, string | true>>;
  readonly priority: number;
  /** How long until the head of the reply; a body that streams on is not bounded by it. */
  readonly timeoutMs: number;
  /** The longest request body it takes, in bytes. */
  readonly bodyBytes: number;
}

/** One finished request, for whoever counts and logs. Times in milliseconds, sizes in bytes. */
export interface Access {
  readonly requestId: string;
  readonly traceparent: string;
  /** Empty, like path and host, when the request was too malformed to be read. */
  readonly method: string;
  /** Without the query, which may hold secrets. */
  readonly path: string;
  readonly host: string;
  /** Absent when no route matched. */
  readonly route: string | undefined;
  readonly service: string | undefined;
  readonly status: number;
  /** The catalogue's code when the platform answered instead of the service, or broke the reply off. */
  readonly error: string | undefined;
  /** The failure itself, for the log: its message may tell more than the client was told. */
  readonly failure: CytoError | undefined;
  readonly durationMs: number;
  /** Of bodies, without headers. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly remoteAddress: string;
}

export interface GatewayOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Shares the port with other listeners that say so too: the system spreads connections over them. */
  readonly reusePort: boolean;
  readonly headerBytes: number;
  readonly headerTimeoutMs: number;
  /** For a client that stops sending its body or reading the reply, and a connection without a request. */
  readonly idleTimeoutMs: number;
  /** Connections of this listener at a time; more are closed at once. */
  readonly connections: number;
  /** How long draining waits for requests in flight. */
  readonly drainTimeoutMs: number;
  /** Tells clients the message and hint of every failure, as one wants while developing. */
  readonly exposeErrors: boolean;
}

export interface GatewayParts {
  readonly routes: readonly Route[];
  readonly next: Service;
  readonly clock: Clock;
  readonly random: Random;
  /** Called once a request, after its last byte or its abort. */
  observe(access: Access): void;
  readonly options: Partial<GatewayOptions>;
}

export interface Gateway {
  /** `http://127.0.0.1:8080` */
  readonly address: string;
  /** New routes for requests from now on; those in flight finish on the old ones. */
  replace(routes: readonly Route[], next: Service): void;
  /** Refuses new connections, lets requests in flight finish, then closes. */
  close(): Promise<void>;
}

export interface AdminParts {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Prometheus text for `/metrics`. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** Why it is not ready, or undefined when it is. */
  unready(): string | undefined;
}

export interface Admin {
  /** `http://127.0.0.1:9090` */
  readonly address: string;
  close(): Promise<void>;
}
