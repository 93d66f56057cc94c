import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { after, describe, test } from "node:test";
import { inspect } from "node:util";
import { type RedisServer, startRedis } from "../../../test/servers/redis.ts";
import { tlsAuthority } from "../../../test/servers/tls.ts";
import { CytoError, systemClock } from "../../kernel/index.ts";
import { keyValueConformance } from "./conformance.ts";
import type { KeyValue } from "./contract.ts";
import { createRedisKeyValue, type RedisProviderOptions } from "./redis.ts";

const dataDirectory = "/nowhere";
const value = new Uint8Array([1, 2, 3]);
const unavailable = { code: "backend-unavailable", message: /^Cannot .* keyvalue namespace ".*": Redis at / };

const server = await startRedis();
after(() => server[Symbol.asyncDispose]());
const shared = createRedisKeyValue({ clock: systemClock });

keyValueConformance({
  name: "redis",
  open: (config) => shared.open({ ...config, dataDirectory, options: { url: server.url } }),
});

describe("redis", () => {
  test("answers over its unix socket", async () => {
    await using kv = await open({ url: server.unixUrl });
    await kv.set("a", value);
    assert.deepEqual(await kv.get("a"), value);
  });

  test("shares one connection between bindings of one URL, and closes it with the last", async () => {
    const provider = createRedisKeyValue({ clock: systemClock });
    const before = await connections(server);
    const options = { url: server.url };
    const bindings = await Promise.all(
      ["a", "b", "c"].map((namespace) => provider.open({ namespace, dataDirectory, options })),
    );
    assert.equal(await connections(server), before + 1);
    for (const binding of bindings) await binding[Symbol.asyncDispose]();
    await until(async () => (await connections(server)) === before);
  });

  test("takes a password beside the URL or in it, and TLS", async () => {
    await using secured = await startRedis({ password: "p@ss:word", tls: true });
    await using beside = await open({ url: secured.url, password: "p@ss:word", ca: tlsAuthority });
    await beside.set("a", value);
    const inside = secured.url.replace("://", `://default:${encodeURIComponent("p@ss:word")}@`);
    await using other = await open({ url: inside, ca: tlsAuthority });
    assert.equal(await other.exists("b"), false);
  });

  test("refuses wrong credentials, and a certificate it does not know, without showing a password", async () => {
    await using secured = await startRedis({ password: "right", tls: true });
    const url = secured.url.replace("://", "://default:hunter2secret@");
    await using wrong = await open({ url, ca: tlsAuthority });
    await assert.rejects(
      async () => wrong.get("a"),
      (error: CytoError) => {
        assert.equal(error.code, "backend-unavailable");
        assert.match(error.message, /WRONGPASS/);
        assert.doesNotMatch(inspect(error, { depth: 10 }), /hunter2secret/);
        return true;
      },
    );
    await using unknown = await open({ url: secured.url, password: "right" });
    await assert.rejects(async () => unknown.get("a"), { ...unavailable, message: /self-signed certificate/ });
  });

  test("refuses options that make no sense, without showing a password", async () => {
    const cases: [Record<string, string>, RegExp][] = [
      [{}, /it has no url/],
      [{ url: "http://:hunter2secret@host" }, /its url is not one/],
      [{ url: "redis://:hunter2secret@host:99999" }, /its url is not one/],
      [{ url: "redis://:hunter2secret%zz@host" }, /its url is not one/],
      [{ url: "redis://:hunter2secret@host/name" }, /its url is not one/],
      [{ url: "unix://hunter2secret" }, /its url is not one/],
      [{ url: "redis://:hunter2secret@host", password: "x" }, /credentials both/],
      [{ url: "redis://:hunter2secret@host", ca: tlsAuthority }, /does not ask for TLS/],
      [{ url: "rediss://:hunter2secret@host", ca: "/nowhere/ca.pem" }, /ca file \/nowhere\/ca.pem cannot be read/],
      [{ url: "redis://host", hots: "x" }, /unknown option "hots"/],
    ];
    for (const [options, message] of cases) {
      await assert.rejects(open(options), (error: CytoError) => {
        assert.equal(error.code, "invalid-manifest");
        assert.match(error.message, message);
        assert.doesNotMatch(inspect(error, { depth: 10 }), /hunter2secret/);
        return true;
      });
    }
  });

  test("opens while the server is down, fails fast, and recovers when it comes", async () => {
    await using down = await startRedis();
    await down.kill();
    const startMs = performance.now();
    await using kv = await open({ url: down.url });
    await assert.rejects(async () => kv.get("a"), { ...unavailable, message: /ECONNREFUSED/ });
    await assert.rejects(kv.increment("a", 1n), unavailable);
    assert.ok(performance.now() - startMs < 1_000);
    await down.start();
    await recovered(kv);
    await kv.set("a", value);
    assert.deepEqual(await kv.get("a"), value);
  });

  test("fails calls when the server dies under load, loses nothing acknowledged, and recovers", async () => {
    await using fragile = await startRedis();
    await using kv = await open({ url: fragile.url });
    const acknowledged = new Set<string>();
    let failures = 0;
    let stop = false;
    const load = Array.from({ length: 32 }, async (_, worker) => {
      for (let n = 0; !stop; n++) {
        const key = `${worker}/${n}`;
        try {
          await kv.set(key, value);
          acknowledged.add(key);
        } catch (error) {
          assert.ok(error instanceof CytoError && error.code === "backend-unavailable", inspect(error));
          failures += 1;
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    });
    await until(async () => acknowledged.size > 500);
    await fragile.kill();
    await until(async () => failures > 32);
    const atDeath = acknowledged.size;
    await fragile.start();
    await until(async () => acknowledged.size > atDeath + 500);
    stop = true;
    await Promise.all(load);
    const kept = new Set<string>();
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await kv.keys(cursor);
      for (const key of page.keys) kept.add(key);
      cursor = page.cursor;
    }
    assert.deepEqual(
      [...acknowledged].filter((key) => !kept.has(key)),
      [],
    );
  });

  test("fails a call that a hung server does not answer, and recovers when it goes on", async () => {
    await using hung = await startRedis();
    await using kv = await open({ url: hung.url }, { commandTimeoutMs: 100, connectTimeoutMs: 100 });
    await kv.set("a", value);
    hung.freeze();
    await assert.rejects(async () => kv.get("a"), { ...unavailable, message: /no answer in time/ });
    await assert.rejects(async () => kv.get("a"), unavailable);
    await using late = await open({ url: hung.url }, { connectTimeoutMs: 100 });
    await assert.rejects(async () => late.get("a"), unavailable);
    hung.thaw();
    await recovered(kv);
    await recovered(late);
    assert.deepEqual(await kv.get("a"), value);
  });

  test("answers storage-full at the server's maxmemory", async () => {
    await using small = await startRedis({ args: ["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"] });
    await using kv = await open({ url: small.url });
    await assert.rejects(
      async () => {
        for (let n = 0; n < 64; n++) await kv.set(`k${n}`, new Uint8Array(256 * 1024));
      },
      { code: "storage-full", message: /maxmemory/ },
    );
    assert.equal(await kv.exists("k0"), true);
  });

  test("runs its scripts again after the server has forgotten them", async () => {
    await using kv = await open({ url: server.url });
    await kv.set("a", value);
    await command(server, "SCRIPT FLUSH");
    await kv.set("a", value);
    assert.equal(await kv.increment("n", 2n), 2n);
  });
});

function open(options: Record<string, string>, provider: Partial<RedisProviderOptions> = {}) {
  return createRedisKeyValue({ clock: systemClock, ...provider }).open({
    namespace: `test/${randomUUID()}`,
    dataDirectory,
    options,
  });
}

/** Settles once a call succeeds again. */
function recovered(kv: KeyValue): Promise<void> {
  return until(async () => {
    try {
      await kv.exists("a");
      return true;
    } catch (error) {
      assert.ok(error instanceof CytoError && error.code === "backend-unavailable", inspect(error));
      return false;
    }
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function connections(of: RedisServer): Promise<number> {
  const list = await command(of, "CLIENT LIST");
  return list.split("\n").filter((line) => line.startsWith("id=")).length;
}

/** One inline command over a connection of its own; the reply as text. */
async function command(of: RedisServer, line: string): Promise<string> {
  const socket = connect(Number(new URL(of.url).port), "127.0.0.1");
  socket.end(`${line}\r\n`);
  let reply = "";
  for await (const chunk of socket) reply += chunk;
  return reply;
}
