/** One component instance inside of a store: its handles, and whether it may be entered and left. */
import { HandleTable } from "../handles.ts";
import type { Store, Thread } from "./store.ts";

export class Home {
  readonly index: number;
  readonly store: Store;
  readonly handles: HandleTable;
  /** Itself and the instances that contain it, innermost first. */
  readonly chain: readonly Home[];
  /** Guest code of it is on a stack that runs. */
  entered = false;
  /** False while a guest allocates or cleans up for a call: it may call nothing then. */
  mayLeave = true;
  backpressure = 0;
  /** Calls that wait to begin. */
  waitingToEnter = 0;
  /** The thread that has the instance to itself, where tasks may not interleave in core code. */
  exclusive: Thread | undefined;
  /** Waiting threads that are to be looked at when `exclusive` is given up. */
  readonly deferred = new Set<Thread>();

  constructor(index: number, store: Store, parent: Home | undefined) {
    this.index = index;
    this.store = store;
    this.handles = new HandleTable();
    this.chain = parent === undefined ? [this] : [this, ...parent.chain];
  }

  /** The instances that a call from `caller` enters; the host's enters all. */
  entering(caller: Home | undefined): readonly Home[] {
    return caller === undefined ? this.chain : this.chain.filter((home) => !caller.chain.includes(home));
  }

  /** As it was before the first call. Nothing of it may be under way. */
  clear(): void {
    this.handles.clear();
    this.backpressure = 0;
  }

  /**
   * The same for a call that begins now: none of them may be in a call already. An instance and one
   * that it contains do not call each other.
   */
  enterFrom(caller: Home): readonly Home[] {
    const entered = this.entering(caller);
    if (entered.some((home) => home.entered) || this.chain.includes(caller) || caller.chain.includes(this))
      throw new WebAssembly.RuntimeError("the component calls into an instance that is in a call already");
    return entered;
  }

  assertMayLeave(): void {
    if (!this.mayLeave)
      throw new WebAssembly.RuntimeError("the component calls out while it allocates or cleans up for a call");
  }

  /** Exclusive use has ended, or back-pressure has. */
  recheck(): void {
    if (this.deferred.size === 0) return;
    const deferred = [...this.deferred];
    this.deferred.clear();
    for (const thread of deferred) this.store.check(thread);
  }

  release(): void {
    this.exclusive = undefined;
    this.recheck();
  }
}
