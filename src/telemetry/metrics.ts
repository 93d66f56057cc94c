/**
 * Rate, errors and duration per service and route, and how full the pools are, for Prometheus.
 *
 * Nothing is counted here: those that count are asked at each scrape, and prom-client, which hashes
 * labels at every turn, is given their numbers then.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { PoolSample } from "./contract.ts";
import { printDurations } from "./durations.ts";
import { countOf, durationBounds, sumTallies, type Tally } from "./tally.ts";

export interface Metrics {
  /** What `/metrics` answers. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** What the shards of a host tell, at one time. */
export interface MetricsSource {
  /** By index of the shard. */
  readonly tallies: readonly Tally[];
  readonly pools: readonly PoolSample[];
  /** Shards that serve, and those that ended without being asked to. */
  readonly shards: number;
  readonly deaths: number;
}

/** `gather` is called at each scrape. */
export function createMetrics(gather: () => Promise<MetricsSource>): Metrics {
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
  const shardRequests = new Counter({
    name: "cytoplane_shard_requests_total",
    help: "Requests that a shard has finished.",
    labelNames: ["shard"],
    registers,
  });
  const shards = new Gauge({ name: "cytoplane_shards", help: "Shards that serve.", registers });
  const deaths = new Counter({
    name: "cytoplane_shard_deaths_total",
    help: "Shards that ended without being asked to.",
    registers,
  });
  const pools = [
    poolGauge("cytoplane_instances", "Live instances.", (pool) => pool.instances),
    poolGauge("cytoplane_instances_ready", "Live instances that are empty and fit for a call.", (pool) => pool.ready),
    poolGauge("cytoplane_calls_active", "Calls inside of instances.", (pool) => pool.active),
    poolGauge("cytoplane_calls_queued", "Calls that wait for an instance.", (pool) => pool.queued),
    poolGauge("cytoplane_memory_bytes", "Linear memory of all instances.", (pool) => pool.memoryBytes),
    poolCounter("cytoplane_calls_total", "Calls that instances took.", (pool) => pool.calls),
    poolCounter("cytoplane_instances_started_total", "Instances made.", (pool) => pool.started),
    poolCounter("cytoplane_instances_failed_total", "Instances that could not be started.", (pool) => pool.failed),
    poolCounter("cytoplane_instances_reset_total", "Instances put back to their first state.", (pool) => pool.reset),
    poolCounter("cytoplane_instances_evicted_total", "Instances let go because idle.", (pool) => pool.evicted),
    poolCounter("cytoplane_instances_retired_total", "Instances replaced because worn.", (pool) => pool.retired),
    poolCounter("cytoplane_instances_trapped_total", "Instances that trapped.", (pool) => pool.traps),
  ];

  /** Begins again with each version of a service, as counters may. */
  function poolCounter(name: string, help: string, value: (pool: PoolSample) => number) {
    const counter = new Counter({ name, help, labelNames: ["service"], registers });
    return (samples: readonly PoolSample[]): void => {
      counter.reset();
      for (const pool of samples) counter.inc({ service: pool.service }, value(pool));
    };
  }

  function poolGauge(name: string, help: string, value: (pool: PoolSample) => number) {
    const gauge = new Gauge({ name, help, labelNames: ["service"], registers });
    return (samples: readonly PoolSample[]): void => {
      gauge.reset();
      for (const pool of samples) gauge.set({ service: pool.service }, value(pool));
    };
  }

  function fill(source: MetricsSource, sum: Tally): void {
    for (const counter of [requests, errors, shardRequests, deaths]) counter.reset();
    for (const { labels, error, count } of sum.requests) {
      requests.inc(labels, count);
      if (error !== undefined) errors.inc({ service: labels.service, route: labels.route, error }, count);
    }
    for (const [shard, tally] of source.tallies.entries()) shardRequests.inc({ shard: String(shard) }, countOf(tally));
    shards.set(source.shards);
    deaths.inc(source.deaths);
    for (const set of pools) set(source.pools);
  }

  return {
    async expose() {
      const source = await gather();
      const sum = sumTallies(source.tallies);
      fill(source, sum);
      const durations = printDurations(durationsShape, sum.durations);
      return { contentType: registry.contentType, text: `${await registry.metrics()}\n${durations}` };
    },
  };
}

const durationsShape = {
  name: "http_server_request_duration_seconds",
  help: "From the request's head to the last byte of its reply.",
  labelNames: ["service", "route"],
  bounds: durationBounds,
};
