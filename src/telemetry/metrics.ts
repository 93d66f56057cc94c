/**
 * Rate, errors and duration per service and route, and how full the pools are, for Prometheus.
 *
 * Always bounded: labels come from the manifest and from fixed sets, never from what a client sends.
 * Counting a request costs one map look-up: a series keeps plain numbers, and prom-client, which
 * hashes labels at every turn, is given them when somebody asks.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { PoolSample, RequestSample } from "./contract.ts";
import { createDurations, type DurationSeries } from "./durations.ts";

export interface Metrics {
  observe(sample: RequestSample): void;
  /** What `/metrics` answers. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** Requests that no route took are counted under this service and route. */
const NONE = "_none";
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What requests with the same labels have in common. */
interface Series {
  readonly requestLabels: Record<"service" | "route" | "method" | "status", string>;
  /** Absent when these requests are no errors. */
  readonly errorLabels: Record<"service" | "route" | "error", string> | undefined;
  readonly durations: DurationSeries;
  count: number;
}

/** `pools` is asked at each scrape. */
export function createMetrics(pools: () => readonly PoolSample[]): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const kept = new Map<string, Series>();
  new Counter({
    name: "http_server_requests_total",
    help: "Requests that the gateway has finished.",
    labelNames: ["service", "route", "method", "status"],
    registers,
    collect() {
      this.reset();
      for (const { requestLabels, count } of kept.values()) this.inc(requestLabels, count);
    },
  });
  new Counter({
    name: "http_server_errors_total",
    help: "Requests answered with a status of 500 or more, or broken off, by error code.",
    labelNames: ["service", "route", "error"],
    registers,
    collect() {
      this.reset();
      for (const { errorLabels, count } of kept.values()) if (errorLabels) this.inc(errorLabels, count);
    },
  });
  const durations = createDurations({
    name: "http_server_request_duration_seconds",
    help: "From the request's head to the last byte of its reply.",
    labelNames: ["service", "route"],
    bounds: SECONDS,
  });
  poolGauge("cytoplane_instances", "Live instances.", (pool) => pool.instances);
  poolGauge("cytoplane_instances_ready", "Live instances that are empty and fit for a call.", (pool) => pool.ready);
  poolGauge("cytoplane_calls_active", "Calls inside of instances.", (pool) => pool.active);
  poolGauge("cytoplane_calls_queued", "Calls that wait for an instance.", (pool) => pool.queued);
  poolGauge("cytoplane_memory_bytes", "Linear memory of all instances.", (pool) => pool.memoryBytes);
  poolCounter("cytoplane_calls_total", "Calls that instances took.", (pool) => pool.calls);
  poolCounter("cytoplane_instances_started_total", "Instances made.", (pool) => pool.started);
  poolCounter("cytoplane_instances_failed_total", "Instances that could not be started.", (pool) => pool.failed);
  poolCounter("cytoplane_instances_reset_total", "Instances put back to their first state.", (pool) => pool.reset);
  poolCounter("cytoplane_instances_evicted_total", "Instances let go because idle.", (pool) => pool.evicted);
  poolCounter("cytoplane_instances_retired_total", "Instances replaced because worn.", (pool) => pool.retired);
  poolCounter("cytoplane_instances_trapped_total", "Instances that trapped.", (pool) => pool.traps);

  /** Begins again with each version of a service, as counters may. */
  function poolCounter(name: string, help: string, value: (pool: PoolSample) => number): void {
    new Counter({
      name,
      help,
      labelNames: ["service"],
      registers,
      collect() {
        this.reset();
        for (const pool of pools()) this.inc({ service: pool.service }, value(pool));
      },
    });
  }

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

  function seriesOf({ service = NONE, route = NONE, method, status, error }: RequestSample): Series {
    const verb = METHODS.has(method) ? method : "_OTHER";
    const failed = status >= 500 || error === "cancelled";
    const key = `${service}\n${route}\n${verb}\n${status}\n${failed ? error : ""}`;
    let series = kept.get(key);
    if (!series) {
      series = {
        requestLabels: { service, route, method: verb, status: String(status) },
        errorLabels: failed ? { service, route, error: error ?? "service-status" } : undefined,
        durations: durations.series(service, route),
        count: 0,
      };
      kept.set(key, series);
    }
    return series;
  }

  return {
    observe(sample) {
      const series = seriesOf(sample);
      series.count++;
      series.durations.observe(sample.durationMs / 1000);
    },
    expose: async () => ({
      contentType: registry.contentType,
      text: `${await registry.metrics()}\n${durations.text()}`,
    }),
  };
}
