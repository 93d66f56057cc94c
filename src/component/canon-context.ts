/**
 * What one lift or lower sees of its instance: memory, allocator, handles, and how strings are encoded.
 * Every access of memory that a guest asks for is checked here.
 */
import type { Carrier } from "./async/carry.ts";
import type { CanonOptions } from "./decode.ts";
import type { HandleTable } from "./handles.ts";

type Realloc = (old: number, oldSize: number, align: number, size: number) => number;

const STRING_BYTES_MAX = 2 ** 31 - 1;
const TAG_UTF16 = 0x80000000;

export function trap(problem: string): never {
  throw new WebAssembly.RuntimeError(problem);
}

/** An instance's memory and handles, as one lift or lower sees them. */
export class CanonContext {
  readonly home: number;
  readonly handles: HandleTable;
  readonly carrier: Carrier;
  readonly #encoding: CanonOptions["encoding"];
  #memory: WebAssembly.Memory | undefined;
  #realloc: Realloc | undefined;
  view: DataView = noMemory;
  bytes: Buffer = Buffer.from(noMemory.buffer);

  constructor(home: number, handles: HandleTable, carrier: Carrier, encoding: CanonOptions["encoding"]) {
    this.home = home;
    this.handles = handles;
    this.carrier = carrier;
    this.#encoding = encoding;
  }

  /** Called once, when the core instances that they belong to have been made. */
  bind(memory: WebAssembly.Memory | undefined, realloc: Realloc | undefined): void {
    this.#memory = memory;
    this.#realloc = realloc;
  }

  /** Memory that grew has a new buffer: to be called before each use that follows guest code. */
  refresh(): void {
    if (this.#memory !== undefined && this.#memory.buffer !== this.view.buffer) {
      this.view = new DataView(this.#memory.buffer);
      this.bytes = Buffer.from(this.#memory.buffer);
    }
  }

  allocate(align: number, size: number): number {
    if (!this.#realloc) trap("the component gave no allocator for a value that needs one");
    const pointer = this.#realloc(0, 0, align, size) >>> 0;
    this.refresh();
    this.check(pointer, size, align);
    return pointer;
  }

  check(pointer: number, size: number, align: number): void {
    if (pointer % align !== 0) trap(`pointer ${pointer} is not aligned to ${align}`);
    if (pointer + size > this.bytes.length) trap(`pointer ${pointer} and ${size} bytes are outside of memory`);
  }

  loadString(pointer: number, length: number): string {
    switch (this.#encoding) {
      case "utf8":
        this.check(pointer, length, 1);
        return readUtf8(this.bytes, pointer, length);
      case "utf16":
        return this.#utf16(pointer, length);
      case "latin1+utf16":
        if (length >= TAG_UTF16) return this.#utf16(pointer, length - TAG_UTF16);
        this.check(pointer, length, 2);
        return this.bytes.toString("latin1", pointer, pointer + length);
    }
  }

  #utf16(pointer: number, units: number): string {
    this.check(pointer, units * 2, 2);
    const text = this.bytes.toString("utf16le", pointer, pointer + units * 2);
    if (!text.isWellFormed()) trap("a string is not well-formed UTF-16");
    return text;
  }

  /** Writes the string to fresh memory; answers its pointer and its length in code units. */
  storeString(value: unknown): readonly [pointer: number, length: number] {
    if (typeof value !== "string") throw new TypeError(`Cannot pass ${describe(value)}: a string is expected`);
    const wide = this.#encoding === "utf16" || (this.#encoding === "latin1+utf16" && /[^\0-\xff]/.test(value));
    if (wide) {
      const text = value.toWellFormed();
      const pointer = this.allocate(2, text.length * 2);
      this.bytes.write(text, pointer, text.length * 2, "utf16le");
      return [pointer, this.#encoding === "utf16" ? text.length : text.length + TAG_UTF16];
    }
    if (this.#encoding === "latin1+utf16") {
      const pointer = this.allocate(2, value.length);
      this.bytes.write(value, pointer, value.length, "latin1");
      return [pointer, value.length];
    }
    const size = Buffer.byteLength(value, "utf8");
    if (size > STRING_BYTES_MAX) throw new RangeError(`Cannot pass a string of ${size} bytes: it is too long`);
    const pointer = this.allocate(1, size);
    this.bytes.write(value, pointer, size, "utf8");
    return [pointer, size];
  }
}

const noMemory = new DataView(new ArrayBuffer(0));
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function readUtf8(bytes: Buffer, pointer: number, length: number): string {
  const text = bytes.toString("utf8", pointer, pointer + length);
  // A replacement character may stand for bytes that are no UTF-8: only then decode strictly.
  if (text.includes("\ufffd")) {
    try {
      strictUtf8.decode(bytes.subarray(pointer, pointer + length));
    } catch {
      trap("a string is not valid UTF-8");
    }
  }
  return text;
}

export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object") return `a ${value.constructor?.name ?? "plain object"}`;
  return `the ${typeof value} ${String(value).slice(0, 40)}`;
}
