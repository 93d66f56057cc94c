/**
 * The services deployed on this host, each by its name a pool. A new version of a service is made
 * ready beside the old one, takes its name in one step, and the old one drains.
 *
 * Always true: at most one timer for all services, and none while no instance lives.
 */
import { type Clock, CytoError, type Service } from "../kernel/index.ts";
import type { Deployment, Host, Pool, PoolStatus, Standby } from "./contract.ts";
import { createPool, type PoolParts } from "./pool.ts";

export interface HostParts {
  readonly clock: Clock;
  /** An instance that took no call for this long, at most twice as long, is let go. */
  readonly idleMs?: number;
  readonly drainTimeoutMs?: number;
}

const idleMsDefault = 60_000;

export function createHost({ clock, idleMs = idleMsDefault, drainTimeoutMs }: HostParts): Host {
  const pools = new Map<string, Pool>();
  let timer: Disposable | undefined;
  let closed = false;

  function sweepLater(): void {
    if (closed) return;
    timer ??= clock.after(idleMs, () => {
      timer = undefined;
      let alive = false;
      for (const pool of pools.values()) if (pool.sweep()) alive = true;
      if (alive) sweepLater();
    });
  }

  const poolParts: PoolParts = {
    clock,
    onStart: sweepLater,
    ...(drainTimeoutMs !== undefined && { drainTimeoutMs }),
  };

  async function prepare(deployment: Deployment): Promise<Standby> {
    const pool = createPool(deployment, poolParts);
    await pool.warm();
    return {
      async activate() {
        const predecessor = pools.get(deployment.service);
        pools.set(deployment.service, pool);
        sweepLater();
        await predecessor?.drain();
      },
      discard: () => pool.drain(),
    };
  }

  const resolve = (service: string): Service | undefined => pools.get(service)?.handle;

  return {
    handle(call) {
      const door = resolve(call.service);
      if (door !== undefined) return door(call);
      return Promise.reject(
        new CytoError("no-service", `Cannot call ${call.service}: no service of that name is deployed here`),
      );
    },
    resolve,
    prepare,
    async deploy(deployment) {
      const standby = await prepare(deployment);
      void standby.activate();
    },
    async undeploy(service) {
      const pool = pools.get(service);
      pools.delete(service);
      await pool?.drain();
    },
    status: (): readonly PoolStatus[] => [...pools.values()].map((pool) => pool.status),
    async close() {
      closed = true;
      const drained = [...pools.values()].map((pool) => pool.drain());
      await Promise.all(drained);
      timer?.[Symbol.dispose]();
      timer = undefined;
      pools.clear();
    },
  };
}
