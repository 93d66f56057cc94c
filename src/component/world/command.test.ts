import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { loadGuest } from "../../../test/guests/open.ts";
import { loadTool, runTool, type ToolName, tools } from "../../../test/guests/tool.ts";
import { CytoError } from "../../kernel/index.ts";
import type { Component } from "../contract.ts";

for (const name of Object.keys(tools) as ToolName[]) {
  describe(`runCommand(), ${name}`, () => {
    let tool: Component;
    let folder: string;
    before(async () => {
      [tool, folder] = await Promise.all([loadTool(name), mkdtemp(join(tmpdir(), "cyto-tool-"))]);
    });
    after(() => rm(folder, { recursive: true, force: true }));

    test("gives it arguments and environment, and nothing of this process's", async () => {
      assert.equal((await runTool(tool, ["args", "a", "--b", "grüße 🌍", ""])).stdout, "a|--b|grüße 🌍|");
      assert.equal((await runTool(tool, ["env", "MODE"], { environment: [["MODE", "a=b\nc"]] })).stdout, "a=b\nc");
      assert.equal((await runTool(tool, ["env", "PATH"])).stdout, "none");
    });

    test("suspends it until input comes, and goes on with the others meanwhile", async () => {
      const [first, second] = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
      async function* late() {
        yield Buffer.from(await first.promise);
        yield Buffer.from(await second.promise);
      }
      const written: string[] = [];
      const wrote = Promise.withResolvers<void>();
      const write = (bytes: Uint8Array) => {
        written.push(Buffer.from(bytes).toString());
        wrote.resolve();
        return undefined;
      };
      const running = runTool(tool, ["upper"], { stdin: late(), stdout: { terminal: false, write } });
      assert.equal((await runTool(tool, ["args", "beside"])).stdout, "beside");
      first.resolve("one ");
      await wrote.promise;
      assert.equal(written.join(""), "ONE ");
      second.resolve("two");
      assert.equal((await running).code, 0);
      assert.equal(written.join(""), "ONE TWO");
    });

    test("writes no faster than its output is taken", async () => {
      let underway = 0;
      let written = 0;
      const write = async (bytes: Uint8Array): Promise<undefined> => {
        assert.equal(++underway, 1, "one piece at a time");
        await new Promise(setImmediate);
        written += bytes.length;
        underway--;
      };
      assert.equal((await runTool(tool, ["fill", "1000000"], { stdout: { terminal: false, write } })).code, 0);
      // The last piece may still be on its way when the command has ended.
      while (underway > 0) await new Promise(setImmediate);
      assert.equal(written, 1_000_000);
    });

    test("lets it use a directory as its grant says", async () => {
      await writeFile(join(folder, "here"), "");
      const directory = { guest: "/data", host: folder, readOnly: false };
      const { stdout, code } = await runTool(tool, ["files", "/data"], { directories: [directory] });
      assert.deepEqual([stdout, code], ["one two in here,second", 0]);
      assert.deepEqual(await readdir(folder), ["here"]);
      for (const directories of [[{ ...directory, readOnly: true }], []]) {
        const refused = await runTool(tool, ["files", "/data"], { directories }).catch(
          (error: CytoError) => error.code,
        );
        assert.ok(
          refused === "instance-trapped" || (typeof refused === "object" && refused.code !== 0),
          String(refused),
        );
      }
      assert.deepEqual(await readdir(folder), ["here"]);
    });

    test("lets it sleep", async () => {
      assert.equal((await runTool(tool, ["sleep", "20"])).stdout, "true");
    });

    test("tells it of terminals", async () => {
      assert.equal((await runTool(tool, ["terminal"], { terminal: true })).stdout, "true true");
      assert.equal((await runTool(tool, ["terminal"])).stdout, "false false");
    });

    test("answers its exit code, and after it nothing runs on", async () => {
      // The standard of 0.2 knows success and failure only.
      const expected = name.startsWith("WASI 0.2") ? 1 : 42;
      assert.deepEqual(await runTool(tool, ["exit", "42"]), { code: expected, stdout: "", stderr: "leaving" });
      assert.equal((await runTool(tool, ["exit", "0"])).code, 0);
    });

    if (name === "WASI 0.1, Go") {
      test("a panic is an exit", async () => {
        assert.equal((await runTool(tool, ["trap"])).code, 2);
      });
    } else {
      test("reports a trap", async () => {
        await assert.rejects(runTool(tool, ["trap"]), (error: CytoError) => error.code === "instance-trapped");
      });
    }

    test("ends one that waits when it is told to", async () => {
      const stop = new AbortController();
      const waiting = runTool(tool, ["sleep", "3600000"], { signal: stop.signal });
      setImmediate(() => stop.abort(new CytoError("cancelled", "enough")));
      await assert.rejects(waiting, /enough/);
    });
  });
}

test("runCommand() refuses what is no command, saying what it is", async () => {
  const service = await loadGuest("probe");
  await assert.rejects(runTool(service, []), (error: CytoError) => {
    assert.match(`${error.message} ${error.hint}`, /is no command.*wasi:http\/incoming-handler/s);
    return error.code === "invalid-component";
  });
});
