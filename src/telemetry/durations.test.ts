import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Histogram, Registry } from "prom-client";
import { createDurations } from "./durations.ts";

test("createDurations() prints what prom-client's histogram prints", async () => {
  const route = fc.constantFrom("GET /a", "GET /{x}", 'odd "\\\n route');
  const seconds = fc.oneof(fc.constantFrom(0, 0.1, 1, 5), fc.double({ min: 0, max: 20, noNaN: true }));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(route, seconds), { maxLength: 30 }), async (samples) => {
      const shape = { name: "took_seconds", help: "How long.", labelNames: ["route"] };
      const registry = new Registry();
      const theirs = new Histogram({ ...shape, buckets: [0.1, 1, 5], registers: [registry] });
      const ours = createDurations({ ...shape, bounds: [0.1, 1, 5] });
      for (const [label, value] of samples) {
        theirs.observe({ route: label }, value);
        ours.series(label).observe(value);
      }
      assert.equal(ours.text().trim(), (await registry.metrics()).trim());
    }),
  );
});
