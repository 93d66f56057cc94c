import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type Call, CytoError, createSimulatedClock, systemRandom } from "../kernel/index.ts";
import type { Deployment, Lifetime } from "./contract.ts";
import { createHost } from "./host.ts";
import { lifetimeOf } from "./lifetime.ts";
import { createSimulatedInstance, type SimulatedInstance } from "./simulation.ts";

function createBench() {
  const clock = createSimulatedClock();
  const instances: SimulatedInstance[] = [];
  const host = createHost({ clock, random: systemRandom });
  /** How many instances fit into memory. */
  const bench = { room: Number.POSITIVE_INFINITY };
  const deployment = (service: string, digest: string, declared: Partial<Lifetime> = {}): Deployment => ({
    service,
    digest,
    instances: 2,
    concurrency: 1,
    queue: 2,
    lifetime: lifetimeOf({ idleMs: 1000, ...declared }),
    async instantiate() {
      if (instances.filter(({ disposed }) => disposed === 0).length >= bench.room) {
        throw new RangeError("WebAssembly.Instance(): Out of memory");
      }
      if (digest === "bad") throw new CytoError("invalid-component", "Cannot run it: it traps");
      const instance = createSimulatedInstance(clock, 1);
      instances.push(instance);
      return instance;
    },
  });
  const call = (service: string, lasts = 0): Call => ({
    id: "1",
    service,
    method: "GET",
    url: `http://${service}.internal/`,
    headers: [["lasts", String(lasts)]],
    deadlineMs: 1_000_000,
    hops: 0,
    signal: new AbortController().signal,
  });
  return Object.assign(bench, { clock, instances, host, deployment, call });
}

describe("createHost()", () => {
  test("refuses a call to a service that is not deployed", async () => {
    const { host, call } = createBench();
    await assert.rejects(
      host.handle(call("nobody")),
      (error: unknown) => error instanceof CytoError && error.code === "no-service",
    );
  });

  test("gives new calls to the new version at once while the old one finishes its own", async () => {
    const { host, call, deployment, clock, instances } = createBench();
    await host.deploy(deployment("catalog", "one"));
    const old = host.handle(call("catalog", 10));
    const standby = await host.prepare(deployment("catalog", "two"));
    const retired = standby.activate();
    const young = host.handle(call("catalog", 5));
    assert.equal(host.status()[0]?.digest, "two");
    clock.advance(5);
    assert.equal((await young).status, 200);
    assert.equal(instances[0]?.disposed, 0);
    clock.advance(5);
    assert.equal((await old).status, 200);
    await retired;
    assert.deepEqual(
      instances.map((instance) => [instance.calls.length, instance.disposed]),
      [
        [1, 1],
        [1, 0],
      ],
    );
    await host.close();
  });

  test("keeps the old version when the new one cannot start", async () => {
    const { host, call, deployment, clock } = createBench();
    await host.deploy(deployment("catalog", "one"));
    await assert.rejects(host.deploy(deployment("catalog", "bad")), /Cannot run it: it traps/);
    const reply = host.handle(call("catalog"));
    clock.advance(0);
    assert.equal((await reply).status, 200);
    await host.close();
  });

  test("lets every idle instance go and then has no timer", async () => {
    const { host, deployment, clock, instances } = createBench();
    await host.deploy(deployment("catalog", "one"));
    await host.deploy(deployment("cart", "one"));
    assert.equal(clock.timers, 1);
    for (let sweep = 0; sweep < 3; sweep++) {
      clock.advance(1000);
      await turn();
    }
    assert.ok(instances.every((instance) => instance.disposed === 1));
    assert.equal(clock.timers, 0);
    await host.close();
  });

  test("keeps a pinned instance, with no timer for it", async () => {
    const { host, deployment, clock, instances } = createBench();
    await host.deploy(deployment("cart", "one", { policy: "pinned" }));
    clock.advance(1_000_000_000);
    await turn();
    assert.equal(instances[0]?.disposed, 0);
    assert.equal(clock.timers, 0);
    await host.close();
  });

  test("lets idle instances of others go where memory is short, and starts then", async () => {
    const bench = createBench();
    const { host, deployment, call, clock, instances } = bench;
    await host.deploy(deployment("catalog", "one"));
    await host.deploy(deployment("cart", "one", { policy: "pinned" }));
    bench.room = 2;
    const deployed = host.deploy(deployment("search", "one"));
    await turn();
    clock.advance(0);
    await deployed;
    assert.deepEqual(
      instances.map(({ disposed }) => disposed),
      [1, 0, 0],
    );
    const reply = host.handle(call("search"));
    clock.advance(0);
    assert.equal((await reply).status, 200);
    const busy = host.handle(call("search", 50));
    await assert.rejects(host.deploy(deployment("mail", "one")), /Out of memory/);
    clock.advance(50);
    assert.equal((await busy).status, 200);
    await host.close();
  });

  test("undeploy() drains the service and forgets its name", async () => {
    const { host, call, deployment } = createBench();
    await host.deploy(deployment("catalog", "one"));
    await host.undeploy("catalog");
    await assert.rejects(host.handle(call("catalog")), /no service of that name/);
    assert.deepEqual(host.status(), []);
  });
});
