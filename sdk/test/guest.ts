/**
 * A service built from the SDK as the builder does it, and a small host for its world.
 *
 * WASI is stubbed with traps: a guest that reached past its world for time or chance would die of it.
 * The host keeps everything in memory and answers an operation after the guest has returned, as a real
 * one does.
 */
import { fileURLToPath } from "node:url";
import { componentize } from "componentize-qjs";
import { rolldown } from "rolldown";
import { type ImportObject, load } from "../../src/component/index.ts";

type Tagged = { tag: string; val?: unknown };
export type Body = { tag: "empty" } | { tag: "bytes" | "text" | "stream"; val?: unknown };

export interface Message {
  method: string;
  url: string;
  fields: string;
  body: Tagged;
}

export interface Answer {
  status: number;
  headers: [string, string][];
  /** The body, whole; a body that broke off ends in `!` and the reason. */
  text: string;
  bytes: Uint8Array;
  failure?: { code: string; message: string; stack?: string };
}

/** What stands behind the imports; each test puts in what it needs. */
export interface World {
  config?: Record<string, string>;
  secrets?: Record<string, string>;
  /** Answers `fetch` (service undefined) and `service(name).fetch`; throws `{ code, message }` to refuse. */
  outgoing?(service: string | undefined, request: Message, cause: number | undefined): object | Promise<object>;
  /** Chunks for request bodies and answers, by the number they are announced under. */
  sources?: Record<number, AsyncIterator<Uint8Array>>;
  /** Called with every chunk of a body that the guest writes; a rejection is a consumer that has gone. */
  onChunk?(chunk: Uint8Array): void | Promise<void>;
}

export interface Guest {
  readonly logs: { level: string; message: string; call: number | undefined }[];
  /** What the guest did, in order: `streams.cancel 7`, `timers.cancel`, … */
  readonly trace: string[];
  readonly held: () => number;
  readonly store: Map<string, Uint8Array>;
  fetch(path: string, init?: { method?: string; fields?: string; body?: Tagged }): Promise<Answer>;
  /** The number that the next `fetch` will have. */
  nextCall(): number;
  cancel(call: number, reason: string): void;
  /** Settles when the guest logs exactly this. */
  logged(message: string): Promise<void>;
  /** Settles when nothing is under way any more. */
  quiet(): Promise<void>;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The component of the service in `source`, bundled from `directory`. */
export async function buildGuest(source: string, options: { minify?: boolean } = {}): Promise<Uint8Array> {
  const entry = `${root}sdk/test/guest-entry.js`;
  const service = `${root}sdk/test/guest-service.ts`;
  await using build = await rolldown({
    input: entry,
    platform: "neutral",
    logLevel: "silent",
    external: /^cytoplane:/,
    resolve: { mainFields: ["module", "main"] },
    plugins: [
      {
        name: "guest",
        resolveId: (id) => (id === entry || id === service ? id : undefined),
        load(id) {
          if (id === service) return { code: source, moduleType: "ts" };
          if (id !== entry) return undefined;
          return `import "@cytoplane/sdk/globals";
            import service from ${JSON.stringify(service)};
            import { createHandler } from "@cytoplane/sdk/runtime";
            export const handler = createHandler(service);`;
        },
      },
    ],
  });
  const { output } = await build.generate({ format: "esm", minify: options.minify ?? false });
  const { component } = await componentize({
    witPath: `${root}wit/service.wit`,
    jsSource: output[0].code,
    stubWasi: true,
  });
  return component;
}

/** A new instance with a world of its own. */
export async function openGuest(component: Uint8Array, world: World = {}): Promise<Guest> {
  const logs: Guest["logs"] = [];
  const trace: string[] = [];
  const store = new Map<string, Uint8Array>();
  const answers = new Map<number, (answer: Answer) => void>();
  const writing = new Map<number, { chunks: Uint8Array[]; end(error?: string): void }>();
  const timers = new Map<number, NodeJS.Timeout>();
  const waiters: (() => void)[] = [];
  const listeners = new Map<string, () => void>();
  let under = 0;
  let calls = 0;
  let held = 0;
  let now = 1_700_000_000_000;

  const settled = () => {
    if (under === 0 && timers.size === 0 && answers.size === 0) for (const waiter of waiters.splice(0)) waiter();
  };

  function begin(op: number, work: () => unknown): void {
    under++;
    // Never from inside the guest.
    queueMicrotask(async () => {
      let outcome: unknown;
      try {
        outcome = await work();
      } catch (error) {
        const { code = "internal", message = String(error) } = error as { code?: string; message?: string };
        outcome = { tag: "failed", val: { code, message } };
      }
      under--;
      handler.resume!(op, outcome);
      settled();
    });
  }

  function answer(call: number, made: Answer): void {
    answers.get(call)?.(made);
    answers.delete(call);
  }

  function toAnswer(status: number, fields: string, bytes: Uint8Array, broken = ""): Answer {
    const headers = fields === "" ? [] : fields.split("\n").map((line) => line.split(/: (.*)/s, 2) as [string, string]);
    return { status, headers, bytes, text: Buffer.from(bytes).toString() + broken };
  }

  const send = (op: number, service: string | undefined, request: Message, cause: number | undefined) => {
    const { body } = request;
    begin(op, async () => {
      if (!world.outgoing) throw { code: "not-permitted", message: "nothing may leave" };
      const whole = body.tag === "stream" ? await gathered(body.val as number) : body;
      const val = await world.outgoing(service, { ...request, body: whole }, cause);
      return { tag: "response", val };
    });
  };

  function gathered(number: number): Promise<Tagged> {
    return new Promise((resolve, reject) => {
      const chunks: Uint8Array[] = [];
      const end = (error?: string) =>
        error === undefined
          ? resolve({ tag: "bytes", val: Buffer.concat(chunks) })
          : reject({ code: "cancelled", message: error });
      writing.set(number, { chunks, end });
    });
  }

  const imports = {
    "cytoplane:service/reply": {
      respond(call: number, response: { status: number; fields: string; body: Tagged }) {
        const { status, fields, body } = response;
        if (body.tag !== "stream") {
          const bytes = body.tag === "empty" ? new Uint8Array() : Buffer.from(body.val as string | Uint8Array);
          answer(call, toAnswer(status, fields, bytes));
          return;
        }
        const chunks: Uint8Array[] = [];
        const end = (error?: string) =>
          answer(call, toAnswer(status, fields, Buffer.concat(chunks), error === undefined ? "" : `!${error}`));
        writing.set(body.val as number, { chunks, end });
      },
      fail(call: number, failure: Answer["failure"]) {
        answer(call, { ...toAnswer(500, "", new Uint8Array()), failure: failure! });
      },
      hold: () => void held++,
      release: () => void held--,
    },
    "cytoplane:service/streams": {
      read: (op: number, stream: number) =>
        begin(op, async () => {
          const next = await world.sources![stream]!.next();
          return { tag: "bytes", val: next.done ? undefined : next.value };
        }),
      cancel(stream: number) {
        trace.push(`streams.cancel ${stream}`);
        void world.sources?.[stream]?.return?.();
      },
      write(op: number, stream: number, chunk: Uint8Array) {
        begin(op, async () => {
          await world.onChunk?.(chunk);
          writing.get(stream)!.chunks.push(chunk.slice());
          return { tag: "done" };
        });
      },
      close(stream: number, error: string | undefined) {
        trace.push(`streams.close ${error ?? ""}`.trim());
        writing.get(stream)?.end(error);
      },
    },
    "cytoplane:service/timers": {
      sleep(op: number, milliseconds: number) {
        const timer = setTimeout(() => {
          timers.delete(op);
          now += milliseconds;
          handler.resume!(op, { tag: "done" });
          settled();
        }, milliseconds);
        timers.set(op, timer);
      },
      cancel(op: number) {
        trace.push("timers.cancel");
        clearTimeout(timers.get(op));
        timers.delete(op);
        settled();
      },
      now: () => now,
      monotonic: () => performance.now(),
    },
    "cytoplane:service/random": { getBytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) },
    "cytoplane:service/outgoing": {
      fetch: (op: number, cause: number | undefined, request: Message) => send(op, undefined, request, cause),
      invoke: (op: number, cause: number | undefined, service: string, request: Message) =>
        send(op, service, request, cause),
      cancel: () => void trace.push("outgoing.cancel"),
    },
    "cytoplane:service/keyvalue": {
      get: (op: number, binding: string, key: string) =>
        begin(op, () => {
          if (binding === "broken") throw { code: "backend-unavailable", message: "redis is down" };
          if (binding === "unbound") throw { code: "not-permitted", message: "there is no such binding" };
          return { tag: "bytes", val: store.get(`${binding}/${key}`) };
        }),
      set: (op: number, binding: string, key: string, value: Uint8Array) =>
        begin(op, () => {
          store.set(`${binding}/${key}`, value.slice());
          return { tag: "done" };
        }),
      delete: (op: number, binding: string, key: string) =>
        begin(op, () => {
          store.delete(`${binding}/${key}`);
          return { tag: "done" };
        }),
      exists: (op: number, binding: string, key: string) =>
        begin(op, () => ({ tag: "flag", val: store.has(`${binding}/${key}`) })),
      listKeys: (op: number, binding: string, cursor: string | undefined) =>
        begin(op, () => {
          const all = [...store.keys()]
            .filter((key) => key.startsWith(`${binding}/`))
            .map((key) => key.slice(binding.length + 1));
          const from = Number(cursor ?? 0);
          return {
            tag: "keys",
            val: [all.sort().slice(from, from + 2), from + 2 < all.length ? String(from + 2) : undefined],
          };
        }),
      increment: (op: number, binding: string, key: string, delta: bigint) =>
        begin(op, () => {
          const sum = BigInt(Buffer.from(store.get(`${binding}/${key}`) ?? "0").toString()) + delta;
          store.set(`${binding}/${key}`, Buffer.from(String(sum)));
          return { tag: "number", val: sum };
        }),
    },
    "cytoplane:service/config": {
      get: (key: string) => world.config?.[key],
      getAll: () => Object.entries(world.config ?? {}),
    },
    "cytoplane:service/secrets": {
      get: (op: number, name: string) =>
        begin(op, () => {
          const val = world.secrets?.[name];
          if (val === undefined) throw { code: "missing-secret", message: `${name} is not bound` };
          return { tag: "text", val };
        }),
    },
    "cytoplane:service/logging": {
      log(level: string, _context: string, message: string, call: number | undefined) {
        logs.push({ level, message, call });
        listeners.get(message)?.();
      },
    },
  };

  const loaded = await load(component);
  const core = loaded.instantiate(imports as unknown as ImportObject, { suspend: false });
  const handler = core.exports["cytoplane:service/handler"] as unknown as Record<string, (...args: unknown[]) => void>;

  return {
    logs,
    trace,
    store,
    held: () => held,
    nextCall: () => calls + 1,
    fetch(path, { method = "GET", fields = "", body = { tag: "empty" } } = {}) {
      const call = ++calls;
      return new Promise((resolve) => {
        answers.set(call, (made) => {
          resolve(made);
          settled();
        });
        handler.start!(call, { method, url: new URL(path, "http://shop.test").href, fields, body });
      });
    },
    cancel: (call, reason) => handler.cancel!(call, reason),
    logged: (message) => new Promise((resolve) => listeners.set(message, resolve)),
    quiet: () =>
      new Promise((resolve) => {
        waiters.push(resolve);
        queueMicrotask(settled);
      }),
  };
}
