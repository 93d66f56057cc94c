/** Blob and File of the File API, held in memory. */
import type { ReadableStream } from "web-streams-polyfill";
import { now } from "./clock.ts";
import { inspected } from "./inspect.ts";
import { readableOf } from "./streams.ts";
import { decodeUtf8, encodeUtf8, toBytes } from "./text.ts";

export type BlobPart = Blob | string | ArrayBuffer | ArrayBufferView;

/** The bytes of a blob, not copied. */
export let bytesOf: (blob: Blob) => Uint8Array<ArrayBuffer>;

export class Blob {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #type: string;

  static {
    bytesOf = (blob) => blob.#bytes;
  }

  constructor(parts: Iterable<BlobPart> = [], options: { type?: string; endings?: "transparent" | "native" } = {}) {
    if (typeof parts !== "object" || parts === null || !(Symbol.iterator in parts)) {
      throw new TypeError("Blob: the first argument is not a list of parts");
    }
    this.#bytes = join([...parts].map(toPart));
    const type = `${options.type ?? ""}`;
    this.#type = /^[ -~]*$/.test(type) ? type.toLowerCase() : "";
  }

  get size(): number {
    return this.#bytes.length;
  }

  get type(): string {
    return this.#type;
  }

  slice(start = 0, end = this.size, type = ""): Blob {
    return new Blob([this.#bytes.subarray(...range(start, end, this.size))], { type });
  }

  async text(): Promise<string> {
    return decodeUtf8(this.#bytes);
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#bytes.slice().buffer;
  }

  async bytes(): Promise<Uint8Array> {
    return this.#bytes.slice();
  }

  stream(): ReadableStream<Uint8Array> {
    return readableOf(this.#bytes.slice());
  }

  [inspected](): string {
    return `Blob { size: ${this.size}, type: '${this.type}' }`;
  }

  get [Symbol.toStringTag](): string {
    return "Blob";
  }
}

export class File extends Blob {
  readonly #name: string;
  readonly #lastModified: number;

  constructor(parts: Iterable<BlobPart>, name: string, options: { type?: string; lastModified?: number } = {}) {
    if (name === undefined) throw new TypeError("File: the name is missing");
    super(parts, options);
    this.#name = `${name}`.toWellFormed();
    this.#lastModified = options.lastModified === undefined ? now() : Math.trunc(Number(options.lastModified)) || 0;
  }

  get name(): string {
    return this.#name;
  }

  get lastModified(): number {
    return this.#lastModified;
  }

  get webkitRelativePath(): string {
    return "";
  }

  override [inspected](): string {
    return `File { name: '${this.#name}', size: ${this.size}, type: '${this.type}' }`;
  }

  override get [Symbol.toStringTag](): string {
    return "File";
  }
}

/** Several pieces as one. */
export function join(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function toPart(part: unknown): Uint8Array {
  if (part instanceof Blob) return bytesOf(part);
  if (part instanceof ArrayBuffer || ArrayBuffer.isView(part)) return toBytes(part);
  return encodeUtf8(String(part));
}

function range(start: number, end: number, size: number): [number, number] {
  const at = (position: number) =>
    Math.trunc(position < 0 ? Math.max(size + position, 0) : Math.min(position, size)) || 0;
  return [at(start), Math.max(at(start), at(end))];
}
