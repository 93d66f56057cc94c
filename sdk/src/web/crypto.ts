/**
 * crypto: chance from the host; of SubtleCrypto digest (SHA-1, SHA-256, SHA-384, SHA-512) and HMAC.
 * Every other method and algorithm is refused by name.
 */
import { hmac } from "@noble/hashes/hmac.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { fromBase64, toBase64 } from "./base64.ts";
import { getRandomValues, randomUUID } from "./chance.ts";
import { inspected } from "./inspect.ts";
import { toBytes } from "./text.ts";
import { unavailable } from "./unavailable.ts";

const hashes = { "SHA-1": sha1, "SHA-256": sha256, "SHA-384": sha384, "SHA-512": sha512 };
type HashName = keyof typeof hashes;
type AlgorithmSource = string | { name: string; hash?: AlgorithmSource; length?: number };
type Usage = "sign" | "verify";

/** The `alg` of a JSON Web Key, by hash. */
const jwkNames: Readonly<Record<HashName, string>> = {
  "SHA-1": "HS1",
  "SHA-256": "HS256",
  "SHA-384": "HS384",
  "SHA-512": "HS512",
};

interface JsonWebKeySource {
  kty?: string;
  k?: string;
  alg?: string;
  ext?: boolean;
  key_ops?: string[];
  use?: string;
}

const PRIVATE = Symbol();
let secretOf: (key: CryptoKey) => Uint8Array<ArrayBuffer>;

export class CryptoKey {
  readonly type = "secret";
  readonly extractable: boolean;
  readonly algorithm: { readonly name: "HMAC"; readonly length: number; readonly hash: { readonly name: HashName } };
  readonly usages: readonly Usage[];
  readonly #secret: Uint8Array<ArrayBuffer>;

  static {
    secretOf = (key) => key.#secret;
  }

  constructor(key: symbol, secret: Uint8Array<ArrayBuffer>, hash: HashName, extractable: boolean, usages: Usage[]) {
    if (key !== PRIVATE) throw new TypeError("Illegal constructor: use crypto.subtle.importKey()");
    this.#secret = secret;
    this.extractable = extractable;
    this.algorithm = { name: "HMAC", length: secret.length * 8, hash: { name: hash } };
    this.usages = usages;
  }

  [inspected](): string {
    return `CryptoKey { type: 'secret', algorithm: HMAC ${this.algorithm.hash.name} }`;
  }

  get [Symbol.toStringTag](): string {
    return "CryptoKey";
  }
}

export class SubtleCrypto {
  async digest(algorithm: AlgorithmSource, data: ArrayBuffer | ArrayBufferView): Promise<ArrayBuffer> {
    return hashes[toHash("digest", algorithm)](toBytes(data)).slice().buffer as ArrayBuffer;
  }

  async importKey(
    format: string,
    data: ArrayBuffer | ArrayBufferView | JsonWebKeySource,
    algorithm: AlgorithmSource,
    extractable: boolean,
    usages: Usage[],
  ): Promise<CryptoKey> {
    requireHmac("importKey", algorithm);
    const hash = toHash("importKey", typeof algorithm === "string" ? "" : algorithm.hash);
    if (usages.length === 0 || usages.some((usage) => usage !== "sign" && usage !== "verify")) {
      throw new DOMException(`importKey: an HMAC key is for "sign" or "verify", not [${usages}]`, "SyntaxError");
    }
    const secret =
      format === "raw" ? toBytes(data).slice() : fromJwk(format, data as JsonWebKeySource, hash, extractable);
    if (secret.length === 0) throw new DOMException("importKey: the key is empty", "DataError");
    return new CryptoKey(PRIVATE, secret, hash, Boolean(extractable), [...new Set(usages)]);
  }

  async exportKey(format: string, key: CryptoKey): Promise<ArrayBuffer | JsonWebKeySource> {
    const secret = secretOf(key);
    if (!key.extractable) throw new DOMException("exportKey: the key is not extractable", "InvalidAccessError");
    if (format === "raw") return secret.slice().buffer;
    if (format !== "jwk")
      throw unavailable(`crypto.subtle.exportKey("${format}")`, "HMAC keys are exported as raw or jwk");
    return {
      kty: "oct",
      k: toBase64(secret, { alphabet: "base64url", omitPadding: true }),
      alg: jwkNames[key.algorithm.hash.name],
      key_ops: [...key.usages],
      ext: true,
    };
  }

  async sign(algorithm: AlgorithmSource, key: CryptoKey, data: ArrayBuffer | ArrayBufferView): Promise<ArrayBuffer> {
    requireHmac("sign", algorithm);
    return authenticate("sign", key, data).buffer;
  }

  async verify(
    algorithm: AlgorithmSource,
    key: CryptoKey,
    signature: ArrayBuffer | ArrayBufferView,
    data: ArrayBuffer | ArrayBufferView,
  ): Promise<boolean> {
    requireHmac("verify", algorithm);
    const expected = authenticate("verify", key, data);
    const given = toBytes(signature);
    if (given.length !== expected.length) return false;
    // Every byte is looked at, whatever the first difference, so that the time tells nothing.
    let difference = 0;
    for (let at = 0; at < expected.length; at++) difference |= expected[at]! ^ given[at]!;
    return difference === 0;
  }

  get [Symbol.toStringTag](): string {
    return "SubtleCrypto";
  }
}

/** No engine has these. */
const WAY_OUT = "bundle a package such as @noble/ciphers, @noble/curves or, for key derivation, @noble/hashes";
const WAY_OUT_ASYMMETRIC = `there is only HMAC, and digest with SHA-1, SHA-256, SHA-384 and SHA-512; for RSA and ECDSA declare \`engine: starlingmonkey\`, else ${WAY_OUT}`;

const missing = ["encrypt", "decrypt", "generateKey", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"] as const;

for (const method of missing) {
  Object.defineProperty(SubtleCrypto.prototype, method, {
    value: () => Promise.reject(unavailable(`crypto.subtle.${method}`, WAY_OUT)),
    writable: true,
    configurable: true,
  });
}

function authenticate(usage: Usage, key: CryptoKey, data: ArrayBuffer | ArrayBufferView): Uint8Array<ArrayBuffer> {
  if (!key.usages.includes(usage)) throw new DOMException(`${usage}: the key is not for it`, "InvalidAccessError");
  return hmac(hashes[key.algorithm.hash.name], secretOf(key), toBytes(data)).slice() as Uint8Array<ArrayBuffer>;
}

function requireHmac(method: string, algorithm: AlgorithmSource): void {
  const name = typeof algorithm === "string" ? algorithm : `${algorithm.name}`;
  if (name.toUpperCase() !== "HMAC") throw unavailable(`crypto.subtle.${method} with ${name}`, WAY_OUT_ASYMMETRIC);
}

function toHash(method: string, algorithm: AlgorithmSource | undefined): HashName {
  const given = typeof algorithm === "object" ? `${algorithm.name}` : `${algorithm}`;
  const name = given.toUpperCase();
  if (name in hashes) return name as HashName;
  throw unavailable(`crypto.subtle.${method} with ${given}`, WAY_OUT_ASYMMETRIC);
}

function fromJwk(format: string, jwk: JsonWebKeySource, hash: HashName, extractable: boolean): Uint8Array<ArrayBuffer> {
  if (format !== "jwk")
    throw unavailable(`crypto.subtle.importKey("${format}")`, "HMAC keys are imported as raw or jwk");
  const broken = (why: string) => new DOMException(`importKey: ${why}`, "DataError");
  if (jwk.kty !== "oct" || typeof jwk.k !== "string") throw broken("the JSON Web Key is not of type oct with a k");
  if (jwk.alg !== undefined && jwk.alg !== jwkNames[hash]) {
    throw broken(`the JSON Web Key is for ${jwk.alg}, not ${jwkNames[hash]}`);
  }
  if (jwk.ext === false && extractable) throw broken("the JSON Web Key is not extractable");
  try {
    return fromBase64(jwk.k, { alphabet: "base64url" });
  } catch {
    throw broken("the k of the JSON Web Key is not base64url");
  }
}

export const crypto = {
  subtle: new SubtleCrypto(),
  getRandomValues,
  randomUUID,
  get [Symbol.toStringTag](): string {
    return "Crypto";
  },
};
