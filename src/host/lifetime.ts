/** The whole lifetime of a service's instances, from what was declared of it. */
import type { Lifetime } from "./contract.ts";

const standard: Lifetime = { policy: "warm", requests: 100_000, ageMs: 3_600_000, idleMs: 60_000, ready: 0 };

export function lifetimeOf(declared: Partial<Lifetime>): Lifetime {
  const { policy = standard.policy } = declared;
  switch (policy) {
    case "warm":
      return { ...standard, ...declared };
    case "fresh":
      return { ...standard, ready: 2, ...declared, requests: 1, ageMs: Number.POSITIVE_INFINITY };
    case "pinned": {
      const never = Number.POSITIVE_INFINITY;
      return { policy, requests: never, ageMs: never, idleMs: never, ready: 0 };
    }
  }
}
