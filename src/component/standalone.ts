/**
 * Components run by a program of its own, without the platform: what it names is granted, nothing else.
 *
 *     using host = wasi({ directories: [{ guest: "/data", host: "./data", readOnly: true }] });
 *     component.instantiate({ ...host.imports, "my:host/log": { say } });
 *
 * One `wasi()` is for one instance and ends after it: files and timers that the guest left open are closed.
 */
import {
  type Body,
  type Call,
  type Clock,
  CytoError,
  hex,
  type Random,
  systemClock,
  systemRandom,
} from "../kernel/index.ts";
import type {
  Component,
  Grants,
  ImportObject,
  InstantiateOptions,
  StandardOutput,
  StandardStreams,
} from "./contract.ts";
import { wasiImports } from "./wasi/standard.ts";
import { createHostState, endState } from "./wasi/state.ts";
import { type Occasion, runCommand as runGranted } from "./world/command.ts";
import { openHandlerInstance } from "./world/handler.ts";
import { createHttpState, openHttpInstance } from "./world/http.ts";

export interface WasiOptions {
  /** The first is the program's name. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Host directories by guest path. */
  readonly directories?: readonly { readonly guest: string; readonly host: string; readonly readOnly?: boolean }[];
  /** Empty unless given. */
  readonly stdin?: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** Without these, what it writes is logged line by line. A promise holds it back until there is room. */
  readonly stdout?: (bytes: Uint8Array) => undefined | Promise<undefined>;
  readonly stderr?: (bytes: Uint8Array) => undefined | Promise<undefined>;
  readonly log?: Grants["log"];
  /** What wasi:config has. */
  readonly config?: Grants["config"];
  /** By the name of the bucket. */
  readonly keyvalue?: Grants["keyvalue"];
  /** Its outgoing requests. Without it none leaves. */
  readonly fetch?: Grants["fetch"];
  readonly sockets?: Grants["sockets"];
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface Wasi extends Disposable {
  readonly imports: ImportObject;
}

export function wasi(options: WasiOptions = {}): Wasi {
  const grants = grantsOf(options);
  const state = createHostState(grants);
  return {
    imports: wasiImports(grants, state),
    [Symbol.dispose]() {
      for (const finish of state.afterCall) finish();
      endState(state);
    },
  };
}

/** Runs a command once, to its exit code. */
export function runCommand<Imports, Exports>(
  component: Component<Imports, Exports>,
  options: WasiOptions = {},
  occasion: Occasion = {},
): Promise<number> {
  return runGranted(component as unknown as Component, grantsOf(options), occasion);
}

/** One instance of a service of wasi:http. */
export interface Fetcher extends Disposable {
  /**
   * One call of it. Those of a service of 0.2 come one after the other: until the guest has returned,
   * another is refused as `overloaded`.
   */
  fetch(request: Request): Promise<Response>;
}

/** Calls of 0.3 that one instance takes at a time. */
const concurrency = 100;

export function openFetcher<Imports, Exports>(
  component: Component<Imports, Exports>,
  options: WasiOptions & Pick<InstantiateOptions, "cpu"> = {},
): Fetcher {
  const grants = grantsOf(options);
  const state = createHttpState(grants);
  const core = (component as unknown as Component).instantiate(wasiImports(grants, state), {
    ...(options.cpu && { cpu: options.cpu }),
  });
  const instance =
    component.world === "handler" ? openHandlerInstance(core, state, concurrency) : openHttpInstance(core, state);
  return {
    async fetch(request) {
      const { status, headers, body } = await instance.handle(toCall(request, grants));
      const empty = status === 204 || status === 205 || status === 304;
      return new Response(empty ? null : toStream(body), { status, headers: headers as [string, string][] });
    },
    [Symbol.dispose]: () => instance[Symbol.dispose](),
  };
}

function toCall(request: Request, { service, random }: Grants): Call {
  const { method, url, headers, body, signal } = request;
  return {
    id: hex(random.bytes(16)),
    service,
    method,
    url,
    headers: [...headers],
    ...(body && { body: body as unknown as Body }),
    deadlineMs: Number.POSITIVE_INFINITY,
    hops: 0,
    signal,
  };
}

function toStream(body: Body | undefined) {
  if (body === undefined || body instanceof Uint8Array) return (body ?? null) as Uint8Array<ArrayBuffer> | null;
  return ReadableStream.from(body as AsyncIterable<Uint8Array>) as ReadableStream<Uint8Array>;
}

function grantsOf(options: WasiOptions): Grants {
  const { args = ["component"], env = {}, directories = [] } = options;
  const refuse = async (what: string): Promise<never> => {
    throw new CytoError("not-permitted", `Cannot ${what}: the program that runs the component does not grant it`);
  };
  return {
    service: args[0] ?? "component",
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    keyvalue: options.keyvalue ?? {},
    config: options.config ?? {},
    secret: (name) => refuse(`read the secret ${name}`),
    fetch: options.fetch ?? (({ url }) => refuse(`reach ${new URL(url).host}`)),
    invoke: (service) => refuse(`call service ${service}`),
    log: options.log ?? (() => undefined),
    ...(options.sockets && { sockets: options.sockets }),
    directories: directories.map((directory) => ({ readOnly: false, ...directory })),
    environment: Object.entries(env),
    args,
    stdio: streamsOf(options),
  };
}

function streamsOf({ stdin, stdout, stderr }: WasiOptions): StandardStreams {
  const output = (write: StandardOutput["write"]): StandardOutput => ({ terminal: false, write });
  return {
    ...(stdin && { stdin: inputOf(stdin) }),
    ...(stdout && { stdout: output(stdout) }),
    ...(stderr && { stderr: output(stderr) }),
  };
}

function inputOf(from: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
  const chunks = Symbol.asyncIterator in from ? from[Symbol.asyncIterator]() : from[Symbol.iterator]();
  return {
    terminal: false,
    async pull(): Promise<Uint8Array | undefined> {
      const { done, value } = await chunks.next();
      return done ? undefined : value;
    },
    cancel(): void {
      void chunks.return?.();
    },
  };
}
