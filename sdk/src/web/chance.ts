/**
 * Math.random, crypto.getRandomValues and crypto.randomUUID on the host's chance.
 *
 * Math.random is a xorshift128+ seeded by the host at its first use; while the component is being built
 * it runs from a fixed seed, and nothing of that reaches an awake instance. What must not be guessed
 * always comes from the host.
 */
import random from "cytoplane:service/random@0.1.0";
import { requireHost, scope } from "../operation.ts";
import { toHex } from "./base64.ts";

/** Two times 53 bits would do; four 32-bit words are what the engine shifts fast. */
const state = new Uint32Array([0x9e3779b9, 0x243f6a88, 0xb7e15162, 0xdeadbeef]);
let seeded = false;

export function mathRandom(): number {
  if (scope.awake && !seeded) {
    seeded = true;
    state.set(new Uint32Array(random.getBytes(16).slice().buffer));
    // All zeroes would stay all zeroes.
    state[0] = state[0]! | 1;
  }
  return (next() * 0x200000 + (next() >>> 11)) / 0x20000000000000;
}

/** xorshift128 (Marsaglia), 32 bits at a time. */
function next(): number {
  let t = state[3]!;
  const s = state[0]!;
  state[3] = state[2]!;
  state[2] = state[1]!;
  state[1] = s;
  t ^= t << 11;
  t ^= t >>> 8;
  state[0] = t ^ s ^ (s >>> 19);
  return state[0];
}

const integerArrays = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
];

export function getRandomValues<T extends ArrayBufferView>(array: T): T {
  if (!integerArrays.some((kind) => array instanceof kind)) {
    throw new DOMException("getRandomValues: the argument is not an integer typed array", "TypeMismatchError");
  }
  if (array.byteLength > 65536) {
    throw new DOMException(
      `getRandomValues: ${array.byteLength} bytes asked for, at most 65536 are given at a time`,
      "QuotaExceededError",
    );
  }
  requireHost("ask for random values");
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(random.getBytes(array.byteLength));
  return array;
}

export function randomUUID(): string {
  requireHost("ask for a random UUID");
  const bytes = random.getBytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = toHex(bytes);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
