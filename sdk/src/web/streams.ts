/**
 * Bodies that come from the host or go to it chunk by chunk, and the streams that authors see.
 *
 * The guest asks for one chunk at a time, and offers the next only when the consumer took the last: that
 * is the back-pressure, in both directions.
 */

import host from "cytoplane:service/streams@0.1.0";
import type { Failure } from "cytoplane:service/types@0.1.0";
import { ReadableStream } from "web-streams-polyfill";
import { fromHost } from "../failure.ts";
import { begin, forget, perform } from "../operation.ts";

/** A body that the host holds. Read by one reader, to its end or until given up. */
export class HostStream {
  readonly #number: number;
  #ended = false;
  #broken: { readonly reason: unknown } | undefined;
  #pending: { readonly op: number; reject(reason: unknown): void } | undefined;

  constructor(number: number) {
    this.#number = number;
  }

  /** The next chunk; undefined at the end. */
  read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#broken) return Promise.reject(this.#broken.reason);
    if (this.#ended) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const op = begin(
        (number) => host.read(number, this.#number),
        (outcome) => {
          this.#pending = undefined;
          if (outcome.tag === "bytes" && outcome.val !== null) {
            resolve(outcome.val as Uint8Array<ArrayBuffer>);
            return;
          }
          this.#ended = true;
          if (outcome.tag === "failed") {
            this.#broken = { reason: toBodyError(outcome.val) };
            reject(this.#broken.reason);
          } else resolve(undefined);
        },
      );
      this.#pending = { op, reject };
    });
  }

  cancel(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#pending) forget(this.#pending.op);
    host.cancel(this.#number);
  }

  /** Gives it up; whoever reads, now or later, hears why. */
  abort(reason: unknown): void {
    if (this.#ended) return;
    this.#broken = { reason };
    this.cancel();
    this.#pending?.reject(reason);
  }

  toReadable(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        type: "bytes",
        pull: async (controller) => {
          let chunk = await this.read();
          while (chunk?.length === 0) chunk = await this.read();
          if (chunk !== undefined) {
            controller.enqueue(chunk);
            return;
          }
          controller.close();
          // A reader that brought its own buffer waits for it to come back.
          controller.byobRequest?.respond(0);
        },
        cancel: () => this.cancel(),
      },
      { highWaterMark: 0 },
    );
  }
}

/** A stream that gives `bytes` once. */
export function readableOf(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    type: "bytes",
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}

/** Whether somebody has read from, or cancelled, a stream. The polyfill keeps it under the standard's name. */
export function isDisturbed(stream: ReadableStream): boolean {
  return (stream as unknown as { readonly _disturbed: boolean })._disturbed;
}

/** Everything that is still to come. */
export async function gather(source: HostStream | ReadableStream): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const { next } = chunksOf(source);
  for (let chunk = await next(); chunk !== undefined; chunk = await next()) {
    chunks.push(chunk);
    length += chunk.length;
  }
  if (chunks.length === 1) return chunks[0] as Uint8Array<ArrayBuffer>;
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

interface Chunks {
  next(): Promise<Uint8Array | undefined>;
  cancel(reason: unknown): void;
}

function chunksOf(source: HostStream | ReadableStream): Chunks {
  if (source instanceof HostStream) return { next: () => source.read(), cancel: () => source.cancel() };
  const reader = source.getReader();
  return {
    async next() {
      const { done, value } = (await reader.read()) as { done: boolean; value: unknown };
      if (done) return undefined;
      if (value instanceof Uint8Array) return value;
      const error = new TypeError("A body's stream gave a chunk that is not a Uint8Array");
      reader.cancel(error).catch(() => {});
      throw error;
    },
    cancel: (reason) => void reader.cancel(reason).catch(() => {}),
  };
}

let lastNumber = 0;

/** A body on its way to the host. */
export interface Sending {
  /** What the body is called in the message that announces it. */
  readonly number: number;
  /** Begins, once the message has gone out. Settles when all is sent or the consumer has gone; never rejects. */
  run(): Promise<void>;
  /** The consumer has gone: the source is told, and nothing more is sent. */
  abort(reason: unknown): void;
}

export function send(source: HostStream | ReadableStream, sender: { bodyBroke(error: unknown): void }): Sending {
  lastNumber = lastNumber === 0x7fffffff ? 1 : lastNumber + 1;
  const number = lastNumber;
  const chunks = chunksOf(source);
  let aborted = false;
  return {
    number,
    async run() {
      for (;;) {
        let chunk: Uint8Array | undefined;
        try {
          chunk = await chunks.next();
        } catch (error) {
          if (!aborted) {
            host.close(number, describe(error));
            sender.bodyBroke(error);
          }
          return;
        }
        if (aborted) return;
        if (chunk === undefined) {
          host.close(number, null);
          return;
        }
        if (chunk.length === 0) continue;
        const written = chunk;
        try {
          await perform((op) => host.write(op, number, written), toBodyError);
        } catch (error) {
          chunks.cancel(error);
          return;
        }
      }
    },
    abort(reason) {
      if (aborted) return;
      aborted = true;
      chunks.cancel(reason);
    },
  };
}

function describe(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).toWellFormed();
}

function toBodyError(failure: Failure): Error {
  return fromHost(new TypeError(failure.message), failure);
}
