import { type Cases, equal, fails, hex, same } from "./assert.ts";

const data = new TextEncoder().encode("abc");
const HMAC = { name: "HMAC", hash: "SHA-256" };

export const cases: Cases = {
  async "digests (FIPS 180)"() {
    equal(hex(await crypto.subtle.digest("SHA-1", data)), "a9993e364706816aba3e25717850c26c9cd0d89d");
    equal(
      hex(await crypto.subtle.digest("sha-256", data)),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    equal(
      hex(await crypto.subtle.digest({ name: "SHA-384" }, data.buffer)),
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    );
    equal(
      hex(await crypto.subtle.digest("SHA-512", data)),
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    );
    equal(hex(await crypto.subtle.digest("SHA-1", new Uint8Array(0))), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  },
  async "HMAC (RFC 4231, case 2)"() {
    const key = await crypto.subtle.importKey("raw", new TextEncoder().encode("Jefe"), HMAC, false, ["sign", "verify"]);
    const message = new TextEncoder().encode("what do ya want for nothing?");
    const signature = await crypto.subtle.sign("HMAC", key, message);
    equal(hex(signature), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    equal(await crypto.subtle.verify("HMAC", key, signature, message), true);
    new Uint8Array(signature)[0]! ^= 1;
    equal(await crypto.subtle.verify("HMAC", key, signature, message), false);
    equal(await crypto.subtle.verify("HMAC", key, signature.slice(1), message), false);
  },
  async "keys go in and out as raw and jwk"() {
    const jwk = { kty: "oct", k: "AQIDBP8", alg: "HS512" };
    const algorithm = { name: "HMAC", hash: { name: "SHA-512" } };
    const key = await crypto.subtle.importKey("jwk", jwk, algorithm, true, ["sign"]);
    same([key.type, key.extractable, key.usages], ["secret", true, ["sign"]]);
    same(key.algorithm, { name: "HMAC", length: 40, hash: { name: "SHA-512" } });
    equal(hex((await crypto.subtle.exportKey("raw", key)) as ArrayBuffer), "01020304ff");
    const { k, alg } = (await crypto.subtle.exportKey("jwk", key)) as { k?: string; alg?: string };
    same([k, alg], ["AQIDBP8", "HS512"]);
  },
  async "refuses wrong keys and wrong use"() {
    const raw = new Uint8Array(8);
    await fails("SyntaxError", () => crypto.subtle.importKey("raw", raw, HMAC, true, ["encrypt"]));
    await fails("DataError", () => crypto.subtle.importKey("raw", new Uint8Array(0), HMAC, true, ["sign"]));
    await fails("DataError", () => crypto.subtle.importKey("jwk", { kty: "RSA" }, HMAC, true, ["sign"]));
    const key = await crypto.subtle.importKey("raw", raw, HMAC, false, ["sign"]);
    await fails("InvalidAccessError", () => crypto.subtle.exportKey("raw", key));
    await fails("InvalidAccessError", () => crypto.subtle.verify("HMAC", key, raw, raw));
    await fails("NotSupportedError", () => crypto.subtle.digest("MD5", raw));
  },
  async "getRandomValues and randomUUID"() {
    const values = crypto.getRandomValues(new Uint32Array(8));
    equal(new Set(values).size > 4, true);
    equal(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()), true);
    await fails("TypeMismatchError", () => crypto.getRandomValues(new Float64Array(1) as never));
    await fails("QuotaExceededError", () => crypto.getRandomValues(new Uint8Array(65537)));
  },
};
