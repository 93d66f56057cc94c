/**
 * What a pool decides, as functions over plain state: which instance takes a call, whether a call
 * may wait, how many instances to start, which to let go, when one is worn. No I/O, no time, nothing
 * changed.
 */

/** One instance as the decisions see it. */
export interface Candidate {
  readonly instance: { readonly active: number; readonly broken: Error | undefined };
  /** The most calls in it at a time; 0 once it takes no more. */
  readonly room: number;
  /** It was used enough: it takes calls only until there is another. */
  readonly due: boolean;
  /** Since when no sweep has found it in use. */
  readonly idleSinceMs: number;
}

/** A pool as the decisions see it. */
export interface Supply {
  readonly warm: number;
  readonly starting: number;
  readonly queued: number;
  /** Starting is suspended after a failure. */
  readonly blocked: boolean;
  /** It will start an instance by itself, however long it is blocked. */
  readonly reviving: boolean;
}

export interface Bounds {
  readonly instances: number;
  readonly concurrency: number;
  readonly queue: number;
}

/**
 * The instance with room that has the fewest calls, the first of equals: light load stays on the
 * first few, and the others are let go. One that is due comes last. `undefined` when a call has to wait.
 */
export function choose<T extends Candidate>(candidates: readonly T[]): T | undefined {
  let best: T | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const { active, broken } = candidate.instance;
    if (active >= candidate.room || broken !== undefined) continue;
    const load = candidate.due ? active + dueLoad : active;
    if (load >= fewest) continue;
    if (load === 0) return candidate;
    best = candidate;
    fewest = load;
  }
  return best;
}

/** More than any instance has room for. */
const dueLoad = 2 ** 32;

/** How many instances to start, so that each waiting call has a place in one or the bound is met. */
export function shortage(supply: Supply, bounds: Bounds): number {
  if (supply.blocked) return 0;
  const wanted = Math.ceil(supply.queued / bounds.concurrency) - supply.starting;
  return Math.max(0, Math.min(wanted, bounds.instances - supply.warm - supply.starting));
}

/**
 * How many instances to start ahead of any call: what is missing of those to be held `ready`, and a
 * successor for those that are due where nobody could take their place. Waiting calls go first.
 */
export function ahead(candidates: readonly Candidate[], ready: number, supply: Supply, bounds: Bounds): number {
  if (supply.blocked || supply.queued > 0) return 0;
  const open = candidates.filter(isOpen);
  const empty = open.filter(({ instance }) => instance.active === 0).length;
  const successors = open.length === 0 && candidates.some(({ due, room }) => due && room > 0) ? 1 : 0;
  const wanted = Math.max(ready - empty, successors) - supply.starting;
  return Math.max(0, Math.min(wanted, bounds.instances - supply.warm - supply.starting));
}

/** Whether it can take a call and is not on its way out. */
export function isOpen({ instance, room, due }: Candidate): boolean {
  return instance.active < room && !due && instance.broken === undefined;
}

/**
 * What becomes of one more call that found no room: it may `wait`; the queue is full (`refuse`); or
 * nothing runs and nothing may be started (`fail`). A place in a starting instance is no queueing.
 */
export function admit(supply: Supply, bounds: Bounds): "wait" | "refuse" | "fail" {
  const starting = supply.starting + shortage({ ...supply, queued: supply.queued + 1 }, bounds);
  if (supply.warm + starting === 0 && !supply.reviving) return "fail";
  return supply.queued < bounds.queue + starting * bounds.concurrency ? "wait" : "refuse";
}

/** The instances that are in no call and have been idle for long enough, all but `keep` of them. */
export function evict<T extends Candidate>(
  candidates: readonly T[],
  { nowMs, idleMs, keep }: { readonly nowMs: number; readonly idleMs: number; readonly keep: number },
): readonly T[] {
  const idle = candidates.filter(({ instance, idleSinceMs }) => instance.active === 0 && nowMs - idleSinceMs >= idleMs);
  return idle.slice(keep);
}

/**
 * The bound that one instance draws for itself, by a chance from 0 to 1: between half of what was
 * declared and all of it. So instances that began together do not end together, and what a service
 * wrongly keeps in its memory goes at a time that nobody can rely on.
 */
export function drawn(bound: number, chance: number): number {
  return Math.ceil(bound * (1 - chance / 2));
}

/** How long to wait before the next start, after so many that went wrong in a row. */
export function backoffMs(failures: number): number {
  return Math.min(firstBackoffMs * 2 ** (failures - 1), longestBackoffMs);
}

const firstBackoffMs = 100;
const longestBackoffMs = 5_000;
