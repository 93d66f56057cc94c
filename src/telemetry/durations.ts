/**
 * A histogram that is cheap to add to: one array index a sample. prom-client finds its series by
 * hashing the labels for every sample, which costs more than all else that is counted; so this one
 * is plain numbers, which its owner keeps, and is printed as Prometheus text when asked.
 */
export interface DurationSeries {
  /** In the order of the histogram's `labelNames`. */
  readonly labels: readonly string[];
  /** Samples by bucket: one for each bound, and one beyond. */
  readonly counts: number[];
  sum: number;
}

export interface DurationsShape {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** Upper bounds, ascending; one without bound is added. */
  readonly bounds: readonly number[];
}

export function observeDuration(series: DurationSeries, bounds: readonly number[], seconds: number): void {
  let bucket = 0;
  while (bucket < bounds.length && seconds > bounds[bucket]!) bucket++;
  series.counts[bucket]!++;
  series.sum += seconds;
}

export function printDurations(
  { name, help, labelNames, bounds }: DurationsShape,
  all: readonly DurationSeries[],
): string {
  const print = ({ labels: values, counts, sum }: DurationSeries): string => {
    const labels = labelNames.map((label, i) => `${label}="${escaped(values[i]!)}"`).join(",");
    let total = 0;
    const buckets = counts.map((count, i) => {
      total += count;
      return `${name}_bucket{le="${bounds[i] ?? "+Inf"}",${labels}} ${total}\n`;
    });
    return `${buckets.join("")}${name}_sum{${labels}} ${sum}\n${name}_count{${labels}} ${total}\n`;
  };
  return `# HELP ${name} ${help}\n# TYPE ${name} histogram\n${all.map(print).join("")}`;
}

/** As a label's value is written between quotes. */
function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
