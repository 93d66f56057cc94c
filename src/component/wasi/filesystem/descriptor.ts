/**
 * The resource `wasi:filesystem/types.descriptor`: an open file or directory under a granted one.
 *
 * Always true: it is a regular file or a directory, never a device, pipe or socket; a grant that is
 * read-only yields nothing that can write; every operation on a path goes through {@link within}.
 * Work is done in place, in pieces of bounded size; only `sync`, which waits for the disk, suspends.
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { promisify } from "node:util";
import { suspending } from "../../contract.ts";
import type { Datetime } from "../clocks.ts";
import { type ByteSink, type ByteSource, chunkBytes, InputStream, OutputStream } from "../io.ts";
import type { HostState } from "../state.ts";
import { attempt, toFileError } from "./error.ts";
import { type Held, locate, within } from "./path.ts";

export type DescriptorType =
  | "unknown"
  | "block-device"
  | "character-device"
  | "directory"
  | "fifo"
  | "symbolic-link"
  | "regular-file"
  | "socket";

export interface PathFlags {
  readonly symlinkFollow?: boolean;
}

export interface OpenFlags {
  readonly create?: boolean;
  readonly directory?: boolean;
  readonly exclusive?: boolean;
  readonly truncate?: boolean;
}

export interface DescriptorFlags {
  readonly read?: boolean;
  readonly write?: boolean;
  readonly fileIntegritySync?: boolean;
  readonly dataIntegritySync?: boolean;
  readonly requestedWriteSync?: boolean;
  readonly mutateDirectory?: boolean;
}

export type NewTimestamp =
  | { readonly tag: "no-change" }
  | { readonly tag: "now" }
  | { readonly tag: "timestamp"; readonly val: Datetime };

export interface DirectoryEntry {
  readonly type: DescriptorType;
  readonly name: string;
}

export interface DescriptorStat {
  readonly type: DescriptorType;
  readonly linkCount: bigint;
  readonly size: bigint;
  readonly dataAccessTimestamp: Datetime;
  readonly dataModificationTimestamp: Datetime;
  readonly statusChangeTimestamp: Datetime;
}

/** The most files and directories one instance may hold open. */
const openFiles = 256;
/** The most bytes one `read` or `write` moves. */
const pieceBytes = 1024 * 1024;
const offsetLimit = 2n ** 53n;
const fsync = promisify(fs.fsync);
const fdatasync = promisify(fs.fdatasync);

export class Descriptor implements Held, Disposable {
  readonly fd: number;
  readonly path: string;
  readonly #writable: boolean;
  readonly #flags: DescriptorFlags;
  readonly #state: HostState;
  #closed = false;

  /** Takes over `held.fd`. `writable` says whether the grant may be changed. */
  constructor(held: Held, writable: boolean, flags: DescriptorFlags, state: HostState) {
    if (state.open.size >= openFiles) {
      fs.closeSync(held.fd);
      throw "quota";
    }
    this.fd = held.fd;
    this.path = held.path;
    this.#writable = writable;
    this.#flags = flags;
    this.#state = state;
    state.open.add(this);
  }

  readViaStream(offset: bigint): InputStream {
    return new InputStream(new FileSource(this, offset));
  }

  writeViaStream(offset: bigint): OutputStream {
    return new OutputStream(new FileSink(this, offset));
  }

  appendViaStream(): OutputStream {
    return new OutputStream(new FileSink(this, undefined));
  }

  advise(): void {}

  sync(): Promise<void> {
    return fsync(this.#open()).catch(refuse);
  }

  syncData(): Promise<void> {
    return fdatasync(this.#open()).catch(refuse);
  }

  getFlags(): DescriptorFlags {
    return this.#flags;
  }

  getType(): DescriptorType {
    return attempt(() => toType(fs.fstatSync(this.#open())));
  }

  setSize(size: bigint): void {
    this.#assertWritable();
    attempt(() => fs.ftruncateSync(this.#open(), toOffset(size)));
  }

  setTimes(access: NewTimestamp, modification: NewTimestamp): void {
    this.#assertWritable();
    attempt(() => {
      const stat = () => fs.fstatSync(this.#open(), { bigint: true });
      this.#setTimes(stat, access, modification, (...times) => fs.futimesSync(this.fd, ...times));
    });
  }

  read(length: bigint, offset: bigint): [Uint8Array, boolean] {
    const bytes = Buffer.allocUnsafe(length > BigInt(pieceBytes) ? pieceBytes : Number(length));
    const count = this.readInto(bytes, offset);
    return [bytes.subarray(0, count), count === 0 && bytes.length > 0];
  }

  /** Reads what is at `offset` into `target`, in one piece; answers how many bytes. */
  readInto(target: Uint8Array, offset: bigint): number {
    return attempt(() => {
      const length = Math.min(target.length, pieceBytes);
      return fs.readSync(this.#open(), target, 0, length, toOffset(offset));
    });
  }

  write(buffer: Uint8Array, offset: bigint): bigint {
    return BigInt(this.writeAt(buffer, offset));
  }

  /** Writes at `offset`, or at the end; answers how many bytes. */
  writeAt(buffer: Uint8Array, offset: bigint | undefined): number {
    return attempt(() => {
      const position = offset === undefined ? fs.fstatSync(this.#open()).size : toOffset(offset);
      return fs.writeSync(this.#open(), buffer, 0, Math.min(buffer.length, pieceBytes), position);
    });
  }

  readDirectory(): DirectoryEntryStream {
    return new DirectoryEntryStream(this.entries());
  }

  entries(): DirectoryEntry[] {
    const found = attempt(() => fs.readdirSync(locate(this.#held(), "."), { withFileTypes: true }));
    return found.map((entry) => ({ type: toType(entry), name: entry.name }));
  }

  createDirectoryAt(path: string): void {
    this.#change(unslashed(path), false, (location) => fs.mkdirSync(location));
  }

  stat(): DescriptorStat {
    return attempt(() => this.#stat(fs.fstatSync(this.#open(), { bigint: true })));
  }

  statAt(flags: PathFlags, path: string): DescriptorStat {
    return this.#at(path, flags.symlinkFollow === true, (location) =>
      this.#stat(fs.lstatSync(location, { bigint: true })),
    );
  }

  setTimesAt(flags: PathFlags, path: string, access: NewTimestamp, modification: NewTimestamp): void {
    this.#change(path, flags.symlinkFollow === true, (location) => {
      const stat = () => fs.lstatSync(location, { bigint: true });
      this.#setTimes(stat, access, modification, (...times) => fs.lutimesSync(location, ...times));
    });
  }

  linkAt(flags: PathFlags, oldPath: string, to: Descriptor, newPath: string): void {
    this.#assertWritable();
    this.#at(oldPath, flags.symlinkFollow === true, (from) =>
      to.#change(newPath, false, (location) => fs.linkSync(from, location)),
    );
  }

  openAt(pathFlags: PathFlags, path: string, open: OpenFlags, flags: DescriptorFlags): Descriptor {
    if (open.create === true || open.truncate === true || flags.write === true) this.#assertWritable();
    const how = toOpenFlags(open, flags);
    return this.#at(path, pathFlags.symlinkFollow === true, (location, host) => {
      const fd = fs.openSync(location, how, 0o666);
      const stat = fs.fstatSync(fd);
      if (!stat.isFile() && !stat.isDirectory()) {
        fs.closeSync(fd);
        throw "not-permitted";
      }
      return new Descriptor({ fd, path: host }, this.#writable, flags, this.#state);
    });
  }

  readlinkAt(path: string): string {
    return this.#at(path, false, (location) => {
      const target = fs.readlinkSync(location);
      if (target.startsWith("/")) throw "not-permitted";
      return target;
    });
  }

  removeDirectoryAt(path: string): void {
    this.#change(unslashed(path), false, (location) => fs.rmdirSync(location));
  }

  renameAt(oldPath: string, to: Descriptor, newPath: string): void {
    this.#change(unslashed(oldPath), false, (from) =>
      to.#change(unslashed(newPath), false, (location) => fs.renameSync(from, location)),
    );
  }

  /** Links that would lead out are refused here too: others may follow what a guest leaves behind. */
  symlinkAt(target: string, path: string): void {
    if (target.startsWith("/") || target.split("/").includes("..")) throw "not-permitted";
    this.#change(path, false, (location) => fs.symlinkSync(target, location));
  }

  unlinkFileAt(path: string): void {
    this.#change(path, false, (location) => fs.unlinkSync(location));
  }

  /** Tells objects apart while they live, and says nothing of the host's numbers for them. */
  objectId(): bigint {
    return attempt(() => toObjectId(fs.fstatSync(this.#open(), { bigint: true })));
  }

  objectIdAt(flags: PathFlags, path: string): bigint {
    return this.#at(path, flags.symlinkFollow === true, (location) =>
      toObjectId(fs.lstatSync(location, { bigint: true })),
    );
  }

  isSameObject(other: Descriptor): boolean {
    const mine = fs.fstatSync(this.#open(), { bigint: true });
    const its = fs.fstatSync(other.#open(), { bigint: true });
    return mine.dev === its.dev && mine.ino === its.ino;
  }

  metadataHash(): { readonly lower: bigint; readonly upper: bigint } {
    return attempt(() => toHash(fs.fstatSync(this.#open(), { bigint: true })));
  }

  metadataHashAt(flags: PathFlags, path: string): { readonly lower: bigint; readonly upper: bigint } {
    return this.#at(path, flags.symlinkFollow === true, (location) => toHash(fs.lstatSync(location, { bigint: true })));
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#state.open.delete(this);
    fs.closeSync(this.fd);
  }

  /** Streams outlive the descriptor they came from: what is closed answers so, and no other file. */
  #open(): number {
    if (this.#closed) throw "bad-descriptor";
    return this.fd;
  }

  #held(): Held {
    this.#open();
    return this;
  }

  #assertWritable(): void {
    if (!this.#writable) throw "read-only";
  }

  #at<T>(path: string, follow: boolean, act: (location: string, host: string) => T): T {
    return attempt(() => within(this.#held(), path, follow, act));
  }

  #change(path: string, follow: boolean, act: (location: string) => void): void {
    this.#assertWritable();
    this.#at(path, follow, act);
  }

  #setTimes(
    stat: () => fs.BigIntStats,
    access: NewTimestamp,
    modification: NewTimestamp,
    set: (accessS: number, modificationS: number) => void,
  ): void {
    const present = stat();
    const accessNs = this.#ns(access, this.#state.times.accessNs(present));
    const modificationNs = this.#ns(modification, this.#state.times.modificationNs(present));
    set(Number(accessNs) / 1e9, Number(modificationNs) / 1e9);
    this.#state.times.remember(stat(), accessNs, modificationNs);
  }

  #ns(timestamp: NewTimestamp, present: bigint): bigint {
    if (timestamp.tag === "no-change") return present;
    if (timestamp.tag === "now") return BigInt(Math.round(this.#state.grants.clock.now() * 1e6));
    return timestamp.val.seconds * 1_000_000_000n + BigInt(timestamp.val.nanoseconds);
  }

  #stat(stat: fs.BigIntStats): DescriptorStat {
    return {
      type: toType(stat),
      linkCount: stat.nlink,
      size: stat.size,
      dataAccessTimestamp: toDatetime(this.#state.times.accessNs(stat)),
      dataModificationTimestamp: toDatetime(this.#state.times.modificationNs(stat)),
      statusChangeTimestamp: toDatetime(stat.ctimeNs),
    };
  }
}

/** The resource `directory-entry-stream`: names as they were when it was opened. */
export class DirectoryEntryStream {
  readonly #entries: readonly DirectoryEntry[];
  #next = 0;

  constructor(entries: readonly DirectoryEntry[]) {
    this.#entries = entries;
  }

  readDirectoryEntry(): DirectoryEntry | undefined {
    return this.#entries[this.#next++];
  }
}

class FileSource implements ByteSource {
  readonly #file: Descriptor;
  #offset: bigint;

  constructor(file: Descriptor, offset: bigint) {
    this.#file = file;
    this.#offset = offset;
  }

  pull(): Uint8Array | undefined {
    const [bytes, end] = this.#file.read(BigInt(chunkBytes), this.#offset);
    this.#offset += BigInt(bytes.length);
    return end ? undefined : bytes;
  }

  cancel(): void {}
}

class FileSink implements ByteSink {
  readonly #file: Descriptor;
  /** `undefined`: always at the end. */
  #offset: bigint | undefined;

  constructor(file: Descriptor, offset: bigint | undefined) {
    this.#file = file;
    this.#offset = offset;
  }

  room(): number {
    return chunkBytes;
  }

  write(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      const count = this.#file.writeAt(rest, this.#offset);
      if (this.#offset !== undefined) this.#offset += BigInt(count);
      rest = rest.subarray(count);
    }
  }
}

/** A directory may be named with a slash at the end, also before there is one. */
function unslashed(path: string): string {
  return path.replace(/(?<=.)\/+$/, "");
}

function refuse(thrown: unknown): never {
  throw toFileError(thrown);
}

function toOffset(offset: bigint): number {
  if (offset >= offsetLimit) throw "file-too-large";
  return Number(offset);
}

/** Never follows a last link, never waits for the other end of a pipe. */
function toOpenFlags(open: OpenFlags, flags: DescriptorFlags): number {
  const { constants } = fs;
  const access =
    flags.write === true ? (flags.read === true ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY;
  return (
    access |
    constants.O_NOFOLLOW |
    constants.O_NONBLOCK |
    (open.create === true ? constants.O_CREAT : 0) |
    (open.directory === true ? constants.O_DIRECTORY : 0) |
    (open.exclusive === true ? constants.O_EXCL : 0) |
    (open.truncate === true ? constants.O_TRUNC : 0) |
    (flags.fileIntegritySync === true ? constants.O_SYNC : 0) |
    (flags.dataIntegritySync === true ? constants.O_DSYNC : 0)
  );
}

function toType(entry: fs.Dirent | fs.StatsBase<number> | fs.StatsBase<bigint>): DescriptorType {
  if (entry.isFile()) return "regular-file";
  if (entry.isDirectory()) return "directory";
  if (entry.isSymbolicLink()) return "symbolic-link";
  if (entry.isFIFO()) return "fifo";
  if (entry.isSocket()) return "socket";
  if (entry.isCharacterDevice()) return "character-device";
  return entry.isBlockDevice() ? "block-device" : "unknown";
}

function toDatetime(epochNs: bigint): Datetime {
  return { seconds: epochNs / 1_000_000_000n, nanoseconds: Number(epochNs % 1_000_000_000n) };
}

/** Tells objects apart, and says nothing of the host's numbers for them. */
function toHash(stat: fs.BigIntStats): { readonly lower: bigint; readonly upper: bigint } {
  const digest = createHash("sha256").update(`${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}`).digest();
  return { lower: digest.readBigUInt64LE(0), upper: digest.readBigUInt64LE(8) };
}

function toObjectId(stat: fs.BigIntStats): bigint {
  return createHash("sha256").update(`${stat.dev}:${stat.ino}`).digest().readBigUInt64LE(0);
}

suspending(Descriptor.prototype.sync);
suspending(Descriptor.prototype.syncData);
