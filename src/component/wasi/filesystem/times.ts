/**
 * Times as a guest sets them, to the nanosecond.
 *
 * Node takes a time as seconds in a double, which for one of these years is exact to about 240 ns. What a
 * guest has set is therefore told back to it as it set it, for as long as the file has the time that the
 * host made of it.
 */
import type { BigIntStats } from "node:fs";

export interface ExactTimes {
  /** `stat` is what the host has after it was asked to set `access` and `modification`. */
  remember(stat: BigIntStats, accessNs: bigint, modificationNs: bigint): void;
  accessNs(stat: BigIntStats): bigint;
  modificationNs(stat: BigIntStats): bigint;
}

interface Asked {
  readonly had: BigIntStats;
  readonly accessNs: bigint;
  readonly modificationNs: bigint;
}

/** The oldest are forgotten past this: they are then as exact as the host has them. */
const remembered = 1_024;

export function createExactTimes(): ExactTimes {
  const asked = new Map<string, Asked>();
  const key = ({ dev, ino }: BigIntStats) => `${dev}:${ino}`;
  return {
    remember(had, accessNs, modificationNs) {
      asked.delete(key(had));
      asked.set(key(had), { had, accessNs, modificationNs });
      if (asked.size > remembered) asked.delete(asked.keys().next().value!);
    },
    accessNs(stat) {
      const set = asked.get(key(stat));
      return set?.had.atimeNs === stat.atimeNs ? set.accessNs : stat.atimeNs;
    },
    modificationNs(stat) {
      const set = asked.get(key(stat));
      return set?.had.mtimeNs === stat.mtimeNs ? set.modificationNs : stat.mtimeNs;
    },
  };
}
