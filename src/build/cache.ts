/**
 * Finished builds on disk, by content.
 *
 *   blob/<sha256>      components and source maps, each known by the digest of its bytes
 *   bundle/<key>       the component that a bundle was made into; the key covers the bundle's code, the
 *                      engine, its version and the world
 *   source/<key>       the last build of an entry module: its footprint, bundle key and source map
 *
 * Always true: a file appears whole, by rename; nothing is believed whose digest does not match, so
 * a torn, damaged or missing file is a miss and is made anew. Any number of processes may share a
 * cache. It is bounded: what was not used for longest goes first.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CytoError } from "../kernel/index.ts";
import { type Footprint, sha256 } from "./footprint.ts";

export interface CacheLimits {
  readonly blobBytes: number;
  /** Of bundles, and of sources. */
  readonly entries: number;
}

export const cacheLimits: CacheLimits = { blobBytes: 512 * 1024 * 1024, entries: 1000 };

export interface SourceEntry {
  readonly bundle: string;
  readonly sourceMap: string;
  readonly footprint: Footprint;
}

export interface Cache {
  source(key: string): SourceEntry | undefined;
  /** The bytes of a component, and their digest in hexadecimal. */
  component(bundle: string): { digest: string; bytes: Uint8Array } | undefined;
  text(digest: string): string | undefined;
  keepSource(key: string, entry: SourceEntry): void;
  /** Answers the digest. */
  keepComponent(bundle: string, bytes: Uint8Array): string;
  keepText(text: string): string;
  /** Makes room. `nowMs` on the clock of the file system. */
  prune(nowMs: number): void;
}

const folders = ["blob", "bundle", "source"] as const;
const abandonedMs = 60 * 60 * 1000;

export function openCache(directory: string, limits: CacheLimits = cacheLimits): Cache {
  const blob = (digest: string) => join(directory, "blob", digest);
  const read = (digest: string): Buffer | undefined => {
    const bytes = attempt(() => readFileSync(blob(digest)));
    return bytes !== undefined && sha256(bytes) === digest ? bytes : undefined;
  };
  const keep = (bytes: Uint8Array | string): string => {
    const digest = sha256(bytes);
    write(directory, blob(digest), bytes);
    return digest;
  };
  return {
    source(key) {
      const path = join(directory, "source", key);
      const entry = attempt(() => JSON.parse(unseal(readFileSync(path, "utf8"))));
      if (entry !== undefined) attempt(() => touch(path));
      return entry;
    },
    component(bundle) {
      const digest = attempt(() => unseal(readFileSync(join(directory, "bundle", bundle), "utf8")));
      const bytes = digest === undefined ? undefined : read(digest);
      if (digest === undefined || bytes === undefined) return undefined;
      attempt(() => touch(join(directory, "bundle", bundle)));
      attempt(() => touch(blob(digest)));
      return { digest, bytes };
    },
    text: (digest) => read(digest)?.toString("utf8"),
    keepSource: (key, entry) => write(directory, join(directory, "source", key), seal(JSON.stringify(entry))),
    keepComponent(bundle, bytes) {
      const digest = keep(bytes);
      write(directory, join(directory, "bundle", bundle), seal(digest));
      return digest;
    },
    keepText: keep,
    prune(nowMs) {
      for (const folder of folders) {
        const files = list(join(directory, folder), nowMs);
        const most = folder === "blob" ? limits.blobBytes : limits.entries;
        let sum = 0;
        for (const file of files) {
          sum += folder === "blob" ? file.size : 1;
          if (sum > most) rmSync(file.path, { force: true });
        }
      }
    },
  };
}

/** Text with its own digest before it. */
function seal(text: string): string {
  return `${sha256(text)}\n${text}`;
}

function unseal(sealed: string): string {
  const text = sealed.slice(65);
  if (sealed.slice(0, 65) !== `${sha256(text)}\n`) throw new Error("The seal is broken");
  return text;
}

function write(directory: string, path: string, bytes: Uint8Array | string): void {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    writeFileSync(temporary, bytes);
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw unwritable(directory, cause);
  }
}

/** Makes the folders, so that a cache that cannot be written is known before anything is built. */
export function prepareCache(directory: string): void {
  try {
    for (const folder of folders) mkdirSync(join(directory, folder), { recursive: true });
    const probe = join(directory, `${randomUUID()}.tmp`);
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (cause) {
    throw unwritable(directory, cause);
  }
}

function unwritable(directory: string, cause: unknown): CytoError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new CytoError("storage-full", `Cannot keep builds in ${directory}: the disk is full`, {
      hint: "Free some space. The folder itself may be deleted: it only saves time",
      cause,
    });
  }
  return new CytoError("build-failed", `Cannot keep builds in ${directory}: the folder cannot be written (${code})`, {
    hint: "Make the folder writable, or run in a project folder that is",
    cause,
  });
}

interface Listed {
  readonly path: string;
  readonly size: number;
  readonly usedMs: number;
}

/** Latest used first. Leftovers of writers that were killed are removed on the way. */
function list(folder: string, nowMs: number): Listed[] {
  const files: Listed[] = [];
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stat = attempt(() => statSync(path));
    if (stat === undefined) continue;
    if (!name.endsWith(".tmp")) files.push({ path, size: stat.size, usedMs: stat.mtimeMs });
    else if (nowMs - stat.mtimeMs > abandonedMs) rmSync(path, { force: true });
  }
  return files.sort((a, b) => b.usedMs - a.usedMs);
}

function touch(path: string): void {
  const now = new Date();
  utimesSync(path, now, now);
}

/** A miss is no failure: whatever cannot be read is made anew. */
function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
