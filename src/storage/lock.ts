/**
 * A lock between processes, on a file of its own.
 *
 * SQLite's file lock is the operating system's: it is gone the moment its holder dies, however it
 * dies, so no lock is ever stale. The file stays, empty.
 */
import { DatabaseSync } from "node:sqlite";
import { type Clock, CytoError } from "../kernel/index.ts";
import { isBusy, toStorageError } from "./sqlite-error.ts";

export interface LockOptions {
  readonly clock: Clock;
  /** How long to wait for the holder before. */
  readonly timeoutMs?: number;
}

const retryMs = 10;

/** Runs `action` while nobody else, in this process or another, holds the lock at `path`. */
export async function withLock<T>(path: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
  using _lock = await acquire(path, options);
  return await action();
}

async function acquire(path: string, { clock, timeoutMs = 10_000 }: LockOptions): Promise<Disposable> {
  const startMs = clock.monotonic();
  for (;;) {
    try {
      return hold(path);
    } catch (error) {
      if (!isBusy(error)) throw toStorageError(error, "lock", path);
      if (clock.monotonic() - startMs >= timeoutMs) {
        throw new CytoError(
          "backend-unavailable",
          `Cannot lock ${path}: another process holds it for over ${timeoutMs} ms`,
          {
            hint: "End the other command that is at work in this folder, then try again.",
            cause: error,
          },
        );
      }
    }
    await new Promise<void>((resolve) => clock.after(retryMs, resolve));
  }
}

/** Closing the connection gives the lock back. */
function hold(path: string): Disposable {
  const connection = new DatabaseSync(path, { timeout: 0 });
  try {
    connection.exec("BEGIN EXCLUSIVE");
    return { [Symbol.dispose]: () => connection.close() };
  } catch (error) {
    connection.close();
    throw error;
  }
}
