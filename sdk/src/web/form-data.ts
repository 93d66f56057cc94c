/** FormData of the XMLHttpRequest standard, and its two encodings. */
import { URLSearchParams } from "whatwg-url-minimum";
import { Blob, bytesOf, File, join } from "./blob.ts";
import { randomUUID } from "./chance.ts";
import { inspected } from "./inspect.ts";
import { decodeUtf8, encodeUtf8, toBinaryString } from "./text.ts";

type Value = string | File;

export class FormData {
  #entries: [name: string, value: Value][] = [];

  constructor(form?: undefined) {
    if (form !== undefined) throw new TypeError("FormData: there are no HTML forms here, call it without an argument");
  }

  append(name: string, value: string | Blob, filename?: string): void {
    this.#entries.push([toText(name), toValue(value, filename)]);
  }

  set(name: string, value: string | Blob, filename?: string): void {
    const entry: [string, Value] = [toText(name), toValue(value, filename)];
    const at = this.#entries.findIndex(([known]) => known === entry[0]);
    if (at === -1) {
      this.#entries.push(entry);
      return;
    }
    this.#entries[at] = entry;
    this.#entries = this.#entries.filter(([known], index) => index <= at || known !== entry[0]);
  }

  get(name: string): Value | null {
    return this.#entries.find(([known]) => known === toText(name))?.[1] ?? null;
  }

  getAll(name: string): Value[] {
    return this.#entries.filter(([known]) => known === toText(name)).map(([, value]) => value);
  }

  has(name: string): boolean {
    return this.#entries.some(([known]) => known === toText(name));
  }

  delete(name: string): void {
    this.#entries = this.#entries.filter(([known]) => known !== toText(name));
  }

  forEach(callback: (value: Value, name: string, form: FormData) => void, thisArg?: unknown): void {
    for (const [name, value] of this) callback.call(thisArg, value, name, this);
  }

  *entries(): IterableIterator<[string, Value]> {
    for (let index = 0; index < this.#entries.length; index++) {
      const [name, value] = this.#entries[index]!;
      yield [name, value];
    }
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): IterableIterator<Value> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<[string, Value]> {
    return this.entries();
  }

  [inspected](): unknown {
    return Object.fromEntries(this.#entries);
  }

  get [Symbol.toStringTag](): string {
    return "FormData";
  }
}

/** multipart/form-data, with the content type that names its boundary. */
export function toMultipart(form: FormData): { bytes: Uint8Array<ArrayBuffer>; type: string } {
  const boundary = `----cytoplane-${randomUUID()}`;
  const pieces: Uint8Array[] = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(name)}"`;
    if (typeof value === "string") {
      pieces.push(encodeUtf8(`${head}\r\n\r\n${value.replace(/\r\n|\r|\n/g, "\r\n")}\r\n`));
    } else {
      const type = value.type || "application/octet-stream";
      pieces.push(encodeUtf8(`${head}; filename="${escapeName(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`));
      pieces.push(bytesOf(value), encodeUtf8("\r\n"));
    }
  }
  pieces.push(encodeUtf8(`--${boundary}--\r\n`));
  return { bytes: join(pieces), type: `multipart/form-data; boundary=${boundary}` };
}

/** What a body of type `contentType` says; a TypeError when it is no form or is broken. */
export function parseForm(bytes: Uint8Array<ArrayBuffer>, contentType: string | null): FormData {
  const essence = (contentType ?? "").split(";")[0]!.trim().toLowerCase();
  if (essence === "application/x-www-form-urlencoded") {
    const form = new FormData();
    for (const [name, value] of new URLSearchParams(decodeUtf8(bytes))) form.append(name, value);
    return form;
  }
  if (essence === "multipart/form-data") return parseMultipart(bytes, parameter(contentType!, "boundary"));
  throw new TypeError(
    `Cannot read the body as a form: its content type is ${contentType ? `"${contentType}"` : "not given"}`,
  );
}

function parseMultipart(bytes: Uint8Array<ArrayBuffer>, boundary: string | undefined): FormData {
  const broken = (what: string) => new TypeError(`Cannot read the body as multipart/form-data: ${what}`);
  if (!boundary) throw broken("its content type names no boundary");
  // One character a byte, so that native string search finds the boundaries.
  const text = `\r\n${toBinaryString(bytes)}`;
  const delimiter = `\r\n--${boundary}`;
  const form = new FormData();
  let at = text.indexOf(delimiter);
  if (at === -1) throw broken("the boundary does not occur in it");
  for (;;) {
    at += delimiter.length;
    if (text.startsWith("--", at)) return form;
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd === -1 || text.slice(at, lineEnd).trim() !== "") throw broken("text follows a boundary");
    // A part without any header begins with the empty line itself.
    const headEnd = text.indexOf("\r\n\r\n", lineEnd);
    if (headEnd === -1) throw broken("a part has no end to its header");
    const end = text.indexOf(delimiter, headEnd + 2);
    if (end === -1) throw broken("it ends without a closing boundary");
    const bodyStart = headEnd + 4;
    // The two characters put before the text are not in `bytes`.
    addPart(form, text.slice(lineEnd, headEnd), bytes.subarray(bodyStart - 2, Math.max(bodyStart, end) - 2), broken);
    at = end;
  }
}

function addPart(form: FormData, head: string, body: Uint8Array<ArrayBuffer>, broken: (what: string) => Error): void {
  let disposition: string | undefined;
  let type: string | undefined;
  for (const line of head.split("\r\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).trim().toLowerCase();
    if (name === "content-disposition") disposition = line.slice(colon + 1).trim();
    if (name === "content-type") type = line.slice(colon + 1).trim();
  }
  if (!disposition || !/^form-data\s*;/i.test(disposition)) throw broken("a part has no form-data disposition");
  const name = parameter(disposition, "name");
  if (name === undefined) throw broken("a part has no name");
  const filename = parameter(disposition, "filename");
  if (filename === undefined) form.append(unescapeName(name), decodeUtf8(body));
  else form.append(unescapeName(name), new File([body], unescapeName(filename), { type: type ?? "text/plain" }));
}

/** A parameter of a header value: `; name=token` or `; name="quoted"`. */
function parameter(header: string, name: string): string | undefined {
  for (const [, key, quoted, token] of header.matchAll(/;\s*([\w*-]+)\s*=\s*(?:"([^"]*)"|([^;\s]*))/g)) {
    if (key!.toLowerCase() === name) return quoted ?? token;
  }
  return undefined;
}

function escapeName(name: string): string {
  return name.replace(/\r\n|\r|\n/g, "%0D%0A").replaceAll('"', "%22");
}

function unescapeName(name: string): string {
  const text = name.replace(/%0D|%0A|%22/gi, (code) => decodeURIComponent(code));
  return decodeUtf8(Uint8Array.from(text, (character) => character.charCodeAt(0)));
}

function toText(name: string): string {
  return `${name}`.toWellFormed();
}

function toValue(value: string | Blob, filename: string | undefined): Value {
  if (!(value instanceof Blob)) return toText(value);
  if (value instanceof File && filename === undefined) return value;
  const name = filename ?? "blob";
  const lastModified = value instanceof File ? { lastModified: value.lastModified } : {};
  return new File([value], name, { type: value.type, ...lastModified });
}
