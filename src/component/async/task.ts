/**
 * A call of a function that a guest lifted, as its callee sees it; and as its caller sees it that did
 * not wait for it, a subtask.
 *
 *   Task:     initial ─▶ started ─▶ resolved                    (returned, or cancelled)
 *                           └─▶ cancel pending ─▶ cancel delivered ─▶ resolved
 *   Subtask:  starting ─▶ started ─▶ returned · cancelled before started · cancelled before returned
 *
 * Follows "Tasks" and "Subtask State" of the Component Model's CanonicalABI.md.
 */
import { type CanonContext, trap } from "../canon-context.ts";
import { type BorrowScope, giveBack, type ResourceHandle } from "../handles.ts";
import type { Account } from "../meter.ts";
import type { ValueType } from "../types.ts";
import type { Home } from "./home.ts";
import { Thread } from "./store.ts";
import { type Event, eventCode, Waitable } from "./waitable.ts";

/** What a task answers that was cancelled before it returned. */
export const cancelled: unique symbol = Symbol("cancelled");

export interface Callee {
  readonly home: Home;
  /** The function's type is `async`. */
  readonly asyncType: boolean;
  /** It was lifted with the option `async`. */
  readonly asyncOption: boolean;
  /** Its tasks may not interleave in core code. */
  readonly needsExclusive: boolean;
  /** Its core code may be suspended: not so while a core module is being instantiated, or cleans up. */
  readonly suspendable: boolean;
  readonly result: ValueType | undefined;
  /** The options that it was lifted with. */
  readonly cx: CanonContext | undefined;
}

export class Task implements BorrowScope {
  readonly callee: Callee;
  readonly home: Home;
  readonly thread: Thread;
  state: "initial" | "started" | "cancel-pending" | "cancel-delivered" | "resolved" = "initial";
  borrows = 0;
  readonly lent: ResourceHandle[] = [];
  readonly start: () => readonly unknown[];
  /** Takes an error of the caller's, where the caller is JavaScript: the callee is not to blame. */
  readonly refuse: ((error: TypeError) => void) | undefined;
  /** What the call from outside is for that it is part of. */
  cause: unknown;
  /** What that call may use, where guests are metered. */
  account: Account | undefined;
  /** Told when its thread has ended. */
  ended: (() => void) | undefined;
  readonly #resolve: (result: unknown) => void;

  /** `start` gives the arguments when the callee takes them; `resolve` gets the result, or `cancelled`. */
  constructor(
    callee: Callee,
    start: () => readonly unknown[],
    resolve: (result: unknown) => void,
    refuse?: (error: TypeError) => void,
  ) {
    this.refuse = refuse;
    this.callee = callee;
    this.home = callee.home;
    this.start = start;
    this.#resolve = resolve;
    this.thread = new Thread(this);
  }

  /** Its arguments, once: from then on it has started. */
  takeArguments(): readonly unknown[] {
    this.state = "started";
    return this.start();
  }

  resolve(result: unknown): void {
    if (this.state === "resolved") trap("a task returned twice");
    this.#assertNoBorrows();
    this.state = "resolved";
    giveBack(this.lent);
    this.#resolve(result);
  }

  cancel(): void {
    if (this.state !== "cancel-delivered") trap("task.cancel was called in a task that nobody has cancelled");
    this.#assertNoBorrows();
    this.state = "resolved";
    giveBack(this.lent);
    this.#resolve(cancelled);
  }

  deliverPendingCancel(cancellable: boolean): boolean {
    if (!cancellable || this.state !== "cancel-pending") return false;
    this.state = "cancel-delivered";
    return true;
  }

  /**
   * The caller, in `from` or outside, wants it no more. Answers the thread that has to run for that, if
   * one has: the caller waits until it blocks or ends.
   */
  requestCancellation(from: Home | undefined): Thread | undefined {
    if (this.state !== "initial" && this.state !== "started") return undefined;
    const { thread, home, callee } = this;
    const mayWake =
      thread.state === "waiting" &&
      thread.cancellable &&
      (this.state === "initial" ||
        (!(callee.needsExclusive && home.exclusive !== undefined && home.exclusive !== thread) &&
          home.entering(from).every((one) => !one.entered)));
    if (!mayWake) {
      this.state = "cancel-pending";
      return undefined;
    }
    this.state = "cancel-delivered";
    return thread;
  }

  #assertNoBorrows(): void {
    if (this.borrows > 0) trap(`a task ended while ${this.borrows} handles that it borrowed were still open`);
  }
}

/** The numbers of a subtask's states, as guests are told them. */
export const subtaskState = {
  starting: 0,
  started: 1,
  returned: 2,
  cancelledBeforeStarted: 3,
  cancelledBeforeReturned: 4,
} as const;

export class Subtask extends Waitable {
  state: number = subtaskState.starting;
  /** Its number in the caller's table, once it has one. */
  index = 0;
  cancellationRequested = false;
  /** Asks the callee to end. Answers the thread of another component that has to run for that. */
  onCancel: ((from: Home) => Thread | undefined) | undefined;
  /** Stays lent until the caller has learned how the call ended. */
  lent: readonly ResourceHandle[] | undefined = [];

  get resolved(): boolean {
    return this.state >= subtaskState.returned;
  }

  get delivered(): boolean {
    return this.lent === undefined;
  }

  progress(state: number): void {
    this.state = state;
    if (this.index !== 0) this.setEvent(() => this.event());
  }

  /** The caller learns how it ended: what it lent comes back. */
  deliver(): void {
    giveBack(this.lent!);
    this.lent = undefined;
  }

  event(): Event {
    if (this.resolved && !this.delivered) this.deliver();
    return [eventCode.subtask, this.index, this.state];
  }

  /** What the caller's `subtask` ends as when the callee was cancelled. */
  cancelledState(): number {
    return this.state === subtaskState.starting
      ? subtaskState.cancelledBeforeStarted
      : subtaskState.cancelledBeforeReturned;
  }
}
