/**
 * Secrets in one encrypted file: the embedded default.
 *
 * Always true: the file is replaced whole and durably, so a crash leaves the old or the new one; it
 * and its key are readable by their owner alone; writers, also of other processes, come one after
 * another; readers see a change at once. The key is the one given, else the key file's, which the first `set` makes.
 */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, CytoError, hex, type Random } from "../../kernel/index.ts";
import { readFileIfAny, replaceFile, statIfAny } from "../../storage/file.ts";
import { withLock } from "../../storage/lock.ts";
import { missingSecret, refuseSecretName, refuseSecretValue } from "./bounds.ts";
import type { SecretStore } from "./contract.ts";
import { newSalt, readSealKey, type SealKey, type Secret, type SecretMap, seal, unseal } from "./seal.ts";

export interface SecretFileOptions {
  /** Absolute: `<project>/.cyto/secrets.json`. */
  readonly path: string;
  /** Absolute: `<project>/.cyto/secret.key`. */
  readonly keyPath: string;
  /** What CYTO_SECRET_KEY says, where it is set: it goes before the key file. */
  readonly key?: string;
  readonly clock: Clock;
  readonly random: Random;
}

interface Opened {
  readonly secrets: SecretMap;
  readonly key: SealKey;
  readonly salt: string;
}

export function createSecretFile(options: SecretFileOptions): SecretStore {
  const { path, keyPath, clock, random } = options;
  /** What was read last, and the state that the file had then. */
  let known: { readonly stamp: string; readonly opened: Opened } | undefined;

  return {
    async get(name) {
      const secret = (await open())?.secrets.get(name);
      if (secret === undefined) throw missingSecret(name);
      return secret.value;
    },
    async set(name, value) {
      refuseSecretName(name);
      refuseSecretValue(name, value);
      await change((secrets) => secrets.set(name, { value, updatedMs: clock.now() }));
    },
    async list() {
      const entries = [...((await open())?.secrets ?? [])].map(([name, { updatedMs }]) => ({ name, updatedMs }));
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async remove(name) {
      if ((await open()) === undefined) throw missingSecret(name);
      await change((secrets) => {
        if (!secrets.delete(name)) throw missingSecret(name);
      });
    },
  };

  /** `undefined` when there is no file yet. */
  async function open(): Promise<Opened | undefined> {
    const stamp = await stampOf(path);
    if (stamp === undefined) return undefined;
    if (known?.stamp === stamp) return known.opened;
    const bytes = await read(path);
    if (bytes === undefined) return undefined;
    const key = await readKey();
    if (key === undefined) {
      throw new CytoError("missing-secret", `Cannot open secrets ${path}: their key file ${keyPath} is missing`, {
        hint: "Put the key file back, or give its content in CYTO_SECRET_KEY.",
      });
    }
    const opened = { key, ...(await unseal(bytes, key, path)) };
    known = { stamp, opened };
    return opened;
  }

  async function change(edit: (secrets: Map<string, Secret>) => void): Promise<void> {
    await attempt("write", path, () => mkdir(dirname(path), { recursive: true, mode: 0o700 }));
    await withLock(`${path}.lock`, { clock }, async () => {
      const opened = (await open()) ?? { secrets: new Map(), key: await ownKey(), salt: newSalt(random) };
      const secrets = new Map(opened.secrets);
      edit(secrets);
      const bytes = await seal(secrets, opened.key, opened.salt, random);
      await attempt("write", path, () => replaceFile(path, bytes, 0o600));
    });
  }

  async function readKey(): Promise<SealKey | undefined> {
    if (options.key !== undefined) return readSealKey(options.key, "CYTO_SECRET_KEY");
    const bytes = await read(keyPath);
    return bytes && readSealKey(bytes.toString(), keyPath);
  }

  /** The key for a first secret: made where there is none. */
  async function ownKey(): Promise<SealKey> {
    const key = await readKey();
    if (key !== undefined) return key;
    const text = hex(random.bytes(32));
    await attempt("write", keyPath, () => mkdir(dirname(keyPath), { recursive: true, mode: 0o700 }));
    await attempt("write", keyPath, () => replaceFile(keyPath, Buffer.from(`${text}\n`), 0o600));
    return readSealKey(text, keyPath);
  }
}

function read(path: string): Promise<Buffer | undefined> {
  return attempt("read", path, () => readFileIfAny(path));
}

/** Differs whenever the file has been replaced; `undefined` when there is none. */
async function stampOf(path: string): Promise<string | undefined> {
  const found = await attempt("read", path, () => statIfAny(path));
  return found && `${found.ino}/${found.mtimeNs}/${found.size}`;
}

async function attempt<T>(act: string, path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const full = code === "ENOSPC" || code === "EDQUOT";
    throw new CytoError(
      full ? "storage-full" : "backend-unavailable",
      `Cannot ${act} ${path}: ${full ? "there is no room left" : String(cause)}`,
      {
        hint: full ? "Free space on its disk." : "Make sure that the platform's user may read and write there.",
        cause,
      },
    );
  }
}
