import assert from "node:assert/strict";
import { test } from "node:test";
import { request } from "undici";
import { startTrial, textReply } from "./trial.ts";

const hello = async () => textReply("hello");

async function get(url: string, method: "GET" | "HEAD" | "POST" = "GET") {
  const { statusCode, headers, body } = await request(url, { method });
  return { statusCode, headers, text: await body.text() };
}

test("the admin port tells health, readiness with its reason, and metrics; the gateway's port does not", async () => {
  let reason: string | undefined = "building catalog";
  await using trial = await startTrial(hello, undefined, {}, { unready: () => reason });
  const { adminAddress } = trial.gateway;
  assert.deepEqual(JSON.parse((await get(`${adminAddress}/healthz`)).text), { status: "ok" });
  const unready = await get(`${adminAddress}/readyz`);
  assert.equal(unready.statusCode, 503);
  assert.deepEqual(JSON.parse(unready.text), { status: "unready", reason: "building catalog" });
  reason = undefined;
  assert.equal((await get(`${adminAddress}/readyz?verbose`)).statusCode, 200);
  const metrics = await get(`${adminAddress}/metrics`);
  assert.equal(metrics.text, "trial 1\n");
  assert.match(String(metrics.headers["content-type"]), /version=0.0.4/);
  const head = await get(`${adminAddress}/healthz`, "HEAD");
  assert.deepEqual([head.statusCode, head.text], [200, ""]);
  for (const page of ["/healthz", "/readyz", "/metrics"]) assert.equal((await get(trial.url + page)).statusCode, 404);
});

test("the admin port refuses other pages and methods, and survives metrics that fail", async () => {
  const metrics = () => Promise.reject(new Error("no numbers today"));
  await using trial = await startTrial(hello, undefined, {}, { metrics });
  const { adminAddress } = trial.gateway;
  const missing = await get(`${adminAddress}/hello`);
  assert.equal(missing.statusCode, 404);
  assert.match(JSON.parse(missing.text).hint, /\/healthz, \/readyz, \/metrics/);
  const wrong = await get(`${adminAddress}/readyz`, "POST");
  assert.deepEqual([wrong.statusCode, wrong.headers.allow], [405, "GET, HEAD"]);
  const failed = await get(`${adminAddress}/metrics`);
  assert.equal(failed.statusCode, 500);
  assert.equal(JSON.parse(failed.text).detail, "no numbers today");
});
