/** A finished request as a line of the log: what it was, how it ended, and why if the platform knows. */
import type { LogRecord, LogSink, RequestSample } from "./contract.ts";

/** `now` gives milliseconds since the Unix epoch. */
export function createAccessLog(sink: LogSink, now: () => number): (sample: RequestSample) => void {
  return (sample) => sink(toRecord(sample, now()));
}

function toRecord(sample: RequestSample, time: number): LogRecord {
  const { method, path, status, durationMs, error, failure } = sample;
  return {
    time,
    level: status >= 500 ? "error" : "info",
    message: `${method || "-"} ${path || "-"} ${status}`,
    kind: "access",
    service: sample.service,
    route: sample.route,
    method,
    path,
    host: sample.host,
    status,
    durationMs: Math.round(durationMs * 1000) / 1000,
    bytesIn: sample.bytesIn,
    bytesOut: sample.bytesOut,
    remoteAddress: sample.remoteAddress,
    requestId: sample.requestId,
    traceparent: sample.traceparent,
    ...(error === undefined ? {} : { error }),
    ...(failure === undefined ? {} : { detail: failure.message }),
  };
}
