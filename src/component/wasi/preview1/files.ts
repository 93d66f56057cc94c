/** The functions of WASI 0.1 on an open descriptor: `fd_…`. */
import type { DescriptorStat, DescriptorType, NewTimestamp } from "../filesystem/descriptor.ts";
import { InputStream, type OutputStream } from "../io.ts";
import type { GuestMemory } from "./memory.ts";
import { type DescriptorTable, type OpenDirectory, type OpenFile, type OpenStream, right } from "./table.ts";

/** `fdflags`: the first three may change while a file is open. */
export const flag = { append: 1, dsync: 2, nonblock: 4, rsync: 8, sync: 16 } as const;
const changeable = flag.append | flag.nonblock;

/** `fstflags`. */
const setTo = { access: 1, accessNow: 2, modification: 4, modificationNow: 8 } as const;

export const fileTypes: Readonly<Record<DescriptorType, number>> = {
  unknown: 0,
  "block-device": 1,
  "character-device": 2,
  directory: 3,
  "regular-file": 4,
  socket: 6,
  "symbolic-link": 7,
  fifo: 0,
};

const whences = { set: 0, current: 1, end: 2 } as const;
const adviceMax = 5;
const direntBytes = 24;
const maxPosition = BigInt(Number.MAX_SAFE_INTEGER);

export function fileFunctions(table: () => DescriptorTable) {
  return {
    fd_advise(_: GuestMemory, fd: number, offset: bigint, length: bigint, advice: number): void {
      table().file(fd, right.advise);
      if (advice >>> 0 > adviceMax || offset < 0n || length < 0n) throw "invalid";
    },

    /** Space is not reserved on the host, so that nothing is promised: a file is only made as long. */
    fd_allocate(_: GuestMemory, fd: number, offset: bigint, length: bigint): void {
      const { file } = table().file(fd, right.allocate);
      if (offset < 0n || length <= 0n) throw "invalid";
      const size = offset + length;
      if (size > file.stat().size) file.setSize(size);
    },

    fd_close(_: GuestMemory, fd: number): void {
      table().close(fd);
    },

    fd_datasync(_: GuestMemory, fd: number): void | Promise<void> {
      const opened = table().get(fd, right.datasync);
      if (opened.kind === "file" || opened.kind === "directory") return opened.file.syncData();
    },

    fd_sync(_: GuestMemory, fd: number): void | Promise<void> {
      const opened = table().get(fd, right.sync);
      if (opened.kind === "file" || opened.kind === "directory") return opened.file.sync();
    },

    fd_fdstat_get(memory: GuestMemory, fd: number, out: number): void {
      const opened = table().get(fd);
      const struct = memory.struct(out, 24);
      struct.setUint8(0, fileTypes[typeOf(opened)]);
      struct.setUint16(2, opened.flags, true);
      struct.setBigUint64(8, opened.base, true);
      struct.setBigUint64(16, opened.inheriting, true);
    },

    fd_fdstat_set_flags(_: GuestMemory, fd: number, flags: number): void {
      const opened = table().get(fd, right.setFlags);
      if (((flags ^ opened.flags) & ~changeable) !== 0) throw "unsupported";
      opened.flags = flags;
    },

    fd_fdstat_set_rights(_: GuestMemory, fd: number, base: bigint, inheriting: bigint): void {
      const opened = table().get(fd);
      const [asked, passedOn] = [BigInt.asUintN(64, base), BigInt.asUintN(64, inheriting)];
      if ((asked & ~opened.base) !== 0n || (passedOn & ~opened.inheriting) !== 0n) throw "not-capable";
      opened.base = asked;
      opened.inheriting = passedOn;
    },

    fd_filestat_get(memory: GuestMemory, fd: number, out: number): void {
      const opened = table().get(fd, right.stat);
      if (opened.kind === "file" || opened.kind === "directory")
        writeStat(memory, out, opened.file.stat(), opened.file.objectId());
      else writeStat(memory, out, streamStat(opened), 0n);
    },

    fd_filestat_set_size(_: GuestMemory, fd: number, size: bigint): void {
      table().file(fd, right.setSize).file.setSize(BigInt.asUintN(64, size));
    },

    fd_filestat_set_times(_: GuestMemory, fd: number, access: bigint, modification: bigint, flags: number): void {
      const opened = table().get(fd, right.setTimes);
      if (opened.kind !== "file" && opened.kind !== "directory") throw "bad-descriptor";
      opened.file.setTimes(...newTimes(access, modification, flags));
    },

    fd_pread(memory: GuestMemory, fd: number, vectors: number, count: number, offset: bigint, out: number): void {
      const { file } = table().file(fd, right.read | right.seek);
      memory.setU32(out, readAt(file, memory.vectors(vectors, count), BigInt.asUintN(64, offset)));
    },

    fd_pwrite(memory: GuestMemory, fd: number, vectors: number, count: number, offset: bigint, out: number): void {
      const { file } = table().file(fd, right.write | right.seek);
      memory.setU32(out, writeAt(file, memory.vectors(vectors, count), BigInt.asUintN(64, offset)));
    },

    fd_prestat_get(memory: GuestMemory, fd: number, out: number): void {
      const name = grantedName(table(), fd);
      const struct = memory.struct(out, 8);
      struct.setUint8(0, 0);
      struct.setUint32(4, name.length, true);
    },

    fd_prestat_dir_name(memory: GuestMemory, fd: number, out: number, length: number): void {
      const name = grantedName(table(), fd);
      if (length >>> 0 < name.length) throw "name-too-long";
      memory.bytes(out, name.length).set(name);
    },

    fd_read(memory: GuestMemory, fd: number, vectors: number, count: number, out: number): void | Promise<void> {
      const opened = table().get(fd, right.read);
      if (opened.kind === "directory") throw "is-directory";
      if (opened.kind === "file") {
        const length = readAt(opened.file, memory.vectors(vectors, count), BigInt(opened.position));
        opened.position += length;
        return memory.setU32(out, length);
      }
      const room = memory.vectors(vectors, count).reduce((sum, { length }) => sum + length, 0);
      const deliver = (bytes: Uint8Array) => memory.setU32(out, scatter(bytes, memory.vectors(vectors, count)));
      const taken = room === 0 ? nothing : readStream(opened, room);
      return taken instanceof Promise ? taken.then(deliver) : deliver(taken);
    },

    fd_readdir(memory: GuestMemory, fd: number, buffer: number, length: number, cookie: bigint, out: number): void {
      const directory = table().directory(fd, right.readDirectory);
      const room = memory.bytes(buffer, length);
      let used = 0;
      for (let index = Number(BigInt.asUintN(64, cookie)); used < room.length; index++) {
        const entry = entryAt(directory, index);
        if (entry === undefined) break;
        // An entry that is cut off says that there are more.
        used += copyInto(room, used, entry);
      }
      memory.setU32(out, used);
    },

    fd_renumber(_: GuestMemory, from: number, to: number): void {
      table().renumber(from, to);
    },

    fd_seek(memory: GuestMemory, fd: number, offset: bigint, whence: number, out: number): void {
      const opened = table().file(fd, right.seek);
      const from = whence === whences.set ? 0n : whence === whences.current ? BigInt(opened.position) : undefined;
      if (from === undefined && whence !== whences.end) throw "invalid";
      const target = (from ?? opened.file.stat().size) + offset;
      if (target < 0n) throw "invalid";
      if (target > maxPosition) throw "overflow";
      opened.position = Number(target);
      memory.setU64(out, target);
    },

    fd_tell(memory: GuestMemory, fd: number, out: number): void {
      memory.setU64(out, BigInt(table().file(fd, right.tell).position));
    },

    fd_write(memory: GuestMemory, fd: number, vectors: number, count: number, out: number): void | Promise<void> {
      const opened = table().get(fd, right.write);
      if (opened.kind === "directory") throw "is-directory";
      const buffers = memory.vectors(vectors, count);
      if (opened.kind === "file") {
        const at = (opened.flags & flag.append) !== 0 ? opened.file.stat().size : BigInt(opened.position);
        const length = writeAt(opened.file, buffers, at);
        opened.position = Number(at) + length;
        return memory.setU32(out, length);
      }
      // Copied: the stream keeps it after the guest has gone on.
      const bytes = Buffer.concat(buffers);
      const written = (opened.stream as OutputStream).blockingWriteAndFlush(bytes);
      const answer = () => memory.setU32(out, bytes.length);
      return written instanceof Promise ? written.then(answer) : answer();
    },
  };
}

const nothing = new Uint8Array(0);

function typeOf(opened: OpenStream | OpenFile | OpenDirectory): DescriptorType {
  if (opened.kind === "file") return opened.type;
  if (opened.kind === "directory") return "directory";
  return opened.terminal ? "character-device" : "unknown";
}

/** What a stream that was closed at the other end gives is its end. */
function readStream({ stream, flags }: OpenStream, length: number): Uint8Array | Promise<Uint8Array> {
  if (!(stream instanceof InputStream)) throw "bad-descriptor";
  const ended = (thrown: unknown): Uint8Array => {
    if ((thrown as { readonly tag?: unknown }).tag === "closed") return nothing;
    throw thrown;
  };
  try {
    if ((flags & flag.nonblock) === 0) {
      const taken = stream.blockingRead(BigInt(length));
      return taken instanceof Promise ? taken.catch(ended) : taken;
    }
    const taken = stream.read(BigInt(length));
    if (taken.length > 0) return taken;
  } catch (thrown) {
    return ended(thrown);
  }
  throw "would-block";
}

function scatter(bytes: Uint8Array, buffers: readonly Uint8Array[]): number {
  let taken = 0;
  for (const buffer of buffers) taken += copyInto(buffer, 0, bytes.subarray(taken));
  return taken;
}

function copyInto(target: Uint8Array, at: number, bytes: Uint8Array): number {
  const part = bytes.subarray(0, target.length - at);
  target.set(part, at);
  return part.length;
}

function readAt(file: OpenFile["file"], buffers: readonly Uint8Array[], offset: bigint): number {
  let read = 0;
  for (const buffer of buffers) {
    if (buffer.length === 0) continue;
    const count = file.readInto(buffer, offset + BigInt(read));
    read += count;
    if (count < buffer.length) break;
  }
  return read;
}

function writeAt(file: OpenFile["file"], buffers: readonly Uint8Array[], offset: bigint): number {
  let written = 0;
  for (const buffer of buffers) {
    if (buffer.length === 0) continue;
    const count = file.writeAt(buffer, offset + BigInt(written));
    written += count;
    if (count < buffer.length) break;
  }
  return written;
}

function grantedName(table: DescriptorTable, fd: number): Uint8Array {
  const opened = table.get(fd);
  if (opened.kind !== "directory" || opened.granted === undefined) throw "bad-descriptor";
  return Buffer.from(opened.granted);
}

/** The entry of a directory as the guest reads it; the first reads the directory anew. */
function entryAt(directory: OpenDirectory, index: number): Uint8Array | undefined {
  if (index === 0 || directory.listing === undefined)
    directory.listing = [
      { name: ".", type: "directory" },
      { name: "..", type: "directory" },
      ...directory.file.entries(),
    ];
  const entry = directory.listing[index];
  if (entry === undefined) return undefined;
  const name = Buffer.from(entry.name);
  const struct = Buffer.alloc(direntBytes + name.length);
  struct.writeBigUInt64LE(BigInt(index + 1), 0);
  struct.writeBigUInt64LE(entryId(directory, entry.name), 8);
  struct.writeUInt32LE(name.length, 16);
  struct.writeUInt8(fileTypes[entry.type], 20);
  name.copy(struct, direntBytes);
  return struct;
}

/** 0 is for a guest to ask again: what is above may be out of reach, and an entry may have gone since. */
function entryId({ file }: OpenDirectory, name: string): bigint {
  if (name === "..") return 0n;
  try {
    return name === "." ? file.objectId() : file.objectIdAt({}, name);
  } catch {
    return 0n;
  }
}

function streamStat(opened: OpenStream): DescriptorStat {
  const epoch = { seconds: 0n, nanoseconds: 0 };
  return {
    type: typeOf(opened),
    linkCount: 1n,
    size: 0n,
    dataAccessTimestamp: epoch,
    dataModificationTimestamp: epoch,
    statusChangeTimestamp: epoch,
  };
}

/** `filestat`. All is on one device: which one is the host's affair. */
export function writeStat(memory: GuestMemory, out: number, stat: DescriptorStat, id: bigint): void {
  const struct = memory.struct(out, 64);
  struct.setBigUint64(0, 1n, true);
  struct.setBigUint64(8, id, true);
  struct.setBigUint64(16, BigInt(fileTypes[stat.type]), true);
  struct.setBigUint64(24, stat.linkCount, true);
  struct.setBigUint64(32, stat.size, true);
  const times = [stat.dataAccessTimestamp, stat.dataModificationTimestamp, stat.statusChangeTimestamp];
  for (const [index, { seconds, nanoseconds }] of times.entries())
    struct.setBigUint64(40 + index * 8, BigInt.asUintN(64, seconds * 1_000_000_000n + BigInt(nanoseconds)), true);
}

/** What `fstflags` and two times in nanoseconds ask for. */
export function newTimes(access: bigint, modification: bigint, flags: number): [NewTimestamp, NewTimestamp] {
  return [
    newTime(access, (flags & setTo.access) !== 0, (flags & setTo.accessNow) !== 0),
    newTime(modification, (flags & setTo.modification) !== 0, (flags & setTo.modificationNow) !== 0),
  ];
}

function newTime(time: bigint, given: boolean, now: boolean): NewTimestamp {
  if (given && now) throw "invalid";
  if (now) return { tag: "now" };
  if (!given) return { tag: "no-change" };
  const ns = BigInt.asUintN(64, time);
  return { tag: "timestamp", val: { seconds: ns / 1_000_000_000n, nanoseconds: Number(ns % 1_000_000_000n) } };
}
