/**
 * What a bundle was made of, in a form that can be checked in a few milliseconds later.
 *
 * A footprint lists files with their digests, folders with the names in them, and paths where
 * something was looked for: what they led to, or that nothing was there. While every line of it
 * still holds, bundling again would give the same bundle.
 *
 * A file whose stat is unchanged is taken as unchanged, unless it had been changed so shortly before
 * it was recorded that a later change could carry the same time; then it is read and digested.
 */
import { createHash } from "node:crypto";
import { type BigIntStats, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";

export type Footprint = Record<string, Trace>;

type Trace =
  | { readonly is: "file"; readonly sha256: string; readonly stat: string; readonly settled: boolean }
  | { readonly is: "folder"; readonly sha256: string }
  | { readonly is: "link"; readonly to: string | null };

/** Longer than the coarsest timestamps of common file systems. */
const settleMs = 2000;

/** Reads a file and records it as read. */
export function readTraced(footprint: Footprint, path: string, nowMs: number): Buffer {
  const stat = statSync(path, { bigint: true });
  const bytes = readFileSync(path);
  footprint[path] = fileTrace(stat, bytes, nowMs);
  return bytes;
}

/** Records the names in a folder: a file that appears beside another can take its place in resolution. */
export function traceFolder(footprint: Footprint, path: string): void {
  footprint[folderKey(path)] ??= { is: "folder", sha256: namesDigest(path) };
}

export function hasFolder(footprint: Footprint, path: string): boolean {
  return footprint[folderKey(path)] !== undefined;
}

/** Records what a path leads to, or that it leads nowhere; answers whether it leads somewhere. */
export function traceLink(footprint: Footprint, path: string): boolean {
  const to = target(path);
  footprint[path] ??= { is: "link", to };
  return to !== null;
}

/**
 * `undefined` when something has changed. Otherwise the footprint with its stats renewed: the same
 * object when none needed to be.
 */
export function confirm(footprint: Footprint, nowMs: number): Footprint | undefined {
  let renewed: Footprint | undefined;
  for (const [path, trace] of Object.entries(footprint)) {
    const now = confirmTrace(path, trace, nowMs);
    if (now === undefined) return undefined;
    if (now !== trace) {
      renewed ??= { ...footprint };
      renewed[path] = now;
    }
  }
  return renewed ?? footprint;
}

/** The files of a footprint. */
export function tracedFiles(footprint: Footprint): string[] {
  return Object.keys(footprint).filter((path) => footprint[path]!.is === "file");
}

function confirmTrace(path: string, trace: Trace, nowMs: number): Trace | undefined {
  try {
    if (trace.is === "link") return target(path) === trace.to ? trace : undefined;
    if (trace.is === "folder") return namesDigest(path) === trace.sha256 ? trace : undefined;
    const stat = statSync(path, { bigint: true });
    if (trace.settled && statLine(stat) === trace.stat) return trace;
    const now = fileTrace(stat, readFileSync(path), nowMs);
    if (now.sha256 !== trace.sha256) return undefined;
    return now.stat === trace.stat && now.settled === trace.settled ? trace : now;
  } catch {
    return undefined;
  }
}

function fileTrace(stat: BigIntStats, bytes: Buffer, nowMs: number): Trace & { is: "file" } {
  const settled = nowMs - Number(stat.ctimeMs) > settleMs;
  return { is: "file", sha256: sha256(bytes), stat: statLine(stat), settled };
}

function statLine(stat: BigIntStats): string {
  return `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
}

function namesDigest(path: string): string {
  return sha256(readdirSync(path).sort().join("\0"));
}

/** Apart from the same path as a link. */
function folderKey(path: string): string {
  return `${path}/`;
}

function target(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}
