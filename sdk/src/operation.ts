/**
 * Operations: what the guest has asked of the host and waits for.
 *
 * `begin` takes a number, lets the caller pass it to an import, and settles when the host resumes it.
 * `scope.call` is the call being served: set when a call starts, and again whenever an operation that
 * it began ends, so that what runs next (its microtasks included) is known to be caused by it.
 *
 * Two phases. While the component is being built the author's modules are evaluated, and no import may
 * be called: operations begun then wait for the first call; what must answer at once says so
 * ({@link requireHost}). From the first event on, the instance is awake and everything goes through.
 */
import type { Failure, Outcome } from "cytoplane:service/types@0.1.0";

/** A call as its operations see it. */
export interface Call {
  readonly number: number;
  /** From `start` until it has been answered, streamed body included. */
  live: boolean;
}

interface Waiting {
  readonly call: Call | undefined;
  settle(outcome: Outcome): void;
}

export const scope: { call: Call | undefined; awake: boolean } = { call: undefined, awake: false };

const waiting = new Map<number, Waiting>();
const uponWaking: (() => void)[] = [];
let last = 0;

/** Starts an operation and answers its number. `settle` is called once, unless it is forgotten first. */
export function begin(start: (op: number) => void, settle: (outcome: Outcome) => void): number {
  last = last === 0x7fffffff ? 1 : last + 1;
  const op = last;
  waiting.set(op, { call: scope.call, settle });
  if (scope.awake) start(op);
  else uponWaking.push(() => waiting.has(op) && start(op));
  return op;
}

/** The same as a promise; a `failed` outcome rejects with what `toError` makes of it. */
export function perform(start: (op: number) => void, toError: (failure: Failure) => Error): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    begin(start, (outcome) => {
      if (outcome.tag === "failed") reject(toError(outcome.val));
      else resolve(outcome);
    });
  });
}

/** Drops an operation whose host side was cancelled. False when it had already ended. */
export function forget(op: number): boolean {
  return waiting.delete(op);
}

/** The host says how `op` ended. */
export function settle(op: number, outcome: Outcome): void {
  const entry = waiting.get(op);
  if (!entry) return;
  waiting.delete(op);
  scope.call = entry.call;
  entry.settle(outcome);
}

/** The number of the call being served, as the imports take it. */
export function cause(): number | null {
  return scope.call?.live ? scope.call.number : null;
}

/** The first event: imports work from here on, and what waited for them begins. */
export function wake(): void {
  scope.awake = true;
  for (const start of uponWaking.splice(0)) start();
}

/** Runs `action` now, or at the first event while the component is being built. */
export function whenAwake(action: () => void): void {
  if (scope.awake) action();
  else uponWaking.push(action);
}

/** Refuses what must be answered by the host at once, while there is none. */
export function requireHost(act: string): void {
  if (scope.awake) return;
  throw new Error(
    `Cannot ${act} while the service is being built: module scope runs at build time. Do it inside the handler, or in a function that it calls.`,
  );
}
