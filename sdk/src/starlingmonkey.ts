/// <reference path="./starlingmonkey-world.d.ts" preserve="true" />
/**
 * The SDK for services built with `engine: starlingmonkey`: the same API over wasi:http, wasi:keyvalue,
 * wasi:config and cytoplane:secrets (the world in `wit/`). The web APIs are the engine's own.
 *
 * One instance answers one request at a time, and a binding's call returns when its answer is there.
 */
import * as secrets from "cytoplane:secrets/store@0.1.0";
import * as hostConfig from "wasi:config/store@0.2.0-rc.1";
import * as atomics from "wasi:keyvalue/atomics@0.2.0-draft";
import * as store from "wasi:keyvalue/store@0.2.0-draft";
import {
  BindingError,
  type Config,
  type Context,
  type KeyValue,
  type ServiceClient,
  type ServiceHandler,
} from "./contract.ts";
import { describeInvalid, requireService, requireText } from "./entry.ts";
import { type BindingTable, createEnv } from "./env.ts";
import { type IncomingHandler, sendResponse, toRequest } from "./incoming.ts";
import { type ByteStore, createKeyValue } from "./keyvalue.ts";
import { requireHost, scope, wake, whenAwake } from "./operation.ts";
import { inspect } from "./web/inspect.ts";

export type { Config, Context, DefaultEnv, KeyValue, ServiceClient, ServiceHandler } from "./contract.ts";
export { BindingError };

export function keyvalue<T = unknown>(binding: string): KeyValue<T> {
  return createKeyValue(binding, openStore);
}

export function service(name: string): ServiceClient {
  const base = `http://${requireText("a service's name", name)}.internal`;
  return {
    fetch: (input, init) =>
      fetch(input instanceof Request ? input : new URL(input, base).href, { redirect: "manual", ...init }),
  };
}

export function secret(name: string): Promise<string> {
  const text = requireText("a secret's name", name);
  return ask(`read the secret ${text}`, () => secrets.get(text));
}

export const config: Config = Object.assign(
  (key: string): string | undefined => {
    const text = requireText("a configuration key", key);
    requireHost(`read the configuration value "${text}"`);
    return hostConfig.get(text);
  },
  {
    all(): Record<string, string> {
      requireHost("read the configuration");
      return Object.fromEntries(hostConfig.getAll());
    },
  },
);

/**
 * The world's `incoming-handler` for an author's service.
 *
 * Not the engine's own fetch event: an instance dispatches only one of those in its life.
 */
export function serve(handler: ServiceHandler, bindings?: BindingTable): IncomingHandler {
  const target = requireService(handler);
  const env = createEnv({ config, keyvalue, service }, bindings);

  async function answer(request: Request, works: Promise<unknown>[]): Promise<Response> {
    // wasi:http tells nobody that the caller has gone.
    const { signal } = new AbortController();
    const context: Context = {
      id: request.headers.get("x-request-id") ?? "",
      signal,
      waitUntil(work) {
        works.push(Promise.resolve(work).catch((error) => log("Work given to waitUntil failed", error)));
      },
    };
    try {
      const result = await target.fetch(request, env, context);
      if (result instanceof Response && result.type !== "error") return result;
      throw new TypeError(describeInvalid(result));
    } catch (error) {
      log("The handler failed", error);
      return new Response(null, { status: 500 });
    }
  }

  return {
    async handle(incoming, out) {
      if (!scope.awake) wake();
      const works: Promise<unknown>[] = [];
      await sendResponse(await answer(toRequest(incoming), works), out, log);
      await Promise.all(works);
    },
  };
}

function log(what: string, error: unknown): void {
  console.error(`${what}: ${inspect(error)}`);
}

function openStore(name: string): ByteStore {
  let opened: store.Bucket | undefined;
  const on = <R>(act: string, work: (bucket: store.Bucket) => R): Promise<R> =>
    ask(act, () => {
      opened ??= store.open(name);
      return work(opened);
    });
  return {
    get: (act, key) => on(act, (bucket) => bucket.get(key)),
    set: (act, key, value) => on(act, (bucket) => bucket.set(key, value)),
    delete: (act, key) => on(act, (bucket) => bucket.delete(key)),
    exists: (act, key) => on(act, (bucket) => bucket.exists(key)),
    async increment(act, key, delta) {
      if (delta < 0) throw new RangeError(`Cannot ${act}: wasi:keyvalue only adds, and ${delta} is below zero`);
      return Number(await on(act, (bucket) => atomics.increment(bucket, key, BigInt(delta))));
    },
    async page(act, cursor) {
      const from = cursor === undefined ? undefined : BigInt(cursor);
      const { keys, cursor: next } = await on(act, (bucket) => bucket.listKeys(from));
      return { keys, cursor: next === undefined ? undefined : String(next) };
    },
  };
}

/** Runs a call of the world, once there is one, and words its failure. */
function ask<R>(act: string, work: () => R): Promise<R> {
  return new Promise((resolve, reject) => {
    whenAwake(() => {
      try {
        resolve(work());
      } catch (thrown) {
        reject(toError(act, thrown));
      }
    });
  });
}

/** A WIT error arrives as an error with a `payload`: a variant of wasi:keyvalue, or a message. */
function toError(act: string, thrown: unknown): Error {
  const { payload = thrown } = (thrown ?? {}) as { payload?: unknown };
  if (typeof payload === "string") return new BindingError("missing-secret", `Cannot ${act}: ${payload}`);
  const { tag, val } = payload as { tag?: string; val?: string };
  if (tag === "no-such-store")
    return new BindingError("not-permitted", `Cannot ${act}: the manifest binds no such name`);
  if (tag === "access-denied") return new BindingError("not-permitted", `Cannot ${act}: access is denied`);
  if (tag === "other") return new BindingError("upstream-failed", `Cannot ${act}: ${val}`);
  return thrown instanceof Error ? thrown : new Error(`Cannot ${act}: ${String(thrown)}`);
}
