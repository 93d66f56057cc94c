import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, describe, type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { CytoError, systemClock } from "../../kernel/index.ts";
import { keyValueConformance } from "./conformance.ts";
import { createSqliteKeyValue } from "./sqlite.ts";

const run = promisify(execFile);
const provider = createSqliteKeyValue({ clock: systemClock });
const shared = await mkdtemp(join(tmpdir(), "cyto-keyvalue-"));
after(() => rm(shared, { recursive: true }));
/** Keeps the file open between the bindings of the suite. */
const keeper = await provider.open({ namespace: "keeper", dataDirectory: shared, options: {} });
after(() => keeper[Symbol.asyncDispose]());

keyValueConformance({
  name: "sqlite",
  open: (config) => provider.open({ ...config, dataDirectory: shared, options: {} }),
});

describe("sqlite", () => {
  test("keeps every namespace in one file, and finds them again", async (t) => {
    const dataDirectory = await place(t);
    for (let n = 0; n < 50; n++) {
      await using kv = await open(dataDirectory, `app/service/${n}`);
      await kv.set("k", text(`v${n}`));
    }
    assert.deepEqual(await readdir(dataDirectory), ["keyvalue.sqlite"]);
    for (let n = 0; n < 50; n++) {
      await using kv = await open(dataDirectory, `app/service/${n}`);
      assert.deepEqual(await kv.get("k"), text(`v${n}`));
    }
  });

  test("keeps the file open for its last binding, and no longer", async (t) => {
    const dataDirectory = await place(t);
    const one = createSqliteKeyValue({ clock: systemClock });
    const bindings = await Promise.all(
      ["a", "b", "c"].map((namespace) => one.open({ namespace, dataDirectory, options: {} })),
    );
    for (const binding of bindings) {
      await binding.set("k", text("v"));
      await binding[Symbol.asyncDispose]();
      if (binding !== bindings.at(-1)) assert.ok((await readdir(dataDirectory)).includes("keyvalue.sqlite-wal"));
    }
    assert.deepEqual(await readdir(dataDirectory), ["keyvalue.sqlite"]);
  });

  test("puts a binding with a path into a file of its own", async (t) => {
    const dataDirectory = await place(t);
    await using a = await open(dataDirectory, "n");
    await using b = await open(dataDirectory, "n", { path: "own/other.sqlite" });
    await a.set("k", text("a"));
    assert.equal(await b.get("k"), undefined);
    assert.deepEqual(await readdir(join(dataDirectory, "own")), [
      "other.sqlite",
      "other.sqlite-shm",
      "other.sqlite-wal",
    ]);
  });

  test("refuses a maxBytes that is no number, and other options", async (t) => {
    const dataDirectory = await place(t);
    await assert.rejects(open(dataDirectory, "n", { maxBytes: "1GB" }), { code: "invalid-manifest", message: /"1GB"/ });
    await assert.rejects(open(dataDirectory, "n", { file: "x" }), { message: /unknown option "file"/, hint: /path/ });
  });

  test("refuses a damaged file by name", async (t) => {
    const dataDirectory = await place(t);
    await writeFile(join(dataDirectory, "keyvalue.sqlite"), "x".repeat(5000));
    await assert.rejects(open(dataDirectory, "n"), { code: "storage-corrupt", message: /keyvalue\.sqlite/ });
  });

  test("loses no acknowledged key to kill -9", async (t) => {
    const dataDirectory = await place(t);
    for (let round = 0; round < 3; round++) {
      const acknowledged = await writeUntilKilled(dataDirectory, round, 400);
      await using kv = await open(dataDirectory, "n");
      for (const key of acknowledged) assert.deepEqual(await kv.get(key), text(key), `lost ${key}`);
      const counted = Number(Buffer.from((await kv.get("counter")) ?? text("0")).toString());
      assert.ok(counted >= (round + 1) * 400, `counted ${counted}`);
    }
  });

  test("increments together with another process without losing one", async (t) => {
    const dataDirectory = await place(t);
    await using kv = await open(dataDirectory, "n");
    const counting = `await Promise.all(Array.from({ length: 300 }, () => kv.increment("n", 1n)));
      await kv[Symbol.asyncDispose]();`;
    const others = [1, 2].map(async () => {
      const child = start(dataDirectory, counting);
      const [code] = await once(child, "exit");
      assert.equal(code, 0);
    });
    await Promise.all([...others, ...Array.from({ length: 300 }, () => kv.increment("n", 1n))]);
    assert.equal(await kv.increment("n", 0n), 900n);
  });

  test("answers storage-full on a full disk, keeps what it acknowledged, and goes on when there is room", async (t) => {
    const disk = await smallDisk(t);
    await using kv = await open(disk.folder, "n", disk.options);
    const acknowledged: string[] = [];
    const failures: unknown[] = [];
    for (let n = 0; failures.length === 0; n++) {
      const keys = [`a${n}`, `b${n}`, `c${n}`];
      const results = await Promise.allSettled(keys.map((key) => kv.set(key, new Uint8Array(16 * 1024).fill(n))));
      for (const [index, result] of results.entries()) {
        if (result.status === "fulfilled") acknowledged.push(`${keys[index]}`);
        else failures.push(result.reason);
      }
    }
    for (const failure of failures) {
      assert.ok(failure instanceof CytoError && failure.code === "storage-full", String(failure));
      assert.match(failure.message, /keyvalue\.sqlite: there is no room left/);
    }
    for (const key of acknowledged) assert.equal((await kv.get(key))?.[0], Number(key.slice(1)) & 0xff);
    await disk.free(async () => {
      for (const key of acknowledged) await kv.delete(key);
    });
    await kv.set("after", text("room"));
    assert.deepEqual(await kv.get("after"), text("room"));
  });
});

function open(dataDirectory: string, namespace: string, options: Record<string, string> = {}) {
  return createSqliteKeyValue({ clock: systemClock }).open({ namespace, dataDirectory, options });
}

/** A process that has `kv` open, in namespace `n`, and runs `code`. */
function start(dataDirectory: string, code: string) {
  const program = `
    import { createSqliteKeyValue } from ${JSON.stringify(import.meta.resolve("./sqlite.ts"))};
    import { systemClock as clock } from ${JSON.stringify(import.meta.resolve("../../kernel/index.ts"))};
    const dataDirectory = ${JSON.stringify(dataDirectory)};
    const kv = await createSqliteKeyValue({ clock }).open({ namespace: "n", dataDirectory, options: {} });
    ${code}`;
  return spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: ["ignore", "pipe", "inherit"] });
}

/** Kills the writer in the midst of its work; answers the keys it had acknowledged. */
async function writeUntilKilled(dataDirectory: string, round: number, enough: number): Promise<string[]> {
  const child = start(
    dataDirectory,
    `const write = async (worker) => {
      for (let n = 0; ; n++) {
        const key = "${round}/" + worker + "/" + n;
        await Promise.all([kv.set(key, Buffer.from(key)), kv.increment("counter", 1n)]);
        process.stdout.write(key + "\\n");
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, worker) => write(worker)));`,
  );
  const gone = once(child, "exit");
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(line);
    if (acknowledged.length === enough) child.kill("SIGKILL");
  }
  await gone;
  return acknowledged.filter((key) => /^\d+\/\d+\/\d+$/.test(key));
}

interface SmallDisk {
  readonly folder: string;
  readonly options: Record<string, string>;
  /** Makes room: on a real disk by a larger one, else by what the caller deletes. */
  free(remove: () => Promise<void>): Promise<void>;
}

/** A real file system of one megabyte where this process may mount one, else a file that is limited to it. */
async function smallDisk(t: TestContext): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), "cyto-disk-"));
  try {
    await run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]);
  } catch {
    t.after(() => rm(folder, { recursive: true }));
    return { folder, options: { maxBytes: String(1024 * 1024) }, free: (remove) => remove() };
  }
  t.after(async () => {
    await run("umount", [folder]);
    await rmdir(folder);
  });
  return { folder, options: {}, free: async () => void (await run("mount", ["-o", "remount,size=8m", folder])) };
}

async function place(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cyto-keyvalue-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function text(value: string): Uint8Array {
  return new Uint8Array(Buffer.from(value));
}
