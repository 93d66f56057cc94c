/**
 * A SQLite file with group commit: what a write acknowledged is on the disk.
 *
 * Always true:
 * - every write runs in a transaction of its own or shares one with its neighbours; it is
 *   acknowledged after the write-ahead log was flushed, and all that wait share one flush;
 * - the flush runs off the thread, so a slow disk delays writers and nobody else; a read may see
 *   a write that is committed and still waits for its flush;
 * - a write that fails (full disk, refusal) fails alone;
 * - after a flush that the disk refused nothing more is acknowledged: what the disk holds is then unknown.
 *
 * SQLite itself runs with `synchronous=NORMAL`: it keeps the file consistent and leaves flushing
 * the log to us. Reads are answered at once, on the calling thread.
 */
import { closeSync, fdatasync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Clock, CytoError } from "../kernel/index.ts";
import { flushDirectory } from "./file.ts";
import { isBusy, isSqliteError, toStorageError } from "./sqlite-error.ts";

export interface SqliteOptions {
  /** Absolute; its folder is made if it is missing. */
  readonly path: string;
  /** `sql` makes the tables of `version`; a file of a later version is refused. */
  readonly schema: { readonly version: number; readonly sql: string };
  readonly clock: Clock;
  /** The most the file may hold; without it, the disk decides. */
  readonly maxBytes?: number;
  /** How long to wait for another process's lock. */
  readonly lockTimeoutMs?: number;
  /** Makes what was written to the log's file durable. */
  flush?(descriptor: number): Promise<void>;
}

export interface SqliteDatabase extends AsyncDisposable {
  readonly path: string;
  prepare(sql: string): StatementSync;
  /** Runs `query` now; later only if another process holds the file for a moment. */
  read<T>(query: () => T): T | Promise<T>;
  /**
   * Runs `change` in a transaction and settles when it is durable. `change` is synchronous, and
   * either throws before its first statement that writes or not at all, SQLite's own errors
   * excepted. It may run a second time when a neighbour's failure undid the first.
   */
  write<T>(change: () => T): Promise<T>;
}

/** Writes that share one transaction: bounds how long the thread is held. */
const batchWrites = 256;
const retryMs = 5;

export async function openSqlite(options: SqliteOptions): Promise<SqliteDatabase> {
  const { path, clock, lockTimeoutMs = 5_000, flush = flushDescriptor } = options;
  const { database, log } = await openFiles(options, lockTimeoutMs);
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const rollback = database.prepare("ROLLBACK");
  const queue: PendingWrite[] = [];
  let pumping: Promise<void> | undefined;
  let broken: CytoError | undefined;

  return {
    path,
    prepare: (sql) => database.prepare(sql),
    read(query) {
      try {
        refuseIfUnusable("read");
        return query();
      } catch (error) {
        if (!isBusy(error)) throw toStorageError(error, "read", path);
        return whenUnlocked(query, "read", path, clock, lockTimeoutMs);
      }
    },
    write<T>(change: () => T): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        queue.push(new PendingWrite(change, resolve as (value: unknown) => void, reject));
        pumping ??= pump();
      });
    },
    async [Symbol.asyncDispose]() {
      await pumping;
      if (!database.isOpen) return;
      closeSync(log);
      database.close();
    },
  };

  async function pump(): Promise<void> {
    while (queue.length > 0) {
      await turnOfLoop();
      const batch = queue.splice(0, batchWrites);
      await runBatch(batch);
      for (const write of batch) write.settle();
    }
    pumping = undefined;
  }

  async function runBatch(batch: readonly PendingWrite[]): Promise<void> {
    try {
      await commitBatch(batch);
      if (batch.some((write) => !write.failed)) await flush(log);
    } catch (cause) {
      broken = new CytoError(
        "backend-unavailable",
        `Cannot write to ${path}: the disk refused to keep what was written`,
        {
          hint: "Look at the disk that holds it, then restart: what is in the file is read back and checked.",
          cause,
        },
      );
      for (const write of batch) write.fail(broken);
    }
  }

  /** One transaction for all; when SQLite fails it, each is tried on its own. */
  async function commitBatch(batch: readonly PendingWrite[]): Promise<void> {
    try {
      refuseIfUnusable("write to");
      await whenUnlocked(() => begin.run(), "write to", path, clock, lockTimeoutMs);
    } catch (error) {
      for (const write of batch) write.fail(error);
      return;
    }
    try {
      for (const write of batch) write.run();
      commit.run();
    } catch (error) {
      if (database.isTransaction) rollback.run();
      if (batch.length === 1) batch[0]?.fail(toStorageError(error, "write to", path));
      else for (const write of batch) await commitBatch([write]);
    }
  }

  function refuseIfUnusable(act: string): void {
    if (broken) throw broken;
    if (!database.isOpen) throw new CytoError("backend-unavailable", `Cannot ${act} ${path}: it was closed`);
  }
}

/** One write between its call and its acknowledgement. */
class PendingWrite {
  readonly #change: () => unknown;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  #outcome: { readonly value: unknown } | { readonly error: unknown } = { value: undefined };

  constructor(change: () => unknown, resolve: (value: unknown) => void, reject: (error: unknown) => void) {
    this.#change = change;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Throws only what SQLite throws; a change's own refusal concerns nobody else. */
  run(): void {
    try {
      this.#outcome = { value: this.#change() };
    } catch (error) {
      if (isSqliteError(error)) throw error;
      this.#outcome = { error };
    }
  }

  fail(error: unknown): void {
    this.#outcome = { error };
  }

  get failed(): boolean {
    return "error" in this.#outcome;
  }

  settle(): void {
    if ("error" in this.#outcome) this.#reject(this.#outcome.error);
    else this.#resolve(this.#outcome.value);
  }
}

async function openFiles(
  options: SqliteOptions,
  lockTimeoutMs: number,
): Promise<{ database: DatabaseSync; log: number }> {
  const { path, clock } = options;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const database = await whenUnlocked(() => prepareFile(options), "open", path, clock, lockTimeoutMs);
    await flushDirectory(dirname(path));
    return { database, log: openSync(`${path}-wal`, "r+") };
  } catch (cause) {
    if (cause instanceof CytoError) throw cause;
    throw new CytoError("backend-unavailable", `Cannot open ${path}: ${String(cause)}`, {
      hint: "Make sure that its folder exists and that the platform's user may write there.",
      cause,
    });
  }
}

function prepareFile({ path, schema, maxBytes }: SqliteOptions): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("PRAGMA synchronous = NORMAL; PRAGMA journal_mode = WAL");
    const found = Number(database.prepare("PRAGMA user_version").get()?.user_version);
    if (found > schema.version) {
      throw new CytoError(
        "backend-unavailable",
        `Cannot open ${path}: it has version ${found}, this platform knows ${schema.version}`,
        {
          hint: "Run the platform's version that wrote it, or a later one.",
        },
      );
    }
    if (found < schema.version) {
      database.exec(`BEGIN IMMEDIATE; ${schema.sql}; PRAGMA user_version = ${schema.version}; COMMIT`);
    }
    if (maxBytes !== undefined) {
      const pageBytes = Number(database.prepare("PRAGMA page_size").get()?.page_size);
      database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxBytes / pageBytes))}`);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Runs `action`, again and again while another process holds the lock, up to the timeout. */
async function whenUnlocked<T>(
  action: () => T,
  act: string,
  path: string,
  clock: Clock,
  timeoutMs: number,
): Promise<T> {
  const startMs = clock.monotonic();
  for (;;) {
    try {
      return action();
    } catch (error) {
      if (!isBusy(error) || clock.monotonic() - startMs >= timeoutMs) throw toStorageError(error, act, path);
      await new Promise<void>((resolve) => clock.after(retryMs, resolve));
    }
  }
}

/** The writes that this turn of the event loop still brings join the batch. */
function turnOfLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function flushDescriptor(descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => fdatasync(descriptor, (error) => (error ? reject(error) : resolve())));
}
