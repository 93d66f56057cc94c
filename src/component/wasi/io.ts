/**
 * wasi:io: errors, pollables and byte streams.
 *
 * A stream never holds more than one chunk (in) or a fixed room (out): whoever produces waits for
 * whoever consumes. Functions named `blocking…`, `block` and `poll` answer at once when they can
 * and return a promise only when the guest has to wait.
 *
 * The error of a `result` is thrown as it is, without a stack: it is an answer, not a fault. What
 * is thrown as an `Error` traps the guest.
 */
import { suspending } from "../contract.ts";

/** The resource `wasi:io/error.error`; other packages read their own code out of `cause`. */
export class IoError {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }

  toDebugString(): string {
    return this.cause instanceof Error ? this.cause.message : String(this.cause);
  }
}

export type StreamError = { readonly tag: "closed" } | { readonly tag: "last-operation-failed"; readonly val: IoError };

const closed: StreamError = { tag: "closed" };
const nothing = new Uint8Array(0);
/** The most bytes one `read` answers, and what most sinks have room for. */
export const chunkBytes = 65_536;
const chunkBytesBig = BigInt(chunkBytes);

/** Something that becomes ready, and wakes whoever watches it then. */
export abstract class Waitable {
  #watchers: Set<() => void> | undefined;

  /** Also begins whatever makes it ready. */
  abstract ready(): boolean;

  watch(wake: () => void): void {
    this.#watchers ??= new Set();
    this.#watchers.add(wake);
  }

  unwatch(wake: () => void): void {
    this.#watchers?.delete(wake);
  }

  get watched(): boolean {
    return this.#watchers !== undefined && this.#watchers.size > 0;
  }

  /** Settles when something has changed; it need not be ready even then. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.watch(resolve));
  }

  protected wake(): void {
    const watchers = this.#watchers;
    if (watchers === undefined) return;
    this.#watchers = undefined;
    for (const wake of watchers) wake();
  }
}

export class Pollable {
  readonly target: Waitable;

  constructor(target: Waitable) {
    this.target = target;
  }

  ready(): boolean {
    return this.target.ready();
  }

  block(): undefined | Promise<undefined> {
    if (this.target.ready()) return undefined;
    return this.target.changed().then(() => this.block());
  }
}

/** Indexes of those that are ready; waits until there is one. */
export function poll(list: readonly Pollable[]): Uint32Array | Promise<Uint32Array> {
  if (list.length === 0) throw new Error("Cannot poll: the list is empty");
  const ready: number[] = [];
  for (let index = 0; index < list.length; index++) if (list[index]!.ready()) ready.push(index);
  if (ready.length > 0) return Uint32Array.from(ready);
  let wake: (() => void) | undefined;
  const changed = new Promise<void>((resolve) => {
    wake = resolve;
    for (const pollable of list) pollable.target.watch(resolve);
  });
  return changed.then(() => {
    for (const pollable of list) pollable.target.unwatch(wake!);
    return poll(list);
  });
}

/** Where an input stream's bytes come from. */
export interface ByteSource {
  /** The next bytes, `undefined` at the end; asked again only after it has answered. */
  pull(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** No more will be asked for. */
  cancel(): void;
}

export class InputStream extends Waitable {
  /** `undefined` once ended, failed or dropped. */
  #source: ByteSource | undefined;
  #chunk: Uint8Array = nothing;
  #pulling = false;
  #failure: IoError | undefined;

  constructor(source: ByteSource | undefined) {
    super();
    this.#source = source;
  }

  read(len: bigint): Uint8Array {
    this.#fill();
    return this.#take(len);
  }

  blockingRead(len: bigint): Uint8Array | Promise<Uint8Array> {
    this.#fill();
    return this.#pulling ? this.changed().then(() => this.blockingRead(len)) : this.#take(len);
  }

  skip(len: bigint): bigint {
    return BigInt(this.read(len).length);
  }

  blockingSkip(len: bigint): bigint | Promise<bigint> {
    const taken = this.blockingRead(len);
    return taken instanceof Promise ? taken.then((bytes) => BigInt(bytes.length)) : BigInt(taken.length);
  }

  subscribe(): Pollable {
    return new Pollable(this);
  }

  override ready(): boolean {
    this.#fill();
    return !this.#pulling;
  }

  /** Breaks the stream from outside: bytes at hand are gone, the next read fails. */
  fail(cause: unknown): void {
    const source = this.#source;
    if (source === undefined) return;
    this.#end(cause);
    this.#chunk = nothing;
    source.cancel();
  }

  [Symbol.dispose](): void {
    const source = this.#source;
    this.#source = undefined;
    source?.cancel();
  }

  /** Afterwards either `#pulling`, or there are bytes, or the stream has ended. */
  #fill(): void {
    while (this.#chunk.length === 0 && !this.#pulling && this.#source !== undefined) {
      const source = this.#source;
      try {
        const pulled = source.pull();
        if (pulled instanceof Promise) {
          this.#pulling = true;
          pulled.then(
            (bytes) => this.#arrived(source, bytes),
            (cause) => this.#source === source && this.#end(cause),
          );
        } else if (pulled === undefined) this.#source = undefined;
        else this.#chunk = pulled;
      } catch (cause) {
        this.#end(cause);
      }
    }
  }

  #arrived(source: ByteSource, bytes: Uint8Array | undefined): void {
    if (this.#source !== source) return;
    this.#pulling = false;
    if (bytes === undefined) this.#source = undefined;
    else this.#chunk = bytes;
    this.wake();
  }

  #end(cause: unknown): void {
    this.#source = undefined;
    this.#pulling = false;
    this.#failure = new IoError(cause);
    this.wake();
  }

  #take(len: bigint): Uint8Array {
    const chunk = this.#chunk;
    if (chunk.length > 0) {
      const wanted = len > chunkBytesBig ? chunkBytes : Number(len);
      if (wanted >= chunk.length) {
        this.#chunk = nothing;
        return chunk;
      }
      this.#chunk = chunk.subarray(wanted);
      return chunk.subarray(0, wanted);
    }
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      throw failed(failure);
    }
    if (this.#source === undefined) throw closed;
    return nothing;
  }
}

/** Where an output stream's bytes go. */
export interface ByteSink {
  /** Bytes it takes now; 0 says: later, and {@link OutputStream.progress} then. */
  room(): number;
  /** Takes all of `bytes`, never more than `room()`. What it throws fails the stream. */
  write(bytes: Uint8Array): void;
}

export class OutputStream extends Waitable {
  readonly #sink: ByteSink;
  #closed = false;
  #failure: IoError | undefined;

  constructor(sink: ByteSink) {
    super();
    this.#sink = sink;
  }

  checkWrite(): bigint {
    const room = this.#room();
    return room === chunkBytes ? chunkBytesBig : BigInt(room);
  }

  write(contents: Uint8Array): void {
    const room = this.#room();
    if (contents.length > room)
      throw new Error(`Cannot write ${contents.length} bytes: the stream permits ${room} (see check-write)`);
    this.#write(contents);
  }

  blockingWriteAndFlush(contents: Uint8Array): undefined | Promise<undefined> {
    let rest = contents;
    for (let room = this.#room(); rest.length > room; room = this.#room()) {
      const left = rest.subarray(room);
      if (room === 0) return this.changed().then(() => this.blockingWriteAndFlush(left));
      this.#write(rest.subarray(0, room));
      rest = left;
    }
    this.#write(rest);
    return undefined;
  }

  flush(): void {
    this.#room();
  }

  /** A flush is complete when the stream takes more: its sink then holds less than its room. */
  blockingFlush(): undefined | Promise<undefined> {
    return this.#room() > 0 ? undefined : this.changed().then(() => this.blockingFlush());
  }

  writeZeroes(len: bigint): void {
    const room = this.#room();
    if (len > BigInt(room)) throw new Error(`Cannot write ${len} zeroes: the stream permits ${room} (see check-write)`);
    this.#write(new Uint8Array(Number(len)));
  }

  blockingWriteZeroesAndFlush(len: bigint): undefined | Promise<undefined> {
    let rest = len;
    for (let room = this.#room(); rest > BigInt(room); room = this.#room()) {
      const left = rest - BigInt(room);
      if (room === 0) return this.changed().then(() => this.blockingWriteZeroesAndFlush(left));
      this.#write(new Uint8Array(room));
      rest = left;
    }
    this.#write(new Uint8Array(Number(rest)));
    return undefined;
  }

  splice(src: InputStream, len: bigint): bigint {
    const room = this.#room();
    if (room === 0) return 0n;
    return this.#pass(src.read(len > BigInt(room) ? BigInt(room) : len));
  }

  blockingSplice(src: InputStream, len: bigint): bigint | Promise<bigint> {
    const room = this.#room();
    if (room === 0) return this.changed().then(() => this.blockingSplice(src, len));
    const taken = src.blockingRead(len > BigInt(room) ? BigInt(room) : len);
    return taken instanceof Promise ? taken.then((bytes) => this.#pass(bytes)) : this.#pass(taken);
  }

  subscribe(): Pollable {
    return new Pollable(this);
  }

  override ready(): boolean {
    return this.#closed || this.#failure !== undefined || this.#sink.room() > 0;
  }

  /** The sink has room again. */
  progress(): void {
    this.wake();
  }

  /** Nobody takes the bytes any more; with a cause, because something broke. */
  close(cause?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    if (cause !== undefined) this.#failure = new IoError(cause);
    this.wake();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
  }

  #room(): number {
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      throw failed(failure);
    }
    if (this.#closed) throw closed;
    return this.#sink.room();
  }

  #write(bytes: Uint8Array): void {
    try {
      this.#sink.write(bytes);
    } catch (cause) {
      this.#closed = true;
      throw failed(new IoError(cause));
    }
  }

  #pass(bytes: Uint8Array): bigint {
    this.#write(bytes);
    return BigInt(bytes.length);
  }
}

function failed(val: IoError): StreamError {
  return { tag: "last-operation-failed", val };
}

for (const method of [
  Pollable.prototype.block,
  InputStream.prototype.blockingRead,
  InputStream.prototype.blockingSkip,
  OutputStream.prototype.blockingWriteAndFlush,
  OutputStream.prototype.blockingFlush,
  OutputStream.prototype.blockingWriteZeroesAndFlush,
  OutputStream.prototype.blockingSplice,
  poll,
])
  suspending(method);

export const io = {
  "wasi:io/error": { Error: IoError },
  "wasi:io/poll": { Pollable, poll },
  "wasi:io/streams": { InputStream, OutputStream },
};
