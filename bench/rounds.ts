/** Measures contenders in turn, A B C A B C, so that a slow minute of the machine is everybody's; medians decide. */
import type { Contender, LoadResult, Plan, Server } from "./contract.ts";

export interface Measured extends LoadResult {
  readonly name: string;
  /** Every round's requests a second, in order. */
  readonly rounds: readonly number[];
}

const connectionsOf = { small: 32, large: 8 } as const;
const warmUpSeconds = 2;

export async function throughput(
  contenders: readonly { readonly contender: Contender; readonly path: string }[],
  plan: Plan,
  body?: string,
): Promise<readonly Measured[]> {
  const connections = body === undefined ? connectionsOf.small : connectionsOf.large;
  await using stack = new AsyncDisposableStack();
  const entries: { name: string; url: string; results: LoadResult[] }[] = [];
  for (const { contender, path } of contenders) {
    plan.progress(`starting ${contender.name}`);
    const server: Server = stack.use(await contender.start());
    entries.push({ name: contender.name, url: server.address + path, results: [] });
  }
  for (const { name, url } of entries) {
    plan.progress(`warming ${name}`);
    await plan.load.drive(url, connections, warmUpSeconds, body);
  }
  for (let round = 1; round <= plan.rounds; round += 1) {
    for (const { name, url, results } of entries) {
      plan.progress(`round ${round} of ${plan.rounds}: ${name}`);
      results.push(await plan.load.drive(url, connections, plan.seconds, body));
    }
  }
  return entries.map(({ name, results }) => ({
    name,
    rounds: results.map((result) => result.perSecond),
    perSecond: median(results.map((result) => result.perSecond)),
    p50Ms: median(results.map((result) => result.p50Ms)),
    p99Ms: median(results.map((result) => result.p99Ms)),
  }));
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
