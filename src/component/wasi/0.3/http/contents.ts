/**
 * What a message holds beside its head: a body and trailers, of the kernel's or of a guest's.
 *
 *   from the kernel   Body ─▶ stream and trailers future, for a guest to consume
 *   from a guest      stream and trailers future ─▶ GuestBody, for the kernel to read
 *
 * Either may also be handed on as it is: nothing is read of a body that only passes through. Contents
 * are used once. Whoever made a message learns by a future whether it was transmitted whole.
 */
import { type Body, trailersOf } from "../../../../kernel/index.ts";
import type { FutureReader, StreamReader, StreamSource } from "../../../contract.ts";
import { declaredLength, sizeFault } from "../../http/body.ts";
import { type ErrorCode, HttpFault, toErrorCode } from "../../http/error.ts";
import { Fields } from "./fields.ts";
import { GuestBody } from "./guest-body.ts";

export type Result<T> = { readonly tag: "ok"; readonly val: T } | { readonly tag: "err"; readonly val: ErrorCode };
export type Trailers = Result<Fields | undefined>;
/** Of a transmission, or of how a message was handled. */
export type Outcome = Result<undefined>;

/** A body and its trailers as a guest is given them. */
export type Consumed = [
  stream: StreamReader<Uint8Array> | StreamSource<Uint8Array> | readonly Uint8Array[],
  trailers: FutureReader<Trailers> | Promise<Trailers>,
];

export interface Contents {
  /** For a guest. `handled` is what it will say of the message. */
  consume(handled: FutureReader<Outcome>): Consumed;
  /** For the kernel: a body, if there is one. */
  transmit(head: Head): Body | GuestBody | undefined;
  /** Nobody wants it. */
  discard(): void;
}

/** What a message's head says of its contents. */
export interface Head {
  /** Its content-length. */
  readonly declared: number | undefined;
  /** Whether it may declare a body and have none. */
  readonly mayBeEmpty: boolean;
  /** Whether it names trailers. */
  readonly announces: boolean;
}

export function headOf(fields: Fields, mayBeEmpty: boolean): Head {
  return { declared: declaredLength(fields), mayBeEmpty, announces: fields.has("trailer") };
}

const ok: Outcome = { tag: "ok", val: undefined };

/** The contents of a message that a guest made. */
export class MadeContents implements Contents {
  /** Whether the message was transmitted. */
  readonly sent: Promise<Outcome>;
  readonly #subject: "request" | "response";
  readonly #stream: StreamReader<Uint8Array> | undefined;
  readonly #trailers: FutureReader<Trailers>;
  readonly #settle: (outcome: Outcome | Promise<Outcome>) => void;
  /** All of it was read. */
  #ended = false;
  /** The other side has answered; of a response nothing tells but its last byte. */
  #answered: boolean;

  constructor(
    subject: "request" | "response",
    stream: StreamReader<Uint8Array> | undefined,
    trailers: FutureReader<Trailers>,
  ) {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.sent = promise;
    this.#settle = resolve;
    this.#subject = subject;
    this.#stream = stream;
    this.#trailers = trailers;
    this.#answered = subject === "response";
  }

  consume(handled: FutureReader<Outcome>): Consumed {
    this.#settle(handled.read().catch((thrown) => ({ tag: "err", val: toErrorCode(thrown) })));
    return [this.#stream ?? [], this.#trailers];
  }

  transmit({ declared, mayBeEmpty, announces }: Head): GuestBody | undefined {
    const stream = this.#stream;
    if (stream === undefined && !announces) {
      this.#transmitNothing(declared, mayBeEmpty);
      return undefined;
    }
    return new GuestBody({
      subject: this.#subject,
      stream,
      trailers: this.#trailers,
      declared,
      mayBeEmpty,
      ended: (failure) => this.#end(failure),
    });
  }

  /** There is nothing to wait for: trailers that were not announced have no place after no body. */
  #transmitNothing(declared: number | undefined, mayBeEmpty: boolean): void {
    if (declared !== undefined && declared > 0 && !mayBeEmpty) {
      const fault = sizeFault(this.#subject, 0, declared);
      this.#trailers[Symbol.dispose]();
      this.#end(fault);
      throw fault;
    }
    this.#trailers.read().then(
      (last) => this.#end(last.tag === "err" ? new HttpFault(last.val, "the guest broke it off") : undefined),
      (thrown) => this.#end(thrown),
    );
  }

  #end(failure: unknown): void {
    if (failure !== undefined) this.fail(toErrorCode(failure));
    this.#ended = true;
    this.#confirm();
  }

  /** Of a request: it has arrived. */
  answered(): void {
    this.#answered = true;
    this.#confirm();
  }

  discard(): void {
    this.#stream?.[Symbol.dispose]();
    this.#trailers[Symbol.dispose]();
    this.fail({ tag: "internal-error", val: `the ${this.#subject} was not sent` });
  }

  /** It was not transmitted, and why. */
  fail(error: ErrorCode): void {
    this.#settle({ tag: "err", val: error });
  }

  #confirm(): void {
    if (this.#ended && this.#answered) this.#settle(ok);
  }
}

/** The contents of a message that came in. */
export class ReceivedContents implements Contents {
  readonly #body: Body | undefined;
  readonly #discarded: (() => void) | undefined;
  #reader: BodyReader | undefined;
  #failure: unknown;

  /** `discarded` is told when the guest drops the message without a look at them. */
  constructor(body: Body | undefined, discarded?: () => void) {
    this.#body = body;
    this.#discarded = discarded;
  }

  consume(handled: FutureReader<Outcome>): Consumed {
    const reader = new BodyReader(this.#body);
    this.#reader = reader;
    if (this.#failure !== undefined) reader.fail(this.#failure);
    handled.read().then(
      (outcome) => outcome.tag === "err" && reader.cancel(),
      // It went without a word: its instance has trapped.
      () => undefined,
    );
    return [reader, reader.trailers];
  }

  transmit(): Body | undefined {
    return this.#body;
  }

  discard(): void {
    this.#discarded?.();
  }

  /** Breaks it from outside, also while a guest reads it. */
  fail(cause: unknown): void {
    this.#failure = cause;
    this.#reader?.fail(cause);
  }
}

/** Touches the body only when it is read: what is never read is its owner's to discard. */
class BodyReader implements StreamSource<Uint8Array> {
  /** Settles after the stream's end. */
  readonly trailers: Promise<Trailers>;
  readonly #settle: (trailers: Trailers) => void;
  #rest: Body | undefined;
  #steps: AsyncIterator<Uint8Array, unknown> | undefined;
  #ended = false;
  #giveUp: (() => void) | undefined;

  constructor(body: Body | undefined) {
    const { promise, resolve } = Promise.withResolvers<Trailers>();
    this.trailers = promise;
    this.#settle = resolve;
    this.#rest = body;
  }

  pull(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (this.#ended) return undefined;
    const rest = this.#rest;
    if (rest === undefined) return this.#end({ tag: "ok", val: undefined });
    if (rest instanceof Uint8Array) {
      this.#rest = undefined;
      return rest;
    }
    this.#steps ??= rest[Symbol.asyncIterator]();
    const next = this.#steps.next();
    return new Promise((resolve) => {
      this.#giveUp = () => resolve(undefined);
      next.then(
        (step) => {
          if (!step.done) resolve(this.#ended ? undefined : step.value);
          else {
            const trailers = trailersOf(step);
            resolve(this.#end({ tag: "ok", val: trailers && Fields.received(trailers) }));
          }
        },
        (thrown) => resolve(this.#end({ tag: "err", val: toErrorCode(thrown) })),
      );
    });
  }

  /** No more is wanted, and that is no failure. */
  cancel(): void {
    this.#stop({ tag: "ok", val: undefined });
  }

  fail(cause: unknown): void {
    this.#stop({ tag: "err", val: toErrorCode(cause) });
  }

  #stop(trailers: Trailers): void {
    if (this.#ended) return;
    this.#end(trailers);
    this.#steps?.return?.().catch(() => undefined);
    this.#giveUp?.();
  }

  #end(trailers: Trailers): undefined {
    this.#ended = true;
    this.#rest = undefined;
    this.#settle(trailers);
  }
}
