/** What the plan offers to whoever starts it: the command line, a test, a program. */
import type { GatewayOptions } from "../gateway/index.ts";
import type { PoolStatus } from "../host/index.ts";
import type { Clock, Random } from "../kernel/index.ts";
import type { Level } from "../telemetry/index.ts";
import type { App } from "./manifest/contract.ts";

/** What one service runs. */
export interface Artifact {
  readonly component: Uint8Array;
  /** Source map (version 3, JSON), where the author's source is known: stacks are told in its files. */
  readonly sourceMap?: string;
}

/** By service; one for each that the app declares. */
export type Artifacts = Readonly<Record<string, Artifact>>;

export interface CellParts {
  readonly app: App;
  readonly components: Artifacts;
  readonly options?: CellOptions;
}

export interface CellOptions {
  /** Where the front door listens, and its bounds; these go before the limits of the manifest. */
  readonly gateway?: Partial<GatewayOptions> & { readonly adminPort?: number };
  /**
   * Threads that serve, sharing nothing. One, unless said: this one. More have threads of their own, the
   * clock and the chance of the system; where several cannot share a port there is one all the same.
   */
  readonly shards?: number;
  /** `.cyto` beside the manifest, unless said. */
  readonly stateDirectory?: string;
  /** Environment variables: overrides of `config`, the key of the secrets. The process's, unless given. */
  readonly variables?: Readonly<Record<string, string | undefined>>;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Told every record of the log as it happens. */
  readonly onRecord?: (record: CellRecord) => void;
}

export interface Cell {
  /** `http://127.0.0.1:8080` */
  readonly address: string;
  readonly adminAddress: string;
  /**
   * The app as it is declared now. Settles when requests are served by it; what was under way is
   * finished by what it was begun with. When it is refused, everything stays as it was.
   */
  replace(app: App, components: Artifacts): Promise<void>;
  status(): Promise<CellStatus>;
  /** Lets requests in flight finish; then ends instances, bindings and the log, in this order. */
  close(): Promise<void>;
}

export interface CellStatus {
  readonly app: string;
  readonly environment: string;
  /** Shards that serve. */
  readonly shards: number;
  /** Summed over them. */
  readonly services: readonly PoolStatus[];
}

/** One line of the log. A finished request has the fields of telemetry's access log as well. */
export type CellRecord = {
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  readonly level: Level;
  readonly message: string;
  /** `access` for a finished request, `failure` for a failed call, absent for what a guest logs. */
  readonly kind?: string;
  /** Absent where no service is meant: a request that no route takes. */
  readonly service?: string | undefined;
  readonly requestId?: string | undefined;
  readonly traceparent?: string | undefined;
  /** What a guest names the source of its line. */
  readonly context?: string;
  /** Of a failure: its code of the catalogue, what to do, and the author's stack. */
  readonly code?: string;
  readonly hint?: string;
  readonly stack?: string;
  /** Of a finished request that failed: the failure's message. */
  readonly detail?: string;
};
