/**
 * The handles that a component instance holds: small numbers in the guest, resources here.
 * Index 0 is never given out, as the Canonical ABI asks.
 */
import type { ResourceType } from "./types.ts";

interface Entry {
  readonly type: ResourceType;
  readonly resource: unknown;
  readonly own: boolean;
}

/** A guest that leaks handles is stopped here rather than at the end of the host's memory. */
const HANDLES_MAX = 1 << 20;

export class HandleTable {
  #entries: (Entry | undefined)[] = [undefined];
  #free: number[] = [];

  add(type: ResourceType, resource: unknown, own: boolean): number {
    const entry = { type, resource, own };
    const free = this.#free.pop();
    if (free !== undefined) {
      this.#entries[free] = entry;
      return free;
    }
    if (this.#entries.length > HANDLES_MAX)
      throw new WebAssembly.RuntimeError(`more than ${HANDLES_MAX} handles are open`);
    return this.#entries.push(entry) - 1;
  }

  get(index: number, type: ResourceType): unknown {
    return this.#entry(index, type).resource;
  }

  /** Gives the resource away: the handle must own it. */
  take(index: number, type: ResourceType): unknown {
    const entry = this.#entry(index, type);
    if (!entry.own)
      throw new WebAssembly.RuntimeError(`handle ${index} (${type.name}) is borrowed and cannot be given away`);
    this.#remove(index);
    return entry.resource;
  }

  /** Forgets the handle; tells whether it owned the resource, which is then to be destroyed. */
  drop(index: number, type: ResourceType): { readonly resource: unknown; readonly own: boolean } {
    const entry = this.#entry(index, type);
    this.#remove(index);
    return entry;
  }

  /** Every resource still owned, for destroying with the instance. */
  *owned(): Iterable<{ readonly type: ResourceType; readonly resource: unknown }> {
    for (const entry of this.#entries) if (entry?.own) yield entry;
  }

  get size(): number {
    return this.#entries.length - 1 - this.#free.length;
  }

  #entry(index: number, type: ResourceType): Entry {
    const entry = this.#entries[index];
    if (!entry) throw new WebAssembly.RuntimeError(`${index} is no open handle`);
    if (entry.type !== type) {
      throw new WebAssembly.RuntimeError(`handle ${index} is a ${entry.type.name}, not a ${type.name}`);
    }
    return entry;
  }

  #remove(index: number): void {
    this.#entries[index] = undefined;
    this.#free.push(index);
  }
}
