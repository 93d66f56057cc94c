/** Opens a committed guest as an instance, over grants that deny whatever the test does not give. */
import { readFile } from "node:fs/promises";
import { type Component, type Grants, type Instance, type KeyValueBucket, load } from "../../src/component/index.ts";
import { wasiImports } from "../../src/component/wasi/standard.ts";
import { openHandlerInstance } from "../../src/component/world/handler.ts";
import { createHttpState, openHttpInstance } from "../../src/component/world/http.ts";
import { type Body, type Call, CytoError, type Reply, systemClock, systemRandom } from "../../src/kernel/index.ts";

export type GuestName = "probe" | "handler" | "middleware" | "sockets" | "sockets-async" | "system" | "wstd";

export interface OpenGuest extends Disposable {
  readonly instance: Instance;
  /** Log lines so far: `level context: message`. */
  readonly lines: readonly string[];
  call(target: string, options?: CallOptions): Promise<Reply>;
  /** The whole body of the reply, as text. */
  text(target: string, options?: CallOptions): Promise<string>;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Call["headers"];
  readonly body?: Body;
  readonly signal?: AbortSignal;
}

export function loadGuest(name: GuestName): Promise<Component> {
  return loadComponent(new URL(`${name}.wasm`, import.meta.url));
}

export async function loadComponent(file: URL): Promise<Component> {
  return load(await readFile(file));
}

export function openGuest(component: Component, given: Partial<Grants> = {}): OpenGuest {
  const lines: string[] = [];
  const grants = grantsOf(lines, given);
  const state = createHttpState(grants);
  const core = component.instantiate(wasiImports(grants, state));
  const instance =
    component.world === "handler" ? openHandlerInstance(core, state, concurrency) : openHttpInstance(core, state);
  const call = (target: string, options?: CallOptions) => instance.handle(toCall(target, options));
  return {
    instance,
    lines,
    call,
    text: async (target, options) => String(await gather((await call(target, options)).body)),
    [Symbol.dispose]: () => instance[Symbol.dispose](),
  };
}

/** Nothing but what is given; what is logged is added to `lines`. */
export function grantsOf(lines: string[], given: Partial<Grants> = {}): Grants {
  const log: Grants["log"] = (level, context, message) => lines.push(`${level} ${context}: ${message}`);
  return { ...nothing, log, ...given };
}

export function toCall(target: string, options: CallOptions = {}): Call {
  return {
    id: "test",
    service: "guest",
    method: "GET",
    url: `http://guest.test${target}`,
    headers: [],
    deadlineMs: Number.POSITIVE_INFINITY,
    hops: 0,
    signal: new AbortController().signal,
    ...options,
  };
}

export async function gather(body: Body | undefined): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0);
  if (body instanceof Uint8Array) return Buffer.from(body);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A keyvalue binding in a map, that answers at once or, when `late`, on the next turn. */
export function mapBucket(late: boolean, pageKeys = 2): KeyValueBucket {
  const values = new Map<string, Uint8Array>();
  const answer = <T>(value: T): T | Promise<T> => (late ? Promise.resolve(value) : value);
  return {
    get: (key) => answer(values.get(key)),
    set: (key, value) => answer<void>(void values.set(key, value)),
    delete: (key) => answer<void>(void values.delete(key)),
    exists: (key) => answer(values.has(key)),
    keys(cursor) {
      const keys = [...values.keys()].sort().filter((key) => cursor === undefined || key > cursor);
      const page = keys.slice(0, pageKeys);
      return answer(keys.length > pageKeys ? { keys: page, cursor: page.at(-1)! } : { keys: page });
    },
    increment(key, delta) {
      const sum = BigInt(Buffer.from(values.get(key) ?? "0").toString()) + delta;
      values.set(key, Buffer.from(String(sum)));
      return answer(sum);
    },
  };
}

/** Calls that an instance takes at a time, where its world allows more than one. */
const concurrency = 16;

function denied(what: string): never {
  throw new CytoError("not-permitted", `Cannot ${what}: the test grants nothing`);
}

const nothing: Omit<Grants, "log"> = {
  service: "guest",
  clock: systemClock,
  random: systemRandom,
  keyvalue: {},
  config: {},
  secret: async () => denied("read the secret"),
  fetch: async () => denied("fetch"),
  invoke: async () => denied("invoke"),
  directories: [],
  environment: [],
  args: [],
};
