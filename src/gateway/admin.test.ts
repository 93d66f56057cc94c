import assert from "node:assert/strict";
import { test } from "node:test";
import { request } from "undici";
import { systemClock, systemRandom } from "../kernel/index.ts";
import { openAdmin } from "./admin.ts";
import type { AdminParts } from "./contract.ts";

async function open(parts: Partial<AdminParts> = {}) {
  const admin = await openAdmin({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    random: systemRandom,
    metrics: async () => ({ contentType: "text/plain; version=0.0.4", text: "trial 1\n" }),
    unready: () => undefined,
    ...parts,
  });
  return { adminAddress: admin.address, [Symbol.asyncDispose]: () => admin.close() };
}

async function get(url: string, method: "GET" | "HEAD" | "POST" = "GET") {
  const { statusCode, headers, body } = await request(url, { method });
  return { statusCode, headers, text: await body.text() };
}

test("the admin port tells health, readiness with its reason, and metrics", async () => {
  let reason: string | undefined = "building catalog";
  await using admin = await open({ unready: () => reason });
  const { adminAddress } = admin;
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
});

test("the admin port refuses other pages and methods, and survives metrics that fail", async () => {
  const metrics = () => Promise.reject(new Error("no numbers today"));
  await using admin = await open({ metrics });
  const { adminAddress } = admin;
  const missing = await get(`${adminAddress}/hello`);
  assert.equal(missing.statusCode, 404);
  assert.match(JSON.parse(missing.text).hint, /\/healthz, \/readyz, \/metrics/);
  const wrong = await get(`${adminAddress}/readyz`, "POST");
  assert.deepEqual([wrong.statusCode, wrong.headers.allow], [405, "GET, HEAD"]);
  const failed = await get(`${adminAddress}/metrics`);
  assert.equal(failed.statusCode, 500);
  assert.equal(JSON.parse(failed.text).detail, "no numbers today");
});

test("the admin port says when it is in use", async () => {
  await using admin = await open();
  const port = Number(new URL(admin.adminAddress).port);
  await assert.rejects(open({ port }), {
    code: "cannot-listen",
    message: `Cannot open the admin port on 127.0.0.1 port ${port}: another process listens there`,
  });
});
