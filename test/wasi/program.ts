/**
 * One program of the suite, run by the `cyto` command in a process of its own, and judged.
 *
 * Always true: it works in a copy of its root folder, so that no program meets the traces of another;
 * when it has not ended in time it is killed; whatever it started is gone when the verdict is there.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { startEndpoints } from "./endpoints.ts";
import { type Operation, readSpecification, type Specification } from "./specification.ts";

export interface Verdict {
  readonly name: string;
  readonly passed: boolean;
  readonly durationMs: number;
  /** What went wrong first, and what the program said. */
  readonly failure?: string;
}

/** What programs about sockets may do: everything with this machine, and to ask for any address of it. */
const loopback = ["tcp", "udp"].flatMap((protocol) => [
  ...["127.0.0.0/8", "[::1]"].flatMap((at) => ["--egress", `${protocol}://${at}:*`]),
  ...["0.0.0.0", "[::]"].flatMap((at) => ["--listen", `${protocol}://${at}:*`]),
]);

const cyto = fileURLToPath(new URL("../../bin/cyto.js", import.meta.url));

export async function judge(program: string, timeoutMs: number): Promise<Verdict> {
  const startMs = performance.now();
  const name = basename(program, ".wasm");
  const folder = await mkdtemp(join(tmpdir(), "wasi-suite-"));
  let trial: Trial | undefined;
  try {
    const specification = readSpecification(program);
    await using endpoints = await startEndpoints(specification.servers);
    trial = new Trial(program, folder, specification, endpoints.addresses, timeoutMs);
    for (const operation of specification.operations) await trial.do(operation);
    return { name, passed: true, durationMs: performance.now() - startMs };
  } catch (error) {
    const said = trial?.said() ?? "";
    const failure = `${(error as Error).message}${said === "" ? "" : `\n${said}`}`;
    return { name, passed: false, durationMs: performance.now() - startMs, failure };
  } finally {
    await trial?.end();
    await rm(folder, { recursive: true, force: true });
  }
}

class Trial {
  readonly #program: string;
  readonly #folder: string;
  readonly #specification: Specification;
  readonly #servers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #sockets = new Map<string, { readonly socket: Socket; readonly received: Received }>();
  #child: ChildProcess | undefined;
  #closed: Promise<number | string> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #out: Received | undefined;
  #err: Received | undefined;
  #address: string | undefined;

  constructor(
    program: string,
    folder: string,
    specification: Specification,
    servers: Readonly<Record<string, string>>,
    timeoutMs: number,
  ) {
    this.#program = program;
    this.#folder = folder;
    this.#specification = specification;
    this.#servers = servers;
    this.#timeoutMs = timeoutMs;
  }

  async do(operation: Operation): Promise<void> {
    if (operation.type === "run") return this.#run(operation);
    const child = this.#child;
    if (child === undefined) throw new Error(`Cannot ${operation.type}: nothing was run`);
    switch (operation.type) {
      case "wait": {
        child.stdin!.end();
        const code = await this.#closed;
        if (code !== operation.exitCode) throw new Error(`it ended with ${code}, not with ${operation.exitCode}`);
        return;
      }
      case "read": {
        const stream = operation.id === "stderr" ? this.#err! : this.#out!;
        expectText(`its ${operation.id}`, await stream.take(operation.payload.length), operation.payload);
        return;
      }
      case "write":
        child.stdin!.write(operation.payload);
        return;
      case "connect":
        return this.#connect(operation.id);
      case "send":
        this.#socket(operation.id).socket.write(operation.payload);
        return;
      case "recv": {
        const { received } = this.#socket(operation.id);
        expectText(`what ${operation.id} sent`, await received.take(operation.payload.length), operation.payload);
        return;
      }
      case "request":
        return this.#request(operation);
      case "kill":
        child.kill(operation.signal);
    }
  }

  /** What the program wrote, the end of it. */
  said(): string {
    return [this.#out, this.#err]
      .map((stream) => stream?.all.trimEnd().slice(-1_000) ?? "")
      .filter((text) => text !== "")
      .join("\n");
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer);
    for (const { socket } of this.#sockets.values()) socket.destroy();
    this.#child?.kill("SIGKILL");
    await this.#closed;
  }

  async #run({ args, env, root }: Extract<Operation, { type: "run" }>): Promise<void> {
    const { world, proposals } = this.#specification;
    const service = world === "wasi:http/service";
    const flags = Object.entries({ ...env, ...this.#servers }).flatMap(([name, value]) => [
      "--env",
      `${name}=${value}`,
    ]);
    for (const address of Object.values(this.#servers)) flags.push("--egress", address);
    if (proposals.includes("sockets")) flags.push(...loopback);
    if (root !== undefined) {
      const copy = join(this.#folder, "root");
      await mkdir(copy);
      await cp(join(dirname(this.#program), root), copy, { recursive: true });
      flags.push("--dir", service ? `/=${copy}` : `/::${copy}`);
    }
    const command = service
      ? ["serve", this.#program, "--port", "0", "--json", ...flags]
      : ["run", ...flags, this.#program, ...args];
    const child = spawn(process.execPath, [cyto, ...command], {
      cwd: this.#folder,
      env: { ...process.env, NO_COLOR: "1" },
      stdio: "pipe",
    });
    // What it no longer reads is no failure of its own.
    child.stdin.on("error", () => {});
    this.#child = child;
    this.#out = new Received(child.stdout);
    this.#err = new Received(child.stderr);
    this.#closed = once(child, "close").then(([code, signal]) => (code ?? signal) as number | string);
    this.#timer = setTimeout(() => child.kill("SIGKILL"), this.#timeoutMs);
    if (service) this.#address = await this.#ready();
  }

  async #ready(): Promise<string> {
    const line = await this.#out!.line();
    const { gateway, message } = JSON.parse(line || "{}") as { readonly gateway?: string; readonly message?: string };
    if (gateway === undefined) throw new Error(`it does not serve: ${message ?? line}`);
    return gateway;
  }

  async #connect(id: string): Promise<void> {
    const line = await this.#out!.line();
    const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(line.trim()) ?? [];
    if (host === undefined) throw new Error(`it wrote "${line}" where an address was expected`);
    const socket = connect(Number(port), host);
    await once(socket, "connect");
    this.#sockets.set(id, { socket, received: new Received(socket) });
  }

  #socket(id: string) {
    const found = this.#sockets.get(id);
    if (found === undefined) throw new Error(`Cannot use the connection ${id}: there is none`);
    return found;
  }

  async #request({ method, path, headers, body, response }: Extract<Operation, { type: "request" }>): Promise<void> {
    const sent = request(`${this.#address}${path}`, { method, headers, agent: false });
    sent.end(body === "" ? undefined : body);
    const [reply] = (await once(sent, "response")) as [
      Readable & { statusCode: number; headers: Record<string, string> },
    ];
    const text = Buffer.concat(await reply.toArray()).toString();
    const about = `the reply to ${method} ${path}`;
    expectText(`the status of ${about}`, String(reply.statusCode), String(response.status));
    for (const [name, value] of Object.entries(response.headers))
      expectText(`${name} of ${about}`, String(reply.headers[name.toLowerCase()]), value);
    expectText(`the body of ${about}`, text, response.body);
  }
}

function expectText(what: string, found: string, expected: string): void {
  if (found !== expected) throw new Error(`${what} is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
}

/** What has come on a stream, taken in parts; less than asked for is given where it has ended. */
class Received {
  all = "";
  #taken = 0;
  #ended = false;
  #more: (() => void) | undefined;

  constructor(stream: Readable) {
    const wake = () => {
      this.#more?.();
      this.#more = undefined;
    };
    stream.setEncoding("utf8").on("data", (text: string) => {
      this.all += text;
      wake();
    });
    stream.on("error", () => {});
    stream.on("close", () => {
      this.#ended = true;
      wake();
    });
  }

  take(length: number): Promise<string> {
    return this.#upTo(() => (this.all.length - this.#taken >= length ? this.#taken + length : undefined));
  }

  line(): Promise<string> {
    return this.#upTo(() => {
      const end = this.all.indexOf("\n", this.#taken);
      return end === -1 ? undefined : end + 1;
    });
  }

  async #upTo(end: () => number | undefined): Promise<string> {
    while (end() === undefined && !this.#ended)
      await new Promise<void>((resolve) => {
        this.#more = resolve;
      });
    const start = this.#taken;
    this.#taken = end() ?? this.all.length;
    return this.all.slice(start, this.#taken);
  }
}
