export type { Deployment, Host, Pool, PoolStatus, Standby } from "./contract.ts";
export { createHost, type HostParts } from "./host.ts";
export { createPool, type PoolParts } from "./pool.ts";
