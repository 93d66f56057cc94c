/** bin/cyto.js as a process of its own, under this Node and under one that says it is older. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";

const launcher = new URL("../../bin/cyto.js", import.meta.url).pathname;
const guest = new URL("../../test/guests/hello.wasm", import.meta.url).pathname;
const cwd = mkdtempSync(join(tmpdir(), "cyto-launcher-"));
after(() => rmSync(cwd, { recursive: true }));

/** Makes a Node say that it is 20, unless the launcher has started it. */
const older = `data:text/javascript,if (!process.env.CYTO_LAUNCHED)
  Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.0.0" } });`;
const nodes = { "this Node": [], "an older Node": ["--import", older] } as const;

function start(flags: readonly string[], args: readonly string[], file = launcher) {
  const child = spawn(process.execPath, [...flags, file, ...args], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (said.stdout += chunk));
  child.stderr.on("data", (chunk) => (said.stderr += chunk));
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, ...said }));
  return { child, ended };
}

for (const [name, flags] of Object.entries(nodes)) {
  describe(`bin/cyto.js under ${name}`, () => {
    test("passes arguments down, output and exit code up", async () => {
      const { code, stderr } = await start(flags, ["up", "--prot"]).ended;
      assert.equal(code, 2);
      assert.match(stderr, /Did you mean --port\?/);
      assert.match((await start(flags, ["--version"]).ended).stdout, /^\d+\.\d+\.\d+\n$/);
    });

    test("SIGTERM lets it finish, and ends with 0", async () => {
      const { child, ended } = start(flags, ["serve", guest, "--port", "0", "--admin-port", "0", "--json"]);
      const [chunk] = await once(child.stdout, "data");
      const { gateway } = JSON.parse(String(chunk));
      assert.equal((await fetch(gateway)).status, 200);
      child.kill("SIGTERM");
      assert.equal((await ended).code, 0);
      await assert.rejects(fetch(gateway));
    });

    test("SIGKILL ends all of it", async () => {
      const { child, ended } = start(flags, ["serve", guest, "--port", "0", "--admin-port", "0", "--json"]);
      const [chunk] = await once(child.stdout, "data");
      const { gateway } = JSON.parse(String(chunk));
      child.kill("SIGKILL");
      // Both outputs close only when the process behind the launcher has gone too.
      assert.equal((await ended).code, null);
      await assert.rejects(fetch(gateway));
    });
  });
}

test("bin/cyto.js says what to do where no Node is new enough", async () => {
  cpSync(launcher, join(cwd, "bin/cyto.js"));
  const { code, stderr } = await start(nodes["an older Node"], ["--version"], join(cwd, "bin/cyto.js")).ended;
  assert.equal(code, 1);
  assert.match(stderr, /Cannot start cyto: it needs Node 26\.4, and this is Node 20\.0\.0\n {2}= run "npm ci" in /);
});
