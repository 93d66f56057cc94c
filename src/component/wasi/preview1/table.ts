/**
 * The file descriptors of a program of WASI 0.1: standard streams at 0 to 2, granted directories from
 * 3 on, then what it opens.
 *
 * Each has rights, which only ever shrink: a function names the right that it needs, and a descriptor
 * without it answers `not-capable`. They are the program's own restraint. What it may reach at all is
 * in the grants, which {@link Descriptor} keeps.
 */
import type { Descriptor, DescriptorType } from "../filesystem/descriptor.ts";
import type { InputStream, OutputStream } from "../io.ts";

/** Bits of `rights`. */
export const right = {
  datasync: 1n << 0n,
  read: 1n << 1n,
  seek: 1n << 2n,
  setFlags: 1n << 3n,
  sync: 1n << 4n,
  tell: 1n << 5n,
  write: 1n << 6n,
  advise: 1n << 7n,
  allocate: 1n << 8n,
  createDirectory: 1n << 9n,
  createFile: 1n << 10n,
  linkSource: 1n << 11n,
  linkTarget: 1n << 12n,
  open: 1n << 13n,
  readDirectory: 1n << 14n,
  readLink: 1n << 15n,
  renameSource: 1n << 16n,
  renameTarget: 1n << 17n,
  statAt: 1n << 18n,
  setTimesAt: 1n << 20n,
  stat: 1n << 21n,
  setSize: 1n << 22n,
  setTimes: 1n << 23n,
  symlink: 1n << 24n,
  removeDirectory: 1n << 25n,
  unlink: 1n << 26n,
  poll: 1n << 27n,
} as const;

/** Of anything; of what is stored in a file system. */
const always = right.setFlags | right.sync | right.datasync | right.stat | right.poll;
const stored = always | right.setTimes;
const reading = stored | right.read | right.seek | right.tell | right.advise;
const writing = stored | right.write | right.seek | right.tell | right.advise | right.allocate | right.setSize;
const looking = stored | right.open | right.readDirectory | right.readLink | right.statAt | right.linkSource;
const changing =
  right.createDirectory |
  right.createFile |
  right.linkTarget |
  right.renameSource |
  right.renameTarget |
  right.setTimesAt |
  right.symlink |
  right.removeDirectory |
  right.unlink;

/** To read or write what passes by, and nothing of seeking: that is how a C library knows a terminal. */
export const streamRights = { input: always | right.read, output: always | right.write } as const;

/** Of a file opened so. */
export function fileRights(reads: boolean, writes: boolean): bigint {
  return stored | (reads ? reading : 0n) | (writes ? writing : 0n);
}

/** Of a directory, whether its grant may be changed or not: a read-only one says so itself. */
export const directoryRights = { base: looking | changing, inheriting: looking | changing | fileRights(true, true) };

interface Rights {
  base: bigint;
  inheriting: bigint;
  /** `fdflags`, as the program set them. */
  flags: number;
}

export interface OpenStream extends Rights {
  readonly kind: "input" | "output";
  readonly stream: InputStream | OutputStream;
  readonly terminal: boolean;
}

export interface OpenFile extends Rights {
  readonly kind: "file";
  readonly file: Descriptor;
  readonly type: DescriptorType;
  position: number;
}

export interface OpenDirectory extends Rights {
  readonly kind: "directory";
  readonly file: Descriptor;
  /** The path under which it is granted; `undefined` when the program opened it. */
  readonly granted: string | undefined;
  /** Names and types as they were when it was last read from its beginning. */
  listing: readonly { readonly name: string; readonly type: DescriptorType }[] | undefined;
}

export type Open = OpenStream | OpenFile | OpenDirectory;

/** What is open is bounded where it is opened: see {@link Descriptor}. */
export class DescriptorTable {
  readonly #open: Map<number, Open>;

  constructor(stdin: Open, stdout: Open, stderr: Open) {
    this.#open = new Map([stdin, stdout, stderr].entries());
  }

  /** At the lowest free number; those of the standard streams are not taken over by chance. */
  add(opened: Open): number {
    let fd = 3;
    while (this.#open.has(fd)) fd++;
    this.#open.set(fd, opened);
    return fd;
  }

  get(fd: number, needed = 0n): Open {
    const opened = this.#open.get(fd >>> 0);
    if (opened === undefined) throw "bad-descriptor";
    if ((opened.base & needed) !== needed) throw "not-capable";
    return opened;
  }

  file(fd: number, needed = 0n): OpenFile {
    const opened = this.get(fd);
    if (opened.kind === "directory") throw "is-directory";
    if (opened.kind !== "file") throw "invalid-seek";
    if ((opened.base & needed) !== needed) throw "not-capable";
    return opened;
  }

  directory(fd: number, needed: bigint): OpenDirectory {
    const opened = this.get(fd);
    if (opened.kind !== "directory") throw "not-directory";
    if ((opened.base & needed) !== needed) throw "not-capable";
    return opened;
  }

  close(fd: number): void {
    const opened = this.get(fd);
    this.#open.delete(fd >>> 0);
    if (opened.kind === "file" || opened.kind === "directory") opened.file[Symbol.dispose]();
  }

  /** What was at `from` is at `to`, in place of what was there. */
  renumber(from: number, to: number): void {
    const moved = this.get(from);
    this.get(to);
    if (from >>> 0 === to >>> 0) return;
    this.close(to);
    this.#open.delete(from >>> 0);
    this.#open.set(to >>> 0, moved);
  }
}
