/**
 * URL of the URL standard.
 *
 * An absolute http or https URL that is already as the standard would write it (nearly every
 * `request.url`) is only checked, by one regular expression, and sliced when asked. Everything else, and
 * every change, goes through the full parser. Always true: both roads give the same answers.
 */
import { URL as StandardURL, URLSearchParams } from "whatwg-url-minimum";
import { inspected } from "./inspect.ts";

/** The query of a URL as pairs; changing either changes the other. */
class Query extends URLSearchParams {
  readonly #write: (query: string) => void;

  constructor(query: string, write: (query: string) => void) {
    super(query);
    this.#write = write;
  }

  override append(name: string, value: string): void {
    super.append(name, value);
    this.#write(this.toString());
  }

  override delete(name: string, value?: string): void {
    super.delete(name, value);
    this.#write(this.toString());
  }

  override set(name: string, value: string): void {
    super.set(name, value);
    this.#write(this.toString());
  }

  override sort(): void {
    super.sort();
    this.#write(this.toString());
  }

  /** Takes over what the URL's query has become. */
  reload(query: string): void {
    for (const name of new Set<string>(this.keys())) super.delete(name);
    new URLSearchParams(query).forEach((value, name) => void super.append(name, value));
  }
}

// Authors see one class.
Object.defineProperty(Query.prototype, "constructor", { value: URLSearchParams, writable: true, configurable: true });

const OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
/**
 * No user, no default port, no upper case to undo, nothing to encode, no segment that could be a dot
 * segment. A host that ends in a number is an IPv4 address.
 */
const NORMAL = new RegExp(
  `^https?://(?:(?:[a-z0-9-]+\\.)*[a-z][a-z0-9-]*|(?:${OCTET}\\.){3}${OCTET})` +
    "(?::(?!80/|443/)(?:[1-9]\\d{1,3}|[1-5]\\d{4}))?" +
    "(?:/(?!\\.)[\\w\\-.~!$%&'()*+,;=:@]*)+(?:\\?[!$-&(-;=?-~]*)?(?:#[!#-;=?-_a-~]*)?$",
);

function isNormal(href: string): boolean {
  // A coded dot may make a dot segment.
  return NORMAL.test(href) && (href.indexOf("%") === -1 || !/%2e/i.test(href));
}

/** An absolute path against a normal URL, if the result is normal again. */
function joinPath(path: string, base: string): string | undefined {
  if (path.charCodeAt(0) !== 47 || path.charCodeAt(1) === 47 || !isNormal(base)) return undefined;
  const href = base.slice(0, base.indexOf("/", 8)) + path;
  return isNormal(href) ? href : undefined;
}

export class URL {
  /** Set as long as the text itself is the URL. */
  #href: string | undefined;
  #full: StandardURL | undefined;
  #query: Query | undefined;

  constructor(input: string | URL, base?: string | URL) {
    const text = typeof input === "string" ? input : String(input);
    if (base === undefined) {
      if (isNormal(text)) this.#href = text;
      else this.#full = new StandardURL(text);
      return;
    }
    const baseText = typeof base === "string" ? base : String(base);
    this.#href = joinPath(text, baseText);
    if (this.#href === undefined) this.#full = new StandardURL(text, baseText);
  }

  static parse(input: string | URL, base?: string | URL): URL | null {
    try {
      return new URL(input, base);
    } catch {
      return null;
    }
  }

  static canParse(input: string | URL, base?: string | URL): boolean {
    return URL.parse(input, base) !== null;
  }

  get href(): string {
    return this.#href ?? this.#full!.href;
  }

  set href(value: string) {
    this.#parsed().href = `${value}`;
    this.#query?.reload(this.search);
  }

  get protocol(): string {
    return this.#href === undefined ? this.#full!.protocol : this.#href.slice(0, this.#href.indexOf(":") + 1);
  }

  set protocol(value: string) {
    this.#parsed().protocol = `${value}`;
  }

  get origin(): string {
    return this.#href === undefined ? this.#full!.origin : this.#href.slice(0, this.#href.indexOf("/", 8));
  }

  get host(): string {
    const href = this.#href;
    return href === undefined ? this.#full!.host : href.slice(href.indexOf("/") + 2, href.indexOf("/", 8));
  }

  set host(value: string) {
    this.#parsed().host = `${value}`;
  }

  get hostname(): string {
    if (this.#href === undefined) return this.#full!.hostname;
    const { host } = this;
    const colon = host.indexOf(":");
    return colon === -1 ? host : host.slice(0, colon);
  }

  set hostname(value: string) {
    this.#parsed().hostname = `${value}`;
  }

  get port(): string {
    if (this.#href === undefined) return this.#full!.port;
    const { host } = this;
    const colon = host.indexOf(":");
    return colon === -1 ? "" : host.slice(colon + 1);
  }

  set port(value: string) {
    this.#parsed().port = `${value}`;
  }

  get pathname(): string {
    const href = this.#href;
    if (href === undefined) return this.#full!.pathname;
    let end = href.indexOf("?");
    if (end === -1) end = href.indexOf("#");
    else {
      const hash = href.indexOf("#");
      if (hash !== -1 && hash < end) end = hash;
    }
    return href.slice(href.indexOf("/", 8), end === -1 ? undefined : end);
  }

  set pathname(value: string) {
    this.#parsed().pathname = `${value}`;
  }

  get search(): string {
    const href = this.#href;
    if (href === undefined) return this.#full!.search;
    const start = href.indexOf("?");
    if (start === -1) return "";
    const hash = href.indexOf("#");
    if (hash !== -1 && hash < start) return "";
    const search = hash === -1 ? href.slice(start) : href.slice(start, hash);
    return search === "?" ? "" : search;
  }

  set search(value: string) {
    this.#parsed().search = `${value}`;
    this.#query?.reload(this.search);
  }

  get searchParams(): URLSearchParams {
    this.#query ??= new Query(this.search, (query) => {
      this.#parsed().search = query;
    });
    return this.#query;
  }

  get hash(): string {
    const href = this.#href;
    if (href === undefined) return this.#full!.hash;
    const start = href.indexOf("#");
    return start === -1 || start === href.length - 1 ? "" : href.slice(start);
  }

  set hash(value: string) {
    this.#parsed().hash = `${value}`;
  }

  get username(): string {
    return this.#full?.username ?? "";
  }

  set username(value: string) {
    this.#parsed().username = `${value}`;
  }

  get password(): string {
    return this.#full?.password ?? "";
  }

  set password(value: string) {
    this.#parsed().password = `${value}`;
  }

  toString(): string {
    return this.href;
  }

  toJSON(): string {
    return this.href;
  }

  [inspected](): string {
    return `URL { ${this.href} }`;
  }

  get [Symbol.toStringTag](): string {
    return "URL";
  }

  /** The full form, which takes over from the text. */
  #parsed(): StandardURL {
    this.#full ??= new StandardURL(this.#href!);
    this.#href = undefined;
    return this.#full;
  }
}

export { URLSearchParams };
