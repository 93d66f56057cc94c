/**
 * The plan: an app stacked into a running cell. Every other room meets here and only here.
 *
 *     gateway ─▶ mesh ─▶ roster ─▶ host ─▶ component ─▶ grants ─▶ capability
 *                 ▲                                       │
 *                 └───── a call to another service ───────┘
 *
 * Always true: an app is taken as a whole or refused as a whole, and routes, policies and services
 * change in one step.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createKeyValueProviders } from "../capability/keyvalue/standard.ts";
import { createGateway, type Gateway, type GatewayOptions } from "../gateway/index.ts";
import { createHost } from "../host/index.ts";
import { CytoError, limits, type Service, systemClock, systemRandom } from "../kernel/index.ts";
import { createMesh } from "../mesh/index.ts";
import { createAccessLog, createMetrics, openLogFile } from "../telemetry/index.ts";
import type { Artifacts, Cell, CellParts, CellRecord } from "./contract.ts";
import { createFailureLog } from "./failure-log.ts";
import type { App } from "./manifest/contract.ts";
import { createRoster } from "./roster.ts";
import { policyOf, routesOf } from "./routes.ts";
import { writeRunFile } from "./run-file.ts";
import { openSecrets } from "./secrets.ts";

export type { Artifact, Artifacts, Cell, CellOptions, CellParts, CellRecord, CellStatus } from "./contract.ts";

/** Answers requests once it settles. Throws what is wrong with a service, or `cannot-listen`. */
export async function startCell({ app, components, options = {} }: CellParts): Promise<Cell> {
  const { clock = systemClock, random = systemRandom, variables = process.env } = options;
  const { stateDirectory = join(app.directory, ".cyto"), onRecord = () => {} } = options;
  const logDirectory = join(stateDirectory, "logs");
  makeDirectory(logDirectory);
  const log = openLogFile(join(logDirectory, `${app.name}.jsonl`), { clock });
  const sink = (record: CellRecord): void => {
    log.write(record);
    onRecord(record);
  };
  const failures = createFailureLog(sink, clock);
  const host = createHost({ clock, random });
  const metrics = createMetrics(host.status);
  const logAccess = createAccessLog((record) => sink(record as CellRecord), clock.now);

  let current = app;
  let mesh: Service;
  /** Stays the same door when the mesh behind it changes. */
  const entrance: Service = (call) => mesh(call);
  const roster = createRoster({
    host,
    failures,
    variables,
    grants: {
      keyvalue: createKeyValueProviders({ clock }),
      secrets: openSecrets({ stateDirectory, variables, clock, random }),
      mesh: entrance,
      sink,
      dataDirectory: join(stateDirectory, "data"),
      clock,
      random,
    },
  });

  function show(wanted: App): void {
    current = wanted;
    mesh = createMesh({
      resolve: roster.resolve,
      policy: policyOf(wanted),
      clock,
      random,
      hops: wanted.limits.hops ?? limits.hops,
    });
  }

  async function end(): Promise<void> {
    await roster.close();
    await log[Symbol.asyncDispose]();
  }

  let gateway: Gateway;
  try {
    const first = await roster.prepare(app, components);
    first.activate();
    show(app);
    gateway = await createGateway({
      routes: routesOf(app),
      next: entrance,
      clock,
      random,
      observe(access) {
        metrics.observe(access);
        logAccess(failures.review(access));
      },
      metrics: metrics.expose,
      // It listens only once every service is warm.
      unready: () => undefined,
      options: { ...gatewayOptionsOf(app), ...options.gateway },
    });
  } catch (thrown) {
    await end();
    throw thrown;
  }

  const { address, adminAddress } = gateway;
  const { environment } = app;
  const run = { pid: process.pid, gateway: address, admin: adminAddress, environment };
  const runFile = writeRunFile(stateDirectory, run);
  let changing: Promise<void> = Promise.resolve();
  let closing: Promise<void> | undefined;

  async function change(wanted: App, artifacts: Artifacts): Promise<void> {
    if (closing !== undefined) throw new CytoError("draining", `Cannot replace ${wanted.name}: the cell is closing`);
    const next = await roster.prepare(wanted, artifacts);
    try {
      gateway.replace(routesOf(wanted), entrance);
    } catch (thrown) {
      await next.discard();
      throw thrown;
    }
    next.activate();
    show(wanted);
  }

  async function close(): Promise<void> {
    await changing;
    runFile[Symbol.dispose]();
    await gateway.close();
    await end();
  }

  return {
    address,
    adminAddress,
    replace(wanted, artifacts) {
      const changed = changing.then(() => change(wanted, artifacts));
      changing = changed.catch(() => {});
      return changed;
    },
    status: () => ({ app: current.name, environment: current.environment, services: host.status() }),
    close: () => (closing ??= close()),
  };
}

function gatewayOptionsOf({ environment, limits: own }: App): Partial<GatewayOptions> {
  const { headerBytes, headerTimeoutMs, idleTimeoutMs } = { ...limits, ...own };
  // While developing, clients are told what went wrong.
  return { headerBytes, headerTimeoutMs, idleTimeoutMs, exposeErrors: environment === "local" };
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
