import assert from "node:assert/strict";
import { fstatSync, statSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, type TestContext, test } from "node:test";
import { CytoError, systemClock } from "../kernel/index.ts";
import { openSqlite, type SqliteDatabase, type SqliteOptions } from "./sqlite.ts";

const schema = { version: 2, sql: "CREATE TABLE numbers (n INTEGER NOT NULL)" };

describe("openSqlite()", () => {
  test("keeps what was written for the next who opens", async (t) => {
    const path = await place(t);
    {
      await using database = await open(path);
      await database.write(() => database.prepare("INSERT INTO numbers VALUES (7)").run());
    }
    await using again = await open(path);
    assert.deepEqual(await numbers(again), [7]);
  });

  test("acknowledges a write only after its flush, and lets all that wait share one", async (t) => {
    const flushes: (() => void)[] = [];
    const started = new EventTarget();
    const flush = () =>
      new Promise<void>((resolve) => {
        flushes.push(resolve);
        started.dispatchEvent(new Event("flush"));
      });
    await using database = await open(await place(t), { flush });
    const insert = database.prepare("INSERT INTO numbers VALUES (?)");
    let acknowledged = 0;
    const write = async (n: number) => {
      await database.write(() => insert.run(n));
      acknowledged += 1;
    };

    const first = write(0);
    if (flushes.length === 0)
      await new Promise((resolve) => started.addEventListener("flush", resolve, { once: true }));
    const others = Array.from({ length: 200 }, (_, n) => write(n + 1));
    assert.equal(acknowledged, 0);
    const second = new Promise((resolve) => started.addEventListener("flush", resolve, { once: true }));
    flushes[0]?.();
    await first;
    await second;
    assert.equal(acknowledged, 1);
    flushes[1]?.();
    await Promise.all(others);
    assert.equal(flushes.length, 2);
    assert.equal((await numbers(database)).length, 201);
  });

  test("flushes the log that SQLite writes to, also after checkpoints", async (t) => {
    const path = await place(t);
    let flushes = 0;
    const flush = async (descriptor: number) => {
      flushes += 1;
      assert.equal(fstatSync(descriptor).ino, statSync(`${path}-wal`).ino);
    };
    await using database = await open(path, { flush });
    const insert = database.prepare("INSERT INTO numbers VALUES (?)");
    const pages = new Uint8Array(400 * 4096);
    for (let n = 0; n < 12; n++) await database.write(() => insert.run(pages));
    assert.equal(flushes, 12);
    assert.ok(statSync(path).size > pages.length, "no checkpoint has run");
  });

  test("fails the write that throws, and only that", async (t) => {
    await using database = await open(await place(t));
    const insert = database.prepare("INSERT INTO numbers VALUES (?)");
    const results = await Promise.allSettled([
      database.write(() => insert.run(1)),
      database.write(() => {
        throw new CytoError("bad-request", "Cannot do it: no");
      }),
      database.write(() => insert.run(null)),
      database.write(() => insert.run(4)),
    ]);
    assert.deepEqual(
      results.map((result) => result.status),
      ["fulfilled", "rejected", "rejected", "fulfilled"],
    );
    assert.deepEqual(await numbers(database), [1, 4]);
  });

  test("acknowledges nothing more once the disk refused a flush", async (t) => {
    let broken = false;
    const flush = async () => {
      if (broken) throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
    };
    await using database = await open(await place(t), { flush });
    const insert = database.prepare("INSERT INTO numbers VALUES (?)");
    await database.write(() => insert.run(1));
    broken = true;
    const refused = { code: "backend-unavailable", message: /the disk refused to keep what was written/ };
    await assert.rejects(
      database.write(() => insert.run(2)),
      refused,
    );
    broken = false;
    await assert.rejects(
      database.write(() => insert.run(3)),
      refused,
    );
  });

  test("waits for another connection's lock, and says so when that takes too long", async (t) => {
    const path = await place(t);
    await using database = await open(path, { lockTimeoutMs: 60 });
    const insert = database.prepare("INSERT INTO numbers VALUES (?)");
    using other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    await assert.rejects(
      database.write(() => insert.run(1)),
      {
        code: "backend-unavailable",
        message: /another process holds its lock/,
      },
    );
    const waiting = database.write(() => insert.run(2));
    setImmediate(() => other.exec("COMMIT"));
    await waiting;
    assert.deepEqual(await numbers(database), [2]);
  });

  test("refuses a file that is no database, and leaves it as it was", async (t) => {
    const path = await place(t);
    const text = "not a database\n".repeat(500);
    await mkdir(dirname(path));
    await writeFile(path, text);
    await assert.rejects(open(path), (error: CytoError) => {
      assert.equal(error.code, "storage-corrupt");
      assert.ok(error.message.includes(path));
      assert.match(error.hint ?? "", /Move the file away/);
      return true;
    });
    assert.equal(await readFile(path, "utf8"), text);
  });

  test("says that the file is damaged when a page of it is", async (t) => {
    const path = await place(t);
    {
      await using database = await open(path);
      const insert = database.prepare("INSERT INTO numbers VALUES (?)");
      await database.write(() => {
        for (let n = 0; n < 5_000; n++) insert.run(n);
      });
    }
    const bytes = await readFile(path);
    bytes.fill(0xa5, 4096 * 2, 4096 * 6);
    await writeFile(path, bytes);
    await using damaged = await open(path);
    await assert.rejects(numbers(damaged), { code: "storage-corrupt" });
  });

  test("refuses a file of a later version", async (t) => {
    const path = await place(t);
    await (await open(path))[Symbol.asyncDispose]();
    await assert.rejects(open(path, { schema: { ...schema, version: 1 } }), /it has version 2, this platform knows 1/);
  });

  test("refuses a folder that cannot be made", async (t) => {
    const folder = join(await place(t), "file");
    await (await open(join(folder, "..", "x")))[Symbol.asyncDispose]();
    await writeFile(folder, "");
    await assert.rejects(open(join(folder, "db.sqlite")), { code: "backend-unavailable", message: /Cannot open/ });
  });

  test("answers storage-full at maxBytes, and goes on with what fits", async (t) => {
    await using database = await open(await place(t), { maxBytes: 64 * 1024 });
    const insert = database.prepare("INSERT INTO numbers VALUES (?)");
    const big = new Uint8Array(128 * 1024);
    const results = await Promise.allSettled([
      database.write(() => insert.run(1)),
      database.write(() => insert.run(big)),
      database.write(() => insert.run(2)),
    ]);
    assert.deepEqual(
      results.map((result) => result.status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.equal((results[1] as PromiseRejectedResult).reason.code, "storage-full");
    assert.deepEqual(await numbers(database), [1, 2]);
  });

  test("finishes what was asked before it closes, and refuses what comes after", async (t) => {
    const database = await open(await place(t));
    const insert = database.prepare("INSERT INTO numbers VALUES (?)");
    const pending = database.write(() => insert.run(1));
    await database[Symbol.asyncDispose]();
    await pending;
    await assert.rejects(
      database.write(() => insert.run(2)),
      /it was closed/,
    );
    await assert.rejects(stat(`${database.path}-wal`), { code: "ENOENT" });
  });
});

function open(path: string, options: Partial<SqliteOptions> = {}): Promise<SqliteDatabase> {
  return openSqlite({ path, schema, clock: systemClock, ...options });
}

async function numbers(database: SqliteDatabase): Promise<unknown[]> {
  const rows = await database.read(() => database.prepare("SELECT n FROM numbers ORDER BY rowid").all());
  return rows.map((row) => row.n);
}

async function place(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cyto-sqlite-"));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, "data", "test.sqlite");
}
