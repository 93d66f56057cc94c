/**
 * Small files that are replaced whole: a reader, or a crash at any moment, finds the old one or
 * the new one and never a mixture. Callers that may write at the same time hold a lock (lock.ts).
 */
import type { BigIntStats } from "node:fs";
import { open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** Durable when it settles. */
export async function replaceFile(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const fresh = `${path}.new`;
  await rm(fresh, { force: true });
  const file = await open(fresh, "wx", mode);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
  await flushDirectory(dirname(path));
}

/** The file's bytes, or `undefined` when there is none. */
export function readFileIfAny(path: string): Promise<Buffer | undefined> {
  return ifAny(readFile(path));
}

export function statIfAny(path: string): Promise<BigIntStats | undefined> {
  return ifAny(stat(path, { bigint: true }));
}

async function ifAny<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes the names in a folder durable. Windows has no such call and needs none. */
export async function flushDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
