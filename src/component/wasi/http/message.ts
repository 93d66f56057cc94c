/**
 * The requests and responses of wasi:http as resources, and the variant `method`.
 *
 * A setter that is given something HTTP does not allow answers an error and changes nothing.
 */
import type { Call, Reply } from "../../../kernel/index.ts";
import { InputStream } from "../io.ts";
import { BodyPipe, bodySource, declaredLength, IncomingBody, OutgoingBody } from "./body.ts";
import type { ErrorCode } from "./error.ts";
import { Fields, isToken } from "./fields.ts";

export type Method = { readonly tag: string; readonly val?: string };
export type Scheme = { readonly tag: "HTTP" | "HTTPS" } | { readonly tag: "other"; readonly val: string };

const methods = new Map<string, Method>(
  ["get", "head", "post", "put", "delete", "connect", "options", "trace", "patch"].map((tag) => [
    tag.toUpperCase(),
    { tag },
  ]),
);
const http: Scheme = { tag: "HTTP" };
const https: Scheme = { tag: "HTTPS" };

export class IncomingRequest {
  readonly #call: Call;
  /** Made when the guest asks for it; the host breaks it when the caller goes. */
  stream: InputStream | undefined;

  constructor(call: Call) {
    this.#call = call;
  }

  method(): Method {
    return toMethod(this.#call.method);
  }

  scheme(): Scheme {
    return schemeOf(this.#call.url);
  }

  authority(): string {
    return authorityOf(this.#call.url);
  }

  pathWithQuery(): string {
    return pathWithQueryOf(this.#call.url);
  }

  headers(): Fields {
    return Fields.received(this.#call.headers);
  }

  consume(): IncomingBody {
    if (this.stream !== undefined) throw undefined;
    this.stream = new InputStream(bodySource(this.#call.body));
    return new IncomingBody(this.stream);
  }
}

/** The variant of a method's name. */
export function toMethod(name: string): Method {
  return methods.get(name) ?? { tag: "other", val: name };
}

export function methodName(method: Method): string {
  return method.tag === "other" ? method.val! : method.tag.toUpperCase();
}

/** Of an absolute URL, as the two below. */
export function schemeOf(url: string): Scheme {
  return url.startsWith("https:") ? https : http;
}

export function authorityOf(url: string): string {
  return url.slice(authorityStart(url), pathStart(url));
}

export function pathWithQueryOf(url: string): string {
  const path = url.slice(pathStart(url));
  return path.startsWith("/") ? path : `/${path}`;
}

function authorityStart(url: string): number {
  return url.indexOf("://") + 3;
}

function pathStart(url: string): number {
  let index = authorityStart(url);
  while (index < url.length && url[index] !== "/" && url[index] !== "?") index++;
  return index;
}

/** Where a request goes; `undefined` when that is no URL. */
export function toUrl(
  scheme: Scheme | undefined,
  authority: string | undefined,
  path: string | undefined,
): string | undefined {
  if (authority === undefined) return undefined;
  const name = scheme === undefined ? "https" : scheme.tag === "other" ? scheme.val : scheme.tag;
  const rooted = path?.startsWith("/") ? path : `/${path ?? ""}`;
  const url = `${name.toLowerCase()}://${authority}${rooted}`;
  return URL.canParse(url) ? url : undefined;
}

export function isMethod(method: Method): boolean {
  return method.tag !== "other" || isToken(method.val ?? "");
}

export function isScheme(scheme: Scheme): boolean {
  return scheme.tag !== "other" || /^[A-Za-z][A-Za-z0-9+.-]*$/.test(scheme.val);
}

export function isPathWithQuery(text: string): boolean {
  return /^[\x21\x22\x24-;=?-_a-\x7e\x80-\u{10ffff}]*$/u.test(text);
}

export function isStatus(status: number): boolean {
  return status >= 100 && status <= 599;
}

export class OutgoingResponse {
  readonly fields: Fields;
  status = 200;
  pipe: BodyPipe | undefined;
  /** The method that it answers, once it was given as the answer. */
  answers: string | undefined;

  constructor(headers: Fields) {
    this.fields = headers;
  }

  statusCode(): number {
    return this.status;
  }

  setStatusCode(status: number): void {
    if (!isStatus(status)) throw undefined;
    this.status = status;
  }

  headers(): Fields {
    return this.fields.frozen();
  }

  body(): OutgoingBody {
    if (this.pipe !== undefined) throw undefined;
    this.pipe = new BodyPipe("response", declaredLength(this.fields));
    return new OutgoingBody(this.pipe, () => this.mayBeEmpty());
  }

  /** Before it is given as an answer it is not known what it answers: then it may. */
  mayBeEmpty(): boolean {
    return this.answers === undefined || this.answers === "HEAD" || this.status === 304;
  }
}

/** Who waits for the answer to an incoming request. */
export interface Answerable {
  answer(
    answer: { readonly tag: "ok"; readonly val: OutgoingResponse } | { readonly tag: "err"; readonly val: ErrorCode },
  ): void;
  /** The guest dropped its chance to answer. */
  unanswered(): void;
}

export class ResponseOutparam {
  readonly #answerable: Answerable;

  constructor(answerable: Answerable) {
    this.#answerable = answerable;
  }

  static set(param: ResponseOutparam, response: Parameters<Answerable["answer"]>[0]): void {
    param.#answerable.answer(response);
  }

  sendInformational(): never {
    throw { tag: "internal-error", val: "informational responses are not supported" } satisfies ErrorCode;
  }

  [Symbol.dispose](): void {
    this.#answerable.unanswered();
  }
}

export class OutgoingRequest {
  readonly fields: Fields;
  pipe: BodyPipe | undefined;
  #method: Method = { tag: "get" };
  #path: string | undefined;
  #scheme: Scheme | undefined;
  #authority: string | undefined;

  constructor(headers: Fields) {
    this.fields = headers;
  }

  body(): OutgoingBody {
    if (this.pipe !== undefined) throw undefined;
    this.pipe = new BodyPipe("request", declaredLength(this.fields));
    return new OutgoingBody(this.pipe, () => false);
  }

  method(): Method {
    return this.#method;
  }

  setMethod(method: Method): void {
    if (!isMethod(method)) throw undefined;
    this.#method = method;
  }

  pathWithQuery(): string | undefined {
    return this.#path;
  }

  setPathWithQuery(path: string | undefined): void {
    if (path !== undefined && !isPathWithQuery(path)) throw undefined;
    this.#path = path;
  }

  scheme(): Scheme | undefined {
    return this.#scheme;
  }

  setScheme(scheme: Scheme | undefined): void {
    if (scheme !== undefined && !isScheme(scheme)) throw undefined;
    this.#scheme = scheme;
  }

  authority(): string | undefined {
    return this.#authority;
  }

  /** A name or address and a port; credentials are refused. */
  setAuthority(authority: string | undefined): void {
    if (authority !== undefined && !/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%-]+)(:\d{1,5})?$/.test(authority))
      throw undefined;
    this.#authority = authority;
  }

  headers(): Fields {
    return this.fields.frozen();
  }

  /** Where it goes; `undefined` when that is no URL. */
  url(): string | undefined {
    return toUrl(this.#scheme, this.#authority, this.#path);
  }

  methodName(): string {
    return methodName(this.#method);
  }
}

/** Times in nanoseconds. */
export class RequestOptions {
  connect: bigint | undefined;
  firstByte: bigint | undefined;
  betweenBytes: bigint | undefined;

  connectTimeout(): bigint | undefined {
    return this.connect;
  }

  setConnectTimeout(duration: bigint | undefined): void {
    this.connect = duration;
  }

  firstByteTimeout(): bigint | undefined {
    return this.firstByte;
  }

  setFirstByteTimeout(duration: bigint | undefined): void {
    this.firstByte = duration;
  }

  betweenBytesTimeout(): bigint | undefined {
    return this.betweenBytes;
  }

  setBetweenBytesTimeout(duration: bigint | undefined): void {
    this.betweenBytes = duration;
  }
}

export class IncomingResponse {
  readonly #reply: Reply;
  readonly #stream: InputStream;
  #consumed = false;

  constructor(reply: Reply, stream: InputStream) {
    this.#reply = reply;
    this.#stream = stream;
  }

  status(): number {
    return this.#reply.status;
  }

  headers(): Fields {
    return Fields.received(this.#reply.headers);
  }

  consume(): IncomingBody {
    if (this.#consumed) throw undefined;
    this.#consumed = true;
    return new IncomingBody(this.#stream);
  }

  [Symbol.dispose](): void {
    if (!this.#consumed) this.#stream[Symbol.dispose]();
  }
}
