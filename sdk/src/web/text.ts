/**
 * TextEncoder and TextDecoder (utf-8, utf-16le, utf-16be, latin1) of the Encoding standard, and their
 * streams.
 *
 * UTF-8 goes through what the engine has in native code (percent and base64 coding): about 30 ns a byte
 * instead of 150 in interpreted code. Malformed input takes the slow road.
 */
import { TransformStream, type TransformStreamDefaultController } from "web-streams-polyfill";
import { fromBase64, toBase64 } from "./base64.ts";

/** UTF-8 of `text`; lone surrogates become U+FFFD. */
export function encodeUtf8(text: string): Uint8Array<ArrayBuffer> {
  if (text === "") return new Uint8Array(0);
  return fromBase64(btoa(unescape(encodeURIComponent(text.toWellFormed()))));
}

/** Text of UTF-8, a byte order mark removed, malformed sequences replaced by U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  const text = decodeUtf8Raw(bytes, false);
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** One character a byte. */
export function toBinaryString(bytes: Uint8Array): string {
  return atob(toBase64(bytes));
}

function decodeUtf8Raw(bytes: Uint8Array, fatal: boolean): string {
  if (bytes.length === 0) return "";
  try {
    return decodeURIComponent(escape(toBinaryString(bytes)));
  } catch {
    if (fatal) throw new TypeError("The encoded data was not valid for encoding utf-8");
    return decodeUtf8Replacing(bytes);
  }
}

/** The Encoding standard's decoder: each maximal malformed part becomes one U+FFFD. */
function decodeUtf8Replacing(bytes: Uint8Array): string {
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at++]!;
    if (first < 0x80) {
      text += String.fromCharCode(first);
      continue;
    }
    let needed =
      first >= 0xc2 && first <= 0xdf ? 1 : first >= 0xe0 && first <= 0xef ? 2 : first >= 0xf0 && first <= 0xf4 ? 3 : 0;
    let point = needed === 0 ? 0xfffd : first & (0x3f >> needed);
    let lower = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    let upper = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    for (; needed > 0; needed--) {
      const next = bytes[at];
      if (next === undefined || next < lower || next > upper) {
        point = 0xfffd;
        break;
      }
      point = (point << 6) | (next & 0x3f);
      lower = 0x80;
      upper = 0xbf;
      at++;
    }
    text += String.fromCodePoint(point);
  }
  return text;
}

/** How many bytes at the end begin a sequence that the next chunk may complete. */
function incompleteUtf8(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      if (length <= back || byte > 0xf4 || byte < 0xc2) return 0;
      // A sequence that is already malformed is not held back.
      const second = back > 1 ? bytes[bytes.length - back + 1]! : 0x90;
      const lower = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
      const upper = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
      return back > 1 && (second < lower || second > upper) ? 0 : back;
    }
    if (byte < 0x80) return 0;
  }
  return 0;
}

export class TextEncoder {
  get encoding(): string {
    return "utf-8";
  }

  encode(text = ""): Uint8Array<ArrayBuffer> {
    return encodeUtf8(`${text}`);
  }

  encodeInto(text: string, target: Uint8Array): { read: number; written: number } {
    const bytes = encodeUtf8(`${text}`);
    if (bytes.length <= target.length) {
      target.set(bytes);
      return { read: text.length, written: bytes.length };
    }
    let read = 0;
    let written = 0;
    for (const character of text) {
      const point = character.codePointAt(0)!;
      const length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
      if (written + length > target.length) break;
      read += character.length;
      written += length;
    }
    target.set(bytes.subarray(0, written));
    return { read, written };
  }

  get [Symbol.toStringTag](): string {
    return "TextEncoder";
  }
}

const labels: Readonly<Record<string, readonly string[]>> = {
  "utf-8": ["unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "utf-8", "utf8", "x-unicode20utf8"],
  "utf-16le": ["csunicode", "iso-10646-ucs-2", "ucs-2", "unicode", "unicodefeff", "utf-16", "utf-16le"],
  "utf-16be": ["unicodefffe", "utf-16be"],
  "windows-1252": [
    ...["ansi_x3.4-1968", "ascii", "cp1252", "cp819", "csisolatin1", "ibm819", "iso-8859-1", "iso-ir-100", "iso8859-1"],
    ...["iso88591", "iso_8859-1", "iso_8859-1:1987", "l1", "latin1", "us-ascii", "windows-1252", "x-cp1252"],
  ],
};

/** Where windows-1252, which the standard means by latin1, differs from one byte a code point: 0x80 to 0x9f. */
const windows1252 =
  "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f" +
  "\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178";

function encodingOf(label: string): string {
  const wanted = label.replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "").toLowerCase();
  for (const [encoding, names] of Object.entries(labels)) if (names.includes(wanted)) return encoding;
  throw new RangeError(
    `The encoding "${label}" is not available here: TextDecoder knows utf-8, utf-16le, utf-16be and latin1`,
  );
}

export class TextDecoder {
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  /** What an earlier chunk left: the beginning of a sequence. */
  #held: Uint8Array = new Uint8Array(0);
  /** Whether the byte order mark, if any, has gone by. */
  #begun = false;

  constructor(label = "utf-8", options: { fatal?: boolean; ignoreBOM?: boolean } = {}) {
    this.encoding = encodingOf(`${label}`);
    this.fatal = Boolean(options.fatal);
    this.ignoreBOM = Boolean(options.ignoreBOM);
  }

  decode(input?: ArrayBuffer | ArrayBufferView, options: { stream?: boolean } = {}): string {
    const stream = Boolean(options.stream);
    const bytes = this.#join(input === undefined ? new Uint8Array(0) : toBytes(input), stream);
    try {
      const text = this.#decode(bytes);
      const marked = !this.#begun && !this.ignoreBOM && text.charCodeAt(0) === 0xfeff;
      this.#begun ||= text !== "";
      return marked ? text.slice(1) : text;
    } finally {
      if (!stream) this.#begun = false;
    }
  }

  /** What was held and what came, less what is to be held now. */
  #join(bytes: Uint8Array, stream: boolean): Uint8Array {
    if (this.#held.length > 0) {
      const joined = new Uint8Array(this.#held.length + bytes.length);
      joined.set(this.#held);
      joined.set(bytes, this.#held.length);
      bytes = joined;
      this.#held = new Uint8Array(0);
    }
    const held = !stream
      ? 0
      : this.encoding === "utf-8"
        ? incompleteUtf8(bytes)
        : this.encoding === "windows-1252"
          ? 0
          : incompleteUtf16(bytes, this.encoding);
    if (held > 0) this.#held = bytes.slice(bytes.length - held);
    return held > 0 ? bytes.subarray(0, bytes.length - held) : bytes;
  }

  #decode(bytes: Uint8Array): string {
    if (this.encoding === "utf-8") return decodeUtf8Raw(bytes, this.fatal);
    if (this.encoding === "windows-1252") {
      return toBinaryString(bytes).replace(/[\x80-\x9f]/g, (c) => windows1252[c.charCodeAt(0) - 0x80]!);
    }
    return decodeUtf16(bytes, this.encoding, this.fatal);
  }

  get [Symbol.toStringTag](): string {
    return "TextDecoder";
  }
}

function decodeUtf16(bytes: Uint8Array, encoding: string, fatal: boolean): string {
  const low = encoding === "utf-16le" ? 0 : 1;
  let text = "";
  for (let at = 0; at + 1 < bytes.length; at += 2) {
    text += String.fromCharCode(bytes[at + low]! | (bytes[at + 1 - low]! << 8));
  }
  const odd = bytes.length % 2 === 1;
  if (fatal && (odd || !text.isWellFormed())) {
    throw new TypeError(`The encoded data was not valid for encoding ${encoding}`);
  }
  // A high surrogate and an odd byte after it are one malformed part.
  const last = text.charCodeAt(text.length - 1);
  return text.toWellFormed() + (odd && !(last >= 0xd800 && last <= 0xdbff) ? "\ufffd" : "");
}

function incompleteUtf16(bytes: Uint8Array, encoding: string): number {
  const odd = bytes.length % 2;
  const high = bytes[bytes.length - odd - (encoding === "utf-16le" ? 1 : 2)];
  return high !== undefined && high >= 0xd8 && high <= 0xdb ? odd + 2 : odd;
}

/** The bytes that a buffer or a view of one holds, not copied. */
export function toBytes(source: unknown): Uint8Array<ArrayBuffer> {
  if (source instanceof Uint8Array) return source as Uint8Array<ArrayBuffer>;
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer as ArrayBuffer, source.byteOffset, source.byteLength);
  }
  if (source instanceof ArrayBuffer || source instanceof SharedArrayBuffer)
    return new Uint8Array(source as ArrayBuffer);
  throw new TypeError("The argument is neither an ArrayBuffer nor a view of one");
}

/** A transform stream whose two ends are shown as the standard's text streams show them. */
class TextStream<I, O> {
  readonly #transform: TransformStream<I, O>;

  constructor(
    transform: (chunk: I, controller: TransformStreamDefaultController<O>) => void,
    flush: (controller: TransformStreamDefaultController<O>) => void,
  ) {
    this.#transform = new TransformStream<I, O>({ transform, flush });
  }

  get readable() {
    return this.#transform.readable;
  }

  get writable() {
    return this.#transform.writable;
  }
}

export class TextEncoderStream extends TextStream<string, Uint8Array> {
  readonly encoding = "utf-8";

  constructor() {
    // A surrogate pair may be split between chunks.
    let high = "";
    super(
      (chunk, controller) => {
        const text = high + chunk;
        const last = text.charCodeAt(text.length - 1);
        const held = last >= 0xd800 && last <= 0xdbff ? 1 : 0;
        high = text.slice(text.length - held);
        if (text.length > held) controller.enqueue(encodeUtf8(text.slice(0, text.length - held)));
      },
      (controller) => {
        if (high) controller.enqueue(encodeUtf8(high));
      },
    );
  }
}

export class TextDecoderStream extends TextStream<ArrayBuffer | ArrayBufferView, string> {
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;

  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean }) {
    const decoder = new TextDecoder(label, options);
    super(
      (chunk, controller) => {
        const text = decoder.decode(chunk, { stream: true });
        if (text) controller.enqueue(text);
      },
      (controller) => {
        const text = decoder.decode();
        if (text) controller.enqueue(text);
      },
    );
    this.encoding = decoder.encoding;
    this.fatal = decoder.fatal;
    this.ignoreBOM = decoder.ignoreBOM;
  }
}
