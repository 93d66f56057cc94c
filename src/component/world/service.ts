/**
 * The lean world (`wit/service.wit`) as an {@link Instance}: turns calls into events for the guest
 * and the operations that it begins into work on its grants.
 *
 * Always true: the guest is entered from here only, never while it is already running; every
 * operation ends in one `resume` or is cancelled; every call settles once. A trap ends the instance
 * and every call in it.
 */
import {
  type Body,
  type Call,
  CytoError,
  catalog,
  type ErrorCode,
  type Headers,
  type Reply,
  toCytoError,
} from "../../kernel/index.ts";
import type { Component, Grants, ImportObject, Instance, LogLevel, OutgoingRequest, TaskOptions } from "../contract.ts";
import { metLimit, oneOfSeveral } from "../meter.ts";
import { type Channel, createChannel } from "./channel.ts";

type Tagged<T extends string = string> = { readonly tag: T; readonly val?: unknown };

type GuestBody =
  | { readonly tag: "empty" }
  | { readonly tag: "bytes"; readonly val: Uint8Array }
  | { readonly tag: "text"; readonly val: string }
  | { readonly tag: "stream"; readonly val: number };

interface GuestRequest {
  readonly method: string;
  readonly url: string;
  readonly fields: string;
  readonly body: GuestBody;
}

interface GuestResponse {
  readonly status: number;
  readonly fields: string;
  readonly body: GuestBody;
}

interface GuestFailure {
  readonly code: string;
  readonly message: string;
  readonly stack?: string;
}

interface Handler {
  start(call: number, request: GuestRequest, options: TaskOptions): Promise<void>;
  resume(op: number, outcome: Tagged, options: TaskOptions): Promise<void>;
  cancel(call: number, reason: string, options: TaskOptions): Promise<void>;
}

/** Something that the guest is to be told. */
interface Event {
  tell(options: TaskOptions): Promise<void>;
  /** The call that it is part of, where that is known. */
  readonly call?: number;
  /** Nobody waits any more for what the guest does about it. */
  unwanted?: boolean;
}

/** A call that the guest has not finished. */
interface Pending {
  readonly call: Call;
  resolve(reply: Reply): void;
  reject(error: CytoError): void;
  answered: boolean;
  /** The number of the reply's body while it is being sent. */
  body?: number;
  /** Stops listening for the caller's going; set only for calls that outlast their start. */
  unlisten?: () => void;
}

/** Operations that one instance may have under way; more is a leak. */
const OPERATIONS_MAX = 10_000;

export interface ServiceOptions {
  readonly component: Component;
  readonly grants: Grants;
  /** Host objects for the `wasi:*` interfaces that the guest's language runtime imports. */
  readonly wasi: ImportObject;
  readonly concurrency: number;
}

export function openServiceInstance({ component, grants, wasi, concurrency }: ServiceOptions): Instance {
  const calls = new Map<number, Pending>();
  /** How to give up each operation under way. */
  const operations = new Map<number, (() => void) | undefined>();
  /** Bodies that the guest reads, each given up when the call that it belongs to has ended. */
  const reading = new Map<number, { readonly body: AsyncIterator<Uint8Array>; readonly call: number | undefined }>();
  const writing = new Map<number, Channel>();
  /** What happened while the guest was running: told to it when it has stopped. */
  const events: Event[] = [];
  const idlers: (() => void)[] = [];
  let callCount = 0;
  let streamCount = 0;
  let held = 0;
  let inside = false;
  /** What the guest is busy with. */
  let present: Event | undefined;
  let broken: Error | undefined;

  const core = component.instantiate({ ...wasi, ...imports() }, { suspend: false });
  const handler = core.exports["cytoplane:service/handler"] as unknown as Handler;

  function enter(event: Event): void {
    if (broken) return;
    events.push(event);
    if (inside) return;
    inside = true;
    tellEvents();
  }

  /** A guest that was interrupted is told no more before it has got to the end of what it was told. */
  function tellEvents(): void {
    let interrupted = false;
    try {
      for (let next = events.shift(); next; next = events.shift()) {
        let running = true;
        const event = next;
        present = event;
        const ended = (trapped: Error | undefined): void => {
          running = false;
          if (!interrupted) return;
          if (trapped) breakDown(trapped);
          else tellEvents();
        };
        // How it ended is told above.
        event.tell({ ended, wanted: () => !event.unwanted }).catch(() => {});
        interrupted = running;
        if (interrupted) return;
      }
    } catch (thrown) {
      breakDown(thrown as Error);
      return;
    }
    inside = false;
    present = undefined;
    settle();
  }

  /** After the guest has run: calls that nothing can answer any more fail now, not at their deadline. */
  function settle(): void {
    if (operations.size === 0 && reading.size === 0) {
      for (const [id, pending] of calls) {
        if (pending.answered) continue;
        const message = "The handler's promise never settles: it waits for something that nothing will bring about";
        finish(id);
        pending.reject(new CytoError("no-reply", message));
      }
    }
    if (idlers.length > 0 && calls.size === 0 && held === 0) for (const idler of idlers.splice(0)) idler();
  }

  function breakDown(error: Error): void {
    inside = false;
    if (broken) return;
    broken = error;
    for (const cancel of operations.values()) cancel?.();
    operations.clear();
    for (const stream of reading.keys()) stopReading(stream);
    // Of several calls nobody knows which one it was; or it was none that is left.
    const alone = calls.size === 1 && !present?.unwanted;
    present = undefined;
    const trapped = () =>
      alone && metLimit(error)
        ? error
        : new CytoError("instance-trapped", `The instance trapped: ${error.message}`, {
            cause: error,
            ...(metLimit(error) && { hint: oneOfSeveral }),
          });
    for (const channel of writing.values()) channel.fail(trapped());
    writing.clear();
    for (const [id, pending] of calls) {
      finish(id);
      pending.reject(trapped());
    }
    held = 0;
    instance.onFinish?.();
    for (const idler of idlers.splice(0)) idler();
  }

  function finish(id: number): void {
    calls.get(id)?.unlisten?.();
    calls.delete(id);
    for (const [stream, { call }] of reading) if (call === id) stopReading(stream);
    instance.onFinish?.();
  }

  function stopReading(stream: number): void {
    const source = reading.get(stream);
    reading.delete(stream);
    // A source that fails while being given up has nobody left to tell.
    source?.body.return?.().catch(() => {});
  }

  function complete(op: number, outcome: Tagged): void {
    if (operations.delete(op)) enter({ tell: (options) => handler.resume(op, outcome, options) });
  }

  /** Runs `work` as operation `op`; answers at once where the work does. */
  function begin<T>(op: number, work: () => T | Promise<T>, outcome: (value: T) => Tagged, cancel?: () => void): void {
    if (operations.size >= OPERATIONS_MAX) {
      throw new WebAssembly.RuntimeError(`more than ${OPERATIONS_MAX} operations are under way`);
    }
    operations.set(op, cancel);
    const fail = (thrown: unknown) => complete(op, { tag: "failed", val: toFailure(thrown) });
    try {
      const value = work();
      if (value instanceof Promise) value.then((settled) => complete(op, outcome(settled)), fail);
      else complete(op, outcome(value));
    } catch (thrown) {
      fail(thrown);
    }
  }

  function cancelOperation(op: number): void {
    operations.get(op)?.();
    operations.delete(op);
  }

  function toGuestBody(body: Body | undefined, call: number | undefined): GuestBody {
    if (body === undefined) return { tag: "empty" };
    if (body instanceof Uint8Array) return { tag: "bytes", val: body };
    streamCount++;
    reading.set(streamCount, { body: body[Symbol.asyncIterator](), call });
    return { tag: "stream", val: streamCount };
  }

  /** `ended` runs when a streamed body has ended or was given up. */
  function fromGuestBody(body: GuestBody, ended?: () => void): Body | undefined {
    switch (body.tag) {
      case "empty":
        return undefined;
      case "bytes":
        return body.val;
      case "text":
        return Buffer.from(body.val);
      case "stream": {
        const id = body.val;
        const channel = createChannel(() => {
          writing.delete(id);
          ended?.();
        });
        writing.set(id, channel);
        return channel.body;
      }
    }
  }

  function send(
    op: number,
    cause: number | undefined,
    request: GuestRequest,
    through: (request: OutgoingRequest, parent: Call | undefined) => Promise<Reply>,
  ): void {
    const abort = new AbortController();
    const body = fromGuestBody(request.body);
    const outgoing: OutgoingRequest = {
      method: request.method,
      url: request.url,
      headers: parseFields(request.fields),
      ...(body && { body }),
      signal: abort.signal,
    };
    const parent = cause === undefined ? undefined : calls.get(cause)?.call;
    const toOutcome = (reply: Reply): Tagged => ({
      tag: "response",
      val: { status: reply.status, fields: formatFields(reply.headers), body: toGuestBody(reply.body, cause) },
    });
    begin(
      op,
      () => through(outgoing, parent),
      toOutcome,
      () => abort.abort(),
    );
  }

  function bucket(binding: string) {
    const found = Object.hasOwn(grants.keyvalue, binding) ? grants.keyvalue[binding] : undefined;
    if (found) return found;
    throw new CytoError("not-permitted", `Cannot open keyvalue "${binding}": ${grants.service} has no such binding`, {
      hint: `Declare it in cyto.yaml: services.${grants.service}.bindings.${binding}: { keyvalue: sqlite }`,
    });
  }

  function imports(): ImportObject {
    const done = (): Tagged => ({ tag: "done" });
    return hostObjects({
      "cytoplane:service/reply": {
        respond(id: number, response: GuestResponse) {
          const pending = calls.get(id);
          if (!pending || pending.answered) return;
          pending.answered = true;
          if (response.body.tag === "stream") pending.body = response.body.val;
          else finish(id);
          const body = fromGuestBody(response.body, () => {
            finish(id);
            if (!inside) settle();
          });
          pending.resolve({ status: response.status, headers: parseFields(response.fields), ...(body && { body }) });
        },
        fail(id: number, failure: GuestFailure) {
          const pending = calls.get(id);
          if (!pending) return;
          if (pending.answered) {
            // The handler failed while its body was still being sent: the body breaks off.
            if (pending.body !== undefined) writing.get(pending.body)?.fail(fromFailure(failure));
            return;
          }
          finish(id);
          pending.reject(fromFailure(failure));
        },
        hold() {
          held++;
        },
        release() {
          held = Math.max(0, held - 1);
        },
      },
      "cytoplane:service/streams": {
        read(op: number, stream: number) {
          const source = reading.get(stream);
          begin(
            op,
            async () => {
              if (!source) return undefined;
              const next = await source.body.next();
              if (next.done) reading.delete(stream);
              return next.done ? undefined : next.value;
            },
            (chunk) => ({ tag: "bytes", val: chunk }),
          );
        },
        cancel: stopReading,
        write(op: number, stream: number, chunk: Uint8Array) {
          const channel = writing.get(stream);
          begin(
            op,
            () => {
              if (!channel) throw new CytoError("cancelled", "Cannot write the body: nobody reads it any more");
              return channel.write(chunk);
            },
            done,
          );
        },
        close(stream: number, error: string | undefined) {
          const channel = writing.get(stream);
          if (error === undefined) channel?.end();
          else channel?.fail(new CytoError("service-failed", `The body broke off: ${error}`));
        },
      },
      "cytoplane:service/timers": {
        sleep(op: number, milliseconds: number) {
          const delayMs = Number.isFinite(milliseconds) ? Math.min(Math.max(0, milliseconds), 2 ** 31 - 1) : 0;
          const timer = grants.clock.after(delayMs, () => complete(op, { tag: "done" }));
          operations.set(op, () => timer[Symbol.dispose]());
        },
        cancel: cancelOperation,
        now: () => grants.clock.now(),
        monotonic: () => grants.clock.monotonic(),
      },
      "cytoplane:service/random": {
        getBytes: (length: number) => grants.random.bytes(Math.min(length, 65_536)),
      },
      "cytoplane:service/outgoing": {
        fetch(op: number, cause: number | undefined, request: GuestRequest) {
          send(op, cause, request, (outgoing, parent) => grants.fetch(outgoing, parent));
        },
        invoke(op: number, cause: number | undefined, service: string, request: GuestRequest) {
          send(op, cause, request, (outgoing, parent) => grants.invoke(service, outgoing, parent));
        },
        cancel: cancelOperation,
      },
      "cytoplane:service/keyvalue": {
        get: (op: number, binding: string, key: string) =>
          begin(
            op,
            () => bucket(binding).get(key),
            (val) => ({ tag: "bytes", val }),
          ),
        set: (op: number, binding: string, key: string, value: Uint8Array) =>
          begin(op, () => bucket(binding).set(key, value), done),
        delete: (op: number, binding: string, key: string) => begin(op, () => bucket(binding).delete(key), done),
        exists: (op: number, binding: string, key: string) =>
          begin(
            op,
            () => bucket(binding).exists(key),
            (val) => ({ tag: "flag", val }),
          ),
        listKeys: (op: number, binding: string, cursor: string | undefined) =>
          begin(
            op,
            () => bucket(binding).keys(cursor),
            (page) => ({ tag: "keys", val: [page.keys, page.cursor] }),
          ),
        increment: (op: number, binding: string, key: string, delta: bigint) =>
          begin(
            op,
            () => bucket(binding).increment(key, delta),
            (val) => ({ tag: "number", val }),
          ),
      },
      "cytoplane:service/config": {
        get: (key: string) => (Object.hasOwn(grants.config, key) ? grants.config[key] : undefined),
        getAll: () => Object.entries(grants.config),
      },
      "cytoplane:service/secrets": {
        get: (op: number, name: string) =>
          begin(
            op,
            () => grants.secret(name),
            (val) => ({ tag: "text", val }),
          ),
      },
      "cytoplane:service/logging": {
        log(level: LogLevel, context: string, message: string, cause: number | undefined) {
          grants.log(level, context, message, cause === undefined ? undefined : calls.get(cause)?.call);
        },
      },
    });
  }

  /**
   * The caller has gone: the guest hears of it, and what it was still doing for the call is given up. A guest
   * that was interrupted hears of it when it has got on: between looking at its signal and answering nothing happens.
   */
  function abandon(id: number, pending: Pending): void {
    if (!calls.has(id)) return;
    const reason = toCytoError(pending.call.signal.reason, "cancelled");
    if (present && (present.call === id || calls.size + held === 1)) present.unwanted = true;
    enter({
      tell(options) {
        if (!calls.has(id)) {
          options.ended?.(undefined);
          return Promise.resolve();
        }
        if (!pending.answered) {
          pending.answered = true;
          pending.reject(reason);
        }
        finish(id);
        return handler.cancel(id, reason.message, options);
      },
    });
  }

  const instance: Instance = {
    onFinish: undefined,
    handle(call) {
      return new Promise<Reply>((resolve, reject) => {
        if (broken) {
          reject(new CytoError("instance-trapped", `The instance has trapped: ${broken.message}`, { cause: broken }));
          return;
        }
        callCount = (callCount + 1) >>> 0;
        const id = callCount;
        const pending: Pending = { call, resolve, reject, answered: false };
        calls.set(id, pending);
        const request = {
          method: call.method,
          url: call.url,
          fields: formatFields(call.headers),
          body: toGuestBody(call.body, id),
        };
        enter({ tell: (options) => handler.start(id, request, options), call: id });
        if (!calls.has(id)) return;
        if (call.signal.aborted) {
          abandon(id, pending);
          return;
        }
        const gone = () => abandon(id, pending);
        call.signal.addEventListener("abort", gone, { once: true });
        pending.unlisten = () => call.signal.removeEventListener("abort", gone);
      });
    },
    concurrency,
    get active() {
      return calls.size;
    },
    get broken() {
      return broken;
    },
    idle: () =>
      calls.size === 0 && held === 0 ? Promise.resolve() : new Promise<void>((resolve) => idlers.push(resolve)),
    ...(core.reset && {
      reset() {
        const busy = calls.size + operations.size + reading.size + writing.size + events.length + held > 0;
        if (busy || inside || broken || core.reset?.() !== true) return false;
        callCount = 0;
        streamCount = 0;
        return true;
      },
    }),
    memoryBytes: () => core.memoryBytes(),
    [Symbol.dispose]() {
      breakDown(new Error("it was disposed"));
      core[Symbol.dispose]();
    },
  };
  return instance;
}

/** Lists the host objects under one type, whatever each function takes. */
function hostObjects(objects: Record<string, Record<string, unknown>>): ImportObject {
  return objects as ImportObject;
}

function formatFields(headers: Headers): string {
  let fields = "";
  for (const [name, value] of headers) fields += fields === "" ? `${name}: ${value}` : `\n${name}: ${value}`;
  return fields;
}

function parseFields(fields: string): [name: string, value: string][] {
  const headers: [string, string][] = [];
  if (fields === "") return headers;
  for (const line of fields.split("\n")) {
    const colon = line.indexOf(":");
    headers.push([line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]);
  }
  return headers;
}

function toFailure(thrown: unknown): GuestFailure {
  const error = toCytoError(thrown);
  return { code: error.code, message: error.hint ? `${error.message}. ${error.hint}` : error.message };
}

/** What the guest threw, with its own stack as the cause's, for the log and never for the caller. */
function fromFailure(failure: GuestFailure): CytoError {
  const code: ErrorCode =
    failure.code !== "error" && Object.hasOwn(catalog, failure.code) ? (failure.code as ErrorCode) : "service-failed";
  const cause = new Error(failure.message);
  cause.stack = failure.stack ?? failure.message;
  return new CytoError(code, failure.message, { cause });
}
