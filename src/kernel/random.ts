import { randomFillSync } from "node:crypto";

/** Chance comes in as an argument, so that a run can be repeated from a seed. */
export interface Random {
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
}

export const systemRandom: Random = {
  bytes: (length) => randomFillSync(new Uint8Array(length)),
};

/** A number from 0 to below 1. */
export function fraction(random: Random): number {
  const [high, low] = random.bytes(2) as unknown as [number, number];
  return (high * 256 + low) / 65_536;
}

/** `bytes` in lower-case hexadecimal. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
