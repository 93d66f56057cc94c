/**
 * The shards of a cell: one in this thread, or several in threads of their own.
 *
 * What there is one of (the log, the secrets, state that the process keeps) stays in this thread; the others
 * ask for it.
 */
import { openKeyValueSession } from "../capability/keyvalue/remote.ts";
import type { KeyValueProviders } from "../capability/keyvalue/standard.ts";
import type { Secrets } from "../capability/secret/contract.ts";
import { startShards } from "../host/index.ts";
import type { Clock, CytoError, Random } from "../kernel/index.ts";
import type { CellRecord } from "./contract.ts";
import { createShard } from "./shard.ts";
import type { Owner, Shard, ShardData, ShardDoor } from "./shard-contract.ts";

export interface Crew {
  /** Those that can be asked, by index. */
  readonly serving: readonly ShardDoor[];
  /** Shards that ended without being asked to. */
  readonly deaths: number;
  close(): Promise<void>;
}

export interface CrewParts {
  readonly keyvalue: KeyValueProviders;
  readonly secrets: Secrets;
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly sink: (record: CellRecord) => void;
  /** Whole lines of the log, from another thread. */
  readonly append: (text: string, lines: number) => void;
}

export function inThisThread({ append: _, ...parts }: CrewParts): Crew {
  const shard = createShard(parts);
  const ask = (name: keyof Shard, ...args: never[]) => (shard[name] as (...args: never[]) => unknown)(...args);
  return { serving: [{ index: 0, ask: ask as ShardDoor["ask"] }], deaths: 0, close: () => shard.close() };
}

export interface ThreadsParts extends CrewParts {
  readonly count: number;
  /** Brings a fresh thread to where the others are; it serves from `join` on. */
  revive(shard: ShardDoor, join: () => void): Promise<void>;
  onDeath(index: number, reason: CytoError): void;
}

/** Threads have the clock and the chance of the system. */
export function inThreads(parts: ThreadsParts): Crew {
  const { keyvalue, secrets, dataDirectory, clock, append, count, revive, onDeath } = parts;
  const data: ShardData = { dataDirectory };
  const shards = startShards<Shard, Owner>({
    count,
    // As this module is named: .ts as it is run here, .js as it is published.
    entry: new URL(import.meta.url.replace(/crew(\.\w+)$/, "shard-thread$1")),
    data,
    clock,
    revive,
    onDeath,
    open() {
      const session = openKeyValueSession(keyvalue);
      return {
        answers: {
          ...session.answers,
          secret: (name) => secrets.get(name),
          log: async (text, lines) => append(text, lines),
        },
        close: () => session.close(),
      };
    },
  });
  return {
    get serving() {
      return shards.serving;
    },
    get deaths() {
      return shards.deaths;
    },
    close: () => shards.close((shard) => shard.ask("close")),
  };
}
