import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { loadGuest, openGuest } from "../../../../test/guests/open.ts";
import { systemClock } from "../../../kernel/index.ts";
import type { Grants, StreamSource } from "../../contract.ts";
import { createStreamPipe } from "../../stream-pipe.ts";
import { createHostState, endState } from "../state.ts";
import { type Descriptor, filesystem } from "./filesystem.ts";

describe("wasi:filesystem 0.3", () => {
  let folder: string;
  before(() => {
    folder = fs.mkdtempSync(join(tmpdir(), "wasi-files-3-"));
    fs.mkdirSync(join(folder, "inner"));
    fs.writeFileSync(join(folder, "plain"), "plain");
    fs.writeFileSync(join(folder, "large"), Buffer.alloc(300_000, "l"));
    for (let count = 0; count < 150; count++) fs.writeFileSync(join(folder, `inner/${count}`), "");
  });
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  function open(readOnly = false): Disposable & { readonly root: Descriptor; readonly held: () => number } {
    const grants = { service: "s", clock: systemClock, directories: [{ guest: "/data", host: folder, readOnly }] };
    const state = createHostState(grants as unknown as Grants);
    const [[root, name]] = filesystem(state.grants, state)["wasi:filesystem/preopens@0.3"].getDirectories() as [
      [Descriptor, string],
    ];
    assert.equal(name, "/data");
    return { root, held: () => state.open.size, [Symbol.dispose]: () => endState(state) };
  }

  async function gather<C extends ArrayLike<unknown>>(source: StreamSource<C>): Promise<C[]> {
    const chunks: C[] = [];
    for (let chunk = await source.pull(); chunk !== undefined; chunk = await source.pull()) chunks.push(chunk);
    return chunks;
  }

  const refused = (tag: string) => (thrown: unknown) => {
    assert.equal((thrown as { tag: string }).tag, tag);
    return true;
  };

  test("streams a file from any place on, also when its descriptor was dropped", async () => {
    using files = open(true);
    const file = files.root.openAt({}, "large", {}, { read: true });
    const [stream, outcome] = file.readViaStream(100_000n);
    file[Symbol.dispose]();
    assert.equal(files.held(), 2);
    const bytes = Buffer.concat(await gather(stream));
    assert.ok(bytes.equals(Buffer.alloc(200_000, "l")));
    assert.deepEqual(await outcome, { tag: "ok" });
    assert.equal(files.held(), 1, "the file is closed with its last stream");
    const again = files.root.openAt({}, "plain", {}, { read: true });
    const [past] = again.readViaStream(1_000n);
    assert.deepEqual(await gather(past), []);
    const [, left] = again.readViaStream(0n);
    const [negative, failed] = again.readViaStream(2n ** 64n - 1n);
    assert.deepEqual(await gather(negative), []);
    assert.deepEqual(await failed, { tag: "err", val: { tag: "invalid" } });
    const [dropped, ended] = again.readViaStream(0n);
    dropped.cancel();
    assert.deepEqual(await ended, { tag: "ok" });
    assert.equal(await Promise.race([left, "open"]), "open");
  });

  test("writes and appends what a stream brings, and says when it cannot", async () => {
    using files = open();
    const file = files.root.openAt({}, "new", { create: true }, { read: true });
    assert.deepEqual(file.getFlags(), { read: true, write: true });
    for (const [text, start] of [
      ["hello", (data: Parameters<Descriptor["appendViaStream"]>[0]) => file.writeViaStream(data, 0n)],
      [" there", (data: Parameters<Descriptor["appendViaStream"]>[0]) => file.appendViaStream(data)],
      ["J", (data: Parameters<Descriptor["appendViaStream"]>[0]) => file.writeViaStream(data, 0n)],
    ] as const) {
      const { reader, write, end } = createStreamPipe<Uint8Array>();
      const outcome = start(reader);
      for (const letter of text) assert.equal(await write(Buffer.from(letter)), true);
      end();
      assert.deepEqual(await outcome, { tag: "ok" });
    }
    assert.equal(fs.readFileSync(join(folder, "new"), "utf8"), "Jello there");
    const readable = files.root.openAt({}, "plain", {}, { read: true });
    const { reader, write } = createStreamPipe<Uint8Array>();
    const outcome = readable.writeViaStream(reader, 0n);
    await write(Buffer.from("x"));
    assert.deepEqual(await outcome, { tag: "err", val: { tag: "bad-descriptor" } });
    assert.equal(await write(Buffer.from("y")), false, "the reader has gone");
    files.root.unlinkFileAt("new");
  });

  test("lists a directory in pieces", async () => {
    using files = open(true);
    const inner = files.root.openAt({}, "inner", { directory: true }, { read: true });
    const [stream, outcome] = inner.readDirectory();
    const names = (await gather(stream)).flat();
    assert.equal(names.length, 150);
    assert.deepEqual(names[0]!.type, { tag: "regular-file" });
    assert.deepEqual(await outcome, { tag: "ok" });
    const file = files.root.openAt({}, "plain", {}, {});
    const [, failed] = file.readDirectory();
    const [nothing, told] = file.readDirectory();
    assert.deepEqual(await gather(nothing), []);
    assert.deepEqual(await told, { tag: "err", val: { tag: "not-directory" } });
    assert.equal(await Promise.race([failed, "open"]), "open");
  });

  test("changes nothing through a directory that was opened to be read, nor under a read-only grant", () => {
    using files = open();
    const inner = files.root.openAt({}, "inner", {}, { read: true });
    const denied = refused("read-only");
    assert.throws(() => inner.createDirectoryAt("x"), denied);
    assert.throws(() => inner.unlinkFileAt("1"), denied);
    assert.throws(() => inner.openAt({}, "x", { create: true }, {}), denied);
    assert.throws(() => inner.openAt({}, "1", {}, { write: true }), denied);
    assert.throws(() => files.root.renameAt("plain", inner, "x"), denied);
    assert.throws(() => files.root.linkAt({}, "plain", inner, "x"), denied);
    using grant = open(true);
    assert.throws(() => grant.root.createDirectoryAt("x"), denied);
    assert.equal(fs.existsSync(join(folder, "inner/x")), false);
  });

  test("answers in the words of 0.3", async () => {
    using files = open();
    const { root } = files;
    assert.deepEqual(root.getType(), { tag: "directory" });
    assert.deepEqual(root.stat().type, { tag: "directory" });
    assert.throws(() => root.statAt({}, "absent"), refused("no-entry"));
    assert.throws(() => root.openAt({}, "../secret", {}, {}), refused("not-permitted"));
    assert.throws(() => root.advise(), refused("bad-descriptor"));
    const file = root.openAt({}, "plain", {}, {});
    file.advise();
    assert.deepEqual(file.getFlags(), { read: true, write: false });
    assert.throws(() => file.setSize(1n), refused("invalid"));
    assert.equal(file.isSameObject(root.openAt({}, "./plain", {}, {})), true);
    assert.deepEqual(file.metadataHash(), root.metadataHashAt({}, "plain"));
    await file.sync();
    file[Symbol.dispose]();
    await assert.rejects(async () => file.syncData(), refused("bad-descriptor"));
  });

  test("carries files and directories to a guest and back", async () => {
    const directories = [{ guest: "/", host: folder, readOnly: false }];
    using guest = openGuest(await loadGuest("handler"), { directories });
    assert.equal(await guest.text("/write?path=written&chunks=5"), `${5 * 65_536 + 3}`);
    assert.equal(fs.statSync(join(folder, "written")).size, 5 * 65_536 + 3);
    assert.equal(await guest.text("/read?path=written&from=65536"), `${4 * 65_536 + 3} end`);
    assert.match(await guest.text("/list?path=."), /DescriptorType::Directory inner, .*RegularFile written$/);
    assert.equal((await guest.text("/list?path=inner")).split(", ").length, 150);
    assert.equal(await guest.text("/read?path=absent"), "ErrorCode::NoEntry");
    assert.equal(await guest.text("/write?path=../out&chunks=1"), "ErrorCode::NotPermitted");
    fs.unlinkSync(join(folder, "written"));
  });
});
