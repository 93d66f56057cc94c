/**
 * What Request and Response share: a body, read once.
 *
 * A body stays what it was given as (text, bytes, a host's stream, an author's stream) until somebody
 * asks for something else: text that came as text never becomes bytes, and no ReadableStream is made
 * unless `body` is touched.
 */
import type { Body } from "cytoplane:service/types@0.1.0";
import { ReadableStream } from "web-streams-polyfill";
import { URLSearchParams } from "whatwg-url-minimum";
import { Blob, bytesOf } from "./blob.ts";
import { FormData, parseForm, toMultipart } from "./form-data.ts";
import { gather, HostStream, isDisturbed, readableOf, type Sending, send } from "./streams.ts";
import { decodeUtf8, encodeUtf8, toBytes } from "./text.ts";

export type BodySource =
  | string
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  | FormData
  | URLSearchParams
  | ReadableStream
  | null
  | undefined;

type Content = string | Uint8Array<ArrayBuffer> | HostStream | ReadableStream | null;

/** A body that nobody has read, taken over by something else: a message out, or another Request or Response. */
export let takeContent: (payload: Payload, act: string) => Content;

/** Marks a body that is taken over as it is, not copied or wrapped. */
export class Taken {
  readonly content: Content;
  constructor(content: Content) {
    this.content = content;
  }
}

export abstract class Payload {
  #content: Content = null;
  #used = false;

  static {
    takeContent = (payload, act) => {
      if (payload.#content === null) return null;
      payload.#requireUnused(act);
      payload.#used = true;
      return payload.#content;
    };
  }

  /** Sets the body; answers the content type that it brings, if any. */
  protected init(source: BodySource | Taken): string | undefined {
    if (typeof source === "string") {
      this.#content = source;
      return "text/plain;charset=UTF-8";
    }
    if (source === null || source === undefined) return undefined;
    if (source instanceof Taken) {
      this.#content = source.content;
      return undefined;
    }
    return this.#initObject(source);
  }

  #initObject(source: Exclude<BodySource, string | null | undefined>): string | undefined {
    if (source instanceof ReadableStream) {
      if (source.locked || isDisturbed(source)) throw new TypeError("The body is a stream that is already being read");
      this.#content = source;
      return undefined;
    }
    if (source instanceof URLSearchParams) {
      this.#content = source.toString();
      return "application/x-www-form-urlencoded;charset=UTF-8";
    }
    if (source instanceof FormData) {
      const { bytes, type } = toMultipart(source);
      this.#content = bytes;
      return type;
    }
    if (source instanceof Blob) {
      this.#content = bytesOf(source).slice();
      return source.type || undefined;
    }
    if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
      this.#content = toBytes(source).slice();
      return undefined;
    }
    this.#content = String(source);
    return "text/plain;charset=UTF-8";
  }

  protected initFrom(body: Body | HostStream): void {
    if (body instanceof HostStream) this.#content = body;
    else if (body.tag !== "empty")
      this.#content = body.tag === "stream" ? new HostStream(body.val) : (body.val as string | Uint8Array<ArrayBuffer>);
  }

  protected get hasBody(): boolean {
    return this.#content !== null;
  }

  protected abstract contentType(): string | null;

  get body(): ReadableStream<Uint8Array> | null {
    const content = this.#content;
    if (content === null || content instanceof ReadableStream) return content;
    if (content instanceof HostStream) this.#content = content.toReadable();
    else this.#content = readableOf(typeof content === "string" ? encodeUtf8(content) : content);
    if (this.#used) {
      // Somebody has read it without this stream: what is left to see is its end.
      this.#content.cancel().catch(() => {});
    }
    return this.#content;
  }

  get bodyUsed(): boolean {
    return this.#used || (this.#content instanceof ReadableStream && isDisturbed(this.#content));
  }

  async text(): Promise<string> {
    const content = await this.#consume("text");
    return typeof content === "string" ? content : decodeUtf8(content);
  }

  async json(): Promise<unknown> {
    const content = await this.#consume("json");
    return JSON.parse(typeof content === "string" ? content : decodeUtf8(content));
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    const content = await this.#consume("bytes");
    return typeof content === "string" ? encodeUtf8(content) : content;
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.bytes();
    return bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer;
  }

  async blob(): Promise<Blob> {
    return new Blob([await this.bytes()], { type: this.contentType() ?? "" });
  }

  async formData(): Promise<FormData> {
    return parseForm(await this.bytes(), this.contentType());
  }

  /** A second body with the same content; streams are split, the slower reader's part is kept in memory. */
  protected cloneContent(): Taken {
    if (this.#content === null) return new Taken(null);
    this.#requireUnused("clone");
    let content = this.#content;
    if (content instanceof HostStream) content = content.toReadable();
    if (!(content instanceof ReadableStream))
      return new Taken(content instanceof Uint8Array ? content.slice() : content);
    const [mine, theirs] = content.tee();
    this.#content = mine;
    return new Taken(theirs);
  }

  #consume(act: string): string | Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> {
    const content = this.#content;
    if (content === null) return "";
    this.#requireUnused(act);
    this.#used = true;
    return content instanceof HostStream || content instanceof ReadableStream ? gather(content) : content;
  }

  #requireUnused(act: string): void {
    if (this.bodyUsed) throw new TypeError(`Cannot read the body (${act}): it has already been read`);
    if (this.#content instanceof ReadableStream && this.#content.locked) {
      throw new TypeError(`Cannot read the body (${act}): its stream is locked to a reader`);
    }
  }
}

/** Who sends a message: told of a body that will follow it chunk by chunk. */
export interface Sender {
  sending: Sending | undefined;
  /** The body's stream threw. */
  bodyBroke(error: unknown): void;
}

/** A body as the world sends it. */
export function toWorldBody(content: Content, sender: Sender): Body {
  if (content === null) return EMPTY;
  if (typeof content === "string") return { tag: "text", val: content.toWellFormed() };
  if (content instanceof Uint8Array) return { tag: "bytes", val: content };
  sender.sending = send(content, sender);
  return { tag: "stream", val: sender.sending.number };
}

const EMPTY: Body = { tag: "empty" };
