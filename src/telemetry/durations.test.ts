import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Histogram, Registry } from "prom-client";
import { type DurationSeries, observeDuration, printDurations } from "./durations.ts";

test("printDurations() prints what prom-client's histogram prints", async () => {
  const route = fc.constantFrom("GET /a", "GET /{x}", 'odd "\\\n route');
  const seconds = fc.oneof(fc.constantFrom(0, 0.1, 1, 5), fc.double({ min: 0, max: 20, noNaN: true }));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(route, seconds), { maxLength: 30 }), async (samples) => {
      const shape = { name: "took_seconds", help: "How long.", labelNames: ["route"] };
      const registry = new Registry();
      const theirs = new Histogram({ ...shape, buckets: [0.1, 1, 5], registers: [registry] });
      const bounds = [0.1, 1, 5];
      const ours = new Map<string, DurationSeries>();
      for (const [label, value] of samples) {
        theirs.observe({ route: label }, value);
        const series = ours.get(label) ?? { labels: [label], counts: [0, 0, 0, 0], sum: 0 };
        ours.set(label, series);
        observeDuration(series, bounds, value);
      }
      const text = printDurations({ ...shape, bounds }, [...ours.values()]);
      assert.equal(text.trim(), (await registry.metrics()).trim());
    }),
  );
});
