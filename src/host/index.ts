export type { Deployment, Host, Lifetime, Pool, PoolStatus, Standby } from "./contract.ts";
export { createHost, type HostParts } from "./host.ts";
export { lifetimeOf } from "./lifetime.ts";
export { createPool, type PoolParts } from "./pool.ts";
