/**
 * The services deployed on this host, each by its name a pool. A new version of a service is made
 * ready beside the old one, takes its name in one step, and the old one drains.
 *
 * Always true: at most one timer sweeps all services, and none while nothing in them can grow old;
 * instances of all of them start in turn; one that finds no memory is tried once more after every
 * idle instance of the host was let go.
 */
import { type Clock, CytoError, type Random, type Service } from "../kernel/index.ts";
import type { Deployment, Host, Pool, PoolStatus, Standby } from "./contract.ts";
import { createPool, type PoolParts } from "./pool.ts";
import { createStarts, type Starts } from "./starts.ts";

export interface HostParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly drainTimeoutMs?: number;
}

export function createHost({ clock, random, drainTimeoutMs }: HostParts): Host {
  const pools = new Map<string, Pool>();
  const inTurn = createStarts(clock);
  let timer: Disposable | undefined;
  let sweepAtMs = Number.POSITIVE_INFINITY;
  let closed = false;

  function sweepWithin(delayMs: number): void {
    const atMs = clock.monotonic() + delayMs;
    if (closed || atMs >= sweepAtMs) return;
    timer?.[Symbol.dispose]();
    sweepAtMs = atMs;
    timer = clock.after(delayMs, sweep);
  }

  function sweep(): void {
    timer = undefined;
    sweepAtMs = Number.POSITIVE_INFINITY;
    for (const pool of pools.values()) sweepWithin(pool.sweep() ?? Number.POSITIVE_INFINITY);
  }

  async function startRelieved<T>(start: () => Promise<T>): Promise<T> {
    try {
      return await start();
    } catch (thrown) {
      // What V8 throws when it has no memory or address space for another instance.
      if (!(thrown instanceof RangeError)) throw thrown;
      const shed = [...pools.values()].filter((pool) => pool.shed());
      if (shed.length === 0) throw thrown;
      await new Promise<void>((resolve) => void clock.after(0, resolve));
      return start();
    }
  }
  const starts: Starts = (start) => inTurn(() => startRelieved(start));

  const poolParts: PoolParts = {
    clock,
    random,
    starts,
    onStart: sweepWithin,
    ...(drainTimeoutMs !== undefined && { drainTimeoutMs }),
  };

  async function prepare(deployment: Deployment): Promise<Standby> {
    const pool = createPool(deployment, poolParts);
    await pool.warm();
    return {
      async activate() {
        const predecessor = pools.get(deployment.service);
        pools.set(deployment.service, pool);
        sweepWithin(deployment.lifetime.idleMs);
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
