/**
 * How streams, futures and error contexts cross: by number in a guest's table, as an object outside.
 * What one guest gives and another takes goes through the same object.
 */
import { describe } from "../canon-context.ts";
import type { HandleTable } from "../handles.ts";
import type { GuestResources } from "../resource-class.ts";
import type { ValueType } from "../types.ts";
import { type ChunkCodec, chunkCodecOf } from "./chunk.ts";
import { futureSource, HostFutureReader, HostSource, HostStreamReader, toSource } from "./host-stream.ts";
import type { Store } from "./store.ts";
import { type End, ReadableFutureEnd, ReadableStreamEnd } from "./stream.ts";

export class ErrorContext {
  readonly error: Error;

  constructor(error: Error) {
    this.error = error;
  }
}

/** What a codec asks of the instance that it works for. */
export class Carrier {
  readonly resources: GuestResources;
  readonly #store: Store;
  readonly #handles: HandleTable;

  constructor(store: Store, handles: HandleTable) {
    this.resources = store.resources;
    this.#store = store;
    this.#handles = handles;
  }

  liftStream(index: number, element: ValueType | undefined): HostStreamReader {
    const shared = this.#take(index, ReadableStreamEnd, "readable end of a stream", element).shared;
    return new HostStreamReader(this.#store, shared);
  }

  liftFuture(index: number, element: ValueType | undefined): HostFutureReader {
    const shared = this.#take(index, ReadableFutureEnd, "readable end of a future", element).shared;
    return new HostFutureReader(this.#store, shared);
  }

  lowerStream(value: unknown, element: ValueType | undefined): number {
    const codec = chunkCodecOf(element);
    const shared =
      value instanceof HostStreamReader && value.store === this.#store
        ? sameType(value.passOn(), codec)
        : new HostSource(this.#store, codec, toSource(value));
    return this.#handles.insert(new ReadableStreamEnd(this.#store, shared));
  }

  lowerFuture(value: unknown, element: ValueType | undefined): number {
    const codec = chunkCodecOf(element);
    const shared =
      value instanceof HostFutureReader && value.store === this.#store
        ? sameType(value.passOn(), codec)
        : futureSource(this.#store, codec, value);
    return this.#handles.insert(new ReadableFutureEnd(this.#store, shared));
  }

  liftErrorContext(index: number): Error {
    return this.#handles.at(index, ErrorContext, "error context").error;
  }

  lowerErrorContext(value: unknown): number {
    if (!(value instanceof Error)) throw new TypeError(`Cannot pass ${describe(value)}: an error is expected`);
    return this.#handles.insert(new ErrorContext(value));
  }

  #take<E extends End>(
    index: number,
    of: abstract new (...args: never[]) => E,
    what: string,
    element: ValueType | undefined,
  ): E {
    const end = this.#handles.at(index, of, what);
    if (end.shared.codec.key !== chunkCodecOf(element).key)
      throw new WebAssembly.RuntimeError(`handle ${index} is the ${what} of another type`);
    if (end.state !== "idle") throw new WebAssembly.RuntimeError(`handle ${index} is in use and cannot be given away`);
    if (end.set !== undefined)
      throw new WebAssembly.RuntimeError(`handle ${index} is in a waitable set and cannot be given away`);
    this.#handles.remove(index);
    return end;
  }
}

function sameType(shared: End["shared"], codec: ChunkCodec): End["shared"] {
  if (shared.codec.key === codec.key) return shared;
  throw new TypeError("Cannot pass a stream or future on: its items are of another type");
}
