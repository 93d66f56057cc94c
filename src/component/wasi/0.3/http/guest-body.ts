/**
 * A guest's stream and trailers as a kernel's body: read when it is pulled, and not before, but for
 * what is gathered while the guest is quick.
 *
 *   open ─▶ ended    all of it was read, as long as its message said, and the trailers are known
 *     └───▶ failed   the guest says so, it is not as long as said, nobody reads on, or it was broken
 */
import { type Body, CytoError, type Headers } from "../../../../kernel/index.ts";
import type { FutureReader, StreamReader } from "../../../contract.ts";
import { sizeFault } from "../../http/body.ts";
import { HttpFault } from "../../http/error.ts";
import { chunkBytes } from "../../io.ts";
import type { Trailers } from "./contents.ts";

export interface GuestBodyParts {
  readonly subject: "request" | "response";
  readonly stream: StreamReader<Uint8Array> | undefined;
  readonly trailers: FutureReader<Trailers>;
  readonly declared: number | undefined;
  /** Whether no byte at all will do for what was declared: a reply to HEAD, a 304. */
  readonly mayBeEmpty: boolean;
  /** Told once; `failure` is undefined where all of it was read. */
  ended(failure: unknown): void;
}

type Step = IteratorResult<Uint8Array, Headers | undefined>;

export class GuestBody implements AsyncIterable<Uint8Array, Headers | undefined> {
  readonly #parts: GuestBodyParts;
  #written = 0;
  #failure: unknown;
  #over = false;
  /** Read before it was asked for. */
  readonly #steps: Step[] = [];
  /** The read that is under way. */
  #reading: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  constructor(parts: GuestBodyParts) {
    this.#parts = parts;
  }

  /**
   * All of it, where the guest ends it within so many turns of the microtask queue and without
   * trailers; else itself. `undefined` where it is empty.
   */
  async gather(turns: number): Promise<Body | undefined> {
    let held = 0;
    let seen = 0;
    for (let turn = 0; turn < turns; turn++) {
      for (this.#read(); seen < this.#steps.length; this.#read()) {
        const step = this.#steps[seen++]!;
        if (step.done) return step.value === undefined ? this.#whole(held) : this;
        held += step.value.length;
        if (held >= chunkBytes) return this;
      }
      if (this.#failure !== undefined) throw this.#failure;
      await undefined;
    }
    return this;
  }

  /** Breaks it from outside: whoever reads gets the cause. */
  break(cause: unknown): void {
    this.#fail(cause);
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, Headers | undefined> {
    return {
      next: async () => {
        for (;;) {
          if (this.#failure !== undefined) throw this.#failure;
          const step = this.#steps.shift();
          if (step !== undefined) return step;
          if (this.#over) return { done: true, value: undefined };
          this.#read();
          if (this.#steps.length === 0 && this.#failure === undefined)
            await new Promise<void>((resolve) => {
              this.#wake = resolve;
            });
        }
      },
      return: async () => {
        if (!this.#over)
          this.break(new CytoError("cancelled", `Cannot send the ${this.#parts.subject} body: the reader has gone`));
        return { done: true, value: undefined };
      },
    };
  }

  #whole(length: number): Body | undefined {
    const chunks = this.#steps.splice(0).flatMap((step) => (step.done ? [] : [step.value]));
    if (length === 0) return undefined;
    return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, length);
  }

  /** Begins to read on, unless that is under way or there is nothing more; ends at once where it can. */
  #read(): void {
    if (this.#reading !== undefined || this.#over) return;
    try {
      const chunk = this.#parts.stream?.read(chunkBytes);
      if (!(chunk instanceof Promise) && chunk !== undefined) {
        this.#take(chunk);
        return;
      }
      this.#reading = this.#arrive(chunk).then(
        () => this.#arrived(),
        (thrown) => {
          this.#fail(thrown);
          this.#arrived();
        },
      );
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  async #arrive(reading: Promise<Uint8Array | undefined> | undefined): Promise<void> {
    const chunk = await reading;
    if (this.#over) return;
    if (chunk !== undefined) this.#take(chunk);
    else await this.#finish();
  }

  #arrived(): void {
    this.#reading = undefined;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #take(chunk: Uint8Array): void {
    const { declared, subject } = this.#parts;
    this.#written += chunk.length;
    if (declared !== undefined && this.#written > declared) throw sizeFault(subject, this.#written, declared);
    this.#steps.push({ done: false, value: chunk });
  }

  /** The stream has ended: the trailers say whether that was all. */
  async #finish(): Promise<void> {
    const { subject, trailers, declared, mayBeEmpty } = this.#parts;
    const short = declared !== undefined && this.#written < declared;
    if (short && !(this.#written === 0 && mayBeEmpty)) throw sizeFault(subject, this.#written, declared);
    const last = await trailers.read();
    if (this.#over) return;
    if (last.tag === "err")
      throw new HttpFault(last.val, `Cannot send the ${subject} body: the guest broke it off with ${last.val.tag}`);
    const fields = last.val?.headers();
    this.#over = true;
    this.#steps.push({ done: true, value: fields !== undefined && fields.length > 0 ? fields : undefined });
    this.#parts.ended(undefined);
  }

  #fail(cause: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = cause;
    this.#parts.ended(cause);
    // The guest hears that nothing more is read.
    this.#parts.stream?.[Symbol.dispose]();
    this.#parts.trailers[Symbol.dispose]();
    this.#arrived();
  }
}
