/**
 * One connection to a Redis server, shared by the bindings that name it.
 *
 * Always true: opening never fails because the server is away; while it is away every command
 * fails at once instead of queueing, and the client tries again and again on its own; a command
 * without an answer fails after `commandTimeoutMs` and takes the connection with it, for a server
 * that hangs would answer nothing more on it; no message holds the URL's credentials.
 */
import { readFileSync } from "node:fs";
import { createClient, ErrorReply, type RedisArgument } from "redis";
import { type Clock, CytoError, createDeadlines, UNSLOTTED } from "../../kernel/index.ts";

export interface RedisOptions {
  /** `redis://`, `rediss://` (TLS) or `unix://` with a path. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  /** A PEM file of the authority that signed the server's certificate. */
  readonly ca?: string;
  readonly clock: Clock;
  readonly connectTimeoutMs?: number;
  readonly commandTimeoutMs?: number;
}

export interface RedisConnection extends AsyncDisposable {
  /** Sends one command. `act` is for the message: `get from keyvalue namespace "x"`. */
  send<T>(act: string, command: readonly RedisArgument[], options?: CommandOptions): Promise<T>;
}

/** Commands sent and not yet answered; beyond it, commands are refused. */
const commandsMax = 10_000;
const reconnectMaxMs = 1_000;

/** Settles when the first attempt has succeeded or failed. */
export async function openRedis(options: RedisOptions): Promise<RedisConnection> {
  const { clock, connectTimeoutMs = 1_000, commandTimeoutMs = 2_000 } = options;
  const place = placeOf(options.url);
  const authority = options.ca === undefined ? undefined : readAuthority(options.ca);
  const deadlines = createDeadlines(clock);
  let attempt = start();
  let closed = false;
  await attempt.tried;

  return {
    async send<T>(act: string, command: readonly RedisArgument[], commandOptions?: CommandOptions) {
      const used = attempt;
      try {
        if (closed) throw new Error("it was closed");
        return await withTimeout(used.client.sendCommand<T>(command, commandOptions));
      } catch (error) {
        if (error === timedOut) replace(used);
        throw toCytoError(error, used.problem, act, place);
      }
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      attempt.end();
    },
  };

  /** A client tries on its own for ever; only one whose server hangs is given up for another. */
  function start(): Attempt {
    const client = connect(options, authority, connectTimeoutMs);
    const { promise: tried, resolve } = Promise.withResolvers<void>();
    let handshake: Disposable | undefined;
    const started: Attempt = {
      client,
      tried,
      problem: undefined,
      end() {
        handshake?.[Symbol.dispose]();
        client.destroy();
      },
    };
    const settle = (problem: unknown) => {
      handshake?.[Symbol.dispose]();
      started.problem = problem;
      resolve();
    };
    client.on("connect", () => {
      handshake = clock.after(connectTimeoutMs, () => replace(started));
    });
    client.on("ready", () => settle(undefined));
    client.on("error", settle);
    client.connect().catch(settle);
    return started;
  }

  function replace(used: Attempt): void {
    if (attempt !== used || closed) return;
    attempt = start();
    attempt.problem = timedOut;
    used.end();
  }

  function withTimeout<T>(command: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const deadlineMs = clock.now() + commandTimeoutMs;
      const deadline = { deadlineMs, slot: UNSLOTTED, expire: () => reject(timedOut) };
      deadlines.add(deadline);
      command.then(
        (reply) => {
          deadlines.remove(deadline);
          resolve(reply);
        },
        (error) => {
          deadlines.remove(deadline);
          reject(error);
        },
      );
    });
  }
}

type Client = ReturnType<typeof connect>;
type CommandOptions = Parameters<Client["sendCommand"]>[1];

function connect(options: RedisOptions, ca: Buffer | undefined, connectTimeoutMs: number) {
  const { url, username, password } = options;
  const socket = {
    connectTimeout: connectTimeoutMs,
    reconnectStrategy: (retries: number) => Math.min(25 * 2 ** Math.min(retries, 10), reconnectMaxMs),
  };
  const secured = ca === undefined ? socket : { ...socket, tls: true as const, ca };
  try {
    return createClient({
      url,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      socket: secured,
      // The deadlines above cost a tenth of a signal for every command.
      commandOptions: { timeout: 0 },
      disableOfflineQueue: true,
      commandsQueueMaxLength: commandsMax,
      disableClientInfo: true,
      maintNotifications: "disabled",
    });
  } catch {
    throw unusableUrl(); // The client's own error may quote the URL, password and all.
  }
}

interface Attempt {
  readonly client: Client;
  /** Settles after the first success or failure. */
  readonly tried: Promise<void>;
  /** Why there is no connection now. */
  problem: unknown;
  end(): void;
}

const timedOut = new Error("no answer in time");

/** The URL without its credentials, fit for messages. Throws for one that cannot be used. */
export function placeOf(url: string): string {
  if (url.startsWith("unix:")) {
    const path = /^unix:\/\/(?:[^@/]*@)?(\/[^?#]+)/.exec(url)?.[1];
    if (path !== undefined) return `unix://${path}`;
  } else if (URL.canParse(url)) {
    const { protocol, host, pathname } = new URL(url);
    const database = /^\/?([0-9]*)$/.test(pathname);
    if ((protocol === "redis:" || protocol === "rediss:") && host !== "" && database) {
      return `${protocol}//${host}${pathname === "/" ? "" : pathname}`;
    }
  }
  throw unusableUrl();
}

function unusableUrl(): CytoError {
  return new CytoError(
    "invalid-manifest",
    "Cannot open keyvalue provider redis: its url is not one of a Redis server",
    {
      hint: 'Write "redis://host:6379/0", "rediss://host:6380" for TLS, or "unix:///run/redis.sock".',
    },
  );
}

function readAuthority(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new CytoError("invalid-manifest", `Cannot open keyvalue provider redis: its ca file ${path} cannot be read`, {
      hint: "Name a PEM file that holds the authority's certificate.",
      cause,
    });
  }
}

function toCytoError(error: unknown, problem: unknown, act: string, place: string): CytoError {
  if (error instanceof CytoError) return error;
  if (error instanceof ErrorReply) return refused(error, act, place);
  const cause = problem ?? error;
  const message = `Cannot ${act}: Redis at ${place} is unavailable (${reasonOf(cause)})`;
  return new CytoError("backend-unavailable", message, {
    hint: "Start the server or correct the binding; calls succeed again by themselves once it answers.",
    cause,
  });
}

/** The server answered, with an error. */
function refused(error: ErrorReply, act: string, place: string): CytoError {
  if (/\bOOM\b/.test(error.message)) {
    return new CytoError("storage-full", `Cannot ${act}: Redis at ${place} is at its maxmemory`, {
      hint: "Raise maxmemory of the server, or delete keys.",
      cause: error,
    });
  }
  return new CytoError("backend-unavailable", `Cannot ${act}: Redis at ${place} refused it (${error.message})`, {
    hint: "Correct the server's state or the binding's credentials; calls succeed again by themselves.",
    cause: error,
  });
}

/** Connection errors of several addresses have no message of their own, but a code. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || ("code" in error ? String(error.code) : error.name);
}
