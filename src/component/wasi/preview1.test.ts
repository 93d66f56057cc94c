import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { grantsOf } from "../../../test/guests/open.ts";
import type { Grants } from "../contract.ts";
import { right } from "./preview1/table.ts";
import { preview1 } from "./preview1.ts";
import { createHostState, endState, type HostState } from "./state.ts";
import { standardIo } from "./stdio.ts";

const errno = {
  success: 0,
  badf: 8,
  exist: 20,
  fault: 21,
  ilseq: 25,
  inval: 28,
  noent: 44,
  notsock: 57,
  perm: 63,
  rofs: 69,
  again: 6,
  notcapable: 76,
};
/** Which of a function's values are i64. */
const wide: Readonly<Record<string, readonly number[]>> = {
  clock_time_get: [1],
  fd_advise: [1, 2],
  fd_allocate: [1, 2],
  fd_fdstat_set_rights: [1, 2],
  fd_filestat_set_size: [1],
  fd_filestat_set_times: [1, 2],
  fd_pread: [3],
  fd_pwrite: [3],
  fd_readdir: [3],
  fd_seek: [1],
  path_filestat_set_times: [4, 5],
  path_open: [5, 6],
};
const names = `
  args_get args_sizes_get clock_res_get clock_time_get environ_get environ_sizes_get fd_advise
  fd_allocate fd_close fd_datasync fd_fdstat_get fd_fdstat_set_flags fd_fdstat_set_rights
  fd_filestat_get fd_filestat_set_size fd_filestat_set_times fd_pread fd_prestat_dir_name
  fd_prestat_get fd_pwrite fd_read fd_readdir fd_renumber fd_seek fd_sync fd_tell fd_write
  path_create_directory path_filestat_get path_filestat_set_times path_link path_open path_readlink
  path_remove_directory path_rename path_symlink path_unlink_file poll_oneoff proc_exit proc_raise
  random_get sched_yield sock_accept sock_recv sock_send sock_shutdown`
  .trim()
  .split(/\s+/);
const everything = (1n << 30n) - 1n;
const bytes = Buffer.from;

/** A program without code: a memory, and the functions that it would import. */
class Guest {
  readonly memory = new WebAssembly.Memory({ initial: 2 });
  readonly state: HostState;
  readonly functions: ReturnType<typeof preview1>["wasi_snapshot_preview1"];
  #next = 1_024;

  constructor(given: Partial<Grants>) {
    const grants = grantsOf([], given);
    this.state = createHostState(grants);
    this.functions = preview1(grants, this.state, standardIo(grants, this.state)).wasi_snapshot_preview1;
  }

  call(name: string, ...values: (number | bigint)[]): number | Promise<number> {
    return (this.functions[name] as (...values: unknown[]) => number | Promise<number>)(this.memory, ...values);
  }

  /** Where bytes lie in its memory, and how many. */
  put(content: string | Uint8Array): [pointer: number, length: number] {
    const data = bytes(content as string);
    const pointer = this.room(data.length);
    new Uint8Array(this.memory.buffer).set(data, pointer);
    return [pointer, data.length];
  }

  room(length: number): number {
    const pointer = this.#next;
    this.#next += Math.ceil((length + 1) / 8) * 8;
    return pointer;
  }

  u32(pointer: number): number {
    return this.#view().getUint32(pointer, true);
  }

  u64(pointer: number): bigint {
    return this.#view().getBigUint64(pointer, true);
  }

  text(pointer: number, length: number): string {
    return bytes(this.memory.buffer, pointer, length).toString();
  }

  open(path: string, how = 0, rights = everything, flags = 0): number {
    const out = this.room(4);
    const answer = this.call("path_open", 3, 1, ...this.put(path), how, rights, 0n, flags, out);
    if (answer !== errno.success) throw answer;
    return this.u32(out);
  }

  /** An array of one `iovec`. */
  vector(pointer: number, length: number): [number, number] {
    const vector = this.room(8);
    this.#view().setUint32(vector, pointer, true);
    this.#view().setUint32(vector + 4, length, true);
    return [vector, 1];
  }

  #view(): DataView {
    return new DataView(this.memory.buffer);
  }
}

describe("wasi_snapshot_preview1", () => {
  let folder: string;
  let guest: Guest;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cyto-preview1-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    await rm(join(folder, "in"), { recursive: true, force: true });
    await mkdir(join(folder, "in"));
    await writeFile(join(folder, "secret"), "secret");
    guest = new Guest({ directories: [{ guest: "/", host: join(folder, "in"), readOnly: false }] });
  });
  afterEach(() => endState(guest.state));

  test("has every function of the standard", () => {
    assert.equal(names.length, 46);
    for (const name of names) assert.equal(typeof guest.functions[name], "function", name);
    assert.equal(guest.functions.toString, undefined, "and nothing else");
  });

  test("answers fault for a pointer outside of memory, wherever it stands", () => {
    const outside = 2 * 65_536 - 3;
    assert.equal(guest.call("args_sizes_get", outside, 0), errno.fault);
    assert.equal(guest.call("random_get", outside, 8), errno.fault);
    assert.equal(guest.call("fd_fdstat_get", 3, -1), errno.fault);
    assert.equal(guest.call("fd_write", 1, outside, 1, 0), errno.fault);
    assert.equal(guest.call("fd_write", 1, ...guest.vector(0, 0xffff_ffff), 0), errno.fault);
    assert.equal(guest.call("path_create_directory", 3, 0, -1), errno.fault);
    assert.equal(guest.call("poll_oneoff", 0, outside, 1, 0), errno.fault);
    assert.equal(guest.call("path_create_directory", 3, ...guest.put(Uint8Array.of(0xff))), errno.ilseq);
  });

  test("answers, whatever it is called with", () => {
    const called = names.filter((name) => name !== "proc_exit" && name !== "poll_oneoff");
    const number = fc.oneof(fc.integer({ min: -1, max: 8 }), fc.integer({ min: 0, max: 131_072 }), fc.integer());
    fc.assert(
      fc.property(fc.constantFrom(...called), fc.array(number, { minLength: 10, maxLength: 10 }), (name, values) => {
        const answer = guest.call(
          name,
          ...values.map((value, at) => (wide[name]?.includes(at) ? BigInt(value) : value)),
        );
        assert.ok(answer instanceof Promise || (Number.isInteger(answer) && answer >= 0 && answer <= 76));
      }),
      { numRuns: 3_000 },
    );
  });

  test("reads, writes, seeks and appends as a file does", () => {
    const fd = guest.open("file", 1);
    const out = guest.room(8);
    assert.equal(guest.call("fd_write", fd, ...guest.vector(...guest.put("hello")), out), errno.success);
    assert.equal(guest.u32(out), 5);
    assert.equal(guest.call("fd_seek", fd, -4n, 2, out), errno.success);
    assert.equal(guest.u64(out), 1n);
    assert.equal(guest.call("fd_seek", fd, -2n, 1, out), errno.inval, "before the beginning");
    const target = guest.room(8);
    assert.equal(guest.call("fd_read", fd, ...guest.vector(target, 8), out), errno.success);
    assert.equal(guest.text(target, guest.u32(out)), "ello");
    const appending = guest.open("file", 0, right.write, 1);
    assert.equal(guest.call("fd_write", appending, ...guest.vector(...guest.put("!")), out), errno.success);
    assert.equal(guest.call("fd_read", appending, ...guest.vector(target, 8), out), errno.notcapable);
    assert.equal(guest.call("fd_pread", fd, ...guest.vector(target, 8), 4n, out), errno.success);
    assert.equal(guest.text(target, guest.u32(out)), "o!");
  });

  test("lists a directory by cookies, and says by a cut entry that there is more", async () => {
    await Promise.all(["a", "bb", "ccc"].map((name) => writeFile(join(folder, "in", name), "")));
    const [buffer, out] = [guest.room(256), guest.room(4)];
    const names: string[] = [];
    for (let cookie = 0n, more = true; more; ) {
      assert.equal(guest.call("fd_readdir", 3, buffer, 60, cookie, out), errno.success);
      more = guest.u32(out) === 60;
      for (let at = buffer; at + 24 + guest.u32(at + 16) <= buffer + guest.u32(out); at += 24 + guest.u32(at + 16)) {
        names.push(guest.text(at + 24, guest.u32(at + 16)));
        cookie = guest.u64(at);
      }
    }
    assert.deepEqual(names.sort(), [".", "..", "a", "bb", "ccc"]);
  });

  test("reaches nothing outside of its directories", async () => {
    await symlink(join(folder, "secret"), join(folder, "in", "absolute"));
    await symlink("../secret", join(folder, "in", "relative"));
    await mkdir(join(folder, "in", "deep"));
    const paths = [
      "../secret",
      "/secret",
      `${folder}/secret`,
      "deep/../../secret",
      "absolute",
      "relative",
      "./relative",
    ];
    const out = guest.room(64);
    for (const path of paths) {
      assert.throws(
        () => guest.open(path),
        (answer) => answer === errno.perm,
        path,
      );
      assert.equal(guest.call("path_filestat_get", 3, 1, ...guest.put(path), out), errno.perm, path);
    }
    assert.equal(guest.call("path_symlink", ...guest.put("../secret"), 3, ...guest.put("link")), errno.perm);
    assert.equal(guest.call("path_rename", 3, ...guest.put("deep"), 3, ...guest.put("../deep")), errno.perm);
    assert.equal(guest.call("path_link", 3, 1, ...guest.put("relative"), 3, ...guest.put("mine")), errno.perm);
    assert.deepEqual((await readdir(folder)).sort(), ["in", "secret"]);
    assert.equal(String(await readFile(join(folder, "secret"))), "secret");
  });

  test("changes nothing in a read-only directory", async () => {
    await writeFile(join(folder, "in", "file"), "as it was");
    const reading = new Guest({ directories: [{ guest: "/", host: join(folder, "in"), readOnly: true }] });
    const refused = (answer: unknown) => answer === errno.rofs;
    assert.throws(() => reading.open("file"), refused);
    assert.throws(() => reading.open("new", 1, right.read), refused);
    assert.throws(() => reading.open("file", 8, right.read), refused);
    assert.equal(reading.call("path_unlink_file", 3, ...reading.put("file")), errno.rofs);
    assert.equal(reading.call("path_filestat_set_times", 3, 0, ...reading.put("file"), 0n, 0n, 10), errno.rofs);
    const fd = reading.open("file", 0, right.read);
    assert.equal(reading.call("fd_filestat_set_times", fd, 0n, 0n, 10), errno.rofs);
    endState(reading.state);
    assert.deepEqual(await readdir(join(folder, "in")), ["file"]);
  });

  test("lets rights shrink only", () => {
    const fd = guest.open("file", 1);
    const out = guest.room(8);
    assert.equal(guest.call("fd_fdstat_set_rights", fd, right.read, 0n), errno.success);
    assert.equal(guest.call("fd_write", fd, ...guest.vector(...guest.put("x")), out), errno.notcapable);
    assert.equal(guest.call("fd_fdstat_set_rights", fd, right.read | right.write, 0n), errno.notcapable);
  });

  test("tells times to the nanosecond as they were set", () => {
    const fd = guest.open("file", 1);
    const out = guest.room(64);
    const times = [1_795_574_509_127_808_571n, 1_795_574_509_127_808_570n] as const;
    assert.equal(guest.call("fd_filestat_set_times", fd, ...times, 5), errno.success);
    assert.equal(guest.call("path_filestat_get", 3, 0, ...guest.put("file"), out), errno.success);
    assert.deepEqual([guest.u64(out + 40), guest.u64(out + 48)], times);
  });

  test("waits for input, and not when the program says so", async () => {
    const asked = Promise.withResolvers<Uint8Array | undefined>();
    const stdin = { terminal: true, pull: () => asked.promise, cancel: () => {} };
    const waiting = new Guest({ stdio: { stdin } });
    const [target, out] = [waiting.room(8), waiting.room(8)];
    assert.equal(waiting.call("fd_fdstat_set_flags", 0, 4), errno.success);
    assert.equal(waiting.call("fd_read", 0, ...waiting.vector(target, 8), out), errno.again);
    assert.equal(waiting.call("fd_fdstat_set_flags", 0, 0), errno.success);
    const reading = waiting.call("fd_read", 0, ...waiting.vector(target, 8), out);
    assert.ok(reading instanceof Promise);
    waiting.memory.grow(1);
    asked.resolve(bytes("now"));
    assert.equal(await reading, errno.success);
    assert.equal(waiting.text(target, waiting.u32(out)), "now", "written to the memory as it is then");
  });

  test("polls clocks and descriptors, each with its own answer", async () => {
    const stdin = { terminal: false, pull: () => new Promise<never>(() => {}), cancel: () => {} };
    const polling = new Guest({ stdio: { stdin } });
    const [from, to, out] = [polling.room(4 * 48), polling.room(4 * 32), polling.room(4)];
    const subscribe = (index: number, kind: number, fd: number, timeout = 0n) => {
      const struct = new DataView(polling.memory.buffer, from + index * 48, 48);
      struct.setBigUint64(0, BigInt(index + 100), true);
      struct.setUint8(8, kind);
      struct.setUint32(16, fd, true);
      struct.setBigUint64(24, timeout, true);
    };
    const events = async (count: number) => {
      assert.equal(await polling.call("poll_oneoff", from, to, count, out), errno.success);
      return Array.from({ length: polling.u32(out) }, (_, index) => [
        Number(polling.u64(to + index * 32)),
        polling.u32(to + index * 32 + 8) & 0xffff,
      ]);
    };
    subscribe(0, 1, 0);
    subscribe(1, 0, 1, 2_000_000n);
    assert.deepEqual(await events(2), [[101, errno.success]], "input never comes, the clock does");
    subscribe(1, 2, 1);
    subscribe(2, 1, 77);
    subscribe(3, 9, 0);
    assert.deepEqual(await events(4), [
      [101, errno.success],
      [102, errno.badf],
      [103, errno.inval],
    ]);
    assert.equal(polling.call("poll_oneoff", from, to, 0, out), errno.inval);
  });

  test("knows no socket", () => {
    assert.equal(guest.call("sock_shutdown", 1, 0), errno.notsock);
    assert.equal(guest.call("sock_accept", 77, 0, 0), errno.badf);
  });

  test("runs nothing once its instance has ended", () => {
    endState(guest.state);
    assert.throws(() => guest.call("sched_yield"), /the instance has ended/);
  });
});
