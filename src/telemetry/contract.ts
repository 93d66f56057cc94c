/** What is gathered: finished requests, and lines that services or the platform log. */

export type Level = "trace" | "debug" | "info" | "warn" | "error" | "critical";

/** One line of the log. Fields beyond these are the line's own. */
export interface LogRecord {
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  readonly level: Level;
  readonly message: string;
  /** Absent for what the platform says of itself. */
  readonly service?: string | undefined;
  readonly requestId?: string | undefined;
  readonly [field: string]: unknown;
}

export type LogSink = (record: LogRecord) => void;

/** One finished request, as the gateway tells it. Times in milliseconds, sizes in bytes. */
export interface RequestSample {
  readonly requestId: string;
  readonly traceparent: string;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly route: string | undefined;
  readonly service: string | undefined;
  readonly status: number;
  readonly error: string | undefined;
  readonly failure: Error | undefined;
  readonly durationMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly remoteAddress: string;
}

/** How the instances of one service are doing. */
export interface PoolSample {
  readonly service: string;
  readonly instances: number;
  readonly ready: number;
  readonly active: number;
  readonly queued: number;
  readonly memoryBytes: number;
  /** Counted since its present version was deployed. */
  readonly calls: number;
  readonly started: number;
  readonly failed: number;
  readonly reset: number;
  readonly evicted: number;
  readonly retired: number;
  readonly traps: number;
}
