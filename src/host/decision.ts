/**
 * What a pool decides, as functions over plain state: which instance takes a call, whether a call
 * may wait, how many instances to start, which to let go. No I/O, no time, nothing changed.
 */

/** One instance as the decisions see it. */
export interface Candidate {
  readonly instance: { readonly active: number; readonly broken: Error | undefined };
  /** The most calls in it at a time. */
  readonly room: number;
  /** Whether it took a call since the last sweep. */
  readonly used: boolean;
}

/** A pool as the decisions see it. */
export interface Supply {
  readonly warm: number;
  readonly starting: number;
  readonly queued: number;
  /** Starting is suspended after a failure. */
  readonly blocked: boolean;
}

export interface Bounds {
  readonly instances: number;
  readonly concurrency: number;
  readonly queue: number;
}

/**
 * The instance with room that has the fewest calls, the first of equals: light load stays on the
 * first few, and the others are let go. `undefined` when a call has to wait.
 */
export function choose<T extends Candidate>(candidates: readonly T[]): T | undefined {
  let best: T | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const { active, broken } = candidate.instance;
    if (active >= candidate.room || active >= fewest || broken !== undefined) continue;
    if (active === 0) return candidate;
    best = candidate;
    fewest = active;
  }
  return best;
}

/** How many instances to start, so that each waiting call has a place in one or the bound is met. */
export function shortage(supply: Supply, bounds: Bounds): number {
  if (supply.blocked) return 0;
  const wanted = Math.ceil(supply.queued / bounds.concurrency) - supply.starting;
  return Math.max(0, Math.min(wanted, bounds.instances - supply.warm - supply.starting));
}

/**
 * What becomes of one more call that found no room: it may `wait`; the queue is full (`refuse`); or
 * nothing runs and nothing may be started (`fail`). A place in a starting instance is no queueing.
 */
export function admit(supply: Supply, bounds: Bounds): "wait" | "refuse" | "fail" {
  const starting = supply.starting + shortage({ ...supply, queued: supply.queued + 1 }, bounds);
  if (supply.warm + starting === 0) return "fail";
  return supply.queued < bounds.queue + starting * bounds.concurrency ? "wait" : "refuse";
}

/** The instances that nobody called since the last sweep and that have no call inside. */
export function evict<T extends Candidate>(candidates: readonly T[]): readonly T[] {
  return candidates.filter((candidate) => !candidate.used && candidate.instance.active === 0);
}
