/**
 * The plan: an app stacked into a running cell. Every other room meets here and only here.
 *
 *     cell     what there is one of: release, admin port, log, run file, secrets, state in the process
 *      ├─ shard 0    gateway ─▶ mesh ─▶ roster ─▶ host ─▶ component ─▶ grants ─▶ capability
 *      ├─ shard 1    the same, in a thread of its own, on the same port
 *      └─ …
 *
 * Always true: an app is taken as a whole or refused as a whole, by all shards; a shard that died is
 * replaced by one that runs what the others run. Changes come one after another.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createKeyValueProviders } from "../capability/keyvalue/standard.ts";
import { type Admin, canSharePorts, gatewayDefaults, openAdmin, requireFreePort } from "../gateway/index.ts";
import { CytoError, systemClock, systemRandom } from "../kernel/index.ts";
import { createMetrics, openLogFile } from "../telemetry/index.ts";
import { openComponentCache } from "./component-cache.ts";
import type { Artifacts, Cell, CellParts, CellRecord } from "./contract.ts";
import { type Crew, type CrewParts, inThisThread, inThreads } from "./crew.ts";
import type { App } from "./manifest/contract.ts";
import { createRelease } from "./release.ts";
import { createReports } from "./reports.ts";
import { bringUp, listenAll, type Place, rollOut } from "./rollout.ts";
import { writeRunFile } from "./run-file.ts";
import { openSecrets } from "./secrets.ts";
import type { Release, ShardDoor } from "./shard-contract.ts";

export type { Artifact, Artifacts, Cell, CellOptions, CellParts, CellRecord, CellStatus } from "./contract.ts";

const adminPortDefault = 9090;

/** Answers requests once it settles. Throws what is wrong with a service, or `cannot-listen`. */
export async function startCell({ app, components, options = {} }: CellParts): Promise<Cell> {
  const { clock = systemClock, random = systemRandom, variables = process.env } = options;
  const { stateDirectory = join(app.directory, ".cyto"), onRecord = () => {} } = options;
  const { host, port } = gatewayDefaults;
  const { adminPort = adminPortDefault, ...listening } = { host, port, ...options.gateway };
  const logDirectory = join(stateDirectory, "logs");
  makeDirectory(logDirectory);
  const log = openLogFile(join(logDirectory, `${app.name}.jsonl`), { clock });
  const sink = (record: CellRecord): void => {
    log.write(record);
    onRecord(record);
  };
  const say = (level: CellRecord["level"], message: string): void => sink({ time: clock.now(), level, message });

  let release: Release | undefined;
  let place: Place = listening;
  let closing: Promise<void> | undefined;
  let changing: Promise<void> = Promise.resolve();

  /** Runs `change` after the changes before it. */
  function inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = changing.then(change);
    changing = changed.then(
      () => {},
      () => {},
    );
    return changed;
  }

  const crewParts: CrewParts = {
    keyvalue: createKeyValueProviders({ clock }),
    secrets: openSecrets({ stateDirectory, variables, clock, random }),
    dataDirectory: join(stateDirectory, "data"),
    clock,
    random,
    sink,
    append(text, lines) {
      log.append(text, lines);
      if (options.onRecord !== undefined) for (const line of linesOf(text)) onRecord(JSON.parse(line) as CellRecord);
    },
  };
  const count = shardsPossible(options.shards ?? 1, app, say);
  if (count > 1) place = { ...listening, reusePort: true };
  const crew: Crew =
    count === 1
      ? inThisThread(crewParts)
      : inThreads({
          ...crewParts,
          count,
          revive: (shard, join) => inTurn(() => revive(shard, join)),
          onDeath: (_, reason) => say("error", `${reason.message}; another takes its place`),
        });

  const cache = openComponentCache(join(stateDirectory, "cache", "components"), clock);
  const parts = (before: Release | undefined) => ({
    variables,
    before,
    cache,
    warn: (message: string) => say("warn", message),
  });

  async function open(): Promise<string> {
    const first = await createRelease(app, components, parts(undefined));
    await rollOut(crew, first);
    if (place.reusePort && place.port !== 0) await requireFreePort(place);
    const opened = await listenAll(crew, first, place);
    release = first;
    place = opened.place;
    return opened.address;
  }

  async function change(wanted: App, artifacts: Artifacts): Promise<void> {
    if (closing !== undefined) throw new CytoError("draining", `Cannot replace ${wanted.name}: the cell is closing`);
    const pinned = pinnedOf(wanted);
    if (count > 1 && pinned !== undefined) {
      throw new CytoError("invalid-manifest", `Cannot deploy ${pinned}: it is pinned, and ${count} shards serve`, {
        hint: "Start the app anew: one with a pinned service has one shard.",
      });
    }
    const next = await createRelease(wanted, artifacts, parts(release));
    await rollOut(crew, next);
    release = next;
  }

  async function revive(shard: ShardDoor, join: () => void): Promise<void> {
    if (release === undefined || closing !== undefined) throw new CytoError("draining", "the cell is closing");
    await bringUp(shard, release, place);
    join();
    say("info", `shard ${shard.index} serves again`);
  }

  const gather = createReports(crew, clock);
  const metrics = createMetrics(async () => ({
    ...(await gather()),
    shards: crew.serving.length,
    deaths: crew.deaths,
  }));

  async function end(): Promise<void> {
    await crew.close();
    await log[Symbol.asyncDispose]();
  }

  let address: string;
  let admin: Admin;
  try {
    address = await inTurn(open);
    admin = await openAdmin({
      host: place.host,
      port: adminPort,
      clock,
      random,
      metrics: metrics.expose,
      unready() {
        if (closing !== undefined) return "shutting down";
        return crew.serving.length === 0 ? "no shard serves" : undefined;
      },
    });
  } catch (thrown) {
    closing = end();
    await closing;
    throw thrown;
  }

  const { environment } = app;
  const run = { pid: process.pid, gateway: address, admin: admin.address, environment };
  const runFile = writeRunFile(stateDirectory, run);

  async function close(): Promise<void> {
    await changing;
    runFile[Symbol.dispose]();
    await end();
    await admin.close();
  }

  return {
    address,
    adminAddress: admin.address,
    replace: (wanted, artifacts) => inTurn(() => change(wanted, artifacts)),
    async status() {
      const { name, environment } = release?.app ?? app;
      const { pools } = await gather();
      return { app: name, environment, shards: crew.serving.length, services: pools };
    },
    close: () => (closing ??= close()),
  };
}

function shardsPossible(wanted: number, app: App, say: (level: CellRecord["level"], message: string) => void): number {
  if (wanted === 1) return 1;
  const pinned = pinnedOf(app);
  const reason = !canSharePorts(process.platform)
    ? `listeners cannot share a port on ${process.platform}`
    : pinned && `${pinned} is pinned, and lives once`;
  if (reason === undefined) return wanted;
  say("warn", `one shard serves instead of ${wanted}: ${reason}`);
  return 1;
}

/** A service with one instance that lives: on several shards there would be several. */
function pinnedOf({ services }: App): string | undefined {
  return Object.values(services).find(({ instances }) => instances.policy === "pinned")?.name;
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CytoError("backend-unavailable", `Cannot keep state in ${path}: ${code}`, {
      cause,
      hint: "Make sure that the folder of the manifest can be written to.",
    });
  }
}
