/**
 * Bodies: the kernel's on one side, WASI streams and their owners on the other.
 *
 *   in    Body → InputStream → IncomingBody → guest
 *   out   guest → OutgoingBody → OutputStream → BodyPipe → Body
 *
 * A pipe is open, then ended (all of it was written), broken (it never will be) or cancelled
 * (nobody reads it). It holds at most `chunkBytes`, so that the guest waits for a slow reader.
 */
import { type Body, CytoError } from "../../../kernel/index.ts";
import {
  type ByteSink,
  type ByteSource,
  chunkBytes,
  type InputStream,
  OutputStream,
  Pollable,
  Waitable,
} from "../io.ts";
import { type ErrorCode, HttpFault } from "./error.ts";
import type { Fields } from "./fields.ts";

export function bodySource(body: Body | undefined): ByteSource | undefined {
  if (body === undefined) return undefined;
  return body instanceof Uint8Array ? new WholeSource(body) : new IteratorSource(body);
}

class WholeSource implements ByteSource {
  #bytes: Uint8Array | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  pull(): Uint8Array | undefined {
    const bytes = this.#bytes;
    this.#bytes = undefined;
    return bytes;
  }

  cancel(): void {
    this.#bytes = undefined;
  }
}

/** Touches the body only when it is read: what is never read is its owner's to discard. */
class IteratorSource implements ByteSource {
  readonly #body: AsyncIterable<Uint8Array>;
  #iterator: AsyncIterator<Uint8Array> | undefined;

  constructor(body: AsyncIterable<Uint8Array>) {
    this.#body = body;
  }

  pull(): Promise<Uint8Array | undefined> {
    this.#iterator ??= this.#body[Symbol.asyncIterator]();
    return this.#iterator.next().then((step) => (step.done === true ? undefined : step.value));
  }

  cancel(): void {
    this.#iterator?.return?.().catch(() => undefined);
  }
}

export class IncomingBody {
  readonly #stream: InputStream;
  #taken = false;

  constructor(stream: InputStream) {
    this.#stream = stream;
  }

  stream(): InputStream {
    if (this.#taken) throw undefined;
    this.#taken = true;
    return this.#stream;
  }

  /** What was not read is not wanted. The kernel's bodies carry no trailers. */
  static finish(body: IncomingBody): FutureTrailers {
    body[Symbol.dispose]();
    return new FutureTrailers();
  }

  [Symbol.dispose](): void {
    this.#stream[Symbol.dispose]();
  }
}

export class FutureTrailers extends Waitable {
  #taken = false;

  subscribe(): Pollable {
    return new Pollable(this);
  }

  override ready(): boolean {
    return true;
  }

  get(): object {
    if (this.#taken) return { tag: "err", val: undefined };
    this.#taken = true;
    return { tag: "ok", val: { tag: "ok", val: undefined } };
  }
}

export class BodyPipe implements ByteSink, AsyncIterable<Uint8Array> {
  /** What the header `content-length` promised. */
  readonly declared: number | undefined;
  written = 0;
  ended = false;
  /** Why it will never be whole. */
  failure: unknown;
  readonly #subject: "request" | "response";
  #chunks: Uint8Array[] = [];
  #held = 0;
  #cancelled = false;
  #stream: OutputStream | undefined;
  /** The reader that waits, if one does. */
  #reader: (() => void) | undefined;

  constructor(subject: "request" | "response", declared: number | undefined) {
    this.#subject = subject;
    this.declared = declared;
  }

  /** The guest's end; `undefined` the second time. */
  open(): OutputStream | undefined {
    if (this.#stream !== undefined) return undefined;
    this.#stream = new OutputStream(this);
    if (this.#cancelled || this.failure !== undefined) this.#stream.close(this.failure);
    return this.#stream;
  }

  room(): number {
    return this.#held >= chunkBytes ? 0 : chunkBytes - this.#held;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#cancelled) return;
    this.written += bytes.length;
    if (this.declared !== undefined && this.written > this.declared) {
      const fault = this.sizeFault();
      this.break(fault);
      throw fault;
    }
    this.#chunks.push(bytes);
    this.#held += bytes.length;
    this.#wakeReader();
  }

  end(): void {
    this.ended = true;
    this.#stream?.close();
    this.#wakeReader();
  }

  break(cause: unknown): void {
    if (this.ended || this.failure !== undefined) return;
    this.failure = cause;
    this.#stream?.close(cause);
    this.#wakeReader();
  }

  /** The guest dropped it before it was finished. */
  abandon(): void {
    const code = this.#subject === "response" ? "invalid-reply" : "cancelled";
    this.break(
      new CytoError(code, `Cannot send the ${this.#subject} body: the guest dropped it before it was finished`),
    );
  }

  /** Nobody reads (on): the guest's writes answer `closed`. */
  cancel(): void {
    this.#cancelled = true;
    this.#chunks = [];
    this.#held = 0;
    this.#stream?.close();
  }

  /** Everything that is held, in one piece. */
  take(): Uint8Array {
    const chunks = this.#chunks;
    const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, this.#held);
    this.#chunks = [];
    const wasFull = this.#held >= chunkBytes;
    this.#held = 0;
    if (wasFull) this.#stream?.progress();
    return bytes;
  }

  /** What to hand on: all of it when it is whole, else the pipe itself. */
  body(): Body | undefined {
    if (!this.ended) return this;
    return this.#held === 0 ? undefined : this.take();
  }

  sizeFault(): HttpFault {
    return sizeFault(this.#subject, this.written, this.declared);
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        while (this.#held === 0 && !this.ended && this.failure === undefined && !this.#cancelled)
          await new Promise<void>((resolve) => {
            this.#reader = resolve;
          });
        if (this.failure !== undefined) throw this.failure;
        return this.#held > 0 ? { done: false, value: this.take() } : { done: true, value: undefined };
      },
      return: async () => {
        this.cancel();
        this.#wakeReader();
        return { done: true, value: undefined };
      },
    };
  }

  #wakeReader(): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.();
  }
}

export class OutgoingBody {
  readonly #pipe: BodyPipe;
  /** Whether a message with this body may go without the bytes it declares: a reply to HEAD, a 304. */
  readonly #mayBeEmpty: () => boolean;

  constructor(pipe: BodyPipe, mayBeEmpty: () => boolean) {
    this.#pipe = pipe;
    this.#mayBeEmpty = mayBeEmpty;
  }

  write(): OutputStream {
    const stream = this.#pipe.open();
    if (stream === undefined) throw undefined;
    return stream;
  }

  /** Trailers are accepted and end here: the kernel's bodies carry none. */
  static finish(body: OutgoingBody, _trailers: Fields | undefined): void {
    const pipe = body.#pipe;
    const short = pipe.declared !== undefined && pipe.written !== pipe.declared;
    if (!short || (pipe.written === 0 && body.#mayBeEmpty())) pipe.end();
    else {
      const fault = pipe.sizeFault();
      pipe.break(fault);
      throw fault.errorCode;
    }
  }

  /** Dropped without `finish`: the body is not whole. */
  [Symbol.dispose](): void {
    this.#pipe.abandon();
  }
}

/** A body that is not as long as its message says. */
export function sizeFault(subject: "request" | "response", written: number, declared: number | undefined): HttpFault {
  const size: ErrorCode = { tag: `HTTP-${subject}-body-size`, val: BigInt(written) };
  return new HttpFault(
    size,
    `Cannot send the ${subject} body: ${written} bytes are not the ${declared} that content-length says`,
  );
}

/** The number in `content-length`; `undefined` without one. Throws on anything that is none. */
export function declaredLength(headers: Fields): number | undefined {
  const value = headers.first("content-length");
  if (value === undefined) return undefined;
  if (!/^\d{1,15}$/.test(value))
    throw new HttpFault({ tag: "HTTP-protocol-error" }, `Cannot send the body: content-length is not a number`);
  return Number(value);
}
