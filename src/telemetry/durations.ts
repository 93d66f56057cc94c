/**
 * A histogram that is cheap to add to: one array index a sample. prom-client finds its series by
 * hashing the labels for every sample, which costs more than all else that is counted; so this one
 * counts by itself, and prints Prometheus text when asked.
 */
export interface Durations {
  /** Made once for each set of labels, in the order of `labelNames`, and kept by the caller. */
  series(...labels: string[]): DurationSeries;
  text(): string;
}

export interface DurationSeries {
  observe(seconds: number): void;
}

export interface DurationsOptions {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Upper bounds, ascending; one without bound is added. */
  readonly bounds: readonly number[];
}

export function createDurations({ name, help, labelNames, bounds }: DurationsOptions): Durations {
  const all = new Map<string, { readonly counts: number[]; sum: number } & DurationSeries>();

  function print(
    labels: string,
    { counts, sum }: { readonly counts: readonly number[]; readonly sum: number },
  ): string {
    let total = 0;
    const buckets = counts.map((count, i) => {
      total += count;
      return `${name}_bucket{le="${bounds[i] ?? "+Inf"}",${labels}} ${total}\n`;
    });
    return `${buckets.join("")}${name}_sum{${labels}} ${sum}\n${name}_count{${labels}} ${total}\n`;
  }

  return {
    series(...values) {
      const labels = labelNames.map((label, i) => `${label}="${escaped(values[i]!)}"`).join(",");
      const known = all.get(labels);
      if (known !== undefined) return known;
      const series = {
        counts: new Array<number>(bounds.length + 1).fill(0),
        sum: 0,
        observe(seconds: number) {
          let bucket = 0;
          while (bucket < bounds.length && seconds > bounds[bucket]!) bucket++;
          series.counts[bucket]!++;
          series.sum += seconds;
        },
      };
      all.set(labels, series);
      return series;
    },
    text() {
      const series = [...all].map(([labels, one]) => print(labels, one));
      return `# HELP ${name} ${help}\n# TYPE ${name} histogram\n${series.join("")}`;
    },
  };
}

/** As a label's value is written between quotes. */
function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
