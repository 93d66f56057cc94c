import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock } from "../kernel/index.ts";
import { withLock } from "./lock.ts";

const clock = systemClock;

describe("withLock()", () => {
  test("lets one in at a time", async (t) => {
    const path = await place(t);
    let inside = 0;
    await Promise.all(
      Array.from({ length: 8 }, () =>
        withLock(path, { clock }, async () => {
          inside += 1;
          assert.equal(inside, 1);
          await new Promise((resolve) => setImmediate(resolve));
          inside -= 1;
        }),
      ),
    );
  });

  test("gives up after its timeout, and gives the lock back when the action throws", async (t) => {
    const path = await place(t);
    await withLock(path, { clock }, async () => {
      await assert.rejects(
        withLock(path, { clock, timeoutMs: 30 }, async () => undefined),
        { code: "backend-unavailable", message: /another process holds it/ },
      );
    });
    await assert.rejects(
      withLock(path, { clock }, async () => {
        throw new Error("oops");
      }),
      /oops/,
    );
    assert.equal(await withLock(path, { clock, timeoutMs: 0 }, async () => 3), 3);
  });

  test("is free again when its holder was killed", async (t) => {
    const path = await place(t);
    const module = fileURLToPath(new URL("./lock.ts", import.meta.url));
    const kernel = fileURLToPath(new URL("../kernel/index.ts", import.meta.url));
    const code = `import { withLock } from ${JSON.stringify(module)};
      import { systemClock as clock } from ${JSON.stringify(kernel)};
      withLock(${JSON.stringify(path)}, { clock }, async () => {
        console.log("held");
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      });`;
    const holder = spawn(process.execPath, ["--input-type=module", "--eval", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(holder.stdout, "data");
    await assert.rejects(
      withLock(path, { clock, timeoutMs: 0 }, async () => undefined),
      /another process/,
    );
    const gone = once(holder, "exit");
    holder.kill("SIGKILL");
    await gone;
    assert.equal(await withLock(path, { clock, timeoutMs: 0 }, async () => "in"), "in");
  });
});

async function place(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cyto-lock-"));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, "lock");
}
