/**
 * A stream or future whose both ends JavaScript holds: what one side writes the other reads, as from a
 * guest. A write waits until its chunk was read, or nobody will.
 */
import type { Chunk, FutureReader, StreamReader } from "./contract.ts";

export interface StreamPipe<C extends Chunk> {
  readonly reader: StreamReader<C>;
  /** Whether the chunk was read: false once the reader has gone. */
  write(chunk: C): Promise<boolean>;
  end(): void;
}

export function createStreamPipe<C extends Chunk>(): StreamPipe<C> {
  const written: { readonly chunk: C; readonly taken: (read: boolean) => void }[] = [];
  let state: "open" | "ended" | "left" = "open";
  let waiting: ((chunk: C | undefined) => void) | undefined;

  function take(max: number): C | undefined {
    const first = written.shift();
    if (first === undefined) return undefined;
    if (first.chunk.length <= max) {
      first.taken(true);
      return first.chunk;
    }
    const cut = first.chunk as unknown as { slice(from: number, to?: number): C };
    written.unshift({ chunk: cut.slice(max), taken: first.taken });
    return cut.slice(0, max);
  }

  const reader: StreamReader<C> = {
    read(max = Number.POSITIVE_INFINITY) {
      if (waiting !== undefined) throw new Error("Cannot read the stream: it is being read already");
      if (written.length > 0) return take(max);
      if (state !== "open") return undefined;
      return new Promise((resolve) => {
        waiting = (ended) => {
          waiting = undefined;
          resolve(ended ?? take(max));
        };
      });
    },
    [Symbol.dispose]() {
      if (state === "left") return;
      state = "left";
      for (const { taken } of written.splice(0)) taken(false);
      waiting?.(undefined);
    },
    async *[Symbol.asyncIterator]() {
      try {
        for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read()) yield chunk;
      } finally {
        reader[Symbol.dispose]();
      }
    },
  };

  return {
    reader,
    write(chunk) {
      if (state !== "open") return Promise.resolve(false);
      return new Promise((taken) => {
        written.push({ chunk, taken });
        waiting?.(undefined);
      });
    },
    end() {
      if (state === "open") state = "ended";
      waiting?.(undefined);
    },
  };
}

/** A future that a promise fulfils. */
export function futureOf<T>(value: T | Promise<T>): FutureReader<T> & { readonly dropped: boolean } {
  let dropped = false;
  return {
    read: async () => value,
    get dropped() {
      return dropped;
    },
    [Symbol.dispose]() {
      dropped = true;
    },
  };
}
