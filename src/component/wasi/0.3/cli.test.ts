import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Grants, StandardStreams } from "../../contract.ts";
import { createStreamPipe } from "../../stream-pipe.ts";
import { cli as cli02 } from "../cli.ts";
import { createHostState } from "../state.ts";
import { standardIo } from "../stdio.ts";
import { cli } from "./cli.ts";

function hosts(stdio?: StandardStreams) {
  const lines: string[] = [];
  const grants = {
    service: "s",
    args: ["s", "a"],
    environment: [["A", "1"]],
    log: (level: string, context: string, line: string) => lines.push(`${level} ${context} ${line}`),
    ...(stdio && { stdio }),
  } as unknown as Grants;
  const state = createHostState(grants);
  const standard = cli02(grants, standardIo(grants, state));
  return { lines, state, standard, ...cli(standard) };
}

describe("wasi:cli 0.3", () => {
  test("writes where 0.2 writes, in order, and settles when all is written", async () => {
    const { lines, standard, "wasi:cli/stdout@0.3": stdout, "wasi:cli/stderr@0.3": stderr } = hosts();
    const { reader, write, end } = createStreamPipe<Uint8Array>();
    const written = stdout.writeViaStream(reader);
    await write(Buffer.from("one\ntw"));
    standard["wasi:cli/stdout"].getStdout().write(Buffer.from("o\n"));
    await write(Buffer.from("three\n"));
    end();
    assert.deepEqual(await written, { tag: "ok" });
    const wrong = createStreamPipe<Uint8Array>();
    const told = stderr.writeViaStream(wrong.reader);
    await wrong.write(Buffer.from("oh\n"));
    wrong.end();
    await told;
    assert.deepEqual(lines, ["info stdout one", "info stdout two", "info stdout three", "error stderr oh"]);
  });

  test("waits for a slow reader, and tells of one that has gone", async () => {
    const room = Promise.withResolvers<undefined>();
    let taken = 0;
    const { "wasi:cli/stdout@0.3": stdout } = hosts({
      stdout: { terminal: false, write: () => (taken++ === 0 ? room.promise : Promise.reject(new Error("EPIPE"))) },
    });
    const { reader, write } = createStreamPipe<Uint8Array>();
    const written = stdout.writeViaStream(reader);
    await write(Buffer.from("first"));
    const second = write(Buffer.from("second"));
    await new Promise(setImmediate);
    assert.equal(taken, 1);
    room.resolve(undefined);
    await second;
    assert.equal(await write(Buffer.from("third")), false);
    assert.deepEqual(await written, { tag: "err", val: "io" });
  });

  test("reads standard input to its end; dropped or empty, it ends well", async () => {
    const input = ["a", "b"].map((text) => Buffer.from(text));
    const stdin = { terminal: false, pull: async () => input.shift(), cancel: () => {} };
    const { "wasi:cli/stdin@0.3": given } = hosts({ stdin });
    const [stream, outcome] = given.readViaStream();
    assert.equal(String(await stream.pull()), "a");
    assert.equal(String(await stream.pull()), "b");
    assert.equal(await stream.pull(), undefined);
    assert.deepEqual(await outcome, { tag: "ok" });

    const [dropped, left] = hosts()["wasi:cli/stdin@0.3"].readViaStream();
    dropped.cancel();
    assert.deepEqual(await left, { tag: "ok" });
    const [empty, ended] = hosts()["wasi:cli/stdin@0.3"].readViaStream();
    assert.equal(await empty.pull(), undefined);
    assert.deepEqual(await ended, { tag: "ok" });
  });

  test("tells of input that fails", async () => {
    const stdin = { terminal: false, pull: () => Promise.reject(new Error("EIO")), cancel: () => {} };
    const [stream, outcome] = hosts({ stdin })["wasi:cli/stdin@0.3"].readViaStream();
    assert.equal(await stream.pull(), undefined);
    assert.deepEqual(await outcome, { tag: "err", val: "io" });
  });

  test("has the environment, the arguments and the exit of 0.2", () => {
    const { "wasi:cli/environment@0.3": environment, "wasi:cli/exit@0.3": exit } = hosts();
    assert.deepEqual(environment.getEnvironment(), [["A", "1"]]);
    assert.deepEqual(environment.getArguments(), ["s", "a"]);
    assert.equal(environment.getInitialCwd(), undefined);
    assert.throws(() => exit.exitWithCode(3), /exit\(3\)/);
  });
});
