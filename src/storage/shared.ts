/**
 * One resource a key, opened by the first who asks and closed when the last has left.
 *
 * Bindings that name the same file or the same server share its connection this way. An opening
 * that failed is forgotten, so that the next who asks tries again.
 */

export interface Lease<T> extends AsyncDisposable {
  readonly value: T;
}

interface Entry<T> {
  readonly opened: Promise<T>;
  holders: number;
}

/** Answers the function by which holders join; each disposes its own lease. */
export function createShared<T extends AsyncDisposable>(
  open: (key: string) => Promise<T>,
): (key: string) => Promise<Lease<T>> {
  const entries = new Map<string, Entry<T>>();

  return async (key) => {
    const entry = entries.get(key) ?? { opened: open(key), holders: 0 };
    entries.set(key, entry);
    entry.holders += 1;
    try {
      return leaseOf(await entry.opened, () => leave(key, entry));
    } catch (error) {
      if (entries.get(key) === entry) entries.delete(key);
      throw error;
    }
  };

  async function leave(key: string, entry: Entry<T>): Promise<void> {
    entry.holders -= 1;
    if (entry.holders > 0) return;
    entries.delete(key);
    await (await entry.opened)[Symbol.asyncDispose]();
  }
}

function leaseOf<T>(value: T, leave: () => Promise<void>): Lease<T> {
  let left: Promise<void> | undefined;
  return {
    value,
    [Symbol.asyncDispose]: () => {
      left ??= leave();
      return left;
    },
  };
}
