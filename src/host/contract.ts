/** A host runs instances of components; the mesh reaches it by service name. */
import type { Grants, Instance } from "../component/contract.ts";
import type { Service } from "../kernel/index.ts";

export interface Deployment {
  readonly service: string;
  readonly digest: string;
  /** A new instance, linked to the service's grants. */
  instantiate(): Promise<Instance>;
  /** The most instances, calls in one of them, and calls waiting for one. */
  readonly instances: number;
  readonly concurrency: number;
  readonly queue: number;
  readonly lifetime: Lifetime;
}

/** How the instances of a service come and go. */
export interface Lifetime {
  /**
   * `warm`: an instance takes calls until it has been used enough. `fresh`: an instance takes one
   * call. `pinned`: one instance, which lives; it is started again after a trap.
   */
  readonly policy: "warm" | "fresh" | "pinned";
  /** Calls and age by which a warm instance is replaced; each draws its own, from half of that on. */
  readonly requests: number;
  readonly ageMs: number;
  /** How long an instance stays that nobody calls; a pinned one always does. */
  readonly idleMs: number;
  /** Empty instances to be held ready for the next calls, as long as there are calls at all. */
  readonly ready: number;
}

export interface Pool {
  /** Finds or makes an instance with room, waits in a bounded queue when there is none. */
  readonly handle: Service;
  readonly status: PoolStatus;
  /** Settles when an instance is ready; throws why none could be started. */
  warm(): Promise<void>;
  /**
   * Lets go of the instances that are idle, and of none before its time. Answers after how many
   * milliseconds to come again, or `undefined` when nothing here will ever grow old.
   */
  sweep(): number | undefined;
  /** Memory is short: lets go of every instance that is in no call. Answers whether there was one. */
  shed(): boolean;
  /** Takes no new calls, lets those inside finish, then disposes every instance. */
  drain(): Promise<void>;
}

export interface PoolStatus {
  readonly service: string;
  readonly digest: string;
  /** Live instances, and those of them that are empty and fit for a call. */
  readonly instances: number;
  readonly ready: number;
  readonly active: number;
  readonly queued: number;
  readonly memoryBytes: number;
  /** Since this version was deployed: calls that instances took, */
  readonly calls: number;
  /** instances made, and those that could not be; */
  readonly started: number;
  readonly failed: number;
  /** instances put back to their first state in place of a new one; */
  readonly reset: number;
  /** instances that ended because they were idle, had been used enough, or trapped. */
  readonly evicted: number;
  readonly retired: number;
  readonly traps: number;
}

/** The services of one host, by name. */
export interface Host {
  /** Hands the call to its service's pool. */
  readonly handle: Service;
  /** The door of a service's present pool, or `undefined` when it is not deployed here. */
  resolve(service: string): Service | undefined;
  /**
   * Makes a pool with one warm instance that no call reaches yet. A deployment that cannot start
   * is refused here, while its predecessor still serves.
   */
  prepare(deployment: Deployment): Promise<Standby>;
  /** `prepare`, then `activate`; settles when the new version takes calls. */
  deploy(deployment: Deployment): Promise<void>;
  /** Takes the service away; settles when its calls have finished. */
  undeploy(service: string): Promise<void>;
  status(): readonly PoolStatus[];
  /** Drains every pool. */
  close(): Promise<void>;
}

/** A deployment that is ready to take over its service's name. */
export interface Standby {
  /** Takes the calls from now on; settles when its predecessor, if any, has drained. */
  activate(): Promise<void>;
  /** Gives up: the pool is disposed, the predecessor stays. */
  discard(): Promise<void>;
}

export type { Grants, Instance };
