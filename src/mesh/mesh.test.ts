import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import {
  type Call,
  CytoError,
  createSimulatedClock,
  type ErrorCode,
  type Reply,
  type Service,
} from "../kernel/index.ts";
import type { CallPolicy } from "./contract.ts";
import { createMesh } from "./mesh.ts";

function callTo(service: string, changes: Partial<Call> = {}): Call {
  return {
    id: "r-1",
    service,
    method: "GET",
    url: `http://${service}/`,
    headers: [],
    deadlineMs: 1_000_000,
    hops: 0,
    signal: new AbortController().signal,
    ...changes,
  };
}

function meshOf(service: Service, policy: CallPolicy = {}) {
  const clock = createSimulatedClock();
  const random = { bytes: (length: number) => new Uint8Array(length).fill(128) };
  const mesh = createMesh({
    resolve: (name) => (name === "there" ? service : undefined),
    policy: () => policy,
    clock,
    random,
    hops: 4,
  });
  return { clock, mesh };
}

const refused = (code: ErrorCode) => (error: CytoError) => error instanceof CytoError && error.code === code;
const fine: Reply = { status: 200, headers: [] };

/** Lets promises settle and moves time on until `done` has settled. */
async function run<T>(clock: ReturnType<typeof createSimulatedClock>, done: Promise<T>): Promise<T> {
  let over = false;
  const mark = () => {
    over = true;
  };
  done.then(mark, mark);
  for (let i = 0; i < 5000 && !over; i++) {
    await turn();
    clock.advance(1);
  }
  return done;
}

describe("createMesh()", () => {
  test("reaches what is deployed and says what is not", async () => {
    const { mesh } = meshOf(async () => fine);
    assert.equal(await mesh(callTo("there")), fine);
    await assert.rejects(mesh(callTo("elsewhere")), refused("no-service"));
  });

  test("refuses a request that has passed through too many services", async () => {
    const { mesh } = meshOf(async () => fine);
    assert.equal(await mesh(callTo("there", { hops: 3 })), fine);
    await assert.rejects(mesh(callTo("there", { hops: 4 })), refused("call-loop"));
  });

  test("answers at the policy's time-out though the callee never does, and tells the callee", async () => {
    let signal: AbortSignal | undefined;
    const { clock, mesh } = meshOf(
      (call) => {
        signal = call.signal;
        return new Promise(() => {});
      },
      { timeoutMs: 100 },
    );
    await assert.rejects(run(clock, mesh(callTo("there"))), refused("deadline-exceeded"));
    assert.equal(signal!.aborted, true);
    assert.equal(clock.timers, 0);
  });

  test("never gives a call longer than its caller has", async () => {
    const seen: number[] = [];
    const { mesh } = meshOf(
      async (call) => {
        seen.push(call.deadlineMs);
        return fine;
      },
      { timeoutMs: 100 },
    );
    await mesh(callTo("there", { deadlineMs: 40 }));
    await mesh(callTo("there", { deadlineMs: 400 }));
    assert.deepEqual(seen, [40, 100]);
  });

  test("passes on that the caller has gone", async () => {
    const { mesh } = meshOf(() => new Promise(() => {}), { timeoutMs: 100 });
    const caller = new AbortController();
    const reply = mesh(callTo("there", { signal: caller.signal }));
    caller.abort(new CytoError("cancelled", "gone"));
    await assert.rejects(reply, refused("cancelled"));
  });

  test("repeats only what is safe and may help, as often as allowed, within the deadline", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("GET", "PUT", "DELETE", "POST", "PATCH"),
        fc.constantFrom<ErrorCode>("overloaded", "upstream-failed", "not-permitted", "service-failed"),
        fc.integer({ min: 1, max: 5 }),
        fc.nat({ max: 6 }),
        fc.constantFrom(undefined, new Uint8Array(3), (async function* () {})()),
        fc.constantFrom(20, 1_000_000),
        async (method, code, attempts, failures, body, deadlineMs) => {
          let tried = 0;
          const times: number[] = [];
          const { clock, mesh } = meshOf(
            async () => {
              times.push(clock.now());
              if (tried++ < failures) throw new CytoError(code, "not now");
              return fine;
            },
            { attempts },
          );
          const reply = mesh(callTo("there", { method, deadlineMs, ...(body && { body }) }));
          const outcome = await run(clock, reply).then(
            () => "answered",
            () => "failed",
          );
          const repeatable =
            method !== "POST" &&
            method !== "PATCH" &&
            (body === undefined || body instanceof Uint8Array) &&
            (code === "overloaded" || code === "upstream-failed");
          assert.ok(tried <= attempts);
          if (!repeatable) assert.equal(tried, 1);
          else if (deadlineMs === 1_000_000) assert.equal(tried, Math.min(attempts, failures + 1));
          assert.ok(times.every((at, i) => i === 0 || at < deadlineMs));
          assert.equal(outcome, failures < tried ? "answered" : "failed");
        },
      ),
      { numRuns: 100 },
    );
  });
});
