import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MessageChannel } from "node:worker_threads";
import { CytoError } from "../kernel/index.ts";
import { createLink, type Link, type Port } from "./link.ts";

interface Sums {
  add(a: number, b: number): number;
  fail(code: "overloaded" | "internal"): Promise<never>;
  never(): Promise<void>;
}

const sums: Sums = {
  add: (a, b) => a + b,
  fail: async (code) => {
    if (code === "internal") throw new TypeError("undefined is no function");
    throw new CytoError(code, "Cannot call cart: it is busy", {
      hint: "Call less often.",
      retryAfterS: 3,
      cause: new RangeError("too many"),
    });
  },
  never: () => new Promise(() => {}),
};

interface Trial extends Disposable {
  readonly client: Link<Sums>;
  /** How many messages the client has posted. */
  readonly posted: () => number;
}

function connect(): Trial {
  const { port1, port2 } = new MessageChannel();
  createLink<object, Sums>(port2, sums);
  let count = 0;
  const counted: Port = {
    postMessage(message) {
      count++;
      port1.postMessage(message);
    },
    on: (event, listener) => port1.on(event, listener),
  };
  const client = createLink<Sums, object>(counted, {});
  return { client, posted: () => count, [Symbol.dispose]: () => port1.close() };
}

describe("createLink()", () => {
  test("answers each question with its own answer", async () => {
    using trial = connect();
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => trial.client.ask("add", i, 1)));
    assert.deepEqual(
      answers,
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
    assert.equal(trial.posted(), 1, "what is asked in one turn is one message");
    assert.equal(await trial.client.ask("add", 1, 1), 2);
    assert.equal(trial.posted(), 2);
  });

  test("carries an error over with its code, hint, retry and cause", async () => {
    using trial = connect();
    await assert.rejects(trial.client.ask("fail", "overloaded"), (error: unknown) => {
      assert.ok(error instanceof CytoError);
      const { code, message, hint, retry, retryAfterS, cause } = error;
      assert.deepEqual(
        { code, message, hint, retry, retryAfterS },
        {
          code: "overloaded",
          message: "Cannot call cart: it is busy",
          hint: "Call less often.",
          retry: "elsewhere",
          retryAfterS: 3,
        },
      );
      assert.ok(cause instanceof Error);
      assert.equal(cause.message, "too many");
      assert.match(cause.stack ?? "", /link\.test\.ts/, "where it happened");
      return true;
    });
    await assert.rejects(trial.client.ask("fail", "internal"), {
      name: "CytoError",
      code: "internal",
      message: "undefined is no function",
    });
  });

  test("says so when it is asked what the other does not know", async () => {
    using trial = connect();
    await assert.rejects(trial.client.ask("subtract" as "add", 1, 1), { code: "internal" });
  });

  test("close() fails what waits, and what is asked after it", async () => {
    using trial = connect();
    const waiting = trial.client.ask("never");
    const reason = new CytoError("draining", "Cannot ask: it has gone");
    trial.client.close(reason);
    await assert.rejects(waiting, reason);
    await assert.rejects(trial.client.ask("add", 1, 1), reason);
  });
});
