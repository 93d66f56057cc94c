export { createAccessLog } from "./access-log.ts";
export type { Level, LogRecord, LogSink, PoolSample, RequestSample } from "./contract.ts";
export { gatherLines, type Lines } from "./lines.ts";
export { type LogFile, type LogFileOptions, openLogFile } from "./log-file.ts";
export { createMetrics, type Metrics, type MetricsSource } from "./metrics.ts";
export { createCounter, sumTallies, type Tally } from "./tally.ts";
