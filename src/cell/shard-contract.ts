/**
 * What a cell and its shards ask of each other. All of it can be posted to another thread, and is the same
 * where the only shard is in this one.
 */
import type { KeyValueOwner } from "../capability/keyvalue/remote.ts";
import type { ComponentParts } from "../component/index.ts";
import type { GatewayOptions } from "../gateway/index.ts";
import type { PoolStatus, ShardThread } from "../host/index.ts";
import type { Tally } from "../telemetry/index.ts";
import type { App, ServiceDeclaration } from "./manifest/contract.ts";

/** An app, and what each of its services is to run. */
export interface Release {
  readonly app: App;
  readonly targets: readonly Target[];
}

/** What a service is to run. */
export interface Target {
  /** The manifest's folder: where the author's files are named from. */
  readonly directory: string;
  readonly declaration: ServiceDeclaration;
  /** The declaration's, with what the process's environment overrides. */
  readonly config: Readonly<Record<string, string>>;
  readonly component: ComponentParts;
  readonly sourceMap: string | undefined;
  /** Two targets of the same version run the same: nothing has to be replaced. */
  readonly version: string;
}

/** The way of a call, stacked in one thread: what a cell asks of it. */
export interface Shard {
  /** Makes a release ready beside what runs; throws what is wrong with it. Then one of the two that follow. */
  prepare(release: Release): Promise<void>;
  activate(): Promise<void>;
  discard(): Promise<void>;
  /** Once a release is active. Answers the address. */
  listen(options: Partial<GatewayOptions>): Promise<string>;
  report(): Promise<ShardReport>;
  /** Lets requests in flight finish; then ends instances and bindings. */
  close(): Promise<void>;
}

export interface ShardReport {
  readonly pools: readonly PoolStatus[];
  readonly tally: Tally;
}

/** What a shard asks of the cell: all that there is one of. */
export interface Owner extends KeyValueOwner {
  secret(name: string): Promise<string>;
  /** Whole lines of the log. */
  log(text: string, lines: number): Promise<void>;
}

/** How a cell reaches a shard, in whichever thread. */
export type ShardDoor = Pick<ShardThread<Shard>, "index" | "ask">;

/** `workerData` of a shard's thread. */
export interface ShardData {
  readonly dataDirectory: string;
}
