/**
 * keyvalue in a SQLite file: the embedded default, durable with nothing to install.
 *
 * Every namespace of a data directory is in one file, `keyvalue.sqlite`, over one connection, so
 * that writes of all services share flushes; a binding with a `path` has a file of its own.
 * Reads answer at once; writes settle when they are on the disk (storage/sqlite.ts).
 */
import { resolve } from "node:path";
import { type Clock, CytoError } from "../../kernel/index.ts";
import { createShared } from "../../storage/shared.ts";
import { openSqlite, type SqliteDatabase } from "../../storage/sqlite.ts";
import { createBounds, pageKeys, refuseOtherOptions, toPage } from "./bounds.ts";
import type { KeyValue, KeyValueConfig, KeyValueProvider } from "./contract.ts";

/** A rowid table with an index beside it: values of some kilobytes would crowd a clustered one. */
const schema = {
  version: 1,
  sql: `
    CREATE TABLE namespaces (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE entries (
      namespace INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, UNIQUE (namespace, key)
    )`,
};

export function createSqliteKeyValue({ clock }: { readonly clock: Clock }): KeyValueProvider {
  const join = createShared(async (place: string) => {
    const { path, maxBytes } = JSON.parse(place) as Place;
    return openSqlite({ path, schema, clock, ...(maxBytes === undefined ? {} : { maxBytes }) });
  });
  return {
    async open(config) {
      const lease = await join(JSON.stringify(placeOf(config)));
      try {
        const binding = await bind(lease.value, config);
        return { ...binding, [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose]() };
      } catch (error) {
        await lease[Symbol.asyncDispose]();
        throw error;
      }
    },
  };
}

interface Place {
  readonly path: string;
  readonly maxBytes?: number;
}

function placeOf({ options, dataDirectory }: KeyValueConfig): Place {
  refuseOtherOptions("sqlite", options, ["path", "maxBytes"]);
  const path = resolve(dataDirectory, options.path ?? "keyvalue.sqlite");
  if (options.maxBytes === undefined) return { path };
  if (!/^[1-9][0-9]{0,14}$/.test(options.maxBytes)) {
    const state = `maxBytes "${options.maxBytes}" is no number of bytes`;
    throw new CytoError("invalid-manifest", `Cannot open keyvalue provider sqlite: ${state}`, {
      hint: "Write a whole number, for example 1000000000.",
    });
  }
  return { path, maxBytes: Number(options.maxBytes) };
}

async function bind(database: SqliteDatabase, config: KeyValueConfig): Promise<KeyValue> {
  const bounds = createBounds(config);
  const id = await namespaceId(database, config.namespace);
  const select = database.prepare("SELECT value FROM entries WHERE namespace = ? AND key = ?");
  const find = database.prepare("SELECT 1 FROM entries WHERE namespace = ? AND key = ?");
  const first = database.prepare("SELECT key FROM entries WHERE namespace = ? ORDER BY key LIMIT ?");
  const after = database.prepare("SELECT key FROM entries WHERE namespace = ? AND key > ? ORDER BY key LIMIT ?");
  const remove = database.prepare("DELETE FROM entries WHERE namespace = ? AND key = ?");
  const put = database.prepare(
    `INSERT INTO entries (namespace, key, value) VALUES (?, ?, ?)
     ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value`,
  );

  return {
    get(key) {
      bounds.key(key);
      return database.read(() => select.get(id, key)?.value as Uint8Array | undefined);
    },
    async set(key, value) {
      bounds.key(key);
      const copy = bounds.value(value);
      await database.write(() => put.run(id, key, copy));
    },
    async delete(key) {
      bounds.key(key);
      await database.write(() => remove.run(id, key));
    },
    exists(key) {
      bounds.key(key);
      return database.read(() => find.get(id, key) !== undefined);
    },
    keys(cursor) {
      return database.read(() => {
        const rows = cursor === undefined ? first.all(id, pageKeys + 1) : after.all(id, cursor, pageKeys + 1);
        return toPage(rows.map((row) => String(row.key)));
      });
    },
    async increment(key, delta) {
      bounds.key(key);
      return database.write(() => {
        const stored = select.get(id, key)?.value as Uint8Array | undefined;
        const sum = bounds.sum(stored && Buffer.from(stored).toString("latin1"), delta);
        put.run(id, key, Buffer.from(String(sum)));
        return sum;
      });
    },
  };
}

async function namespaceId(database: SqliteDatabase, name: string): Promise<number> {
  const find = database.prepare("SELECT id FROM namespaces WHERE name = ?");
  const insert = database.prepare("INSERT INTO namespaces (name) VALUES (?) RETURNING id");
  const known = await database.read(() => find.get(name));
  return Number((known ?? (await database.write(() => find.get(name) ?? insert.get(name))))?.id);
}
