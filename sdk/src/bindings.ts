/** The clients of a service's bindings, over the lean world. */
import hostConfig from "cytoplane:service/config@0.1.0";
import host from "cytoplane:service/keyvalue@0.1.0";
import secrets from "cytoplane:service/secrets@0.1.0";
import type { Failure, Outcome } from "cytoplane:service/types@0.1.0";
import { BindingError, type Config, type KeyValue, type ServiceClient } from "./contract.ts";
import { requireText } from "./entry.ts";
import { fromHost } from "./failure.ts";
import { type ByteStore, createKeyValue } from "./keyvalue.ts";
import { perform, requireHost } from "./operation.ts";
import { invoke } from "./web/fetch.ts";

export function keyvalue<T = unknown>(binding: string): KeyValue<T> {
  return createKeyValue(binding, openStore);
}

export function service(name: string): ServiceClient {
  const target = requireText("a service's name", name);
  // The guest's own Request and Response are the author's.
  return { fetch: invoke.bind(undefined, target) as unknown as ServiceClient["fetch"] };
}

export async function secret(name: string): Promise<string> {
  const text = requireText("a secret's name", name);
  const value = await ask(`read the secret ${text}`, "text", (op) => secrets.get(op, text));
  if (value !== null) return value;
  throw new BindingError("missing-secret", `Cannot read the secret ${text}: it is not set`);
}

export const config: Config = Object.assign(
  (key: string): string | undefined => {
    const text = requireText("a configuration key", key);
    requireHost(`read the configuration value "${text}"`);
    return hostConfig.get(text) ?? undefined;
  },
  {
    all(): Record<string, string> {
      requireHost("read the configuration");
      return Object.fromEntries(hostConfig.getAll());
    },
  },
);

function openStore(name: string): ByteStore {
  return {
    get: async (act, key) => (await ask(act, "bytes", (op) => host.get(op, name, key))) ?? undefined,
    set: (act, key, value) => ask(act, "done", (op) => host.set(op, name, key, value)),
    delete: (act, key) => ask(act, "done", (op) => host.delete(op, name, key)),
    exists: (act, key) => ask(act, "flag", (op) => host.exists(op, name, key)),
    increment: (act, key, delta) => ask(act, "number", (op) => host.increment(op, name, key, delta)),
    async page(act, cursor) {
      const [keys, next] = await ask(act, "keys", (op) => host.listKeys(op, name, cursor ?? null));
      return { keys, cursor: next ?? undefined };
    },
  };
}

type Value<Tag extends Outcome["tag"]> = Extract<Outcome, { tag: Tag; val: unknown }>["val"];

/** An operation that the world says ends in `tag`, or fails. */
async function ask<Tag extends Outcome["tag"]>(
  act: string,
  tag: Tag,
  start: (op: number) => void,
): Promise<Value<Tag>> {
  const toError = (failure: Failure) =>
    fromHost(new BindingError(failure.code, `Cannot ${act}: ${failure.message}`), failure);
  const outcome = await perform(start, toError);
  if (outcome.tag !== tag) throw new Error(`Cannot ${act}: the host answered with ${outcome.tag}, not ${tag}`);
  return (outcome as unknown as { val: Value<Tag> }).val;
}
