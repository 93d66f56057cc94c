/**
 * The resources `request`, `response` and `request-options` of wasi:http 0.3. A message is one kind of
 * thing wherever it comes from: made by a guest, or received by the host.
 *
 * A setter that is given something HTTP does not allow answers an error and changes nothing.
 */
import type { Call, Headers } from "../../../../kernel/index.ts";
import type { FutureReader, StreamReader } from "../../../contract.ts";
import {
  authorityOf,
  isMethod,
  isPathWithQuery,
  isScheme,
  isStatus,
  type Method,
  methodName,
  pathWithQueryOf,
  type Scheme,
  schemeOf,
  toMethod,
  toUrl,
} from "../../http/message.ts";
import {
  type Consumed,
  type Contents,
  MadeContents,
  type Outcome,
  type ReceivedContents,
  type Trailers,
} from "./contents.ts";
import { Fields } from "./fields.ts";

/** A name or address, a port, and whom the request claims to be from. */
const authoritySyntax =
  /^([A-Za-z0-9._~!$&'()*+,;=:%-]*@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(:\d{1,5})?$/;

export class Request implements Disposable {
  readonly fields: Fields;
  readonly options: RequestOptions | undefined;
  readonly contents: Contents;
  #method: Method = { tag: "get" };
  #path: string | undefined;
  #scheme: Scheme | undefined;
  #authority: string | undefined;

  constructor(fields: Fields, contents: Contents, options: RequestOptions | undefined) {
    this.fields = fields;
    this.contents = contents;
    this.options = options;
  }

  static new(
    headers: Fields,
    contents: StreamReader<Uint8Array> | undefined,
    trailers: FutureReader<Trailers>,
    options: RequestOptions | undefined,
  ): [Request, Promise<Outcome>] {
    const made = new MadeContents("request", contents, trailers);
    return [new Request(headers.frozen(), made, options?.frozen()), made.sent];
  }

  static received(call: Call, contents: ReceivedContents): Request {
    const request = new Request(Fields.received(call.headers), contents, undefined);
    request.#method = toMethod(call.method);
    request.#scheme = schemeOf(call.url);
    request.#authority = authorityOf(call.url);
    request.#path = pathWithQueryOf(call.url);
    return request;
  }

  getMethod(): Method {
    return this.#method;
  }

  setMethod(method: Method): void {
    if (!isMethod(method)) throw undefined;
    this.#method = toMethod(methodName(method));
  }

  getPathWithQuery(): string | undefined {
    return this.#path;
  }

  setPathWithQuery(path: string | undefined): void {
    if (path !== undefined && !isPathWithQuery(path)) throw undefined;
    this.#path = path === "" ? "/" : path;
  }

  getScheme(): Scheme | undefined {
    return this.#scheme;
  }

  setScheme(scheme: Scheme | undefined): void {
    if (scheme !== undefined && !isScheme(scheme)) throw undefined;
    const known = scheme?.tag === "other" ? scheme.val.toUpperCase() : undefined;
    this.#scheme = known === "HTTP" || known === "HTTPS" ? { tag: known } : scheme;
  }

  getAuthority(): string | undefined {
    return this.#authority;
  }

  setAuthority(authority: string | undefined): void {
    if (authority !== undefined && !authoritySyntax.test(authority)) throw undefined;
    this.#authority = authority;
  }

  getOptions(): RequestOptions | undefined {
    return this.options;
  }

  getHeaders(): Fields {
    return this.fields;
  }

  static consumeBody(request: Request, handled: FutureReader<Outcome>): Consumed {
    return request.contents.consume(handled);
  }

  [Symbol.dispose](): void {
    this.contents.discard();
  }

  methodName(): string {
    return methodName(this.#method);
  }

  /** Where it goes; `undefined` when that is no URL. */
  url(): string | undefined {
    return toUrl(this.#scheme, this.#authority, this.#path);
  }
}

export class Response implements Disposable {
  readonly fields: Fields;
  readonly contents: Contents;
  #status = 200;

  constructor(fields: Fields, contents: Contents) {
    this.fields = fields;
    this.contents = contents;
  }

  static new(
    headers: Fields,
    contents: StreamReader<Uint8Array> | undefined,
    trailers: FutureReader<Trailers>,
  ): [Response, Promise<Outcome>] {
    const made = new MadeContents("response", contents, trailers);
    return [new Response(headers.frozen(), made), made.sent];
  }

  static received(status: number, headers: Headers, contents: ReceivedContents): Response {
    const response = new Response(Fields.received(headers), contents);
    response.#status = status;
    return response;
  }

  getStatusCode(): number {
    return this.#status;
  }

  setStatusCode(status: number): void {
    if (!isStatus(status)) throw undefined;
    this.#status = status;
  }

  getHeaders(): Fields {
    return this.fields;
  }

  static consumeBody(response: Response, handled: FutureReader<Outcome>): Consumed {
    return response.contents.consume(handled);
  }

  [Symbol.dispose](): void {
    this.contents.discard();
  }
}

export type RequestOptionsError = { readonly tag: "not-supported" | "immutable" };

/** Times in nanoseconds. */
export class RequestOptions {
  connect: bigint | undefined;
  firstByte: bigint | undefined;
  betweenBytes: bigint | undefined;
  #mutable = true;

  getConnectTimeout(): bigint | undefined {
    return this.connect;
  }

  setConnectTimeout(duration: bigint | undefined): void {
    this.#assertMutable();
    this.connect = duration;
  }

  getFirstByteTimeout(): bigint | undefined {
    return this.firstByte;
  }

  setFirstByteTimeout(duration: bigint | undefined): void {
    this.#assertMutable();
    this.firstByte = duration;
  }

  getBetweenBytesTimeout(): bigint | undefined {
    return this.betweenBytes;
  }

  setBetweenBytesTimeout(duration: bigint | undefined): void {
    this.#assertMutable();
    this.betweenBytes = duration;
  }

  clone(): RequestOptions {
    const copy = new RequestOptions();
    copy.connect = this.connect;
    copy.firstByte = this.firstByte;
    copy.betweenBytes = this.betweenBytes;
    return copy;
  }

  /** The same times, for a guest to read only. */
  frozen(): RequestOptions {
    const copy = this.clone();
    copy.#mutable = false;
    return copy;
  }

  #assertMutable(): void {
    if (!this.#mutable) throw { tag: "immutable" } satisfies RequestOptionsError;
  }
}
