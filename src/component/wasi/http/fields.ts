/**
 * The resource `wasi:http/types.fields`.
 *
 * Names are kept in lower case and values as one character a byte, as the kernel has them. Fields
 * that belong to one connection are the platform's: a guest neither sees nor sets them.
 */
import { CytoError, type Headers, limits } from "../../../kernel/index.ts";

export type HeaderError = { readonly tag: "invalid-syntax" | "forbidden" | "immutable" };
type Entry = readonly [name: string, value: string];

const forbidden = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

export class Fields {
  #entries: Entry[];
  readonly #mutable: boolean;
  #size = 0;

  /** A guest's `new`: empty. The host gives entries that were checked, and who may change them. */
  constructor(entries: Entry[] = [], mutable = true) {
    this.#entries = entries;
    this.#mutable = mutable;
  }

  /** Those of a message that came in. */
  static received(headers: Headers): Fields {
    return new Fields(
      headers.filter((entry) => !forbidden.has(entry[0])),
      false,
    );
  }

  static fromList(list: readonly (readonly [string, Uint8Array])[]): Fields {
    const fields = new Fields();
    for (const [name, value] of list) fields.append(name, value);
    return fields;
  }

  get(name: string): Uint8Array[] {
    const wanted = name.toLowerCase();
    const values: Uint8Array[] = [];
    for (const entry of this.#entries) if (entry[0] === wanted) values.push(toBytes(entry[1]));
    return values;
  }

  has(name: string): boolean {
    return this.first(name.toLowerCase()) !== undefined;
  }

  set(name: string, values: readonly Uint8Array[]): void {
    const key = this.#checked(name);
    const added = values.map((value): Entry => [key, toValue(value)]);
    this.#entries = this.#entries.filter((entry) => entry[0] !== key);
    for (const entry of added) this.#add(entry);
  }

  delete(name: string): void {
    const key = this.#checked(name);
    this.#entries = this.#entries.filter((entry) => entry[0] !== key);
  }

  append(name: string, value: Uint8Array): void {
    this.#add([this.#checked(name), toValue(value)]);
  }

  entries(): [string, Uint8Array][] {
    return this.#entries.map(([name, value]) => [name, toBytes(value)]);
  }

  clone(): Fields {
    return new Fields(this.#entries.slice());
  }

  /** The same fields, for a guest to read only. */
  frozen(): Fields {
    return new Fields(this.#entries, false);
  }

  /** As the kernel carries them. */
  headers(): Headers {
    return this.#entries;
  }

  /** The first value under a lower-case name. */
  first(name: string): string | undefined {
    for (const entry of this.#entries) if (entry[0] === name) return entry[1];
    return undefined;
  }

  #checked(name: string): string {
    if (!this.#mutable) throw { tag: "immutable" } satisfies HeaderError;
    if (!isToken(name)) throw { tag: "invalid-syntax" } satisfies HeaderError;
    const key = name.toLowerCase();
    if (forbidden.has(key)) throw { tag: "forbidden" } satisfies HeaderError;
    return key;
  }

  /** Counts what was ever added, so that a guest cannot fill the host's memory. */
  #add(entry: Entry): void {
    this.#size += entry[0].length + entry[1].length + 4;
    if (this.#size > limits.headerBytes)
      throw new CytoError(
        "header-too-large",
        `Cannot add header ${entry[0]}: the limit is ${limits.headerBytes} bytes`,
      );
    this.#entries.push(entry);
  }
}

export function isToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}

function toValue(bytes: Uint8Array): string {
  const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) throw { tag: "invalid-syntax" } satisfies HeaderError;
  return value;
}

function toBytes(value: string): Uint8Array {
  return Buffer.from(value, "latin1");
}
