/** Failures as the numbers of WASI 0.1 (`errno`), from the words that the hosts share with WASI 0.2. */

const numbers: Readonly<Record<string, number>> = {
  access: 2,
  "would-block": 6,
  already: 7,
  "bad-descriptor": 8,
  busy: 10,
  deadlock: 16,
  quota: 19,
  exist: 20,
  fault: 21,
  "file-too-large": 22,
  "illegal-byte-sequence": 25,
  "in-progress": 26,
  interrupted: 27,
  invalid: 28,
  io: 29,
  "is-directory": 31,
  loop: 32,
  "too-many-links": 34,
  "message-size": 35,
  "name-too-long": 37,
  "no-such-device": 43,
  "no-entry": 44,
  "no-lock": 46,
  "insufficient-memory": 48,
  "insufficient-space": 51,
  "not-directory": 54,
  "not-empty": 55,
  "not-recoverable": 56,
  "not-socket": 57,
  unsupported: 58,
  "no-tty": 59,
  overflow: 61,
  "not-permitted": 63,
  pipe: 64,
  "result-too-large": 68,
  "read-only": 69,
  "invalid-seek": 70,
  "text-file-busy": 74,
  "cross-device": 75,
  "not-capable": 76,
};

/** The number of a thrown code, or of a broken stream. Anything else is no answer to a guest and is thrown on. */
export function errnoOf(thrown: unknown): number {
  if (typeof thrown === "string" && thrown in numbers) return numbers[thrown]!;
  const tag = (thrown as { readonly tag?: unknown } | undefined)?.tag;
  if (tag === "closed") return numbers.pipe!;
  if (tag === "last-operation-failed") return numbers.io!;
  throw thrown;
}
