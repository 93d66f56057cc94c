/**
 * Finished requests, counted where they finish: plain numbers, which other threads can be told and
 * which can be added up.
 *
 * Always bounded: labels come from the manifest and from fixed sets, never from what a client sends.
 * Counting a request costs one map look-up.
 */
import type { RequestSample } from "./contract.ts";
import { type DurationSeries, observeDuration } from "./durations.ts";

export interface Tally {
  readonly requests: readonly CountedRequests[];
  readonly durations: readonly DurationSeries[];
}

/** Requests with the same labels. */
export interface CountedRequests {
  readonly labels: Readonly<Record<"service" | "route" | "method" | "status", string>>;
  /** Why they count as errors; absent when they do not. */
  readonly error: string | undefined;
  count: number;
}

export interface Counter {
  observe(sample: RequestSample): void;
  readonly tally: Tally;
}

/** Requests that no route took are counted under this service and route. */
const NONE = "_none";
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
export const durationBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createCounter(): Counter {
  const kept = new Map<string, { readonly requests: CountedRequests; readonly durations: DurationSeries }>();
  const durations = new Map<string, DurationSeries>();

  function durationsOf(service: string, route: string): DurationSeries {
    const key = `${service}\n${route}`;
    const series = durations.get(key) ?? emptyDurations([service, route]);
    durations.set(key, series);
    return series;
  }

  function seriesOf({ service = NONE, route = NONE, method, status, error }: RequestSample) {
    const verb = METHODS.has(method) ? method : "_OTHER";
    const failed = status >= 500 || error === "cancelled";
    const key = `${service}\n${route}\n${verb}\n${status}\n${failed ? error : ""}`;
    let series = kept.get(key);
    if (!series) {
      const labels = { service, route, method: verb, status: String(status) };
      const requests = { labels, error: failed ? (error ?? "service-status") : undefined, count: 0 };
      series = { requests, durations: durationsOf(service, route) };
      kept.set(key, series);
    }
    return series;
  }

  return {
    observe(sample) {
      const series = seriesOf(sample);
      series.requests.count++;
      observeDuration(series.durations, durationBounds, sample.durationMs / 1000);
    },
    get tally() {
      return { requests: [...kept.values()].map(({ requests }) => requests), durations: [...durations.values()] };
    },
  };
}

/** What several have counted, as if one had. */
export function sumTallies(tallies: readonly Tally[]): Tally {
  const requests = new Map<string, CountedRequests>();
  const durations = new Map<string, DurationSeries>();
  for (const tally of tallies) {
    for (const { labels, error, count } of tally.requests) {
      const key = JSON.stringify([Object.values(labels), error]);
      const sum = requests.get(key) ?? { labels, error, count: 0 };
      sum.count += count;
      requests.set(key, sum);
    }
    for (const { labels, counts, sum: seconds } of tally.durations) {
      const key = labels.join("\n");
      const sum = durations.get(key) ?? emptyDurations(labels);
      sum.sum += seconds;
      for (const [bucket, count] of counts.entries()) sum.counts[bucket]! += count;
      durations.set(key, sum);
    }
  }
  return { requests: [...requests.values()], durations: [...durations.values()] };
}

export function countOf({ requests }: Tally): number {
  return requests.reduce((sum, { count }) => sum + count, 0);
}

function emptyDurations(labels: readonly string[]): DurationSeries {
  return { labels, counts: new Array<number>(durationBounds.length + 1).fill(0), sum: 0 };
}
