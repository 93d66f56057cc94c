/**
 * WASI for a program that runs components by itself: what it names is granted, and nothing else.
 *
 *     using host = wasi({ args: ["tool"], directories: [{ guest: "/data", host: "./data", readOnly: true }] });
 *     component.instantiate({ ...host.imports, "my:host/log": { say } });
 *
 * One `wasi()` is for one instance. It ends after it: files and timers that the guest left open are closed.
 */
import { type Clock, CytoError, type Random, systemClock, systemRandom } from "../../kernel/index.ts";
import type { Component, Grants, ImportObject, StandardOutput, StandardStreams } from "../contract.ts";
import { type Occasion, runCommand } from "../world/command.ts";
import { wasiImports } from "./standard.ts";
import { createHostState, endState } from "./state.ts";

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
export function runComponent<Imports, Exports>(
  component: Component<Imports, Exports>,
  options: WasiOptions = {},
  occasion: Occasion = {},
): Promise<number> {
  return runCommand(component as unknown as Component, grantsOf(options), occasion);
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
