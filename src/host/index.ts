export type { Deployment, Host, Lifetime, Pool, PoolStatus, Standby } from "./contract.ts";
export { createHost, type HostParts } from "./host.ts";
export { lifetimeOf } from "./lifetime.ts";
export { type Calls, createLink, type Link, type Port } from "./link.ts";
export { createPool, type PoolParts } from "./pool.ts";
export { type ShardSession, type Shards, type ShardsParts, type ShardThread, startShards } from "./shards.ts";
