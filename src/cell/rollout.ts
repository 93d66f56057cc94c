/**
 * A release to the shards of a cell: all take it or none does, and a fresh shard is brought to where the
 * others are.
 *
 * A shard that dies meanwhile refused nothing: the others go on, its successor is brought up later.
 */
import type { GatewayOptions } from "../gateway/index.ts";
import { CytoError } from "../kernel/index.ts";
import type { Crew } from "./crew.ts";
import type { Release, ShardDoor } from "./shard-contract.ts";

/** Where shards listen; what else is said goes before the limits of the app. */
export type Place = Partial<GatewayOptions> & Pick<GatewayOptions, "host" | "port">;

/** Made ready by all, then taken by all. When one refuses it is dropped by all, and everything stays as it was. */
export async function rollOut(crew: Crew, release: Release): Promise<void> {
  const shards = crew.serving;
  const outcomes = await Promise.allSettled(shards.map((shard) => shard.ask("prepare", release)));
  const ready = shards.filter((_, i) => outcomes[i]?.status === "fulfilled");
  const living = new Set(crew.serving);
  const refusal =
    outcomes.find((outcome, i) => outcome.status === "rejected" && living.has(shards[i]!)) ??
    (ready.length === 0 ? outcomes[0] : undefined);
  if (refusal?.status === "rejected") {
    await Promise.allSettled(ready.map((shard) => shard.ask("discard")));
    throw refusal.reason;
  }
  requireSome(ready, release);
  await Promise.allSettled(ready.map((shard) => shard.ask("activate")));
}

/** Opens the front door, once a release is taken. Answers its address, and the place with the port that it has. */
export async function listenAll(
  crew: Crew,
  release: Release,
  place: Place,
): Promise<{ readonly address: string; readonly place: Place }> {
  const [first, ...others] = requireSome(crew.serving, release);
  const address = await first!.ask("listen", place);
  // Port 0 was any; it is one for all.
  const settled = { ...place, port: portOf(address) };
  await Promise.all(others.map((shard) => shard.ask("listen", settled)));
  return { address, place: settled };
}

export async function bringUp(shard: ShardDoor, release: Release, place: Place): Promise<void> {
  await shard.ask("prepare", release);
  await shard.ask("activate");
  await shard.ask("listen", place);
}

/** A URL drops the port that its scheme has anyway. */
function portOf(address: string): number {
  return Number(new URL(address).port) || 80;
}

function requireSome(shards: readonly ShardDoor[], { app }: Release): readonly ShardDoor[] {
  if (shards.length > 0) return shards;
  throw new CytoError("internal", `Cannot serve ${app.name}: no shard lives`);
}
