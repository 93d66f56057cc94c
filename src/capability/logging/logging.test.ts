import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Call, systemClock } from "../../kernel/index.ts";
import { createLogging, type LoggingOptions, type LogRecord } from "./logging.ts";

describe("logging", () => {
  test("ties a line to its service and its call", () => {
    const { log, records } = create();
    log("warn", "cart", "low stock", call);
    log("info", "", "started", undefined);
    assert.deepEqual(records, [
      {
        time: 7,
        level: "warn",
        service: "shop",
        requestId: "id-1",
        traceparent: "00-1-2-01",
        context: "cart",
        message: "low stock",
      },
      { time: 7, level: "info", service: "shop", context: "", message: "started" },
    ]);
  });

  test("makes one line of whatever a guest writes", () => {
    const { log, records } = create();
    log("info", "a\nb", 'x\r\n{"level":"error"}\t\u001b[31mred\u0000\u0085\u2028é🔑', undefined);
    assert.equal(records[0]?.context, "a\\nb");
    assert.equal(records[0]?.message, 'x\\r\\n{"level":"error"}\\t\\u001b[31mred\\u0000\\u0085\\u2028é🔑');
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        log("info", text, text, undefined);
        const { context, message } = records.at(-1) ?? { context: "\n", message: "\n" };
        return !/[\p{Cc}\u2028\u2029]/u.test(context + message);
      }),
    );
  });

  test("bounds a line, and says how much it left out", () => {
    const { log, records } = create({ messageLength: 10 });
    log("info", "c".repeat(1000), "0123456789abc", undefined);
    assert.equal(records[0]?.message, "0123456789… (3 more)");
    assert.equal(records[0]?.context, `${"c".repeat(256)}… (744 more)`);
    log("info", "", "012345678🔑", undefined);
    assert.ok(records[1]?.message.isWellFormed());
  });

  test("takes secrets out before it cuts", () => {
    const reword = (text: string) => text.replaceAll("hunter2\nsecret", "[secret]");
    const { log, records } = create({ reword, messageLength: 20 });
    log("info", "at hunter2\nsecret", "the password is hunter2\nsecret", undefined);
    assert.deepEqual([records[0]?.context, records[0]?.message], ["at [secret]", "the password is [sec… (4 more)"]);
  });
});

const call: Call = {
  id: "id-1",
  service: "shop",
  method: "GET",
  url: "http://shop/",
  headers: [["traceparent", "00-1-2-01"]],
  deadlineMs: 0,
  hops: 0,
  signal: new AbortController().signal,
};

function create(options: Partial<LoggingOptions> = {}) {
  const records: LogRecord[] = [];
  const clock = { ...systemClock, now: () => 7 };
  const log = createLogging({ service: "shop", clock, sink: (record) => void records.push(record), ...options });
  return { log, records };
}
