/**
 * Streams and futures: a reader and a writer that meet. Whoever comes first waits with its buffer;
 * the second copies as much as both have room for, and both are told.
 *
 *   end:  idle ─▶ copying ─▶ idle · done (the other end has gone)
 *                    └─▶ cancelling ─▶ idle · done
 *
 * A future is a stream of one item, whose writer must have written before it goes.
 *
 * Follows "Stream State" and "Future State" of the Component Model's CanonicalABI.md.
 */
import { type CanonContext, trap } from "../canon-context.ts";
import type { Chunk } from "../contract.ts";
import type { ChunkCodec } from "./chunk.ts";
import type { Home } from "./home.ts";
import type { Store } from "./store.ts";
import { type Event, eventCode, Waitable } from "./waitable.ts";

/** How a copy ended, in the codes that a guest is told. */
export const copyResult = { completed: 0, dropped: 1, cancelled: 2 } as const;
export type CopyResult = (typeof copyResult)[keyof typeof copyResult];

/** More items than this cannot be told of in one event. */
const ITEMS_MAX = 2 ** 28 - 1;

/** So many are lifted at once, where they become values of JavaScript: together they have the bound of one call. */
const VALUES_AT_ONCE = 1024;

/** Where items are copied from or to. */
export interface Buffer {
  /** Whose it is; the host's when undefined. */
  readonly home: Home | undefined;
  readonly remain: number;
  /** No items were asked for: only whether there are any. */
  readonly empty: boolean;
  /** The next `count` items. Of one that is read from. */
  take(count: number): Chunk;
  /** Of one that is written to. */
  put(chunk: Chunk, from: number, count: number): void;
}

/** Some items have been copied; `reclaim` ends the copy where it stands. */
type OnCopy = (reclaim: () => void) => void;
type OnDone = (result: CopyResult) => void;

/** A stream or future as the one end sees the other. */
export interface Shared {
  readonly codec: ChunkCodec;
  copy(direction: "read" | "write", buffer: Buffer, onCopy: OnCopy, onDone: OnDone): void;
  /** Gives up the copy of that direction, as far as it is not complete. */
  cancel(direction: "read" | "write"): void;
  /** One end has gone. */
  drop(): void;
}

interface Pending {
  readonly direction: "read" | "write";
  readonly buffer: Buffer;
  readonly onCopy: OnCopy;
  readonly onDone: OnDone;
}

/** Between two guests, or between a guest that writes and the host. */
export class Rendezvous implements Shared {
  readonly codec: ChunkCodec;
  /** A future is done with one copy; a stream tells of what has been copied and goes on. */
  readonly #once: boolean;
  #dropped = false;
  #pending: Pending | undefined;

  constructor(codec: ChunkCodec, once: boolean) {
    this.codec = codec;
    this.#once = once;
  }

  copy(direction: "read" | "write", buffer: Buffer, onCopy: OnCopy, onDone: OnDone): void {
    if (this.#dropped) {
      onDone(copyResult.dropped);
      return;
    }
    const pending = this.#pending;
    if (pending === undefined) {
      this.#pending = { direction, buffer, onCopy, onDone };
      return;
    }
    if (buffer.home !== undefined && buffer.home === pending.buffer.home && !this.codec.plain)
      trap("a stream or future whose items are no numbers was read and written by one component instance");
    const source = direction === "write" ? buffer : pending.buffer;
    const target = direction === "write" ? pending.buffer : buffer;
    if (pending.buffer.remain > 0) {
      const count = Math.min(source.remain, target.remain);
      if (count > 0) {
        this.#transfer(source, target, count);
        if (this.#once) this.#settle(copyResult.completed);
        else pending.onCopy(() => this.#forget(pending));
      }
      onDone(copyResult.completed);
    } else if (direction === "write" && buffer.empty && pending.buffer.empty) onDone(copyResult.completed);
    else {
      this.#settle(copyResult.completed);
      this.#pending = { direction, buffer, onCopy, onDone };
    }
  }

  cancel(direction: "read" | "write"): void {
    const pending = this.#pending;
    if (pending?.direction === direction && (pending.buffer.remain > 0 || pending.buffer.empty))
      this.#settle(copyResult.cancelled);
  }

  drop(): void {
    if (this.#dropped) return;
    this.#dropped = true;
    if (this.#pending !== undefined) this.#settle(copyResult.dropped);
  }

  /** What becomes values of JavaScript goes a part at a time; a reader outside comes again for the rest. */
  #transfer(source: Buffer, target: Buffer, count: number): void {
    const part = this.codec.plain ? count : Math.min(count, VALUES_AT_ONCE);
    for (let left = count; left > 0; left -= part) {
      const taken = Math.min(part, left);
      target.put(source.take(taken), 0, taken);
      if (target.home === undefined) return;
    }
  }

  #settle(result: CopyResult): void {
    const pending = this.#pending!;
    this.#pending = undefined;
    pending.onDone(result);
  }

  #forget(pending: Pending): void {
    if (this.#pending === pending) this.#pending = undefined;
  }
}

/** A guest's memory as a buffer. */
export class GuestBuffer implements Buffer {
  readonly home: Home;
  readonly empty: boolean;
  progress = 0;
  readonly #cx: CanonContext;
  readonly #codec: ChunkCodec;
  readonly #length: number;
  readonly #pointer: number;

  constructor(home: Home, cx: CanonContext, codec: ChunkCodec, pointer: number, length: number) {
    if (length > ITEMS_MAX) trap(`a copy of ${length} items was asked for; ${ITEMS_MAX} are the most`);
    if (length > 0 && codec.size > 0) {
      cx.refresh();
      cx.check(pointer, length * codec.size, codec.align);
    }
    this.home = home;
    this.empty = length === 0;
    this.#cx = cx;
    this.#codec = codec;
    this.#pointer = pointer;
    this.#length = length;
  }

  get remain(): number {
    return this.#length - this.progress;
  }

  take(count: number): Chunk {
    this.#cx.charge?.(count * this.#codec.size);
    const chunk = this.#codec.load(this.#cx, this.#at(), count);
    this.progress += count;
    return chunk;
  }

  put(chunk: Chunk, from: number, count: number): void {
    this.#codec.store(this.#cx, chunk, from, count, this.#at());
    this.progress += count;
  }

  #at(): number {
    return this.#pointer + this.progress * this.#codec.size;
  }
}

type EndState = "idle" | "copying" | "cancelling" | "done";

/** One end of a stream or future in a guest's table. */
export abstract class End extends Waitable {
  readonly shared: Shared;
  state: EndState = "idle";
  protected abstract readonly direction: "read" | "write";
  protected abstract readonly code: number;

  constructor(store: Store, shared: Shared) {
    super(store);
    this.shared = shared;
  }

  get copying(): boolean {
    return this.state === "copying" || this.state === "cancelling";
  }

  /** Begins a copy; afterwards there is an event, or it goes on in the background. */
  copy(index: number, buffer: GuestBuffer): void {
    this.state = "copying";
    this.shared.copy(
      this.direction,
      buffer,
      (reclaim) =>
        this.setEvent(() => {
          reclaim();
          return this.#ended(index, copyResult.completed, buffer);
        }),
      (result) => this.setEvent(() => this.#ended(index, result, buffer)),
    );
  }

  /** Gives up the copy that is under way; afterwards there is an event. */
  cancel(): void {
    this.state = "cancelling";
    this.shared.cancel(this.direction);
  }

  drop(): void {
    if (this.copying) trap("the end of a stream or future was dropped in the middle of a copy");
    this.shared.drop();
    this.join(undefined);
  }

  /** What an ended copy leaves the end as. */
  protected abstract after(result: CopyResult): EndState;
  protected abstract payload(result: CopyResult, progress: number): number;

  #ended(index: number, result: CopyResult, buffer: GuestBuffer): Event {
    this.state = this.after(result);
    return [this.code, index, this.payload(result, buffer.progress)];
  }
}

abstract class StreamEnd extends End {
  protected override after(result: CopyResult): EndState {
    return result === copyResult.dropped ? "done" : "idle";
  }

  protected override payload(result: CopyResult, progress: number): number {
    return result | (progress << 4);
  }
}

abstract class FutureEnd extends End {
  protected override after(result: CopyResult): EndState {
    return result === copyResult.cancelled ? "idle" : "done";
  }

  protected override payload(result: CopyResult): number {
    return result;
  }
}

export class ReadableStreamEnd extends StreamEnd {
  protected override readonly direction = "read";
  protected override readonly code = eventCode.streamRead;
}

export class WritableStreamEnd extends StreamEnd {
  protected override readonly direction = "write";
  protected override readonly code = eventCode.streamWrite;
}

export class ReadableFutureEnd extends FutureEnd {
  protected override readonly direction = "read";
  protected override readonly code = eventCode.futureRead;
}

export class WritableFutureEnd extends FutureEnd {
  protected override readonly direction = "write";
  protected override readonly code = eventCode.futureWrite;

  override drop(): void {
    if (this.state !== "done") trap("the writable end of a future was dropped before a value was written");
    super.drop();
  }
}
