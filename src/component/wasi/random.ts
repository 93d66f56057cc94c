/** wasi:random over the source of chance that the cell was given. */
import type { Random } from "../../kernel/index.ts";

/** The most bytes one call may ask for: they are held on the host before they are copied. */
export const requestBytes = 16 * 1024 * 1024;

export function random(source: Random) {
  const bytes = (len: bigint): Uint8Array => {
    if (len > BigInt(requestBytes))
      throw new Error(`Cannot give ${len} random bytes: one call may ask for ${requestBytes}`);
    return source.bytes(Number(len));
  };
  const u64 = (): bigint => {
    const drawn = source.bytes(8);
    return new DataView(drawn.buffer, drawn.byteOffset, 8).getBigUint64(0, true);
  };
  return {
    "wasi:random/random": { getRandomBytes: bytes, getRandomU64: u64 },
    "wasi:random/insecure": { getInsecureRandomBytes: bytes, getInsecureRandomU64: u64 },
    "wasi:random/insecure-seed": { insecureSeed: (): [bigint, bigint] => [u64(), u64()] },
  };
}
