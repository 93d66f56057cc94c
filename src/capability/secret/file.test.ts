import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { inspect } from "node:util";
import { type CytoError, systemClock, systemRandom } from "../../kernel/index.ts";
import { secretConformance } from "./conformance.ts";
import { createSecretFile, type SecretFileOptions } from "./file.ts";

secretConformance({
  name: "file",
  create: async (t, clock) => createSecretFile({ ...(await place(t)), clock }),
});

describe("secret file", () => {
  test("holds neither names nor values that can be read, and is its owner's alone", async (t) => {
    const options = await place(t);
    const store = createSecretFile(options);
    await store.set("stripe", "hunter2-hunter2");
    for (const path of [options.path, options.keyPath]) {
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      assert.doesNotMatch(await readFile(path, "utf8"), /hunter2|stripe/);
    }
    assert.match(await readFile(options.keyPath, "utf8"), /^[0-9a-f]{64}\n$/);
    await store.set("other", "x");
    assert.deepEqual((await readdir(join(options.path, ".."))).sort(), [
      "secret.key",
      "secrets.json",
      "secrets.json.lock",
    ]);
    assert.equal((await stat(options.path)).mode & 0o777, 0o600);
  });

  test("is read by whoever has the key, as a file, raw or as a passphrase", async (t) => {
    const raw = Buffer.alloc(32, 0xfb);
    for (const key of [
      raw.toString("hex"),
      ` ${raw.toString("base64")}\n`,
      raw.toString("base64url"),
      "correct horse battery staple",
    ]) {
      const options = { ...(await place(t)), key };
      await createSecretFile(options).set("a", "value");
      assert.equal(await createSecretFile(options).get("a"), "value");
      await assert.rejects(stat(options.keyPath), { code: "ENOENT" });
      await writeFile(options.keyPath, key);
      assert.equal(await createSecretFile(withoutKey(options)).get("a"), "value");
    }
  });

  test("sees at once what another has set", async (t) => {
    const options = await place(t);
    const [one, two] = [createSecretFile(options), createSecretFile(options)];
    for (let n = 0; n < 5; n++) {
      await one.set("a", `value ${n}`);
      assert.equal(await two.get("a"), `value ${n}`);
    }
  });

  test("says that a key is wrong, of another kind, too short, or missing, and changes nothing", async (t) => {
    const options = await place(t);
    await createSecretFile(options).set("a", "hunter2-hunter2");
    const before = await readFile(options.path);
    const cases: [string, RegExp][] = [
      ["00".repeat(32), /the key in CYTO_SECRET_KEY is not the one that they were sealed with/],
      ["a passphrase that is long", /the key in CYTO_SECRET_KEY is not a raw key, as they need/],
      ["tiny0", /the key in CYTO_SECRET_KEY: it is too short/],
    ];
    for (const [key, message] of cases) {
      const store = createSecretFile({ ...options, key });
      for (const use of [
        () => store.get("a"),
        () => store.list(),
        () => store.set("b", "x"),
        () => store.remove("a"),
      ]) {
        await assert.rejects(use, (error: CytoError) => {
          assert.equal(error.code, "missing-secret");
          assert.match(error.message, message);
          assert.doesNotMatch(inspect(error), new RegExp(`hunter2|${key}`));
          return true;
        });
      }
    }
    await rm(options.keyPath);
    const keyless = { code: "missing-secret", message: /their key file .*secret\.key is missing/ };
    await assert.rejects(createSecretFile(options).get("a"), keyless);
    await assert.rejects(createSecretFile(options).set("b", "x"), keyless);
    assert.deepEqual(await readFile(options.path), before);
    await assert.rejects(stat(options.keyPath), { code: "ENOENT" });
  });

  test("notices every change to the file", async (t) => {
    const options = await place(t);
    await createSecretFile(options).set("a", "value");
    const good = JSON.parse(await readFile(options.path, "utf8"));
    const flip = (text: string) => (text.startsWith("A") ? "B" : "A") + text.slice(1);
    const changed = { code: "storage-corrupt", message: /secrets\.json: it was changed after it was written/ };
    for (const field of ["nonce", "sealed", "salt"]) {
      await writeFile(options.path, JSON.stringify({ ...good, [field]: flip(good[field]) }));
      await assert.rejects(createSecretFile(options).get("a"), changed, field);
    }
    for (const sealed of ["", good.sealed.slice(0, -8), good.sealed.slice(8), "AAAA"]) {
      await writeFile(options.path, JSON.stringify({ ...good, sealed }));
      await assert.rejects(createSecretFile(options).get("a"), changed);
    }
    const whole = JSON.stringify(good);
    const cases: [string, RegExp][] = [
      ["", /no file of secrets, or was cut off/],
      [whole.slice(0, -20), /no file of secrets, or was cut off/],
      ["null", /it is no file of secrets/],
      ["[]", /it is no file of secrets/],
      [JSON.stringify({ ...good, nonce: undefined }), /a part of it is missing/],
      [JSON.stringify({ ...good, key: "x" }), /a part of it is missing/],
    ];
    for (const [text, message] of cases) {
      await writeFile(options.path, text);
      await assert.rejects(createSecretFile(options).list(), { code: "storage-corrupt", message });
      await assert.rejects(createSecretFile(options).set("b", "x"), { code: "storage-corrupt", message });
    }
    await writeFile(options.path, JSON.stringify({ ...good, version: 2 }));
    await assert.rejects(createSecretFile(options).list(), /they have version 2, this platform knows 1/);
    await writeFile(options.path, whole);
    assert.equal(await createSecretFile(options).get("a"), "value");
  });

  test("loses nothing that several processes set at once", async (t) => {
    const options = await place(t);
    const program = `
      import { createSecretFile } from ${JSON.stringify(import.meta.resolve("./file.ts"))};
      import { systemClock as clock, systemRandom as random } from ${JSON.stringify(import.meta.resolve("../../kernel/index.ts"))};
      const { path, keyPath, who } = JSON.parse(process.argv.at(-1));
      const store = createSecretFile({ path, keyPath, clock, random });
      for (let n = 0; n < 8; n++) await store.set(who + n, "value of " + who + n);`;
    const writers = ["a", "b", "c"].map(async (who) => {
      const words = ["--input-type=module", "--eval", program, "--", JSON.stringify({ ...options, who })];
      const [code] = await once(spawn(process.execPath, words, { stdio: "inherit" }), "exit");
      assert.equal(code, 0);
    });
    await Promise.all(writers);
    const store = createSecretFile(options);
    assert.equal((await store.list()).length, 24);
    assert.equal(await store.get("b7"), "value of b7");
  });

  test("leaves the old file whole when a new one cannot be written", async (t) => {
    const options = await place(t);
    const store = createSecretFile(options);
    await store.set("a", "value");
    await mkdir(`${options.path}.new`);
    await assert.rejects(store.set("b", "x"), { code: "backend-unavailable", message: /Cannot write .*secrets\.json/ });
    assert.equal(await store.get("a"), "value");
  });
});

async function place(t: TestContext): Promise<SecretFileOptions> {
  const folder = await mkdtemp(join(tmpdir(), "cyto-secret-"));
  t.after(() => rm(folder, { recursive: true }));
  const inside = join(folder, ".cyto");
  return {
    path: join(inside, "secrets.json"),
    keyPath: join(inside, "secret.key"),
    clock: systemClock,
    random: systemRandom,
  };
}

function withoutKey({ key: _, ...options }: SecretFileOptions): SecretFileOptions {
  return options;
}
