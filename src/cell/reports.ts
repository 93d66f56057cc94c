/**
 * What the shards of a cell tell, added up.
 *
 * Counters never go back: what a shard that died had told last stays counted, and one that is too busy to
 * answer in time counts as it told last.
 */
import type { PoolStatus } from "../host/index.ts";
import type { Clock } from "../kernel/index.ts";
import { sumTallies, type Tally } from "../telemetry/index.ts";
import type { Crew } from "./crew.ts";
import type { ShardDoor, ShardReport } from "./shard-contract.ts";

export interface Reports {
  /** By index of the shard, its predecessors included. */
  readonly tallies: readonly Tally[];
  /** One a service. */
  readonly pools: readonly PoolStatus[];
}

const answerTimeoutMs = 1_000;

export function createReports(crew: Crew, clock: Clock): () => Promise<Reports> {
  const latest = new Map<ShardDoor, ShardReport>();
  const ended: Tally[] = [];

  async function ask(shard: ShardDoor): Promise<void> {
    const late = Promise.withResolvers<undefined>();
    const timer = clock.after(answerTimeoutMs, () => late.resolve(undefined));
    const report = await Promise.race([shard.ask("report"), late.promise]).catch(() => undefined);
    timer[Symbol.dispose]();
    if (report !== undefined) latest.set(shard, report);
  }

  return async () => {
    await Promise.all(crew.serving.map(ask));
    const serving = new Set(crew.serving);
    const tallies = [...ended];
    for (const [shard, { tally }] of latest) {
      const before = ended[shard.index];
      const sum = before === undefined ? tally : sumTallies([before, tally]);
      tallies[shard.index] = sum;
      if (serving.has(shard)) continue;
      ended[shard.index] = sum;
      latest.delete(shard);
    }
    return {
      tallies: Array.from(tallies, (tally) => tally ?? { requests: [], durations: [] }),
      pools: sumPools([...latest.values()].flatMap(({ pools }) => pools)),
    };
  };
}

function sumPools(pools: readonly PoolStatus[]): readonly PoolStatus[] {
  const sums = new Map<string, PoolStatus>();
  for (const pool of pools) {
    const sum = sums.get(pool.service);
    sums.set(pool.service, sum === undefined ? pool : add(sum, pool));
  }
  return [...sums.values()];
}

function add(a: PoolStatus, b: PoolStatus): PoolStatus {
  return {
    service: a.service,
    digest: b.digest,
    instances: a.instances + b.instances,
    ready: a.ready + b.ready,
    active: a.active + b.active,
    queued: a.queued + b.queued,
    memoryBytes: a.memoryBytes + b.memoryBytes,
    calls: a.calls + b.calls,
    started: a.started + b.started,
    failed: a.failed + b.failed,
    reset: a.reset + b.reset,
    evicted: a.evicted + b.evicted,
    retired: a.retired + b.retired,
    traps: a.traps + b.traps,
  };
}
