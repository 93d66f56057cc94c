/**
 * keyvalue in Redis: for data that several machines share.
 *
 * A namespace is two Redis keys, which a cluster keeps together: a hash of the values, and a
 * sorted set of the same keys, which gives them in order without a walk through everybody's data. Scripts
 * change both in one step. What survives a crash of the server is the server's setting (`appendonly`).
 */
import { createHash } from "node:crypto";
import { RESP_TYPES } from "redis";
import { type Clock, CytoError } from "../../kernel/index.ts";
import { createShared } from "../../storage/shared.ts";
import { createBounds, noCounter, pageKeys, refuseOtherOptions, toPage } from "./bounds.ts";
import type { KeyValue, KeyValueConfig, KeyValueProvider } from "./contract.ts";
import { openRedis, placeOf, type RedisConnection, type RedisOptions } from "./redis-connection.ts";

export interface RedisProviderOptions {
  readonly clock: Clock;
  readonly connectTimeoutMs?: number;
  readonly commandTimeoutMs?: number;
}

const optionNames = ["url", "username", "password", "ca"] as const;

export function createRedisKeyValue(provider: RedisProviderOptions): KeyValueProvider {
  const join = createShared(async (server: string) => openRedis({ ...provider, ...(JSON.parse(server) as Server) }));
  return {
    async open(config) {
      const lease = await join(JSON.stringify(serverOf(config.options)));
      return { ...bind(lease.value, config), [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose]() };
    },
  };
}

type Server = Pick<RedisOptions, (typeof optionNames)[number]>;

function serverOf(options: KeyValueConfig["options"]): Server {
  refuseOtherOptions("redis", options, optionNames);
  const { url, username, password, ca } = options;
  if (url === undefined) throw invalid("it has no url", 'Write: keyvalue: "redis://host:6379".');
  placeOf(url);
  if (url.includes("@") && (username !== undefined || password !== undefined)) {
    throw invalid("it has credentials both in its url and beside it", "Keep those beside it.");
  }
  if (ca !== undefined && !url.startsWith("rediss:")) {
    throw invalid("it has a ca, but its url does not ask for TLS", 'Write the url as "rediss://host:6380".');
  }
  return { ...options, url };
}

function invalid(state: string, hint: string): CytoError {
  return new CytoError("invalid-manifest", `Cannot open keyvalue provider redis: ${state}`, { hint });
}

function bind(redis: RedisConnection, config: KeyValueConfig): KeyValue {
  const { namespace } = config;
  const bounds = createBounds(config);
  const values = `cyto:keyvalue:{${namespace}}:values`;
  const order = `cyto:keyvalue:{${namespace}}:keys`;
  const act = (verb: string) => `${verb} keyvalue namespace "${namespace}"`;

  return {
    async get(key) {
      bounds.key(key);
      const value = await redis.send<Buffer | null>(act("get from"), ["HGET", values, key], asBytes);
      return value === null ? undefined : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    },
    async set(key, value) {
      bounds.key(key);
      await run(act("set in"), scripts.set, key, Buffer.from(bounds.value(value).buffer));
    },
    async delete(key) {
      bounds.key(key);
      await run(act("delete from"), scripts.remove, key);
    },
    async exists(key) {
      bounds.key(key);
      return (await redis.send<number>(act("look in"), ["HEXISTS", values, key])) === 1;
    },
    async keys(cursor) {
      const start = cursor === undefined ? "-" : `(${cursor}`;
      const limit = String(pageKeys + 1);
      return toPage(await redis.send<string[]>(act("list"), ["ZRANGEBYLEX", order, start, "+", "LIMIT", "0", limit]));
    },
    async increment(key, delta) {
      bounds.key(key);
      if (BigInt.asIntN(64, delta) !== delta) throw noCounter(namespace, "the sum does not fit in 64 bits");
      try {
        return BigInt(await run<string>(act("increment in"), scripts.increment, key, String(delta)));
      } catch (error) {
        if (!(error instanceof CytoError && error.cause instanceof Error)) throw error;
        if (/not an integer/.test(error.cause.message))
          throw noCounter(namespace, "what is stored is no whole number", error.cause);
        if (/overflow/.test(error.cause.message))
          throw noCounter(namespace, "the sum does not fit in 64 bits", error.cause);
        throw error;
      }
    },
  };

  /** By digest; by text when the server does not know it (any more). */
  async function run<T extends string | number>(
    what: string,
    script: Script,
    ...args: (string | Buffer)[]
  ): Promise<T> {
    const rest = ["2", values, order, ...args];
    try {
      return await redis.send<T>(what, ["EVALSHA", script.digest, ...rest]);
    } catch (error) {
      if (!(error instanceof CytoError && error.cause instanceof Error && error.cause.message.startsWith("NOSCRIPT")))
        throw error;
      return redis.send<T>(what, ["EVAL", script.text, ...rest]);
    }
  }
}

const asBytes = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };

interface Script {
  readonly text: string;
  readonly digest: string;
}

function script(text: string): Script {
  return { text, digest: createHash("sha1").update(text).digest("hex") };
}

const scripts = {
  set: script(
    `if redis.call("HSET", KEYS[1], ARGV[1], ARGV[2]) == 1 then redis.call("ZADD", KEYS[2], 0, ARGV[1]) end
     return 1`,
  ),
  remove: script(
    `if redis.call("HDEL", KEYS[1], ARGV[1]) == 1 then redis.call("ZREM", KEYS[2], ARGV[1]) end
     return 1`,
  ),
  /** Answers the text: a number would lose what a double cannot hold. */
  increment: script(
    `redis.call("HINCRBY", KEYS[1], ARGV[1], ARGV[2])
     redis.call("ZADD", KEYS[2], 0, ARGV[1])
     return redis.call("HGET", KEYS[1], ARGV[1])`,
  ),
};
