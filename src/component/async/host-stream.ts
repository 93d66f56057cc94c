/**
 * The ends of streams and futures that JavaScript holds: what a guest gave, to be read; and what
 * JavaScript gave, for a guest to read.
 *
 * An end that JavaScript never reads or gives up keeps the guest's writer waiting, and nothing else.
 */
import { describe } from "../canon-context.ts";
import type { Chunk, FutureReader, StreamReader, StreamSource } from "../contract.ts";
import { assertChunk, type ChunkCodec } from "./chunk.ts";
import type { Store } from "./store.ts";
import { type Buffer, type CopyResult, copyResult, type Shared } from "./stream.ts";

/** Items that one read takes at most, when the reader does not say. */
const ITEMS_DEFAULT = 65_536;

/** The items that one read of JavaScript's brings. */
class HostBuffer implements Buffer {
  readonly home = undefined;
  readonly empty = false;
  remain: number;
  chunk: Chunk | undefined;
  readonly #codec: ChunkCodec;

  constructor(codec: ChunkCodec, max: number) {
    this.#codec = codec;
    this.remain = max;
  }

  take(): Chunk {
    throw new Error("Cannot take items: the buffer is written to");
  }

  put(chunk: Chunk, from: number, count: number): void {
    this.chunk = this.#codec.slice(chunk, from, from + count);
    this.remain = 0;
  }
}

/** What the readers of both kinds have in common: the end of a stream of the guest's that is held outside. */
abstract class HostEnd {
  readonly store: Store;
  /** Given on to a guest: no longer JavaScript's to read. */
  #shared: Shared | undefined;

  constructor(store: Store, shared: Shared) {
    this.store = store;
    this.#shared = shared;
    store.hold();
  }

  get shared(): Shared | undefined {
    return this.#shared;
  }

  /** A read is under way. */
  protected abstract readonly busy: boolean;

  /** To a guest of the same store, which gets the guest's own stream or future. */
  passOn(): Shared {
    if (this.busy) throw new TypeError("Cannot pass a stream or future on: it is being read");
    const shared = this.release();
    if (shared === undefined)
      throw new TypeError("Cannot pass a stream or future on: it was given away or ended before");
    return shared;
  }

  protected release(): Shared | undefined {
    const shared = this.#shared;
    this.#shared = undefined;
    if (shared !== undefined) this.store.letGo();
    return shared;
  }

  /** Reads; what the guest offers may turn out to be no value of the type, which is its fault. */
  protected copy(shared: Shared, buffer: HostBuffer, onDone: (result: CopyResult) => void): void {
    try {
      const onCopy = (reclaim: () => void): void => {
        reclaim();
        onDone(copyResult.completed);
      };
      shared.copy("read", buffer, onCopy, onDone);
    } catch (thrown) {
      this.store.trap(thrown);
      throw thrown;
    }
  }

  [Symbol.dispose](): void {
    const shared = this.release();
    if (this.store.trapped === undefined) shared?.drop();
  }
}

export class HostStreamReader extends HostEnd implements StreamReader {
  #reading: ((result: CopyResult) => void) | undefined;

  protected override get busy(): boolean {
    return this.#reading !== undefined;
  }

  read(max: number = ITEMS_DEFAULT): Chunk | undefined | Promise<Chunk | undefined> {
    const { shared, store } = this;
    if (store.trapped !== undefined) throw store.trapped;
    if (this.#reading !== undefined) throw new Error("Cannot read the stream: it is being read already");
    if (shared === undefined) return undefined;
    const buffer = new HostBuffer(shared.codec, Math.max(1, max));
    let ended: CopyResult | undefined;
    this.#reading = (result) => {
      ended = result;
    };
    this.copy(shared, buffer, (result) => this.#reading?.(result));
    const finish = (result: CopyResult): Chunk | undefined => {
      this.#reading = undefined;
      if (result !== copyResult.completed) this[Symbol.dispose]();
      return buffer.chunk;
    };
    if (ended !== undefined) return finish(ended);
    return new Promise((resolve, reject) => {
      const trapped = (error: Error) => reject(error);
      store.onTrap.add(trapped);
      this.#reading = (result) => {
        store.onTrap.delete(trapped);
        resolve(finish(result));
      };
    });
  }

  override [Symbol.dispose](): void {
    const reading = this.#reading;
    this.#reading = undefined;
    if (reading !== undefined && this.store.trapped === undefined) this.shared?.cancel("read");
    super[Symbol.dispose]();
    reading?.(copyResult.dropped);
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Chunk> {
    try {
      for (;;) {
        const chunk = await this.read();
        if (chunk === undefined) return;
        yield chunk;
      }
    } finally {
      this[Symbol.dispose]();
    }
  }
}

export class HostFutureReader extends HostEnd implements FutureReader {
  #giveUp: ((error: Error) => void) | undefined;

  protected override get busy(): boolean {
    return this.#giveUp !== undefined;
  }

  read(): Promise<unknown> {
    const { shared, store } = this;
    if (shared === undefined || this.#giveUp !== undefined)
      return Promise.reject(new Error("Cannot read the future: it was read or given away before"));
    const buffer = new HostBuffer(shared.codec, 1);
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        store.onTrap.delete(fail);
        reject(error);
      };
      this.#giveUp = fail;
      if (store.trapped !== undefined) {
        fail(store.trapped);
        return;
      }
      store.onTrap.add(fail);
      this.copy(shared, buffer, (result) => {
        store.onTrap.delete(fail);
        this.#giveUp = undefined;
        this.release();
        if (result === copyResult.completed) resolve(buffer.chunk![0]);
        else reject(new Error("Cannot read the future: it was given up"));
      });
    });
  }

  override [Symbol.dispose](): void {
    const giveUp = this.#giveUp;
    this.#giveUp = undefined;
    if (giveUp !== undefined && this.store.trapped === undefined) this.shared?.cancel("read");
    super[Symbol.dispose]();
    giveUp?.(new Error("Cannot read the future: it was given up"));
  }
}

/** A stream whose items come from JavaScript, as the guest that reads it sees it. */
export class HostSource implements Shared {
  readonly codec: ChunkCodec;
  readonly #store: Store;
  /** `undefined` once it has ended or was given up. */
  #source: StreamSource | undefined;
  #chunk: Chunk | undefined;
  #offset = 0;
  #pulling = false;
  #waiting: { readonly buffer: Buffer; readonly onDone: (result: CopyResult) => void } | undefined;

  constructor(store: Store, codec: ChunkCodec, source: StreamSource) {
    this.codec = codec;
    this.#store = store;
    this.#source = source;
    store.hold();
  }

  copy(_direction: "read" | "write", buffer: Buffer, _onCopy: unknown, onDone: (result: CopyResult) => void): void {
    this.#waiting = { buffer, onDone };
    this.#fill();
    this.#hand();
  }

  cancel(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.onDone(copyResult.cancelled);
  }

  drop(): void {
    const source = this.#source;
    this.#end();
    try {
      source?.cancel();
    } catch {
      // Who gives it up has nobody to tell how the source took it.
    }
  }

  /** Afterwards there are items, or they are being waited for, or the source has ended. */
  #fill(): void {
    while (this.#source !== undefined && this.#chunk === undefined && !this.#pulling) {
      let pulled: unknown;
      try {
        pulled = this.#source.pull();
      } catch {
        this.#end();
        return;
      }
      if (pulled instanceof Promise) {
        this.#pulling = true;
        const arrived = (chunk: unknown) => {
          this.#pulling = false;
          if (this.#source === undefined || this.#store.trapped !== undefined) return;
          try {
            this.#arrived(chunk);
            this.#fill();
            if (this.#waiting !== undefined) this.#hand();
          } catch (thrown) {
            this.#store.trap(thrown);
          }
        };
        pulled.then(arrived, () => arrived(undefined));
      } else this.#arrived(pulled);
    }
  }

  #arrived(chunk: unknown): void {
    if (chunk === undefined) {
      this.#end();
      return;
    }
    assertChunk(chunk);
    if (chunk.length > 0) this.#chunk = chunk;
    this.#offset = 0;
  }

  /** Gives the waiting reader what there is. */
  #hand(): void {
    const { buffer, onDone } = this.#waiting!;
    const chunk = this.#chunk;
    if (chunk === undefined) {
      if (this.#source !== undefined) return;
      this.#waiting = undefined;
      onDone(copyResult.dropped);
      return;
    }
    this.#waiting = undefined;
    const count = Math.min(buffer.remain, chunk.length - this.#offset);
    if (count > 0) buffer.put(chunk, this.#offset, count);
    this.#offset += count;
    if (this.#offset === chunk.length) this.#chunk = undefined;
    onDone(copyResult.completed);
  }

  #end(): void {
    if (this.#source === undefined) return;
    this.#source = undefined;
    this.#store.letGo();
  }
}

/** What JavaScript may give as a stream, as a source. */
export function toSource(value: unknown): StreamSource {
  const given = value as Partial<StreamSource & StreamReader> & Partial<Iterable<Chunk>>;
  if (typeof given?.pull === "function") return given as StreamSource;
  // A stream of Node's has a `read` of its own, which is another.
  if (typeof given?.read === "function" && typeof given[Symbol.dispose] === "function") {
    const reader = given as StreamReader;
    return { pull: () => reader.read(), cancel: () => reader[Symbol.dispose]() };
  }
  if (typeof given?.[Symbol.asyncIterator] === "function") {
    const iterator = given[Symbol.asyncIterator]!();
    return {
      pull: async () => {
        const next = await iterator.next();
        return next.done ? undefined : next.value;
      },
      // Who gives it up does not wait for it to clean up, and has nobody to tell how that went.
      cancel: () => void iterator.return?.().catch(() => {}),
    };
  }
  if (typeof given?.[Symbol.iterator] === "function" && typeof value !== "string") {
    const iterator = given[Symbol.iterator]!();
    return {
      pull: () => {
        const next = iterator.next();
        return next.done ? undefined : next.value;
      },
      cancel: () => void iterator.return?.(),
    };
  }
  throw new TypeError(`Cannot pass ${describe(value)}: a stream is expected`);
}

/** A future whose value comes from JavaScript: a source of one item. A promise that is rejected traps. */
export function futureSource(store: Store, codec: ChunkCodec, value: unknown): Shared {
  let given = false;
  // A guest that never reads it does not learn of a rejection, and nor does anybody else.
  if (value instanceof Promise) value.catch(() => {});
  const once: StreamSource = {
    pull() {
      if (given) return undefined;
      given = true;
      const read = value instanceof HostFutureReader ? value.read() : value;
      if (!(read instanceof Promise)) return [read];
      return read.then(
        (settled) => [settled],
        (thrown) => {
          store.trap(thrown);
          return undefined;
        },
      );
    },
    cancel() {
      if (value instanceof HostFutureReader) value[Symbol.dispose]();
    },
  };
  return new HostSource(store, codec, once);
}
