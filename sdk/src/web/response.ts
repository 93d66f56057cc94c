/** Response of the Fetch standard. Its header is kept as text, ready to send, until somebody touches `headers`. */
import type { Body, Response as WorldResponse } from "cytoplane:service/types@0.1.0";
import { type BodySource, Payload, type Sender, takeContent, toWorldBody } from "./body.ts";
import { FIELDS, fieldsOf, findField, freeze, Headers, type HeadersSource, hasField, toFields } from "./headers.ts";
import { inspected } from "./inspect.ts";
import type { HostStream } from "./streams.ts";
import { URL } from "./url.ts";

export interface ResponseOptions {
  status?: number;
  statusText?: string;
  headers?: HeadersSource;
}

/** A response from the host, its stream opened. */
export interface Arrival {
  readonly status: number;
  readonly fields: string;
  readonly body: Body | HostStream;
}

/** Where a response came from. */
interface Origin {
  readonly type: "default" | "error" | "basic";
  readonly url: string;
  readonly redirected: boolean;
}

const HERE: Origin = { type: "default", url: "", redirected: false };

/** Marks the constructor call that wraps a response from the host. */
export const ARRIVED = Symbol("arrived");

/** The response as the world sends it; its body is thereby used. */
export let toReply: (response: Response, sender: Sender) => WorldResponse;

export class Response extends Payload {
  #status = 200;
  #statusText = "";
  #headers: string | Headers = "";
  #origin = HERE;

  static {
    toReply = (response, sender) => ({
      status: response.#status,
      fields: typeof response.#headers === "string" ? response.#headers : fieldsOf(response.#headers),
      body: toWorldBody(takeContent(response, "send"), sender),
    });
  }

  constructor(
    body?: BodySource | typeof ARRIVED,
    second?: ResponseOptions | Arrival | null,
    url?: string,
    redirected?: boolean,
  ) {
    super();
    if (body === ARRIVED) {
      const record = second as Arrival;
      this.#status = record.status;
      this.#headers = record.fields;
      this.#origin = { type: "basic", url: url ?? "", redirected: redirected ?? false };
      this.initFrom(record.body);
      return;
    }
    if (second !== undefined && second !== null) this.#setOptions(second as ResponseOptions);
    if (body !== null && body !== undefined) this.#setBody(body as BodySource);
  }

  static json(data: unknown, options?: ResponseOptions): Response {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("Response.json: the value cannot be written as JSON");
    const response = new Response(null, options);
    response.#setBody(text, "application/json");
    return response;
  }

  static redirect(url: string | URL, status = 302): Response {
    if (![301, 302, 303, 307, 308].includes(status)) {
      throw new RangeError(`Response.redirect: ${status} is not a redirect status`);
    }
    return new Response(null, { status, headers: { location: new URL(url).href } });
  }

  static error(): Response {
    const response = new Response();
    response.#origin = { ...HERE, type: "error" };
    response.#status = 0;
    return response;
  }

  get status(): number {
    return this.#status;
  }

  get ok(): boolean {
    return this.#status >= 200 && this.#status <= 299;
  }

  get statusText(): string {
    return this.#statusText;
  }

  get headers(): Headers {
    if (typeof this.#headers === "string") {
      const headers = new Headers(FIELDS, this.#headers);
      this.#headers = this.#origin.type === "default" ? headers : freeze(headers);
    }
    return this.#headers;
  }

  get type(): string {
    return this.#origin.type;
  }

  get url(): string {
    return this.#origin.url;
  }

  get redirected(): boolean {
    return this.#origin.redirected;
  }

  clone(): Response {
    const content = this.cloneContent();
    const copy = new Response();
    copy.#status = this.#status;
    copy.#statusText = this.#statusText;
    copy.#headers = typeof this.#headers === "string" ? this.#headers : fieldsOf(this.#headers);
    copy.#origin = this.#origin;
    copy.init(content);
    return copy;
  }

  protected override contentType(): string | null {
    return typeof this.#headers === "string"
      ? findField(this.#headers, "content-type")
      : this.#headers.get("content-type");
  }

  [inspected](): string {
    return `Response { status: ${this.#status}, url: '${this.#origin.url}' }`;
  }

  get [Symbol.toStringTag](): string {
    return "Response";
  }

  #setOptions({ status, statusText, headers }: ResponseOptions): void {
    if (status !== undefined && status !== 200) {
      const code = Number(status) & 0xffff;
      if (code < 200 || code > 599) throw new RangeError(`Response: ${status} is not a status between 200 and 599`);
      this.#status = code;
    }
    if (statusText !== undefined && statusText !== "") {
      const text = `${statusText}`;
      if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text))
        throw new TypeError("Response: statusText holds an invalid character");
      this.#statusText = text;
    }
    if (headers !== undefined && headers !== null) this.#headers = toFields(headers);
  }

  #setBody(body: BodySource, contentType?: string): void {
    if (this.#status === 204 || this.#status === 205 || this.#status === 304) {
      throw new TypeError(`A response with status ${this.#status} cannot have a body`);
    }
    const own = this.init(body);
    const type = contentType ?? own;
    if (type === undefined) return;
    const fields = this.#headers as string;
    if (fields === "") this.#headers = `content-type: ${type}`;
    else if (!hasField(fields, "content-type")) this.#headers = `${fields}\ncontent-type: ${type}`;
  }
}
