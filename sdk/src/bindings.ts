/** The clients of a service's bindings, over the lean world. */
import config_ from "cytoplane:service/config@0.1.0";
import host from "cytoplane:service/keyvalue@0.1.0";
import secrets from "cytoplane:service/secrets@0.1.0";
import type { Failure, Outcome } from "cytoplane:service/types@0.1.0";
import { BindingError, type Config, type KeyValue, type ServiceClient } from "./contract.ts";
import { fromHost } from "./failure.ts";
import { perform, requireHost } from "./operation.ts";
import { invoke } from "./web/fetch.ts";
import { decodeUtf8, encodeUtf8, toBytes } from "./web/text.ts";

export function keyvalue<T = unknown>(binding: string): KeyValue<T> {
  const name = requireText("a keyvalue binding's name", binding);

  function ask(act: string, key: string, start: (op: number, key: string) => void): Promise<Outcome> {
    const text = requireText(`a key of ${name}`, key);
    return perform((op) => start(op, text), toError(`${act} "${text}" of keyvalue ${name}`));
  }

  async function getBytes(key: string): Promise<Uint8Array | undefined> {
    const outcome = await ask("get", key, (op, text) => host.get(op, name, text));
    return outcome.tag === "bytes" ? (outcome.val ?? undefined) : undefined;
  }

  async function getText(key: string): Promise<string | undefined> {
    const bytes = await getBytes(key);
    return bytes && decodeUtf8(bytes);
  }

  async function setBytes(key: string, bytes: Uint8Array): Promise<void> {
    const value = toBytes(bytes);
    await ask("set", key, (op, text) => host.set(op, name, text, value));
  }

  return {
    getBytes,
    setBytes,
    getText,
    setText: (key, text) => setBytes(key, encodeUtf8(`${text}`)),

    async get(key) {
      const text = await getText(key);
      return text === undefined ? undefined : (parse(text, key, name) as T);
    },

    async set(key, value) {
      const text = JSON.stringify(value);
      if (text === undefined) {
        throw new TypeError(`Cannot set "${key}" of keyvalue ${name}: ${typeof value} cannot be written as JSON`);
      }
      await setBytes(key, encodeUtf8(text));
    },

    async delete(key) {
      await ask("delete", key, (op, text) => host.delete(op, name, text));
    },

    async has(key) {
      const outcome = await ask("look for", key, (op, text) => host.exists(op, name, text));
      return outcome.tag === "flag" && outcome.val;
    },

    async increment(key, delta = 1) {
      if (!Number.isSafeInteger(delta)) {
        throw new RangeError(`Cannot increment "${key}" of keyvalue ${name}: ${delta} is not a whole number`);
      }
      const outcome = await ask("increment", key, (op, text) => host.increment(op, name, text, delta));
      return outcome.tag === "number" ? outcome.val : Number.NaN;
    },

    async *keys() {
      let cursor: string | null = null;
      do {
        const from: string | null = cursor;
        const outcome = await perform(
          (op) => host.listKeys(op, name, from),
          toError(`list the keys of keyvalue ${name}`),
        );
        if (outcome.tag !== "keys") return;
        yield* outcome.val[0];
        cursor = outcome.val[1];
      } while (cursor !== null);
    },
  };
}

export function service(name: string): ServiceClient {
  const target = requireText("a service's name", name);
  return { fetch: (input, init) => invoke(target, input as never, init as never) as never };
}

export async function secret(name: string): Promise<string> {
  const text = requireText("a secret's name", name);
  const outcome = await perform((op) => secrets.get(op, text), toError(`read the secret ${text}`));
  if (outcome.tag !== "text" || outcome.val === null) {
    throw new BindingError("missing-secret", `Cannot read the secret ${text}: it is not set`);
  }
  return outcome.val;
}

export const config: Config = Object.assign(
  (key: string): string | undefined => {
    const text = requireText("a configuration key", key);
    requireHost(`read the configuration value "${text}"`);
    return config_.get(text) ?? undefined;
  },
  {
    all(): Record<string, string> {
      requireHost("read the configuration");
      return Object.fromEntries(config_.getAll());
    },
  },
);

function parse(text: string, key: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TypeError(
      `Cannot get "${key}" of keyvalue ${name}: the value is not JSON. Read it with getText or getBytes.`,
      { cause },
    );
  }
}

function toError(act: string): (failure: Failure) => Error {
  return (failure) => fromHost(new BindingError(failure.code, `Cannot ${act}: ${failure.message}`), failure);
}

/** The host takes only well-formed text; to mend it silently could make two keys one. */
function requireText(what: string, value: string): string {
  if (typeof value !== "string" || value === "" || !value.isWellFormed()) {
    throw new TypeError(
      `${JSON.stringify(value) ?? String(value)} cannot be ${what}: it must be a text that is not empty`,
    );
  }
  return value;
}
