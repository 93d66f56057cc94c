/** wasi:random 0.3 over the source of chance that the cell was given. */
import type { Random } from "../../../kernel/index.ts";
import { random as random02, requestBytes } from "../random.ts";

export function random(source: Random) {
  const { getRandomBytes, getRandomU64 } = random02(source)["wasi:random/random"];
  // Fewer than were asked for is an answer; the guest comes again for the rest.
  const bytes = (maxLen: bigint) => getRandomBytes(maxLen > BigInt(requestBytes) ? BigInt(requestBytes) : maxLen);
  let seed: [bigint, bigint] | undefined;
  return {
    "wasi:random/random@0.3": { getRandomBytes: bytes, getRandomU64 },
    "wasi:random/insecure@0.3": { getInsecureRandomBytes: bytes, getInsecureRandomU64: getRandomU64 },
    "wasi:random/insecure-seed@0.3": {
      /** One for the life of an instance: it is meant to become a value that is imported. */
      getInsecureSeed(): [bigint, bigint] {
        seed ??= [getRandomU64(), getRandomU64()];
        return seed;
      },
    },
  };
}
