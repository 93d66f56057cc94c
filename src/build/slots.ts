/** A fixed number of places; who finds none waits in line, first come, first served. */
export interface Slots {
  /** Disposing gives the place back. Aborting leaves the line. */
  take(signal?: AbortSignal): Promise<Disposable>;
}

export function createSlots(count: number): Slots {
  let free = count;
  const line: ((slot: Disposable) => void)[] = [];
  const slot = (): Disposable => ({
    [Symbol.dispose]() {
      const next = line.shift();
      if (next) next(slot());
      else free += 1;
    },
  });
  return {
    async take(signal) {
      signal?.throwIfAborted();
      if (free > 0) {
        free -= 1;
        return slot();
      }
      return new Promise((resolve, reject) => {
        const enter = (place: Disposable) => {
          signal?.removeEventListener("abort", leave);
          resolve(place);
        };
        const leave = () => {
          line.splice(line.indexOf(enter), 1);
          reject(signal!.reason);
        };
        line.push(enter);
        signal?.addEventListener("abort", leave, { once: true });
      });
    },
  };
}
