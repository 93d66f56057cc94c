/**
 * What a component instance holds, by small numbers: handles of resources, waitables, waitable sets
 * and error contexts in one table, as the Canonical ABI asks. Index 0 is never given out.
 *
 * A borrowed handle counts in the task that it was given to, which must drop it before it returns; a
 * handle that is lent cannot be given away or dropped before the call that it was lent to has ended.
 */
import type { ResourceType } from "./types.ts";

/** The task that borrowed handles were given to. */
export interface BorrowScope {
  borrows: number;
  /** What JavaScript lent to it: given back when it has ended. */
  readonly lent: ResourceHandle[];
}

export class ResourceHandle {
  readonly type: ResourceType;
  readonly resource: unknown;
  readonly own: boolean;
  readonly scope: BorrowScope | undefined;
  /** Calls under way that it is lent to. */
  lends = 0;

  constructor(type: ResourceType, resource: unknown, own: boolean, scope: BorrowScope | undefined) {
    this.type = type;
    this.resource = resource;
    this.own = own;
    this.scope = scope;
  }
}

/** A guest that leaks handles is stopped here rather than at the end of the host's memory. */
const HANDLES_MAX = 1 << 20;
const none: readonly ResourceHandle[] = [];

export function giveBack(lent: readonly ResourceHandle[]): void {
  for (const handle of lent) handle.lends--;
}

export class HandleTable {
  /** Set while the parameters of a call are lowered: the callee's task. */
  scope: BorrowScope | undefined;
  #lent: ResourceHandle[] = [];
  #entries: unknown[] = [undefined];
  #free: number[] = [];

  /** A number for a resource. */
  add(type: ResourceType, resource: unknown, own: boolean): number {
    const scope = own ? undefined : this.scope;
    if (scope !== undefined) scope.borrows++;
    return this.insert(new ResourceHandle(type, resource, own, scope));
  }

  get(index: number, type: ResourceType): unknown {
    return this.#handle(index, type).resource;
  }

  /** As `get`, for the call whose parameters are being lifted. */
  lend(index: number, type: ResourceType): unknown {
    const handle = this.#handle(index, type);
    handle.lends++;
    this.#lent.push(handle);
    return handle.resource;
  }

  /** What was lent since it was asked last: to be given back when the call has ended. */
  takeLent(): readonly ResourceHandle[] {
    const lent = this.#lent;
    if (lent.length === 0) return none;
    this.#lent = [];
    return lent;
  }

  /** Gives the resource away: the handle must own it. */
  take(index: number, type: ResourceType): unknown {
    const handle = this.#handle(index, type);
    if (!handle.own)
      throw new WebAssembly.RuntimeError(`handle ${index} (${type.name}) is borrowed and cannot be given away`);
    this.#assertNotLent(index, handle);
    this.remove(index);
    return handle.resource;
  }

  /** Forgets the handle; tells whether it owned the resource, which is then to be destroyed. */
  drop(index: number, type: ResourceType): ResourceHandle {
    const handle = this.#handle(index, type);
    this.#assertNotLent(index, handle);
    this.remove(index);
    if (handle.scope !== undefined) handle.scope.borrows--;
    return handle;
  }

  /** A number for anything else that the table can hold. */
  insert(entry: object): number {
    const free = this.#free.pop();
    if (free !== undefined) {
      this.#entries[free] = entry;
      return free;
    }
    if (this.#entries.length > HANDLES_MAX)
      throw new WebAssembly.RuntimeError(`more than ${HANDLES_MAX} handles are open`);
    return this.#entries.push(entry) - 1;
  }

  /** The entry, which must be of the class. */
  at<T>(index: number, of: abstract new (...args: never[]) => T, what: string): T {
    const entry = this.#entries[index];
    if (entry instanceof of) return entry;
    throw new WebAssembly.RuntimeError(
      entry === undefined ? `${index} is no open handle` : `handle ${index} is no ${what}`,
    );
  }

  remove(index: number): void {
    this.#entries[index] = undefined;
    this.#free.push(index);
  }

  /** Every resource still owned, for destroying with the instance. */
  *owned(): Iterable<ResourceHandle> {
    for (const entry of this.#entries) if (entry instanceof ResourceHandle && entry.own) yield entry;
  }

  /** Every entry that is no resource. */
  *others(): Iterable<object> {
    for (const entry of this.#entries)
      if (entry !== undefined && !(entry instanceof ResourceHandle)) yield entry as object;
  }

  /** As it was when nothing had ever been added. */
  clear(): void {
    this.#entries.length = 1;
    this.#free.length = 0;
  }

  get size(): number {
    return this.#entries.length - 1 - this.#free.length;
  }

  #handle(index: number, type: ResourceType): ResourceHandle {
    const entry = this.#entries[index];
    if (!(entry instanceof ResourceHandle)) {
      throw new WebAssembly.RuntimeError(
        entry === undefined ? `${index} is no open handle` : `handle ${index} is no resource`,
      );
    }
    if (entry.type !== type) {
      throw new WebAssembly.RuntimeError(`handle ${index} is a ${entry.type.name}, not a ${type.name}`);
    }
    return entry;
  }

  #assertNotLent(index: number, handle: ResourceHandle): void {
    if (handle.lends > 0)
      throw new WebAssembly.RuntimeError(
        `handle ${index} (${handle.type.name}) is lent to a call that has not ended yet`,
      );
  }
}
