/**
 * Texts by name, sealed under a key with AES-256-GCM: the whole of them at once, names and times too,
 * so that neither can be read, changed, or taken out without the key.
 *
 * The sealed form is one JSON object: `format`, `version`, `key` ("raw" or "passphrase"), `salt` (of a
 * passphrase), `check` (tells a wrong key from a damaged file), `nonce` and `sealed`. All fields
 * before the nonce are authenticated with the content. Version 1 derives a passphrase's key by scrypt with
 * N = 32768, r = 8, p = 1.
 */
import { createCipheriv, createDecipheriv, createHmac, scrypt } from "node:crypto";
import { CytoError, type Random } from "../../kernel/index.ts";

export interface Secret {
  readonly value: string;
  readonly updatedMs: number;
}

export type SecretMap = ReadonlyMap<string, Secret>;

/** A key as it was given: 32 bytes as hexadecimal or base64, or else a passphrase. */
export interface SealKey {
  readonly kind: "raw" | "passphrase";
  readonly bytes: Buffer;
  /** For messages: `CYTO_SECRET_KEY`, or the path of the file. */
  readonly source: string;
}

interface Header {
  readonly format: "cytoplane-secrets";
  readonly version: 1;
  readonly key: "raw" | "passphrase";
  readonly salt: string;
  readonly check: string;
}

interface Sealed extends Header {
  readonly nonce: string;
  readonly sealed: string;
}

const cipherName = "aes-256-gcm";
const tagBytes = 16;
const passphraseLength = 16;

export function readSealKey(text: string, source: string): SealKey {
  const trimmed = text.trim();
  if (/^[0-9a-f]{64}$/i.test(trimmed)) return { kind: "raw", bytes: Buffer.from(trimmed, "hex"), source };
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) return { kind: "raw", bytes: Buffer.from(trimmed, "base64"), source };
  if (trimmed.length >= passphraseLength) return { kind: "passphrase", bytes: Buffer.from(trimmed), source };
  throw new CytoError("missing-secret", `Cannot use the key in ${source}: it is too short`, {
    hint: `Use 32 random bytes as hexadecimal or base64, or a passphrase of at least ${passphraseLength} characters.`,
  });
}

export async function seal(secrets: SecretMap, key: SealKey, salt: string, random: Random): Promise<Buffer> {
  const keys = await deriveKeys(key, salt);
  const header: Header = { format: "cytoplane-secrets", version: 1, key: key.kind, salt, check: keys.check };
  const nonce = random.bytes(12);
  const cipher = createCipheriv(cipherName, keys.encryption, nonce);
  cipher.setAAD(authenticated(header));
  const sealed = Buffer.concat([cipher.update(JSON.stringify([...secrets])), cipher.final(), cipher.getAuthTag()]);
  const whole: Sealed = { ...header, nonce: Buffer.from(nonce).toString("base64"), sealed: sealed.toString("base64") };
  return Buffer.from(`${JSON.stringify(whole)}\n`);
}

/** Throws when `bytes` are damaged or were sealed under another key. `path` is for messages. */
export async function unseal(bytes: Buffer, key: SealKey, path: string): Promise<{ secrets: SecretMap; salt: string }> {
  const whole = readSealed(bytes, path);
  const keys = await deriveKeys(key, whole.salt);
  if (whole.key !== key.kind || whole.check !== keys.check) throw wrongKey(key, whole.key, path);
  try {
    const sealed = Buffer.from(whole.sealed, "base64");
    const decipher = createDecipheriv(cipherName, keys.encryption, Buffer.from(whole.nonce, "base64"), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(authenticated(whole));
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    const text = Buffer.concat([decipher.update(sealed.subarray(0, -tagBytes)), decipher.final()]).toString();
    return { secrets: new Map(JSON.parse(text) as [string, Secret][]), salt: whole.salt };
  } catch (cause) {
    throw damaged(path, "it was changed after it was written", cause);
  }
}

export function newSalt(random: Random): string {
  return Buffer.from(random.bytes(16)).toString("base64");
}

function readSealed(bytes: Buffer, path: string): Sealed {
  let whole: Partial<Sealed>;
  try {
    whole = JSON.parse(bytes.toString()) ?? {};
  } catch {
    throw damaged(path, "it is no file of secrets, or was cut off");
  }
  const { format, version, key, salt, check, nonce, sealed } = whole;
  const complete = [salt, check, nonce, sealed].every((field) => typeof field === "string");
  if (format !== "cytoplane-secrets") throw damaged(path, "it is no file of secrets");
  if (version !== 1) {
    throw new CytoError(
      "backend-unavailable",
      `Cannot open secrets ${path}: they have version ${String(version)}, this platform knows 1`,
      {
        hint: "Run the platform's version that wrote them, or a later one.",
      },
    );
  }
  if (!complete || (key !== "raw" && key !== "passphrase")) throw damaged(path, "a part of it is missing");
  return whole as Sealed;
}

function authenticated({ format, version, key, salt, check }: Header): Buffer {
  return Buffer.from(JSON.stringify([format, version, key, salt, check]));
}

async function deriveKeys({ kind, bytes }: SealKey, salt: string): Promise<{ encryption: Buffer; check: string }> {
  const master = kind === "raw" ? bytes : await stretch(bytes, Buffer.from(salt, "base64"));
  const derive = (purpose: string) => createHmac("sha256", master).update(`cytoplane-secrets ${purpose}`).digest();
  return { encryption: derive("encryption"), check: derive("check").subarray(0, 8).toString("hex") };
}

function stretch(passphrase: Buffer, salt: Buffer): Promise<Buffer> {
  const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, 32, cost, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

function wrongKey(key: SealKey, needed: string, path: string): CytoError {
  const state =
    needed === key.kind
      ? "is not the one that they were sealed with"
      : `is not a ${needed === "raw" ? "raw key" : needed}, as they need`;
  return new CytoError("missing-secret", `Cannot open secrets ${path}: the key in ${key.source} ${state}`, {
    hint: "Give the right key in CYTO_SECRET_KEY or in the key file, or remove the file and set the secrets anew.",
  });
}

function damaged(path: string, state: string, cause?: unknown): CytoError {
  return new CytoError("storage-corrupt", `Cannot open secrets ${path}: ${state}`, {
    hint: "Put a good copy in its place, or remove it and set the secrets anew.",
    cause,
  });
}
