/** Assertions that run in a guest and on Node alike. */

export type Cases = Record<string, () => void | Promise<void>>;

export function equal(actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) throw new Error(`got ${show(actual)}, expected ${show(expected)}`);
}

/** Compares as JSON would write both; lists of bytes by their bytes. */
export function same(actual: unknown, expected: unknown): void {
  equal(show(actual), show(expected));
}

/** Expects `act` to throw, or reject with, an error of this name. */
export async function fails(name: string, act: () => unknown): Promise<Error> {
  try {
    await act();
  } catch (error) {
    equal((error as Error).name, name);
    return error as Error;
  }
  throw new Error(`nothing was thrown, expected ${name}`);
}

export function bytes(...values: number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values);
}

export function hex(data: ArrayBuffer | Uint8Array): string {
  return [...new Uint8Array(data as ArrayBuffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function show(value: unknown): string {
  if (value instanceof Uint8Array) return `bytes ${hex(value)}`;
  return typeof value === "string" ? JSON.stringify(value) : (JSON.stringify(value) ?? String(value));
}
