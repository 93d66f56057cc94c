/** Request of the Fetch standard. One that came in is made around the host's record and parses nothing until asked. */
import type { Request as WorldRequest } from "cytoplane:service/types@0.1.0";
import { AbortSignal } from "./abort.ts";
import { type BodySource, Payload, Taken, takeContent } from "./body.ts";
import { FIELDS, fieldsOf, findField, freeze, Headers, type HeadersSource, hasField, toFields } from "./headers.ts";
import { inspected } from "./inspect.ts";
import { URL } from "./url.ts";

export interface RequestOptions {
  method?: string;
  headers?: HeadersSource;
  body?: BodySource;
  signal?: AbortSignal | null;
  redirect?: "follow" | "error" | "manual";
}

/** Marks the constructor call that wraps a request from the host. */
export const INCOMING = Symbol("incoming");

interface Caller {
  readonly signal: AbortSignal;
}

/** What the world sends: the header as text, and the body, which is thereby used. */
export let partsOf: (request: Request) => { fields: string; content: ReturnType<typeof takeContent> };
/** The signal, if anybody could abort it. */
export let signalOf: (request: Request) => AbortSignal | undefined;

export class Request extends Payload {
  readonly #method: string;
  readonly #url: string;
  /** Text until somebody touches `headers`. */
  #headers: string | Headers;
  #signal: AbortSignal | undefined;
  readonly #caller: Caller | undefined;
  readonly #redirect: "follow" | "error" | "manual";

  static {
    partsOf = (request) => ({
      fields: typeof request.#headers === "string" ? request.#headers : fieldsOf(request.#headers),
      content: takeContent(request, "send"),
    });
    signalOf = (request) => request.#signal ?? request.#caller?.signal;
  }

  constructor(
    input: string | URL | Request | typeof INCOMING,
    second?: RequestOptions | WorldRequest,
    caller?: Caller,
  ) {
    super();
    if (input === INCOMING) {
      const record = second as WorldRequest;
      this.#method = record.method;
      this.#url = record.url;
      this.#headers = record.fields;
      this.#caller = caller;
      this.#redirect = "follow";
      this.initFrom(record.body);
      return;
    }
    const from = input instanceof Request ? input : undefined;
    const options = (second ?? {}) as RequestOptions;
    this.#url = from ? from.#url : toUrl(input as string | URL);
    this.#method = options.method === undefined ? (from ? from.#method : "GET") : toMethod(options.method);
    this.#redirect = options.redirect ?? (from ? from.#redirect : "follow");
    this.#signal = options.signal === undefined ? from && signalOf(from) : (options.signal ?? undefined);
    if (this.#signal !== undefined && !(this.#signal instanceof AbortSignal)) {
      throw new TypeError("Request: signal is not an AbortSignal");
    }
    this.#headers = options.headers === undefined ? (from ? fieldsFrom(from.#headers) : "") : toFields(options.headers);
    const given = options.body ?? null;
    if ((given !== null || from?.hasBody) && (this.#method === "GET" || this.#method === "HEAD")) {
      throw new TypeError(`A request with method ${this.#method} cannot have a body`);
    }
    const type = this.init(given === null && from ? new Taken(takeContent(from, "new Request")) : given);
    if (type !== undefined && !hasField(this.#headers, "content-type")) {
      this.#headers += `${this.#headers ? "\n" : ""}content-type: ${type}`;
    }
  }

  get method(): string {
    return this.#method;
  }

  get url(): string {
    return this.#url;
  }

  get headers(): Headers {
    if (typeof this.#headers === "string") {
      const headers = new Headers(FIELDS, this.#headers);
      this.#headers = this.#caller ? freeze(headers) : headers;
    }
    return this.#headers;
  }

  get signal(): AbortSignal {
    this.#signal ??= this.#caller?.signal ?? AbortSignal.any([]);
    return this.#signal;
  }

  get redirect(): "follow" | "error" | "manual" {
    return this.#redirect;
  }

  get cache(): string {
    return "default";
  }

  get credentials(): string {
    return "same-origin";
  }

  get destination(): string {
    return "";
  }

  get duplex(): string {
    return "half";
  }

  get integrity(): string {
    return "";
  }

  get keepalive(): boolean {
    return false;
  }

  get mode(): string {
    return "cors";
  }

  get referrer(): string {
    return "about:client";
  }

  get referrerPolicy(): string {
    return "";
  }

  clone(): Request {
    const copy = new Request(this.#url, {
      method: this.#method,
      redirect: this.#redirect,
      signal: signalOf(this) ?? null,
    });
    copy.#headers = fieldsFrom(this.#headers);
    copy.init(this.cloneContent());
    return copy;
  }

  protected override contentType(): string | null {
    return typeof this.#headers === "string"
      ? findField(this.#headers, "content-type")
      : this.#headers.get("content-type");
  }

  [inspected](): string {
    return `Request { method: '${this.#method}', url: '${this.#url}' }`;
  }

  get [Symbol.toStringTag](): string {
    return "Request";
  }
}

function fieldsFrom(headers: string | Headers): string {
  return typeof headers === "string" ? headers : fieldsOf(headers);
}

function toUrl(input: string | URL): string {
  const url = new URL(input);
  if (url.username || url.password)
    throw new TypeError(`Request: the URL holds credentials; use an authorization header`);
  return url.href;
}

const standardMethods = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]);

function toMethod(given: string): string {
  const method = `${given}`;
  const upper = method.toUpperCase();
  if (standardMethods.has(upper)) return upper;
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method)) throw new TypeError(`"${method}" is not a valid method`);
  if (upper === "CONNECT" || upper === "TRACE" || upper === "TRACK") {
    throw new TypeError(`A request cannot have the method ${upper}`);
  }
  return method;
}
