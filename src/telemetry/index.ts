export { createAccessLog } from "./access-log.ts";
export type { Level, LogRecord, LogSink, PoolSample, RequestSample } from "./contract.ts";
export { type LogFile, type LogFileOptions, openLogFile } from "./log-file.ts";
export { createMetrics, type Metrics } from "./metrics.ts";
