/**
 * wasi:filesystem 0.3: the granted directories, as 0.2 opens them, with contents and directories as
 * streams of the Component Model.
 *
 * Always true: a file stays open as long as a stream of it does, also when the guest has dropped the
 * descriptor; what a descriptor may change is bounded by its own flags as well as by the grant.
 */
import type { Grants, StreamReader, StreamSource } from "../../contract.ts";
import type {
  DescriptorFlags,
  DescriptorStat,
  DescriptorType,
  Descriptor as File,
  NewTimestamp,
  OpenFlags,
  PathFlags,
} from "../filesystem/descriptor.ts";
import { toFileError } from "../filesystem/error.ts";
import { openDirectories } from "../filesystem.ts";
import { chunkBytes } from "../io.ts";
import type { HostState } from "../state.ts";

export function filesystem(grants: Grants, state: HostState) {
  return {
    "wasi:filesystem/preopens@0.3": {
      getDirectories: (): [Descriptor, string][] =>
        openDirectories(grants, state).map(([file, path]) => [new Descriptor(file), path]),
    },
    "wasi:filesystem/types@0.3": { Descriptor },
  };
}

export interface ErrorCode {
  readonly tag: string;
  readonly val?: string | undefined;
}

type Type = { readonly tag: Exclude<DescriptorType, "unknown"> } | { readonly tag: "other"; readonly val: undefined };
type Stat = Omit<DescriptorStat, "type"> & { readonly type: Type };
type Outcome = { readonly tag: "ok" } | { readonly tag: "err"; readonly val: ErrorCode };

interface DirectoryEntry {
  readonly type: Type;
  readonly name: string;
}

const ok: Outcome = { tag: "ok" };
/** Offsets from here on are negative to the system. */
const offsetEnd = 2n ** 63n;
/** Entries of a directory that are handed over at a time. */
const entriesAtOnce = 64;

export class Descriptor implements Disposable {
  readonly #file: File;
  /** The guest's handle, and each stream. */
  #holders = 1;

  constructor(file: File) {
    this.#file = file;
  }

  readViaStream(offset: bigint): [StreamSource<Uint8Array>, Promise<Outcome>] {
    let at = offset;
    return this.#stream(() => {
      if (at >= offsetEnd) throw "invalid";
      const [bytes, end] = this.#file.read(BigInt(chunkBytes), at);
      at += BigInt(bytes.length);
      return end ? undefined : bytes;
    });
  }

  writeViaStream(data: StreamReader<Uint8Array>, offset: bigint): Promise<Outcome> {
    let at = offset;
    return this.#drain(data, (bytes) => {
      if (at >= offsetEnd) throw "invalid";
      const count = this.#file.writeAt(bytes, at);
      at += BigInt(count);
      return count;
    });
  }

  appendViaStream(data: StreamReader<Uint8Array>): Promise<Outcome> {
    return this.#drain(data, (bytes) => this.#file.writeAt(bytes, undefined));
  }

  /** The system reads ahead as it sees fit. */
  advise(): void {
    attempt(() => {
      if (this.#file.getType() === "directory") throw "bad-descriptor";
    });
  }

  syncData(): Promise<void> {
    return attempt(() => this.#file.syncData().catch(refuse));
  }

  sync(): Promise<void> {
    return attempt(() => this.#file.sync().catch(refuse));
  }

  getFlags(): DescriptorFlags {
    return this.#file.getFlags();
  }

  getType(): Type {
    return attempt(() => toType(this.#file.getType()));
  }

  setSize(size: bigint): void {
    attempt(() => this.#file.setSize(size));
  }

  setTimes(access: NewTimestamp, modification: NewTimestamp): void {
    attempt(() => this.#file.setTimes(access, modification));
  }

  readDirectory(): [StreamSource<DirectoryEntry[]>, Promise<Outcome>] {
    let entries: ReturnType<File["readDirectory"]> | undefined;
    return this.#stream(() => {
      entries ??= this.#file.readDirectory();
      const some: DirectoryEntry[] = [];
      while (some.length < entriesAtOnce) {
        const entry = entries.readDirectoryEntry();
        if (entry === undefined) break;
        some.push({ type: toType(entry.type), name: entry.name });
      }
      return some.length === 0 ? undefined : some;
    });
  }

  createDirectoryAt(path: string): void {
    this.#change((file) => file.createDirectoryAt(path));
  }

  stat(): Stat {
    return attempt(() => toStat(this.#file.stat()));
  }

  statAt(flags: PathFlags, path: string): Stat {
    return attempt(() => toStat(this.#file.statAt(flags, path)));
  }

  setTimesAt(flags: PathFlags, path: string, access: NewTimestamp, modification: NewTimestamp): void {
    this.#change((file) => file.setTimesAt(flags, path, access, modification));
  }

  linkAt(flags: PathFlags, oldPath: string, to: Descriptor, newPath: string): void {
    to.#change((target) => this.#file.linkAt(flags, oldPath, target, newPath));
  }

  openAt(pathFlags: PathFlags, path: string, open: OpenFlags, flags: DescriptorFlags): Descriptor {
    const asked = effective(open, flags);
    const changes = asked.write === true || asked.mutateDirectory === true || open.truncate === true;
    const opened = (file: File) => new Descriptor(file.openAt(pathFlags, path, open, asked));
    return changes ? this.#change(opened) : attempt(() => opened(this.#file));
  }

  readlinkAt(path: string): string {
    return attempt(() => this.#file.readlinkAt(path));
  }

  removeDirectoryAt(path: string): void {
    this.#change((file) => file.removeDirectoryAt(path));
  }

  renameAt(oldPath: string, to: Descriptor, newPath: string): void {
    this.#change((file) => to.#change((target) => file.renameAt(oldPath, target, newPath)));
  }

  symlinkAt(target: string, path: string): void {
    this.#change((file) => file.symlinkAt(target, path));
  }

  unlinkFileAt(path: string): void {
    this.#change((file) => file.unlinkFileAt(path));
  }

  isSameObject(other: Descriptor): boolean {
    return this.#file.isSameObject(other.#file);
  }

  metadataHash(): { readonly lower: bigint; readonly upper: bigint } {
    return attempt(() => this.#file.metadataHash());
  }

  metadataHashAt(flags: PathFlags, path: string): { readonly lower: bigint; readonly upper: bigint } {
    return attempt(() => this.#file.metadataHashAt(flags, path));
  }

  [Symbol.dispose](): void {
    this.#release();
  }

  #release(): void {
    if (--this.#holders === 0) this.#file[Symbol.dispose]();
  }

  /** Acts on what lies under this directory, where its flags allow that. */
  #change<T>(act: (file: File) => T): T {
    return attempt(() => {
      const file = this.#file;
      if (file.getType() === "directory" && file.getFlags().mutateDirectory !== true) throw "read-only";
      return act(file);
    });
  }

  /** What `next` answers until it answers nothing, and how that ended. */
  #stream<C extends ArrayLike<unknown>>(next: () => C | undefined): [StreamSource<C>, Promise<Outcome>] {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.#holders++;
    let ended = false;
    const end = (outcome: Outcome): undefined => {
      if (ended) return;
      ended = true;
      this.#release();
      resolve(outcome);
    };
    const source: StreamSource<C> = {
      pull() {
        if (ended) return undefined;
        try {
          return next() ?? end(ok);
        } catch (thrown) {
          return end({ tag: "err", val: toErrorCode(thrown) });
        }
      },
      cancel: () => end(ok),
    };
    return [source, promise];
  }

  /** Settles when all of `data` was written, or cannot be; `write` answers how many bytes it took. */
  async #drain(data: StreamReader<Uint8Array>, write: (bytes: Uint8Array) => number): Promise<Outcome> {
    using reader = data;
    this.#holders++;
    try {
      for (;;) {
        let rest: Uint8Array | undefined;
        try {
          rest = await reader.read(chunkBytes);
        } catch {
          // The guest has trapped: nobody is left to be told.
          return ok;
        }
        if (rest === undefined) return ok;
        while (rest.length > 0) rest = rest.subarray(write(rest));
      }
    } catch (thrown) {
      return { tag: "err", val: toErrorCode(thrown) };
    } finally {
      this.#release();
    }
  }
}

/** To create is to write; to ask for neither reading nor writing is to read. */
function effective(open: OpenFlags, flags: DescriptorFlags): DescriptorFlags {
  const read = flags.read === true || flags.write !== true;
  return { ...flags, read, write: flags.write === true || open.create === true };
}

function attempt<T>(operation: () => T): T {
  try {
    return operation();
  } catch (thrown) {
    throw isAnswer(thrown) ? toErrorCode(thrown) : thrown;
  }
}

function refuse(thrown: unknown): never {
  throw isAnswer(thrown) ? toErrorCode(thrown) : thrown;
}

/** A code, or an error that has one; anything else is a fault of ours and rises as it is. */
function isAnswer(thrown: unknown): boolean {
  return typeof toFileError(thrown) === "string";
}

/** Of what the file operations of 0.2 throw. */
function toErrorCode(thrown: unknown): ErrorCode {
  const code = toFileError(thrown);
  if (typeof code !== "string") return { tag: "io" };
  return code === "would-block" ? { tag: "other", val: code } : { tag: code };
}

function toType(type: DescriptorType): Type {
  return type === "unknown" ? { tag: "other", val: undefined } : { tag: type };
}

function toStat(stat: DescriptorStat): Stat {
  return { ...stat, type: toType(stat.type) };
}
