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
}

export interface Pool {
  /** Finds or makes an instance with room, waits in a bounded queue when there is none. */
  readonly handle: Service;
  readonly status: PoolStatus;
  /** Settles when an instance is ready; throws why none could be started. */
  warm(): Promise<void>;
  /**
   * Lets go of the instances that took no call since the last sweep. Answers whether any instance
   * is left, that is, whether sweeping again has a point.
   */
  sweep(): boolean;
  /** Takes no new calls, lets those inside finish, then disposes every instance. */
  drain(): Promise<void>;
}

export interface PoolStatus {
  readonly service: string;
  readonly digest: string;
  readonly instances: number;
  readonly active: number;
  readonly queued: number;
  readonly traps: number;
  readonly memoryBytes: number;
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
