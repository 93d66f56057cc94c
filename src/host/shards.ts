/**
 * The shards of a host: threads that share nothing, kept at their number.
 *
 *     start ──▶ serving ──▶ died ──(back-off)──▶ a fresh thread is revived ──▶ serving
 *                  └─ close: asked to end, then gone
 *
 * Knows nothing of what a shard does: the program of the thread, what it may ask of this one, and how
 * a fresh one is brought to where the others are, come in as arguments.
 *
 * Always true: a thread that ends (an uncaught error, `process.exit`, no memory left) takes nobody along:
 * what waits for it fails, its successor starts after a back-off; no timer runs while all serve.
 */
import { Worker } from "node:worker_threads";
import { type Clock, CytoError } from "../kernel/index.ts";
import { type Calls, createLink, type Link } from "./link.ts";

export interface ShardsParts<Theirs extends Calls<Theirs>, Ours extends Calls<Ours>> {
  readonly count: number;
  /** The module that a thread runs, and its `workerData`. */
  readonly entry: URL;
  readonly data: unknown;
  readonly clock: Clock;
  /** What one thread may ask of this one; closed when the thread has gone. */
  open(index: number): ShardSession<Ours>;
  /** Brings a thread that takes the place of another to where the others are; it serves from `join` on. */
  revive(shard: ShardThread<Theirs>, join: () => void): Promise<void>;
  /** Told why a thread ended that was not asked to. */
  onDeath(index: number, reason: CytoError): void;
  /** How long a thread may take to end when it was asked to. */
  readonly endTimeoutMs?: number;
  /** The most heap of one thread; V8 decides unless said. */
  readonly heapMegabytes?: number;
}

export interface ShardSession<Ours> {
  readonly answers: Ours;
  close(): Promise<void>;
}

export interface ShardThread<Theirs extends Calls<Theirs>> extends Link<Theirs> {
  /** From 0; a successor has its predecessor's. */
  readonly index: number;
}

export interface Shards<Theirs extends Calls<Theirs>> {
  /** Those that live and are not being revived, by index. */
  readonly serving: readonly ShardThread<Theirs>[];
  /** Threads that ended without being asked to, since the start. */
  readonly deaths: number;
  /** Asks each to end, waits for it, and ends those that do not. */
  close(end: (shard: ShardThread<Theirs>) => Promise<unknown>): Promise<void>;
}

/** The delay before a successor starts, doubled each time up to the longest; one that held out begins anew. */
const backoffMs = { first: 100, longest: 5_000, heldOut: 30_000 };
/** More than the requests and the instances of a shard are given to finish. */
const endTimeoutMsDefault = 60_000;

interface LiveThread<Theirs extends Calls<Theirs>> {
  readonly worker: Worker;
  readonly shard: ShardThread<Theirs>;
  readonly gone: Promise<void>;
  /** What it ended for, where more is known than its exit code. */
  why: unknown;
}

interface Seat<Theirs extends Calls<Theirs>> {
  readonly index: number;
  /** Absent while none lives. */
  live: LiveThread<Theirs> | undefined;
  serving: boolean;
  /** When it began to serve. */
  sinceMs: number;
  failures: number;
  timer: Disposable | undefined;
}

export function startShards<Theirs extends Calls<Theirs>, Ours extends Calls<Ours>>(
  parts: ShardsParts<Theirs, Ours>,
): Shards<Theirs> {
  const { clock, endTimeoutMs = endTimeoutMsDefault } = parts;
  let deaths = 0;
  let closing: Promise<void> | undefined;

  function start(seat: Seat<Theirs>): LiveThread<Theirs> {
    const session = parts.open(seat.index);
    const worker = new Worker(parts.entry, {
      workerData: parts.data,
      name: `shard ${seat.index}`,
      ...(parts.heapMegabytes !== undefined && { resourceLimits: { maxOldGenerationSizeMb: parts.heapMegabytes } }),
    });
    const shard = { ...createLink<Theirs, Ours>(worker, session.answers), index: seat.index };
    const gone = Promise.withResolvers<void>();
    const live: LiveThread<Theirs> = { worker, shard, gone: gone.promise, why: undefined };
    worker.once("error", (error) => {
      live.why = error;
    });
    worker.once("exit", (code) => {
      const reason = toReason(seat.index, live.why, code);
      shard.close(reason);
      void session.close().then(gone.resolve, gone.resolve);
      seat.live = undefined;
      if (seat.serving && clock.monotonic() - seat.sinceMs > backoffMs.heldOut) seat.failures = 0;
      seat.serving = false;
      if (closing === undefined) succeed(seat, reason);
    });
    seat.live = live;
    return live;
  }

  function succeed(seat: Seat<Theirs>, reason: CytoError): void {
    deaths++;
    parts.onDeath(seat.index, reason);
    const delayMs = Math.min(backoffMs.first * 2 ** seat.failures++, backoffMs.longest);
    seat.timer = clock.after(delayMs, () => {
      seat.timer = undefined;
      void revive(seat);
    });
  }

  async function revive(seat: Seat<Theirs>): Promise<void> {
    const live = start(seat);
    const join = (): void => {
      if (seat.live !== live) return;
      seat.serving = true;
      seat.sinceMs = clock.monotonic();
    };
    try {
      await parts.revive(live.shard, join);
    } catch (thrown) {
      live.why ??= thrown;
      await live.worker.terminate();
    }
  }

  async function end(seat: Seat<Theirs>, ask: (shard: ShardThread<Theirs>) => Promise<unknown>): Promise<void> {
    seat.timer?.[Symbol.dispose]();
    if (seat.live === undefined) return;
    const { worker, shard, gone } = seat.live;
    const patience = clock.after(endTimeoutMs, () => void worker.terminate());
    await ask(shard).catch(() => {});
    patience[Symbol.dispose]();
    await worker.terminate();
    await gone;
  }

  const seats = Array.from(
    { length: parts.count },
    (_, index): Seat<Theirs> => ({
      index,
      live: undefined,
      serving: true,
      sinceMs: clock.monotonic(),
      failures: 0,
      timer: undefined,
    }),
  );
  for (const seat of seats) start(seat);

  return {
    get serving() {
      return seats.flatMap(({ serving, live }) => (serving && live ? [live.shard] : []));
    },
    get deaths() {
      return deaths;
    },
    close(ask) {
      closing ??= Promise.all(seats.map((seat) => end(seat, ask))).then(() => {});
      return closing;
    },
  };
}

function toReason(index: number, why: unknown, code: number): CytoError {
  const state = why instanceof Error ? why.message : `its thread ended with ${code}`;
  return new CytoError("internal", `Cannot go on with shard ${index}: ${state}`, { cause: why });
}
