/**
 * Rate, errors and duration per service and route, and how full the pools are, for Prometheus.
 *
 * Always bounded: labels come from the manifest and from fixed sets, never from what a client sends.
 * Counting a request costs two map look-ups: label sets are made once and kept.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { PoolSample, RequestSample } from "./contract.ts";

export interface Metrics {
  observe(sample: RequestSample): void;
  /** What `/metrics` answers. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** Requests that no route took are counted under this service and route. */
const NONE = "_none";
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

interface Series {
  readonly requests: { inc(): void };
  readonly errors: { inc(): void } | undefined;
  readonly duration: { observe(seconds: number): void };
}

/** `pools` is asked at each scrape. */
export function createMetrics(pools: () => readonly PoolSample[]): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({
    name: "http_server_requests_total",
    help: "Requests that the gateway has finished.",
    labelNames: ["service", "route", "method", "status"],
    registers,
  });
  const errors = new Counter({
    name: "http_server_errors_total",
    help: "Requests answered with a status of 500 or more, or broken off, by error code.",
    labelNames: ["service", "route", "error"],
    registers,
  });
  const duration = new Histogram({
    name: "http_server_request_duration_seconds",
    help: "From the request's head to the last byte of its reply.",
    labelNames: ["service", "route"],
    buckets: SECONDS,
    registers,
  });
  poolGauge("cytoplane_instances", "Live instances.", (pool) => pool.instances);
  poolGauge("cytoplane_calls_active", "Calls inside of instances.", (pool) => pool.active);
  poolGauge("cytoplane_calls_queued", "Calls that wait for an instance.", (pool) => pool.queued);
  poolGauge("cytoplane_memory_bytes", "Linear memory of all instances.", (pool) => pool.memoryBytes);
  poolGauge("cytoplane_traps", "Instances of this version that trapped.", (pool) => pool.traps);

  function poolGauge(name: string, help: string, value: (pool: PoolSample) => number): void {
    new Gauge({
      name,
      help,
      labelNames: ["service"],
      registers,
      collect() {
        this.reset();
        for (const pool of pools()) this.set({ service: pool.service }, value(pool));
      },
    });
  }

  const kept = new Map<string, Series>();

  function seriesOf({ service = NONE, route = NONE, method, status, error }: RequestSample): Series {
    const verb = METHODS.has(method) ? method : "_OTHER";
    const failed = status >= 500 || error === "cancelled";
    const key = `${service}\n${route}\n${verb}\n${status}\n${failed ? error : ""}`;
    let series = kept.get(key);
    if (!series) {
      series = {
        requests: requests.labels({ service, route, method: verb, status: String(status) }),
        errors: failed ? errors.labels({ service, route, error: error ?? "service-status" }) : undefined,
        duration: duration.labels({ service, route }),
      };
      kept.set(key, series);
    }
    return series;
  }

  return {
    observe(sample) {
      const series = seriesOf(sample);
      series.requests.inc();
      series.errors?.inc();
      series.duration.observe(sample.durationMs / 1000);
    },
    expose: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
