import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { createSimulatedClock } from "../kernel/index.ts";
import type { LogRecord, MetricsSource, RequestSample } from "./index.ts";
import { createAccessLog, createCounter, createMetrics, openLogFile } from "./index.ts";

function sample(changes: Partial<RequestSample> = {}): RequestSample {
  return {
    requestId: "r-1",
    traceparent: "00-1-2-01",
    method: "GET",
    path: "/products/7",
    host: "shop",
    route: "GET /products/{sku}",
    service: "catalog",
    status: 200,
    error: undefined,
    failure: undefined,
    durationMs: 3,
    bytesIn: 0,
    bytesOut: 12,
    remoteAddress: "127.0.0.1",
    ...changes,
  };
}

function source(changes: Partial<MetricsSource> = {}): MetricsSource {
  return { tallies: [], pools: [], shards: 1, deaths: 0, ...changes };
}

describe("createMetrics()", () => {
  test("counts requests, errors and durations per service and route", async () => {
    const counter = createCounter();
    const metrics = createMetrics(async () => source({ tallies: [counter.tally] }));
    counter.observe(sample());
    counter.observe(sample());
    counter.observe(sample({ status: 503, error: "overloaded" }));
    const { text, contentType } = await metrics.expose();
    assert.match(contentType, /^text\/plain/);
    const labels = 'service="catalog",route="GET /products/{sku}"';
    assert.ok(text.includes(`http_server_requests_total{${labels},method="GET",status="200"} 2`));
    assert.ok(text.includes(`http_server_requests_total{${labels},method="GET",status="503"} 1`));
    assert.ok(text.includes(`http_server_errors_total{${labels},error="overloaded"} 1`));
    assert.ok(text.includes(`http_server_request_duration_seconds_count{${labels}} 3`));
    assert.ok(text.includes(`http_server_request_duration_seconds_bucket{le="0.005",${labels}} 3`));
  });

  test("never takes a label from what a client sends", async () => {
    const counter = createCounter();
    const metrics = createMetrics(async () => source({ tallies: [counter.tally] }));
    for (let i = 0; i < 50; i++) {
      const path = `/made/up/${i}`;
      counter.observe(
        sample({ method: `M${i}`, path, host: `h${i}`, route: undefined, service: undefined, status: 404 }),
      );
    }
    const { text } = await metrics.expose();
    const lines = text.split("\n").filter((line) => line.startsWith("http_server_requests_total{"));
    assert.deepEqual(lines, [
      'http_server_requests_total{service="_none",route="_none",method="_OTHER",status="404"} 50',
    ]);
  });

  test("asks the pools at each scrape", async () => {
    const levels = { instances: 2, ready: 1, active: 3, queued: 1, memoryBytes: 65_536 };
    const counts = { calls: 9, started: 4, failed: 1, reset: 5, evicted: 1, retired: 2, traps: 0 };
    const pool = { service: "cart", ...levels, ...counts };
    const pools = [pool];
    const metrics = createMetrics(async () => source({ pools }));
    const first = (await metrics.expose()).text;
    for (const line of ['cytoplane_instances{service="cart"} 2', 'cytoplane_instances_reset_total{service="cart"} 5']) {
      assert.ok(first.includes(line), line);
    }
    pools[0] = { ...pool, service: "checkout", instances: 1 };
    const { text } = await metrics.expose();
    assert.ok(text.includes('cytoplane_instances{service="checkout"} 1') && !text.includes('{service="cart"}'));
  });
});

describe("metrics of several shards", () => {
  test("are those of one that had served it all, and tell how the work was spread", async () => {
    const outcome = fc.record({
      service: fc.constantFrom("catalog", "cart"),
      status: fc.constantFrom(200, 404, 503),
      // Eighths of a second, which add up exactly in any order.
      durationMs: fc.nat(320).map((eighths) => eighths * 125),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(2), outcome), { maxLength: 40 }), async (samples) => {
        const whole = createCounter();
        const shards = [createCounter(), createCounter(), createCounter()];
        for (const [shard, changes] of samples) {
          whole.observe(sample(changes));
          shards[shard]!.observe(sample(changes));
        }
        // As they come from another thread.
        const tallies = shards.map(({ tally }) => structuredClone(tally));
        const served = async (source: MetricsSource) => {
          const { text } = await createMetrics(async () => source).expose();
          return text
            .split("\n")
            .filter((line) => line.startsWith("http_server"))
            .sort();
        };
        assert.deepEqual(await served(source({ tallies })), await served(source({ tallies: [whole.tally] })));
        const { text } = await createMetrics(async () => source({ tallies, shards: 2, deaths: 1 })).expose();
        for (const [shard, { length }] of [0, 1, 2].map((i) => [i, samples.filter(([s]) => s === i)] as const)) {
          assert.ok(text.includes(`cytoplane_shard_requests_total{shard="${shard}"} ${length}\n`));
        }
        assert.match(text, /^cytoplane_shards 2$/m);
        assert.match(text, /^cytoplane_shard_deaths_total 1$/m);
      }),
      { numRuns: 25 },
    );
  });
});

describe("createAccessLog()", () => {
  test("writes a line a request, with the reason of a failure", () => {
    const records: LogRecord[] = [];
    const log = createAccessLog(
      (record) => records.push(record),
      () => 5,
    );
    log(sample());
    log(sample({ status: 502, error: "no-reply", failure: new Error("it waits for nothing") }));
    assert.deepEqual(
      records.map(({ time, level, status, error, detail }) => [time, level, status, error, detail]),
      [
        [5, "info", 200, undefined, undefined],
        [5, "error", 502, "no-reply", "it waits for nothing"],
      ],
    );
  });
});

describe("openLogFile()", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "cyto-log-"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const record = (n: number): LogRecord => ({ time: n, level: "info", message: `line ${n}` });

  test("has every line when it is closed, and goes on where it was", async () => {
    const file = join(directory, "logs", "app.jsonl");
    for (const from of [0, 100]) {
      await using log = openLogFile(file);
      for (let i = 0; i < 100; i++) log.write(record(from + i));
    }
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).time),
      Array.from({ length: 200 }, (_, i) => i),
    );
  });

  test("begins a new file when the old has grown too long, and keeps one", async () => {
    const file = join(directory, "app.jsonl");
    for (let session = 0; session < 8; session++) {
      await using log = openLogFile(file, { fileBytes: 500 });
      for (let i = 0; i < 5; i++) log.write(record(session * 5 + i));
    }
    const kept = [`${file}.1`, file].flatMap((name) => readFileSync(name, "utf8").trimEnd().split("\n"));
    assert.ok(statSync(file).size < 1000 && statSync(`${file}.1`).size < 1000);
    const times = kept.map((line) => JSON.parse(line).time as number);
    assert.deepEqual(
      times,
      Array.from({ length: times.length }, (_, i) => 40 - times.length + i),
    );
  });

  test("drops and counts what the disk is too slow for", async () => {
    const file = join(directory, "app.jsonl");
    const message = "x".repeat(1000);
    const log = openLogFile(file, { bufferBytes: 100_000 });
    for (let i = 0; i < 1000; i++) log.write({ ...record(i), message });
    await log[Symbol.asyncDispose]();
    const kept = readFileSync(file, "utf8").trimEnd().split("\n").length;
    assert.ok(log.dropped > 0);
    assert.equal(kept + log.dropped, 1000);
  });

  test("writes what was gathered after a moment, and keeps no timer then", async () => {
    const clock = createSimulatedClock();
    const file = join(directory, "app.jsonl");
    await using log = openLogFile(file, { clock });
    log.write(record(1));
    log.write(record(2));
    assert.equal(clock.timers, 1);
    const seen = new Promise<void>((resolve) => {
      const watcher = watch(directory, () => {
        if (statSync(file, { throwIfNoEntry: false })?.size) {
          watcher.close();
          resolve();
        }
      });
    });
    clock.advance(50);
    assert.equal(clock.timers, 0);
    await seen;
    assert.equal(readFileSync(file, "utf8").split("\n").length, 3);
  });
});
