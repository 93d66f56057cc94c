/** A pool of real instances whose guest keeps state wherever it can: in fresh ones nobody sees any. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { parse } from "@bytecodealliance/jco";
import fc from "fast-check";
import { type Grants, load } from "../component/index.ts";
import { wasiImports } from "../component/wasi/standard.ts";
import { createHttpState, openHttpInstance } from "../component/world/http.ts";
import { type Call, createSimulatedClock, systemRandom } from "../kernel/index.ts";
import { lifetimeOf } from "./lifetime.ts";
import { createPool } from "./pool.ts";

/**
 * Answers with the status 200 + calls counted in memory + calls counted in a global + the handle of its
 * request, which it never drops.
 */
const keeper = (extra: string) => `
(component
  (import "wasi:http/types@0.2.3" (instance $http
    (export "fields" (type $fields (sub resource)))
    (export "incoming-request" (type $request (sub resource)))
    (export "outgoing-response" (type $response (sub resource)))
    (export "response-outparam" (type $outparam (sub resource)))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-response" (func (param "headers" (own $fields)) (result (own $response))))
    (export "[method]outgoing-response.set-status-code"
      (func (param "self" (borrow $response)) (param "status-code" u16) (result (result))))
    (export "[static]response-outparam.set"
      (func (param "param" (own $outparam)) (param "response" (result (own $response) (error u8)))))))
  (alias export $http "incoming-request" (type $request))
  (alias export $http "response-outparam" (type $outparam))
  (core func $fields (canon lower (func $http "[constructor]fields")))
  (core func $response (canon lower (func $http "[constructor]outgoing-response")))
  (core func $status (canon lower (func $http "[method]outgoing-response.set-status-code")))
  (core func $set (canon lower (func $http "[static]response-outparam.set")))
  (core module $m
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "response" (func $response (param i32) (result i32)))
    (import "host" "status" (func $status (param i32 i32) (result i32)))
    (import "host" "set" (func $set (param i32 i32 i32)))
    (memory 1) (global $calls (mut i32) (i32.const 0)) ${extra}
    (func (export "handle") (param $request i32) (param $out i32) (local $answer i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (i32.const 1)))
      (local.set $answer (call $response (call $fields)))
      (drop (call $status (local.get $answer)
        (i32.add (i32.const 200)
          (i32.add (local.get $request) (i32.add (global.get $calls) (i32.load (i32.const 64)))))))
      (call $set (local.get $out) (i32.const 0) (local.get $answer))))
  (core instance $i (instantiate $m (with "host" (instance (export "fields" (func $fields))
    (export "response" (func $response)) (export "status" (func $status)) (export "set" (func $set))))))
  (type $handle (func (param "request" (own $request)) (param "response-out" (own $outparam))))
  (func $handle (type $handle) (canon lift (core func $i "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $handler)))
`;

const denied = async (): Promise<never> => {
  throw new Error("nothing is granted");
};
const clock = createSimulatedClock();
const grants: Grants = {
  service: "keeper",
  clock,
  random: systemRandom,
  keyvalue: {},
  config: {},
  secret: denied,
  fetch: denied,
  invoke: denied,
  log: () => {},
  directories: [],
  environment: [],
  args: [],
};

async function poolOf(extra: string, policy: "warm" | "fresh") {
  const component = await load(await parse(keeper(extra)), { reset: policy === "fresh" });
  return createPool(
    {
      service: "keeper",
      digest: component.digest,
      async instantiate() {
        const state = createHttpState(grants);
        return openHttpInstance(component.instantiate(wasiImports(grants, state)), state);
      },
      instances: 4,
      concurrency: 1,
      queue: 64,
      lifetime: lifetimeOf({ policy }),
    },
    { clock, random: systemRandom },
  );
}

function callOf(id: number): Call {
  const { signal } = new AbortController();
  const url = "http://keeper.internal/";
  return { id: String(id), service: "keeper", method: "GET", url, headers: [], deadlineMs: 1e9, hops: 0, signal };
}

/** Bursts of calls, with idle time between some of them. */
const bursts = fc.array(fc.record({ calls: fc.nat(12), idle: fc.boolean() }), { maxLength: 12 });

for (const [how, extra] of [
  ["reset", ""],
  ["made anew, as the component cannot be reset", "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))"],
] as const) {
  test(`fresh: no request sees what another left in memory, globals or handles; instances are ${how}`, async () => {
    const pool = await poolOf(extra, "fresh");
    await pool.warm();
    const [first] = await Promise.all([pool.handle(callOf(0))]);
    await fc.assert(
      fc.asyncProperty(bursts, async (sizes) => {
        for (const { calls, idle } of sizes) {
          const replies = await Promise.all(Array.from({ length: calls }, (_, id) => pool.handle(callOf(id))));
          for (const { status } of replies) assert.equal(status, first?.status);
          if (idle) clock.advance(1);
          await turn();
        }
      }),
      { numRuns: 30 },
    );
    const { calls, reset, started } = pool.status;
    assert.equal(reset > 0, extra === "");
    if (extra === "") assert.ok(started <= 4);
    else assert.ok(started >= calls);
    await pool.drain();
  });
}

test("warm: the same guest shows that its state is there to be seen", async () => {
  const pool = await poolOf("", "warm");
  const statuses = [];
  for (let id = 0; id < 3; id++) statuses.push((await pool.handle(callOf(id))).status);
  assert.equal(new Set(statuses).size, 3);
  await pool.drain();
});
