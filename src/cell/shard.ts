/**
 * The way of a call, stacked in this thread:
 *
 *     gateway ─▶ mesh ─▶ roster ─▶ host ─▶ component ─▶ grants ─▶ capability
 *                 ▲                                       │
 *                 └───── a call to another service ───────┘
 *
 * Shares nothing with other shards of its cell. Always true: routes, policies and services change in one
 * step, without waiting.
 */
import { getHeapStatistics } from "node:v8";
import { createMetering } from "../component/index.ts";
import { createGateway, createRouter, type Gateway, type GatewayOptions } from "../gateway/index.ts";
import { createHost } from "../host/index.ts";
import { CytoError, limits, type Service } from "../kernel/index.ts";
import { createMesh } from "../mesh/index.ts";
import { createAccessLog } from "../telemetry/access-log.ts";
import { createCounter } from "../telemetry/tally.ts";
import type { CellRecord } from "./contract.ts";
import { createFailureLog } from "./failure-log.ts";
import type { GrantParts } from "./grants.ts";
import type { App } from "./manifest/contract.ts";
import { createRoster, type NextRoster } from "./roster.ts";
import { policyOf, routesOf } from "./routes.ts";
import type { Release, Shard } from "./shard-contract.ts";

export type ShardParts = Omit<GrantParts, "mesh" | "metering">;

/** How much of V8's heap is used. */
function heapUse(): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  return used / limit;
}

export function createShard(parts: ShardParts): Shard {
  const { clock, random, sink } = parts;
  const failures = createFailureLog(sink, clock);
  const host = createHost({ clock, random });
  const counter = createCounter();
  const logAccess = createAccessLog((record) => sink(record as CellRecord), clock.now);

  const metering = createMetering({ monotonic: clock.cpu, wall: clock.monotonic, nextTurn: setImmediate, heapUse });

  let app: App | undefined;
  let mesh: Service;
  /** Stays the same door when the mesh behind it changes. */
  const entrance: Service = (call) => mesh(call);
  const roster = createRoster({ host, failures, grants: { ...parts, mesh: entrance, metering } });
  let next: { readonly app: App; readonly roster: NextRoster } | undefined;
  let gateway: Gateway | undefined;

  function take(): { readonly app: App; readonly roster: NextRoster } {
    if (next === undefined) throw new CytoError("internal", "Cannot change the app: nothing was prepared");
    const taken = next;
    next = undefined;
    return taken;
  }

  return {
    async prepare(release: Release) {
      // Refuses routes that conflict.
      createRouter(routesOf(release.app));
      next = { app: release.app, roster: await roster.prepare(release) };
    },
    async activate() {
      const taken = take();
      app = taken.app;
      gateway?.replace(routesOf(app), entrance);
      taken.roster.activate();
      mesh = createMesh({
        resolve: roster.resolve,
        policy: policyOf(app),
        clock,
        random,
        hops: app.limits.hops ?? limits.hops,
      });
    },
    discard: () => take().roster.discard(),
    async listen(options) {
      if (app === undefined) throw new CytoError("internal", "Cannot open the gateway: no app is active");
      gateway = await createGateway({
        routes: routesOf(app),
        next: entrance,
        clock,
        random,
        observe(access) {
          counter.observe(access);
          logAccess(failures.review(access));
        },
        options: { ...gatewayOptionsOf(app), ...options },
      });
      return gateway.address;
    },
    report: async () => ({ pools: host.status(), tally: counter.tally }),
    async close() {
      await gateway?.close();
      await roster.close();
    },
  };
}

function gatewayOptionsOf({ environment, limits: own }: App): Partial<GatewayOptions> {
  const { headerBytes, headerTimeoutMs, idleTimeoutMs } = { ...limits, ...own };
  // While developing, clients are told what went wrong.
  return { headerBytes, headerTimeoutMs, idleTimeoutMs, exposeErrors: environment === "local" };
}
