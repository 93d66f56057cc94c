/**
 * Headers of the Fetch standard over the world's `fields`: lines `name: value`, names in lower case.
 *
 * As long as nobody changes them, headers stay that one string and a lookup is a search in it. The first
 * change turns them into a list. Always true: what is held has been validated, so `toFields` is safe to
 * send.
 */
import { inspected } from "./inspect.ts";

type Entry = [name: string, value: string];
export type HeadersSource = Headers | Iterable<Iterable<string>> | Readonly<Record<string, string>>;

/** Marks the constructor call that takes validated `fields` as they are. */
export const FIELDS = Symbol("fields");

const CACHED_MAX = 256;
const names = new Map<string, string>();
const values = new Map<string, string>();

/** The lower-case name; a TypeError for what is no header name. */
export function toName(given: string): string {
  const known = names.get(given);
  if (known !== undefined) return known;
  const text = `${given}`;
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text)) throw new TypeError(`"${text}" is not a valid header name`);
  const name = text.toLowerCase();
  if (names.size < CACHED_MAX) names.set(text, name);
  return name;
}

/** The value without white space round it; a TypeError for what cannot be sent. */
export function toValue(given: string): string {
  const known = values.get(given);
  if (known !== undefined) return known;
  const text = `${given}`;
  const value = /^[\t\n\r ]|[\t\n\r ]$/.test(text) ? text.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "") : text;
  if (!/^[^\0\n\r\u0100-\uffff]*$/.test(value)) {
    throw new TypeError("A header value holds a line break, a NUL or a character above U+00FF");
  }
  if (values.size < CACHED_MAX && text.length <= 64) values.set(text, value);
  return value;
}

/** What `new Headers(init)` would send, without making one. */
export function toFields(init: HeadersSource): string {
  if (init === null || typeof init !== "object") {
    throw new TypeError("Headers: the argument is neither headers, nor a list of pairs, nor an object");
  }
  if (init instanceof Headers) return fieldsOf(init);
  let fields = "";
  if (Symbol.iterator in init) {
    for (const pair of init as Iterable<Iterable<string>>) {
      const [name, value, ...more] = pair;
      if (name === undefined || value === undefined || more.length > 0) {
        throw new TypeError("Headers: an entry is not a pair of name and value");
      }
      fields += `\n${toName(name)}: ${toValue(value)}`;
    }
  } else {
    for (const name of Object.keys(init))
      fields += `\n${toName(name)}: ${toValue((init as Record<string, string>)[name]!)}`;
  }
  return fields.slice(1);
}

/** Whether `fields` has a line for `name` (lower case). */
export function hasField(fields: string, name: string): boolean {
  return fields.startsWith(`${name}: `) || fields.includes(`\n${name}: `);
}

/** The value of `name` (lower case) in `fields`, repeated ones joined; null when there is none. */
export function findField(fields: string, name: string): string | null {
  const prefix = `${name}: `;
  let found: string | null = null;
  for (let at = fields.indexOf(prefix); at !== -1; at = fields.indexOf(prefix, at + 1)) {
    if (at > 0 && fields.charCodeAt(at - 1) !== 10) continue;
    const end = fields.indexOf("\n", at);
    const value = fields.slice(at + prefix.length, end === -1 ? undefined : end);
    found = found === null ? value : `${found}, ${value}`;
  }
  return found;
}

function parse(fields: string): Entry[] {
  if (fields === "") return [];
  return fields.split("\n").map((line) => {
    const at = line.indexOf(":");
    return [line.slice(0, at), line.slice(at + 2)];
  });
}

export let fieldsOf: (headers: Headers) => string;
export let freeze: (headers: Headers) => Headers;

export class Headers {
  /** Holds until `#list` is there. */
  #fields = "";
  #list: Entry[] | undefined;
  #immutable = false;
  /** What iteration goes over; dropped by a change. */
  #order: Entry[] | undefined;

  static {
    fieldsOf = (headers) => headers.#toFields();
    freeze = (headers) => {
      headers.#immutable = true;
      return headers;
    };
  }

  constructor(init?: HeadersSource | typeof FIELDS | null, fields?: string) {
    if (init === FIELDS) this.#fields = fields!;
    else if (init !== undefined) this.#fields = toFields(init as HeadersSource);
  }

  get(name: string): string | null {
    return findField(this.#toFields(), toName(name));
  }

  has(name: string): boolean {
    return hasField(this.#toFields(), toName(name));
  }

  getSetCookie(): string[] {
    return this.#entries().flatMap(([name, value]) => (name === "set-cookie" ? [value] : []));
  }

  append(name: string, value: string): void {
    const entry: Entry = [toName(name), toValue(value)];
    this.#change().push(entry);
  }

  set(name: string, value: string): void {
    const key = toName(name);
    const entry: Entry = [key, toValue(value)];
    const list = this.#change();
    const at = list.findIndex((known) => known[0] === key);
    if (at === -1) {
      list.push(entry);
      return;
    }
    list[at] = entry;
    this.#list = list.filter((known, index) => index <= at || known[0] !== key);
  }

  delete(name: string): void {
    const key = toName(name);
    this.#list = this.#change().filter((known) => known[0] !== key);
  }

  forEach(callback: (value: string, name: string, headers: Headers) => void, thisArg?: unknown): void {
    for (const [name, value] of this) callback.call(thisArg, value, name, this);
  }

  *entries(): IterableIterator<Entry> {
    // By index, sorted anew after a change: what is changed during the iteration is seen, as the standard wants.
    for (let index = 0; index < this.#sorted().length; index++) {
      const [name, value] = this.#sorted()[index]!;
      yield [name, value];
    }
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<Entry> {
    return this.entries();
  }

  [inspected](): string {
    return `Headers { ${this.#sorted()
      .map(([name, value]) => `${name}: ${value}`)
      .join(", ")} }`;
  }

  get [Symbol.toStringTag](): string {
    return "Headers";
  }

  /** Sorted by name, equal names combined, cookies each on their own. */
  #sorted(): Entry[] {
    if (this.#order) return this.#order;
    const combined: Entry[] = [];
    const at = new Map<string, Entry>();
    for (const [name, value] of this.#entries()) {
      const known = name === "set-cookie" ? undefined : at.get(name);
      if (known) {
        known[1] += `, ${value}`;
        continue;
      }
      const entry: Entry = [name, value];
      at.set(name, entry);
      combined.push(entry);
    }
    this.#order = combined.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return this.#order;
  }

  #entries(): Entry[] {
    return this.#list ?? parse(this.#fields);
  }

  #toFields(): string {
    return this.#list ? this.#list.map(([name, value]) => `${name}: ${value}`).join("\n") : this.#fields;
  }

  #change(): Entry[] {
    if (this.#immutable) throw new TypeError("These headers are immutable: copy them with new Headers(…)");
    this.#order = undefined;
    this.#list ??= parse(this.#fields);
    return this.#list;
  }
}
