/**
 * What a key, a value, a counter and an option may be: the same for every provider, so that a
 * binding can move from one to another. Messages name the namespace and never a key or a value,
 * for either may hold a secret.
 */
import { CytoError, limits as defaults } from "../../kernel/index.ts";
import type { KeyPage, KeyValueConfig } from "./contract.ts";

export interface Bounds {
  /** Throws unless the key may be used. */
  key(key: string): void;
  /** Throws unless the value may be stored; answers a copy that its owner can no longer change. */
  value(value: Uint8Array): Uint8Array;
  /** The sum of a stored counter and `delta`; throws when there is none. */
  sum(stored: string | undefined, delta: bigint): bigint;
}

export function createBounds({ namespace, limits }: KeyValueConfig): Bounds {
  const { keyBytes, valueBytes } = { ...defaults, ...limits };
  return {
    key(key) {
      if (key.length * 3 > keyBytes) {
        const bytes = Buffer.byteLength(key);
        if (bytes > keyBytes) {
          throw refuse("a key", namespace, `it has ${bytes} bytes, more than ${keyBytes}`, "limits.keyBytes");
        }
      }
      if (!key.isWellFormed()) throw refuse("a key", namespace, "it is not well-formed Unicode");
    },
    value(value) {
      if (value.byteLength > valueBytes) {
        const state = `it has ${value.byteLength} bytes, more than ${valueBytes}`;
        throw refuse("a value", namespace, state, "limits.valueBytes");
      }
      return Uint8Array.from(value);
    },
    sum(stored, delta) {
      const sum = toCounter(stored ?? "0") + delta;
      if (!isCounter(sum)) throw noCounter(namespace, "the sum does not fit in 64 bits");
      return sum;
    },
  };

  function toCounter(text: string): bigint {
    const counter = wholeNumber.test(text) ? BigInt(text) : undefined;
    if (counter === undefined || !isCounter(counter)) throw noCounter(namespace, "what is stored is no whole number");
    return counter;
  }
}

/** Keys in one page. */
export const pageKeys = 500;

/** A page out of up to `pageKeys + 1` keys read: the one too many tells that there is more. */
export function toPage(keys: readonly string[]): KeyPage {
  const last = keys[pageKeys - 1];
  if (keys.length <= pageKeys || last === undefined) return { keys };
  return { keys: keys.slice(0, pageKeys), cursor: last };
}

export function noCounter(namespace: string, state: string, cause?: unknown): CytoError {
  return new CytoError("bad-request", `Cannot increment in keyvalue namespace "${namespace}": ${state}`, {
    hint: "increment works on keys that hold decimal text, or nothing yet.",
    cause,
  });
}

/** Throws for an option that the provider does not know. */
export function refuseOtherOptions(
  provider: string,
  options: KeyValueConfig["options"],
  known: readonly string[],
): void {
  const other = Object.keys(options).find((name) => !known.includes(name));
  if (other === undefined) return;
  const hint = known.length === 0 ? "It takes no options." : `It takes: ${known.join(", ")}.`;
  throw new CytoError("invalid-manifest", `Cannot open keyvalue provider ${provider}: unknown option "${other}"`, {
    hint,
  });
}

const wholeNumber = /^(0|-?[1-9][0-9]{0,18})$/;

function isCounter(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value;
}

function refuse(what: string, namespace: string, state: string, limit?: string): CytoError {
  const detail = limit === undefined ? {} : { hint: `Make it shorter, or raise ${limit} of the service.` };
  return new CytoError("bad-request", `Cannot use ${what} in keyvalue namespace "${namespace}": ${state}`, detail);
}
