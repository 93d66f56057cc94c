import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { Command } from "commander";
import type { App } from "../cell/manifest/contract.ts";
import { suggest } from "../cell/manifest/suggestion.ts";
import { readRunFile } from "../cell/run-file.ts";
import { CytoError } from "../kernel/index.ts";
import { addManual, type Context, type Frame, runs, several } from "./command.ts";
import { SilentFailure, UsageError } from "./failure.ts";
import { manifestFile, readProject } from "./project.ts";
import { formatBytes, formatDuration } from "./table.ts";

interface CallOptions {
  readonly project: string;
  readonly method?: string;
  readonly header: readonly string[];
  readonly data?: string;
  readonly url?: string;
}

/** `cyto call`: one request to a running app, through its gateway. */
export function addCall(program: Command, frame: Frame): void {
  const command = program
    .command("call")
    .summary("send a request to a running app")
    .description(
      "Sends a request through the gateway of an app that `cyto up` or `cyto dev` runs, and shows the reply.",
    )
    .argument("<target>", "a service's name, a path, or a whole URL")
    .argument("[path]", "the path, where the target is a service (default: its first route)")
    .option("-C, --project <dir>", "the project's folder, or its manifest", ".")
    .option("-X, --method <method>", "default: GET, or POST with data")
    .option("-H, --header <name: value>", "a header field; may be given several times", several, [])
    .option("-d, --data <text>", "the body; @file reads a file, - reads standard input")
    .option("--url <address>", "the gateway's address, in place of the running app's")
    .action(runs(frame, call));
  addManual(command, {
    examples: [
      ["cyto call catalog /products", "GET /products"],
      ['cyto call /carts/7/items -d \'{"sku":"A1","quantity":2}\'', "POST, as JSON"],
      ["cyto call https://example.com/x -H 'accept: text/html'", "anywhere"],
    ],
    notes: [
      "Exit code 1 when the status is 400 or more, or nobody answers.",
      "The body goes to standard output, status and header to standard error.",
    ],
  });
}

async function call(
  context: Context,
  [target = "", path]: readonly (string | undefined)[],
  options: CallOptions,
): Promise<void> {
  const { output } = context;
  const body = await readBody(context, options.data);
  const aim = await aimAt(context, target, path, options);
  const headers = new Headers(aim.headers);
  if (body !== undefined && isJson(body)) headers.set("content-type", "application/json");
  for (const header of options.header) {
    const [, name, value] = /^([^:\s]+):\s*(.*)$/.exec(header) ?? [];
    if (name === undefined || value === undefined) {
      throw new UsageError(`Cannot send the header "${header}": it is not of the form "name: value"`);
    }
    headers.set(name, value);
  }
  const method = (options.method ?? aim.method ?? (body === undefined ? "GET" : "POST")).toUpperCase();
  const startMs = performance.now();
  const init = { method, headers, redirect: "manual", ...(body && { body }) } as const;
  const reply = await fetch(aim.url, init).catch((cause: Error) => {
    throw new CytoError("upstream-failed", `Cannot call ${aim.url}: nobody answers`, {
      cause: cause.cause ?? cause,
      hint: "is the app running? cyto up",
    });
  });
  const bytes = Buffer.from(await reply.arrayBuffer());
  const durationMs = performance.now() - startMs;
  const text = isText(bytes) ? bytes.toString("utf8") : undefined;
  output.event("reply", {
    url: aim.url,
    method,
    status: reply.status,
    headers: Object.fromEntries(reply.headers),
    ...(text === undefined ? { bodyBase64: bytes.toString("base64") } : { body: text }),
    durationMs: Math.round(durationMs),
  });
  if (!output.json) show(context, { method, url: aim.url, reply, bytes, text, durationMs });
  if (reply.status >= 400) throw new SilentFailure();
}

interface Aim {
  readonly url: string;
  readonly method?: string;
  readonly headers: Readonly<Record<string, string>>;
}

async function aimAt(context: Context, target: string, path: string | undefined, options: CallOptions): Promise<Aim> {
  if (/^https?:\/\//.test(target)) return { url: toUrl(target, path ?? ""), headers: {} };
  const file = () => manifestFile(context.terminal.cwd, options.project);
  const run = options.url === undefined ? readRunFile(join(dirname(file()), ".cyto")) : undefined;
  const gateway = options.url ?? run?.gateway;
  if (gateway === undefined) {
    throw new CytoError("no-service", `Cannot call ${target}: no app is running in ${options.project}`, {
      hint: "start it with cyto up or cyto dev, or name another with --project or --url",
    });
  }
  if (target.startsWith("/")) return { url: toUrl(gateway, target), headers: {} };
  const { app } = await readProject(context, file(), run?.environment);
  if (app === undefined) {
    const hint = "name a path in place of a service, or mend it: cyto check";
    throw new CytoError("invalid-manifest", `Cannot call ${target}: the manifest is not valid`, { hint });
  }
  return aimAtService(app, gateway, target, path);
}

/** At the path that is named, else at the service's first route without parameters. */
function aimAtService(app: App, gateway: string, name: string, path: string | undefined): Aim {
  const service = Object.hasOwn(app.services, name) ? app.services[name] : undefined;
  if (service === undefined) {
    const hint = suggest(name, Object.keys(app.services), "services");
    throw new UsageError(`Cannot call ${name}: ${app.name} has no service of that name`, hint);
  }
  const [first] = service.routes;
  if (first === undefined) {
    throw new UsageError(`Cannot call ${name}: it has no routes`, "it is reached by other services only");
  }
  const plain = path === undefined ? service.routes.find((route) => !/[{*]/.test(route.path)) : undefined;
  if (path === undefined && plain === undefined) {
    const routes = service.routes.map(({ id }) => id).join(", ");
    throw new UsageError(`Cannot call ${name}: its routes have parameters`, `name a path: ${routes}`);
  }
  const { host } = plain ?? first;
  const method = plain?.methods[0];
  return {
    url: toUrl(gateway, path ?? plain?.path ?? "/"),
    headers: host === undefined ? {} : { host: host.replace("*", "www") },
    ...(method !== undefined && { method }),
  };
}

function toUrl(base: string, path: string): string {
  const url = path === "" ? URL.parse(base) : URL.parse(path, base);
  if (url !== null && /^https?:$/.test(url.protocol)) return url.href;
  throw new UsageError(`Cannot call "${base}": it is no HTTP address`, "such as http://127.0.0.1:8080");
}

async function readBody({ terminal }: Context, data: string | undefined): Promise<Buffer | undefined> {
  if (data === undefined) return undefined;
  if (data === "-") return buffer(Readable.from(terminal.stdin));
  if (!data.startsWith("@")) return Buffer.from(data);
  const file = data.slice(1);
  try {
    return readFileSync(resolve(terminal.cwd, file));
  } catch (cause) {
    throw new UsageError(`Cannot read the body from ${file}: ${(cause as NodeJS.ErrnoException).code}`);
  }
}

interface Shown {
  readonly method: string;
  readonly url: string;
  readonly reply: Response;
  readonly bytes: Buffer;
  readonly text: string | undefined;
  readonly durationMs: number;
}

function show({ output, terminal }: Context, { method, url, reply, bytes, text, durationMs }: Shown): void {
  const { bold, dim, red, yellow, cyan } = output.errorPaint;
  const colour = reply.status >= 500 ? red : reply.status >= 400 ? yellow : cyan;
  output.note(dim(`${method} ${url}`));
  output.note(`${colour(bold(String(reply.status)))} ${reply.statusText} ${dim(`in ${formatDuration(durationMs)}`)}`);
  for (const [name, value] of reply.headers) output.note(dim(`${name}: ${value}`));
  if (bytes.length === 0) return;
  output.note("");
  const onTerminal = terminal.stdout.isTTY === true;
  if (text === undefined) {
    if (onTerminal) output.note(dim(`${formatBytes(bytes.length)} that are no text`));
    else terminal.stdout.write(bytes);
    return;
  }
  const pretty = onTerminal && isJson(bytes) ? JSON.stringify(JSON.parse(text), null, 2) : text;
  terminal.stdout.write(onTerminal && !pretty.endsWith("\n") ? `${pretty}\n` : pretty);
}

function isJson(bytes: Buffer): boolean {
  if (!/^\s*[[{]/.test(bytes.subarray(0, 64).toString("utf8"))) return false;
  try {
    JSON.parse(bytes.toString("utf8"));
    return true;
  } catch {
    return false;
  }
}

function isText(bytes: Buffer): boolean {
  try {
    return !new TextDecoder("utf-8", { fatal: true }).decode(bytes).includes("\0");
  } catch {
    return false;
  }
}
