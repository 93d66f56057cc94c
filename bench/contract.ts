/** What the runner and the benches tell each other. A bench is a file; `standard.ts` lists them. */

export interface Bench {
  readonly name: string;
  readonly title: string;
  run(plan: Plan): Promise<Outcome>;
}

/** How much may be spent, and on what. */
export interface Plan {
  /** Of one measurement of throughput. */
  readonly seconds: number;
  readonly rounds: number;
  readonly load: Load;
  /** A `wasi:http` hello built from Rust. */
  readonly component: string;
  /** A folder of this run's own. */
  readonly scratch: string;
  progress(text: string): void;
}

export interface Outcome {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The same, for programs. */
  readonly figures: Readonly<Record<string, number>>;
  readonly goals: readonly Goal[];
  /** What a reader must know to judge the figures. */
  readonly note?: string;
}

export interface Goal {
  readonly goal: string;
  readonly measured: string;
  readonly met: boolean;
}

/** Keeps `connections` busy for `seconds`, from a process of its own; with requests that carry the file `body`. */
export interface Load {
  readonly name: string;
  drive(url: string, connections: number, seconds: number, body?: string): Promise<LoadResult>;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** A server that is to be measured. */
export interface Contender {
  readonly name: string;
  start(): Promise<Server>;
}

export interface Server extends AsyncDisposable {
  readonly pid: number;
  readonly address: string;
  /** From the start of the process until it said that it listens. */
  readonly startedMs: number;
}
