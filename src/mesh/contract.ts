/** How a service is found and reached, and what guards each call on its way. */
import type { Call, Clock, Random, Service } from "../kernel/index.ts";

/** The settings of the guards for one edge, caller to callee. */
export interface CallPolicy {
  /** How long a call may take, all attempts together. */
  readonly timeoutMs?: number;
  /** Attempts in all, the first included. Only idempotent calls whose body is at hand are repeated. */
  readonly attempts?: number;
}

export interface MeshParts {
  /** The door of a service, or undefined when it is not deployed. */
  resolve(service: string): Service | undefined;
  policy(call: Call): CallPolicy;
  readonly clock: Clock;
  readonly random: Random;
  /** Services that one request may pass through. */
  readonly hops: number;
}
