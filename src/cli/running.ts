/** What `up`, `dev` and `serve` share: a cell that runs, said to be ready, until it is asked to stop. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { Build } from "../build/contract.ts";
import type { Artifact, Artifacts, Cell, CellRecord } from "../cell/contract.ts";
import type { App, RouteDeclaration } from "../cell/manifest/contract.ts";
import { limits as defaults } from "../kernel/index.ts";
import { type Context, wholeNumber } from "./command.ts";
import { readComponent } from "./inspect.ts";
import { formatRecord } from "./record.ts";
import { formatDuration } from "./table.ts";

export interface ListenOptions {
  readonly port: number;
  readonly adminPort?: number;
  readonly host: string;
  readonly shards?: number;
}

/** `shards` says how many there are when nobody asks. */
export function addListenOptions(command: Command, shards: string): Command {
  const port = wholeNumber(0, 65_535);
  return command
    .option("-p, --port <port>", "where the gateway listens; 0 picks a free port", port, 8080)
    .option(
      "--admin-port <port>",
      "where health and metrics are (default: 9090, or a free port where --port is 0)",
      port,
    )
    .option("--host <address>", "the address to listen on; 0.0.0.0 for all", "127.0.0.1")
    .option("--shards <n>", `threads that serve (default: ${shards})`, wholeNumber(1, 1_024));
}

/** Starts a cell, says that it is ready, and shows what its services log. */
export async function start(
  context: Context,
  app: App,
  builds: ReadonlyMap<string, Build>,
  options: ListenOptions & { readonly startMs: number },
): Promise<Cell> {
  const { output, terminal } = context;
  const { host, port, adminPort = port === 0 ? 0 : 9090, shards = oneEachCore(app), startMs } = options;
  const { startCell } = await import("../cell/cell.ts");
  const components = artifactsOf(app, builds);
  const gateway = { host, port, adminPort };
  const onRecord = (record: CellRecord) => output.note(formatRecord(record, output.errorPaint));
  await warnOfMissingSecrets(context, app);
  const step = output.step("starting");
  let cell: Cell;
  try {
    const options = { gateway, shards, variables: terminal.env, ...(output.json ? {} : { onRecord }) };
    cell = await startCell({ app, components, options });
  } finally {
    step.end();
  }
  output.event("ready", { gateway: cell.address, admin: cell.adminAddress });
  output.print(describeReady(context, app, cell, (await cell.status()).shards, performance.now() - startMs));
  return cell;
}

function oneEachCore({ limits: { shards = defaults.shards } }: App): number {
  return Math.min(availableParallelism(), shards);
}

/** A secret may be set while the app runs; until then the service that asks for it fails. */
async function warnOfMissingSecrets({ output, terminal }: Context, app: App): Promise<void> {
  const services = Object.values(app.services).filter(({ secrets }) => secrets.length > 0);
  if (services.length === 0) return;
  const { openSecrets } = await import("../cell/secrets.ts");
  const stateDirectory = join(app.directory, ".cyto");
  const set = new Set((await openSecrets({ stateDirectory, variables: terminal.env }).list()).map(({ name }) => name));
  const { yellow, bold, cyan } = output.errorPaint;
  for (const { name, secrets } of services) {
    for (const secret of secrets.filter((each) => !set.has(each))) {
      output.complain(`${yellow(bold("warning"))}${bold(`: the secret ${secret} of ${name} is not set`)}`);
      output.complain(`  ${cyan("=")} cyto secret set ${secret}`);
    }
  }
}

/** What each service runs: what was built, or the file that the manifest names. */
export function artifactsOf(app: App, builds: ReadonlyMap<string, Build>): Artifacts {
  const artifacts = Object.values(app.services).map(({ name, component = "" }): [string, Artifact] => {
    return [name, builds.get(name) ?? { component: readComponent(component, component) }];
  });
  return Object.fromEntries(artifacts);
}

/** Waits until the process is asked to stop, and says so. */
export async function untilStopped(context: Context): Promise<void> {
  const stop = context.stop();
  if (!stop.aborted) {
    // Keeps the process alive while nothing else does.
    const alive = setInterval(() => {}, 2 ** 30);
    await new Promise<void>((resolve) => stop.addEventListener("abort", () => resolve(), { once: true }));
    clearInterval(alive);
  }
  context.output.note("stopping: requests in flight finish; once more stops at once");
}

function describeReady({ output }: Context, app: App, cell: Cell, shards: number, durationMs: number): string {
  const { bold, cyan, dim, green } = output.paint;
  const services = Object.values(app.services);
  const width = Math.max(...services.map(({ name }) => name.length), "admin".length);
  const how = shards === 1 ? app.environment : `${app.environment}, ${shards} shards`;
  const lines = [
    `${green("ready")} ${bold(app.name)} at ${cyan(cell.address)} ${dim(`(${how}, in ${formatDuration(durationMs)})`)}`,
    "",
    ...services.map((service) => {
      const callers = services.filter(({ calls }) => calls.includes(service.name)).map(({ name }) => name);
      const routes = service.routes.map(({ id }) => id).join(", ");
      return `  ${bold(service.name.padEnd(width))}  ${routes || dim(`called by ${callers.join(", ") || "nobody"}`)}`;
    }),
    `  ${dim("admin".padEnd(width))}  ${dim(`${cell.adminAddress}/healthz /readyz /metrics`)}`,
  ];
  const tries = services.flatMap(({ routes }) => routes.flatMap((route) => toCurl(route, cell.address))).slice(0, 3);
  if (tries.length > 0) lines.push("", ...tries.map((line, i) => `  ${dim(i === 0 ? "try" : "   ")}  ${line}`));
  return lines.join("\n");
}

/** A request that a reader can paste; none for routes that need a body. */
function toCurl({ methods, path, host }: RouteDeclaration, address: string): string[] {
  if (methods.length > 0 && !methods.includes("GET")) return [];
  const filled = path.replace(/\{[^}]*\.\.\.\}$|\*$/, "").replace(/\{(\w[\w-]*)\}/g, "<$1>");
  const url = filled.includes("<") ? `"${address}${filled}"` : `${address}${filled}`;
  return [`curl ${host === undefined ? "" : `-H "host: ${host.replace("*", "www")}" `}${url}`];
}
