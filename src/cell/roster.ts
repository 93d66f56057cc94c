/**
 * The services of a shard as they run now, and how one set of them follows another.
 *
 *     prepare ──▶ activate ──▶ (the old drain) ──▶ their bindings are closed
 *        └─ one is refused: all that was made for this set is discarded; the present one stays
 *
 * Always true: `activate` is one step without waiting, so that no call meets half a set; a service
 * whose version is the same runs on; what a version holds open is closed after its last call.
 */
import type { Host, Standby } from "../host/index.ts";
import type { Service } from "../kernel/index.ts";
import { type Deployed, deploy } from "./deployment.ts";
import type { FailureLog } from "./failure-log.ts";
import type { GrantParts } from "./grants.ts";
import type { Release, Target } from "./shard-contract.ts";

export interface Roster {
  /** The door of a service, or `undefined` when there is none of that name. */
  resolve(service: string): Service | undefined;
  /** Every service of the release linked, bound and warm; throws what is wrong with the first that cannot be. */
  prepare(release: Release): Promise<NextRoster>;
  /** Drains all, then closes what they hold. */
  close(): Promise<void>;
}

/** A set that is ready. One of the two must be called. */
export interface NextRoster {
  activate(): void;
  discard(): Promise<void>;
}

export interface RosterParts {
  readonly host: Host;
  readonly grants: GrantParts;
  readonly failures: FailureLog;
}

interface Member {
  readonly version: string;
  readonly deployed: Deployed;
  readonly door: Service;
}

/** A service that is ready to be taken in; one that runs already has no standby. */
interface Candidate {
  readonly target: Target;
  readonly deployed: Deployed;
  readonly standby: Standby | undefined;
}

export function createRoster({ host, grants, failures }: RosterParts): Roster {
  let members: ReadonlyMap<string, Member> = new Map();
  const retiring = new Set<Promise<void>>();

  async function toCandidate(target: Target): Promise<Candidate> {
    const member = members.get(target.declaration.name);
    if (member?.version === target.version) return { target, deployed: member.deployed, standby: undefined };
    const deployed = await deploy(target, grants);
    try {
      return { target, deployed, standby: await host.prepare(deployed.deployment) };
    } catch (thrown) {
      await deployed[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  function takeIn({ target, deployed, standby }: Candidate, before: Member | undefined): Member {
    if (standby === undefined) return before!;
    const { name } = target.declaration;
    const drained = standby.activate();
    if (before !== undefined) retire(drained, before.deployed);
    const door = failures.watch(name, host.resolve(name)!, deployed);
    return { version: target.version, deployed, door };
  }

  function retire(drained: Promise<void>, deployed: Deployed): void {
    const done = drained.then(() => deployed[Symbol.asyncDispose]()).finally(() => retiring.delete(done));
    retiring.add(done);
  }

  return {
    resolve: (service) => members.get(service)?.door,
    async prepare({ targets }) {
      const outcomes = await Promise.allSettled(targets.map(toCandidate));
      const candidates = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
      const next = {
        activate() {
          const before = members;
          members = new Map(
            candidates.map((candidate) => {
              const { name } = candidate.target.declaration;
              return [name, takeIn(candidate, before.get(name))];
            }),
          );
          for (const [name, { deployed }] of before) if (!members.has(name)) retire(host.undeploy(name), deployed);
        },
        discard: async () => void (await Promise.all(candidates.map(discard))),
      };
      const refused = outcomes.find((outcome) => outcome.status === "rejected");
      if (refused === undefined) return next;
      await next.discard();
      throw refused.reason;
    },
    async close() {
      await host.close();
      await Promise.all(retiring);
      await Promise.all([...members.values()].map(({ deployed }) => deployed[Symbol.asyncDispose]()));
    },
  };
}

async function discard({ standby, deployed }: Candidate): Promise<void> {
  if (standby === undefined) return;
  await standby.discard();
  await deployed[Symbol.asyncDispose]();
}
