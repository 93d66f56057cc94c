/**
 * A body that is written at one end and read at the other, one chunk at a time: `write` settles
 * when the reader has come for more, so a writer never runs ahead of it.
 */
import { CytoError } from "../../kernel/index.ts";

export interface Channel {
  readonly body: AsyncIterable<Uint8Array>;
  /** Settles when the chunk was taken and more is wanted; rejects when the reader has gone. */
  write(chunk: Uint8Array): Promise<void>;
  end(): void;
  /** The reader gets the error after what was written before it. */
  fail(error: Error): void;
}

/** `ended` runs once: when the writer has ended or failed, or the reader has gone. */
export function createChannel(ended: () => void): Channel {
  const chunks: Uint8Array[] = [];
  const writers: { resolve(): void; reject(error: Error): void }[] = [];
  let reader: { resolve(result: IteratorResult<Uint8Array>): void; reject(error: Error): void } | undefined;
  let state: "open" | "ended" | "gone" = "open";
  let failure: Error | undefined;

  function close(next: "ended" | "gone"): void {
    if (state !== "open") return;
    state = next;
    ended();
  }

  function next(): Promise<IteratorResult<Uint8Array>> {
    const chunk = chunks.shift();
    writers.shift()?.resolve();
    if (chunk) return Promise.resolve({ done: false, value: chunk });
    if (failure) {
      const error = failure;
      failure = undefined;
      return Promise.reject(error);
    }
    if (state !== "open") return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      reader = { resolve, reject };
    });
  }

  const iterator: AsyncIterator<Uint8Array> = {
    next,
    return() {
      chunks.length = 0;
      close("gone");
      const error = new CytoError("cancelled", "Cannot write the body: the reader has gone");
      for (const writer of writers.splice(0)) writer.reject(error);
      return Promise.resolve({ done: true, value: undefined });
    },
  };

  return {
    body: { [Symbol.asyncIterator]: () => iterator },
    write(chunk) {
      if (state !== "open") {
        return Promise.reject(new CytoError("cancelled", "Cannot write the body: the reader has gone"));
      }
      if (chunk.length === 0) return Promise.resolve();
      if (reader) {
        const { resolve } = reader;
        reader = undefined;
        resolve({ done: false, value: chunk });
        return Promise.resolve();
      }
      return new Promise((resolve, reject) => {
        chunks.push(chunk);
        writers.push({ resolve, reject });
      });
    },
    end() {
      reader?.resolve({ done: true, value: undefined });
      reader = undefined;
      close("ended");
    },
    fail(error) {
      if (state !== "open") return;
      if (reader) reader.reject(error);
      else failure = error;
      reader = undefined;
      close("ended");
    },
  };
}
