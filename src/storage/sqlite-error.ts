/**
 * What SQLite says, in the platform's words. The low byte of its extended code tells the kind.
 */
import { CytoError, type ErrorCode } from "../kernel/index.ts";

export interface SqliteError extends Error {
  /** SQLite's extended result code. */
  readonly errcode: number;
}

const busy = 5;
const locked = 6;

export function isSqliteError(thrown: unknown): thrown is SqliteError {
  return thrown instanceof Error && "errcode" in thrown && typeof thrown.errcode === "number";
}

/** Another connection holds the lock: the same statement succeeds later. */
export function isBusy(thrown: unknown): boolean {
  if (!isSqliteError(thrown)) return false;
  const kind = thrown.errcode & 0xff;
  return kind === busy || kind === locked;
}

/** `act` is what was being done: `write to`, `read`, `open`. */
export function toStorageError(thrown: unknown, act: string, path: string): CytoError {
  if (thrown instanceof CytoError) return thrown;
  if (!isSqliteError(thrown))
    return new CytoError("internal", `Cannot ${act} ${path}: ${String(thrown)}`, { cause: thrown });
  const { code, state, hint } = states[thrown.errcode] ?? states[thrown.errcode & 0xff] ?? unknown;
  return new CytoError(code, `Cannot ${act} ${path}: ${state} (SQLite: ${thrown.message})`, { hint, cause: thrown });
}

interface State {
  readonly code: ErrorCode;
  readonly state: string;
  readonly hint: string;
}

const unknown: State = {
  code: "internal",
  state: "SQLite refused the statement",
  hint: "This is a fault of the platform; please report it with this message.",
};

const full: State = {
  code: "storage-full",
  state: "there is no room left",
  hint: "Free space on its disk, or raise the maxBytes of the binding that has one; what was acknowledged is kept.",
};

const damaged: State = {
  code: "storage-corrupt",
  state: "the file is damaged or is no SQLite database",
  hint: "Move the file away together with its -wal and -shm files, and put a good copy in its place.",
};

/** The -shm file could not grow: `SQLITE_IOERR_SHMSIZE`. */
const shmSize = 10 | (19 << 8);

const states: Readonly<Record<number, State>> = {
  3: { code: "backend-unavailable", state: "permission denied", hint: "Let the platform's user read and write it." },
  5: {
    code: "backend-unavailable",
    state: "another process holds its lock",
    hint: "End the other process's transaction (an open SQLite shell, a backup), then try again.",
  },
  6: { code: "backend-unavailable", state: "another connection holds its lock", hint: "Try again." },
  8: {
    code: "backend-unavailable",
    state: "it can only be read",
    hint: "Let the platform's user write the file and its folder.",
  },
  10: {
    code: "backend-unavailable",
    state: "the disk gave an error",
    hint: "Look at the system log for errors of the disk that holds it.",
  },
  [shmSize]: full,
  11: damaged,
  13: full,
  14: {
    code: "backend-unavailable",
    state: "the file cannot be opened",
    hint: "Make sure that its folder exists and that the platform's user may write there.",
  },
  18: { code: "bad-request", state: "the value is larger than SQLite takes", hint: "Store a smaller value." },
  26: damaged,
};
