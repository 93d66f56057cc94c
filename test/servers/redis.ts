/**
 * A private Redis server for a test: on a free port of this machine, its files in a folder of its
 * own, gone with the test.
 *
 * Uses `redis-server` from the PATH; where it is missing and this process is root on a machine with
 * apt, installs it first; else fails and names what is missing. Never pretends.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { tlsAuthority, tlsKey } from "./tls.ts";

export interface RedisServerOptions {
  readonly password?: string;
  /** Answers `rediss://` only, with the certificate of `tlsAuthority`. */
  readonly tls?: boolean;
  /** More words of the server's command line. */
  readonly args?: readonly string[];
}

export interface RedisServer extends AsyncDisposable {
  /** Without credentials. */
  readonly url: string;
  /** The same server by its unix socket. */
  readonly unixUrl: string;
  /** Ends it as `kill -9` does; settles when it is gone. */
  kill(): Promise<void>;
  /** Stops answering, without closing a connection. */
  freeze(): void;
  thaw(): void;
  /** On the same port again, with the data that it had persisted. Settles when it answers. */
  start(): Promise<void>;
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const binary = await findRedis();
  const folder = await mkdtemp(join(tmpdir(), "cyto-redis-"));
  const port = await freePort();
  const socket = join(folder, "redis.sock");
  let running: ChildProcess | undefined;
  await start();

  return {
    url: `${options.tls ? "rediss" : "redis"}://127.0.0.1:${port}`,
    unixUrl: `unix://${socket}`,
    start,
    kill,
    freeze: () => void running?.kill("SIGSTOP"),
    thaw: () => void running?.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };

  async function start(): Promise<void> {
    const ports = options.tls
      ? ["--port", "0", "--tls-port", String(port), "--tls-auth-clients", "no"]
      : ["--port", String(port)];
    const tls = ["--tls-cert-file", tlsAuthority, "--tls-key-file", tlsKey, "--tls-ca-cert-file", tlsAuthority];
    const child = spawn(
      binary,
      [
        ...ports,
        ...(options.tls ? tls : []),
        ...["--bind", "127.0.0.1", "--unixsocket", socket, "--dir", folder],
        ...["--save", "", "--appendonly", "yes", "--appendfsync", "always"],
        ...(options.password === undefined ? [] : ["--requirepass", options.password]),
        ...(options.args ?? []),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    running = child;
    await ready(child);
  }

  async function kill(): Promise<void> {
    const child = running;
    running = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
}

async function ready(child: ChildProcess): Promise<void> {
  const lines: string[] = [];
  if (child.stdout === null) throw new Error("redis-server has no output");
  for await (const line of createInterface({ input: child.stdout })) {
    if (/ready to accept connections/i.test(line)) {
      child.stdout.resume();
      return;
    }
    lines.push(line);
  }
  throw new Error(`redis-server ended before it was ready:\n${lines.join("\n")}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

const run = promisify(execFile);

async function findRedis(): Promise<string> {
  const found = await onPath("redis-server");
  if (found !== undefined) return found;
  if (process.getuid?.() === 0 && (await onPath("apt-get")) !== undefined) {
    const wait = ["-o", "DPkg::Lock::Timeout=300"];
    await run("apt-get", [...wait, "update"]);
    await run("apt-get", [...wait, "install", "-y", "--no-install-recommends", "redis-server"]);
    const installed = await onPath("redis-server");
    if (installed !== undefined) return installed;
  }
  throw new Error("Cannot test against Redis: redis-server is not on the PATH. Install it (apt, dnf or brew: redis).");
}

async function onPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const file = join(folder, name);
    try {
      await access(file);
      return file;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
