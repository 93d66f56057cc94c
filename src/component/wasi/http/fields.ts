/**
 * The resource `wasi:http/types.fields`.
 *
 * Names are kept in lower case and values as one character a byte, as the kernel has them; a guest
 * that asks for all of its own fields gets the names as it first wrote them. Fields that belong to one
 * connection are the platform's: a guest neither sees nor sets them.
 */
import { CytoError, type Headers, limits } from "../../../kernel/index.ts";

export type HeaderError = { readonly tag: "invalid-syntax" | "forbidden" | "immutable" | "size-exceeded" };
export type Entry = readonly [name: string, value: string];

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
  #size: number;
  /** Names that were written with capitals, by the lower case. */
  #written: Map<string, string> | undefined;

  /** A guest's `new`: empty. The host gives entries that were checked, and who may change them. */
  constructor(entries: Entry[] = [], mutable = true) {
    this.#entries = entries;
    this.#mutable = mutable;
    this.#size = mutable ? sizeOf(entries) : 0;
  }

  /** Those of a message that came in. */
  static received(headers: Headers): Fields {
    return new Fields(passable(headers), false);
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
    const kept = this.#entries.filter((entry) => entry[0] !== key);
    this.#replace(key, [...kept, ...added]);
    if (added.length > 0) this.#remember(key, name);
  }

  delete(name: string): void {
    const key = this.#checked(name);
    this.#replace(
      key,
      this.#entries.filter((entry) => entry[0] !== key),
    );
  }

  append(name: string, value: Uint8Array): void {
    const key = this.#checked(name);
    const entry: Entry = [key, toValue(value)];
    const size = this.#size + sizeOf([entry]);
    if (size > limits.headerBytes) this.exceeded(key);
    this.#size = size;
    if (key !== name && !this.has(key)) this.#remember(key, name);
    this.#entries.push(entry);
  }

  entries(): [string, Uint8Array][] {
    return this.#entries.map(([name, value]) => [this.#written?.get(name) ?? name, toBytes(value)]);
  }

  clone(): Fields {
    return this.copyInto(new Fields(this.#entries.slice()));
  }

  /** The same fields, for a guest to read only. */
  frozen(): Fields {
    return this.copyInto(new Fields(this.#entries, false));
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

  /** How the names were written, told to a copy. */
  protected copyInto<F extends Fields>(copy: F): F {
    copy.#written = this.#written && new Map(this.#written);
    return copy;
  }

  /** 0.2 has no word for it. */
  protected exceeded(name: string): never {
    throw new CytoError("header-too-large", `Cannot add header ${name}: the limit is ${limits.headerBytes} bytes`);
  }

  #checked(name: string): string {
    if (!this.#mutable) throw { tag: "immutable" } satisfies HeaderError;
    if (!isToken(name)) throw { tag: "invalid-syntax" } satisfies HeaderError;
    const key = name.toLowerCase();
    if (forbidden.has(key)) throw { tag: "forbidden" } satisfies HeaderError;
    return key;
  }

  #replace(name: string, entries: Entry[]): void {
    const size = sizeOf(entries);
    if (size > limits.headerBytes) this.exceeded(name);
    this.#entries = entries;
    this.#size = size;
    this.#written?.delete(name);
  }

  #remember(key: string, name: string): void {
    if (key === name) return;
    this.#written ??= new Map();
    this.#written.set(key, name);
  }
}

function sizeOf(entries: readonly Entry[]): number {
  let size = 0;
  for (const [name, value] of entries) size += name.length + value.length + 4;
  return size;
}

/** Those of `headers` that a guest may see. */
export function passable(headers: Headers): Entry[] {
  return headers.filter((entry) => !forbidden.has(entry[0]));
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
