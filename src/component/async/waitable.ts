/**
 * What a guest can wait for: the progress of a call that it made, of a read or a write. An event is
 * made when it is taken, so that it tells how things stand then.
 *
 * Follows "Waitable State" of the Component Model's CanonicalABI.md.
 */
import type { Store, Thread } from "./store.ts";

/** The codes that a guest is told. */
export const eventCode = {
  none: 0,
  subtask: 1,
  streamRead: 2,
  streamWrite: 3,
  futureRead: 4,
  futureWrite: 5,
  taskCancelled: 6,
} as const;

export type Event = readonly [code: number, index: number, payload: number];

/** What a built-in answers when it goes on in the background. */
export const BLOCKED = -1;

export const noEvent: Event = [eventCode.none, 0, 0];
export const cancelledEvent: Event = [eventCode.taskCancelled, 0, 0];

export abstract class Waitable {
  readonly store: Store;
  set: WaitableSet | undefined;
  /** The thread that waits for it alone. */
  waiter: Thread | undefined;
  #event: (() => Event) | undefined;

  constructor(store: Store) {
    this.store = store;
  }

  get hasEvent(): boolean {
    return this.#event !== undefined;
  }

  setEvent(event: () => Event): void {
    this.#event = event;
    if (this.waiter !== undefined) this.store.check(this.waiter);
    if (this.set !== undefined) for (const thread of this.set.waiting) this.store.check(thread);
  }

  takeEvent(): Event {
    const event = this.#event!;
    this.#event = undefined;
    return event();
  }

  join(set: WaitableSet | undefined): void {
    this.set?.members.delete(this);
    this.set = set;
    if (set === undefined) return;
    set.members.add(this);
    if (this.hasEvent) for (const thread of set.waiting) this.store.check(thread);
  }
}

export class WaitableSet {
  readonly members = new Set<Waitable>();
  readonly waiting = new Set<Thread>();

  get hasEvent(): boolean {
    for (const member of this.members) if (member.hasEvent) return true;
    return false;
  }

  /** Members take turns: one that has been told of goes to the end. */
  takeEvent(): Event {
    for (const member of this.members) {
      if (!member.hasEvent) continue;
      this.members.delete(member);
      this.members.add(member);
      return member.takeEvent();
    }
    return noEvent;
  }
}
