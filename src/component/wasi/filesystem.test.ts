import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { loadGuest, openGuest } from "../../../test/guests/open.ts";
import { systemClock } from "../../kernel/index.ts";
import type { Component, Grants } from "../contract.ts";
import type { Descriptor } from "./filesystem/descriptor.ts";
import { filesystem } from "./filesystem.ts";
import { createHostState, endState } from "./state.ts";

describe("wasi:filesystem", () => {
  let folder: string;
  let granted: string;
  before(() => {
    folder = fs.mkdtempSync(join(tmpdir(), "wasi-files-"));
    granted = join(folder, "granted");
    fs.mkdirSync(join(granted, "inner/deep"), { recursive: true });
    fs.writeFileSync(join(folder, "secret"), "secret");
    fs.mkdirSync(join(folder, "outside"));
    fs.writeFileSync(join(granted, "plain"), "plain");
    fs.writeFileSync(join(granted, "inner/one"), "one");
    fs.symlinkSync("../secret", join(granted, "up"));
    fs.symlinkSync(join(folder, "secret"), join(granted, "absolute"));
    fs.symlinkSync("../outside", join(granted, "out"));
    fs.symlinkSync("inner", join(granted, "in"));
    fs.symlinkSync("../plain", join(granted, "inner/back"));
    fs.symlinkSync("round", join(granted, "round"));
    execFileSync("mkfifo", [join(granted, "pipe")]);
  });
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  function open(readOnly = false): Disposable & { readonly root: Descriptor; readonly held: () => number } {
    const grants = { service: "s", clock: systemClock, directories: [{ guest: "/data", host: granted, readOnly }] };
    const state = createHostState(grants as unknown as Grants);
    const hosts = filesystem(state.grants, state);
    const [[root, name]] = hosts["wasi:filesystem/preopens"].getDirectories() as [[Descriptor, string]];
    assert.equal(name, "/data");
    return { root, held: () => state.open.size, [Symbol.dispose]: () => endState(state) };
  }

  function read(root: Descriptor, path: string, follow = true): string {
    const file = root.openAt({ symlinkFollow: follow }, path, {}, { read: true });
    try {
      return String(file.read(100n, 0n)[0]);
    } finally {
      file[Symbol.dispose]();
    }
  }

  const refused =
    (...codes: string[]) =>
    (thrown: unknown) => {
      assert.ok(codes.includes(thrown as string), `${thrown} is not one of ${codes}`);
      return true;
    };

  test("finds what lies inside, by any path that stays inside", () => {
    using files = open();
    for (const path of ["plain", "./plain", "inner/../plain", "inner/deep/../../plain", "in/../plain", "in/back"])
      assert.equal(read(files.root, path), "plain", path);
    assert.equal(read(files.root, "in/one"), "one");
    assert.equal(files.root.statAt({}, "in").type, "symbolic-link");
    assert.equal(files.root.statAt({ symlinkFollow: true }, "in").type, "directory");
    assert.equal(files.root.statAt({}, "in/").type, "directory");
    assert.equal(files.root.readlinkAt("in"), "inner");
  });

  const escapes = [
    "/etc/passwd",
    "..",
    "../secret",
    "inner/../../secret",
    "up",
    "absolute",
    "out/x",
    "in/../../secret",
  ];
  for (const path of [...escapes, "out/../secret", "./..//secret", "inner/deep/../../../secret"])
    test(`refuses to leave by ${path}`, () => {
      using files = open();
      const { root } = files;
      const denied = refused("not-permitted");
      assert.throws(() => read(root, path), denied);
      assert.throws(() => root.openAt({ symlinkFollow: true }, path, { create: true }, { write: true }), denied);
      assert.throws(() => root.statAt({ symlinkFollow: true }, path), denied);
      assert.throws(() => root.metadataHashAt({ symlinkFollow: true }, path), denied);
      assert.throws(() => root.linkAt({ symlinkFollow: true }, path, root, "linked"), denied);
      assert.throws(() => root.setTimesAt({ symlinkFollow: true }, path, { tag: "now" }, { tag: "now" }), denied);
      assert.equal(fs.readFileSync(join(folder, "secret"), "utf8"), "secret");
      assert.deepEqual(fs.readdirSync(join(folder, "outside")), []);
    });

  test("never leaves, whatever the path", () => {
    using files = open(true);
    const name = fc.constantFrom(
      "..",
      ".",
      "",
      "inner",
      "deep",
      "in",
      "out",
      "up",
      "absolute",
      "plain",
      "secret",
      "one",
      "back",
    );
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 8 }), fc.boolean(), (names, follow) => {
        try {
          assert.notEqual(read(files.root, names.join("/"), follow), "secret");
        } catch (thrown) {
          assert.equal(typeof thrown, "string", `${thrown}`);
        }
      }),
    );
    assert.equal(files.held(), 1, "nothing stays open behind");
  });

  test("does not follow a last link unless asked, and ends in a circle of them", () => {
    using files = open();
    assert.throws(() => read(files.root, "in/back", false), refused("loop"));
    assert.throws(() => read(files.root, "round"), refused("loop"));
  });

  test("opens files and directories, and nothing that could wait or act", () => {
    using files = open();
    assert.throws(() => read(files.root, "pipe"), refused("not-permitted"));
    assert.equal(files.root.statAt({}, "pipe").type, "fifo");
    assert.throws(() => read(files.root, "none"), refused("no-entry"));
    assert.throws(() => read(files.root, ""), refused("no-entry"));
    assert.throws(() => read(files.root, "a\0b"), refused("invalid"));
    assert.throws(() => read(files.root, "plain/x"), refused("not-directory"));
    assert.throws(() => read(files.root, "x".repeat(300)), refused("name-too-long"));
  });

  test("changes nothing in a grant that is read-only", () => {
    using files = open(true);
    const { root } = files;
    const inner = root.openAt({}, "inner", { directory: true }, { read: true });
    for (const change of [
      () => root.openAt({}, "new", { create: true }, { read: true }),
      () => root.openAt({}, "plain", {}, { write: true }),
      () => root.openAt({}, "plain", { truncate: true }, { read: true }),
      () => inner.openAt({}, "one", {}, { read: true, write: true }),
      () => root.openAt({}, "plain", {}, { read: true }).setSize(0n),
      () => root.openAt({}, "plain", {}, { read: true }).setTimes({ tag: "now" }, { tag: "now" }),
      () => root.setTimesAt({}, "plain", { tag: "now" }, { tag: "now" }),
      () => root.createDirectoryAt("new"),
      () => root.removeDirectoryAt("inner/deep"),
      () => root.unlinkFileAt("plain"),
      () => root.renameAt("plain", root, "other"),
      () => root.linkAt({}, "plain", root, "other"),
      () => root.symlinkAt("plain", "other"),
    ])
      assert.throws(change, refused("read-only"), String(change));
    assert.equal(read(root, "plain"), "plain");
    assert.equal(root.getFlags().mutateDirectory, false);
  });

  test("cannot be carried from a grant that may be changed to one that may not", () => {
    using from = open();
    using to = open(true);
    assert.throws(() => from.root.renameAt("plain", to.root, "other"), refused("read-only"));
    assert.throws(() => from.root.linkAt({}, "plain", to.root, "other"), refused("read-only"));
  });

  test("makes links that stay inside, and no others", () => {
    using files = open();
    for (const target of ["/etc", "..", "../secret", "a/../../secret"])
      assert.throws(() => files.root.symlinkAt(target, "made"), refused("not-permitted"));
    files.root.symlinkAt("plain", "made");
    assert.equal(read(files.root, "made"), "plain");
    assert.throws(() => files.root.readlinkAt("absolute"), refused("not-permitted"));
    files.root.unlinkFileAt("made");
  });

  test("streams, appends, truncates and dates a file", async () => {
    using files = open();
    const { root } = files;
    const file = root.openAt({}, "work", { create: true, exclusive: true }, { read: true, write: true });
    assert.throws(() => root.openAt({}, "work", { create: true, exclusive: true }, { write: true }), refused("exist"));
    file.writeViaStream(2n).write(Buffer.from("cdef"));
    assert.equal(file.write(Buffer.from("ab"), 0n), 2n);
    file.appendViaStream().write(Buffer.from("gh"));
    await file.sync();
    await file.syncData();
    const stream = file.readViaStream(1n);
    assert.equal(String(stream.blockingRead(100n)), "bcdefgh");
    assert.throws(
      () => stream.blockingRead(1n),
      (thrown) => (thrown as { tag: string }).tag === "closed",
    );
    assert.deepEqual(file.read(10n, 100n), [Buffer.alloc(0), true]);
    file.setSize(3n);
    file.setTimes({ tag: "no-change" }, { tag: "timestamp", val: { seconds: 1_000n, nanoseconds: 0 } });
    const { size, type, dataModificationTimestamp } = file.stat();
    assert.deepEqual([size, type, dataModificationTimestamp.seconds], [3n, "regular-file", 1_000n]);
    assert.ok(file.isSameObject(root.openAt({}, "work", {}, { read: true })));
    assert.deepEqual(file.metadataHash(), root.metadataHashAt({}, "work"));
    assert.throws(() => file.write(Buffer.from("x"), 2n ** 60n), refused("file-too-large"));
    root.renameAt("work", root.openAt({}, "inner", {}, { read: true }), "work");
    assert.ok(fs.existsSync(join(granted, "inner/work")));
    root.unlinkFileAt("inner/work");
  });

  test("lists, makes and removes directories, with or without a slash", () => {
    using files = open();
    const { root } = files;
    root.createDirectoryAt("made/");
    assert.throws(() => root.createDirectoryAt("made"), refused("exist"));
    root.createDirectoryAt("made/below");
    assert.throws(() => root.removeDirectoryAt("made"), refused("not-empty"));
    const entries = root.openAt({}, "made", { directory: true }, { read: true }).readDirectory();
    assert.deepEqual(entries.readDirectoryEntry(), { type: "directory", name: "below" });
    assert.equal(entries.readDirectoryEntry(), undefined);
    root.removeDirectoryAt("made/below/");
    root.removeDirectoryAt("made");
  });

  test("holds a bounded number of files, and closes all with the instance", () => {
    const files = open();
    const opened: Descriptor[] = [];
    assert.throws(() => {
      for (;;) opened.push(files.root.openAt({}, "plain", {}, { read: true }));
    }, refused("quota"));
    opened[0]![Symbol.dispose]();
    assert.throws(() => opened[0]!.stat(), refused("bad-descriptor"));
    opened[0]![Symbol.dispose]();
    files[Symbol.dispose]();
    assert.equal(files.held(), 0);
    assert.throws(() => files.root.statAt({}, "plain"), refused("bad-descriptor"));
  });

  test("says which granted directory is not there", () => {
    const grants = { service: "s", directories: [{ guest: "/data", host: join(folder, "none"), readOnly: true }] };
    const state = createHostState(grants as unknown as Grants);
    const { getDirectories } = filesystem(state.grants, state)["wasi:filesystem/preopens"];
    assert.throws(() => getDirectories(), /Cannot open directory \/data of service s/);
  });

  describe("through a standard library", () => {
    let system: Component;
    before(async () => {
      system = await loadGuest("system");
    });
    const grant = (readOnly: boolean) => ({ directories: [{ guest: "/data", host: granted, readOnly }] });

    test("does what real programs do", async () => {
      using guest = openGuest(system, grant(false));
      assert.deepEqual((await guest.text("/program?in=/data")).split("\n"), [
        "one and more",
        "3 true true",
        '["two.txt"] false',
        "Err(Uncategorized)", // Rust's word for `not-empty` on WASI
        "Err(AlreadyExists)",
        "",
      ]);
      assert.equal(await guest.text("/fill?path=/data/large"), "Ok(true)");
      assert.equal(fs.statSync(join(granted, "large")).size, 3_000_000);
      fs.unlinkSync(join(granted, "large"));
    });

    test("is kept inside, and from changing what it may only read", async () => {
      using guest = openGuest(system, grant(true));
      assert.equal(await guest.text("/read?path=/data/plain"), 'Ok("plain")');
      assert.equal(await guest.text("/write?path=/data/plain"), "Err(ReadOnlyFilesystem)");
      for (const path of ["/data/up", "/data/absolute", "/data/out/x"])
        assert.equal(await guest.text(`/read?path=${path}`), "Err(PermissionDenied)", path);
      for (const path of ["/etc/passwd", "/data/../secret"])
        assert.match(
          await guest.text(`/read?path=${path}`),
          /^Err\((PermissionDenied|NotFound|Uncategorized)\)$/,
          path,
        );
      using without = openGuest(system);
      assert.match(await without.text("/read?path=/data/plain"), /^Err/);
    });
  });
});
