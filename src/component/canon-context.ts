/**
 * What one lift or lower sees of its instance: memory, allocator, handles, and how strings are encoded.
 *
 * Every access of memory that a guest asks for is checked here, before it happens: pointers are below
 * 2^32 and lengths too, so that their sums are exact. What a lift may take out of a guest is bounded,
 * because a guest can let a million lists share the same bytes.
 */
import type { Carrier } from "./async/carry.ts";
import type { CanonOptions } from "./decode.ts";
import type { HandleTable } from "./handles.ts";

type Realloc = (old: number, oldSize: number, align: number, size: number) => number;

/** The most bytes of one string or list, as the Canonical ABI has it. */
const BYTES_MAX = 2 ** 28 - 1;
/** Less is done in no time. */
const CHARGED_BYTES = 65_536;
/** The most that one call may lift: bytes of text and numbers, and a rough weight for each object. */
export const LIFT_MAX = 2 ** 28;
/** What an element weighs as a JavaScript object, and each of its bytes once it is a property. */
const OBJECT_WEIGHT = 32;
const PROPERTY_WEIGHT = 8;
const TAG_UTF16 = 0x80000000;
/** Up to here a loop is faster than a call of V8's decoder, or its encoder. */
const SHORT_READ = 8;
const SHORT_WRITE = 24;
/** Copies up to here share a slab: an ArrayBuffer of its own costs a microsecond, and the collector as much again. */
const SLAB_COPY = 4096;

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
  /** How long what was stored last is: code units of a string, elements of a list. */
  length = 0;
  #left = LIFT_MAX;

  constructor(home: number, handles: HandleTable, carrier: Carrier, encoding: CanonOptions["encoding"]) {
    this.home = home;
    this.handles = handles;
    this.carrier = carrier;
    this.#encoding = encoding;
  }

  /** Called once, when the core instances that they belong to have been made. */
  bind(memory: WebAssembly.Memory | undefined, realloc: Realloc | undefined): void {
    if (memory !== undefined && !(memory.buffer instanceof ArrayBuffer)) trap("a shared memory cannot hold values");
    this.#memory = memory;
    this.#realloc = realloc;
  }

  /**
   * Memory that grew has a new buffer: to be called before each use that follows guest code. Growing
   * empties the old one, which is a hundred times quicker to see than to ask the memory for its buffer.
   */
  refresh(): void {
    if (this.bytes.length === 0) this.#renew();
  }

  #renew(): void {
    if (this.#memory === undefined) return;
    this.view = new DataView(this.#memory.buffer);
    this.bytes = Buffer.from(this.#memory.buffer);
  }

  /** Whether what this one lifts, and what the other does, is in the same memory and encoding, as far as they say. */
  agrees(other: CanonContext | undefined): boolean {
    if (this.#memory === undefined || other === undefined || other.#memory === undefined) return true;
    return this.#memory === other.#memory && this.#encoding === other.#encoding;
  }

  /** Told of what is copied for the guest, where that is much: its time is the guest's. */
  charge: ((bytes: number) => void) | undefined;

  /** Before a lift that is a whole call's. */
  beginLift(): void {
    this.#left = LIFT_MAX;
  }

  allocate(align: number, size: number): number {
    return this.#reallocate(0, 0, align, size);
  }

  #reallocate(old: number, oldSize: number, align: number, size: number): number {
    if (this.#realloc === undefined) trap("the component gave no allocator for a value that needs one");
    if (size > BYTES_MAX)
      throw new RangeError(`Cannot pass a value of ${size} bytes: at most ${BYTES_MAX} are allowed`);
    if (size >= CHARGED_BYTES) this.charge?.(size);
    const pointer = this.#realloc(old, oldSize, align, size) >>> 0;
    this.refresh();
    this.check(pointer, size, align);
    return pointer;
  }

  check(pointer: number, size: number, align: number): void {
    if ((pointer & (align - 1)) !== 0) trap(`pointer ${pointer} is not aligned to ${align}`);
    if (pointer + size > this.bytes.length) trap(`pointer ${pointer} and ${size} bytes are outside of memory`);
  }

  /** A list whose elements become values of their own. */
  checkList(pointer: number, length: number, size: number, align: number): void {
    this.#checkBytes(pointer, length * size, align);
    this.#spend(length * (OBJECT_WEIGHT + PROPERTY_WEIGHT * size));
  }

  /** A copy of the bytes. */
  loadBytes(pointer: number, length: number): Uint8Array {
    this.#checkBytes(pointer, length, 1);
    this.#spend(length);
    if (length <= SLAB_COPY) {
      const slab = Buffer.allocUnsafe(length);
      const copy = new Uint8Array(slab.buffer, slab.byteOffset, length);
      copy.set(new Uint8Array(this.view.buffer, pointer, length));
      return copy;
    }
    return new Uint8Array(this.view.buffer, pointer, length).slice();
  }

  /** Where numbers of so many bytes lie; the caller copies them. */
  numbers(pointer: number, length: number, size: number): ArrayBuffer {
    this.#checkBytes(pointer, length * size, size);
    this.#spend(length * size);
    return this.view.buffer as ArrayBuffer;
  }

  /** Writes the bytes to fresh memory; answers where. */
  storeBytes(align: number, bytes: Uint8Array): number {
    const pointer = this.allocate(align, bytes.length);
    this.bytes.set(bytes, pointer);
    return pointer;
  }

  loadString(pointer: number, length: number): string {
    if (this.#encoding !== "utf8") return this.#loadWide(pointer, length);
    this.#checkBytes(pointer, length, 1);
    this.#spend(length);
    const { bytes } = this;
    if (length <= SHORT_READ) {
      let text = "";
      let at = pointer;
      for (const end = pointer + length; at < end; at++) {
        const code = bytes[at]!;
        if (code > 0x7f) break;
        text += String.fromCharCode(code);
      }
      if (at === pointer + length) return text;
    }
    return readUtf8(bytes, pointer, length);
  }

  #loadWide(pointer: number, length: number): string {
    if (this.#encoding === "latin1+utf16" && length < TAG_UTF16) {
      this.#checkBytes(pointer, length, 2);
      this.#spend(length);
      return this.bytes.toString("latin1", pointer, pointer + length);
    }
    const size = 2 * (this.#encoding === "utf16" ? length : length - TAG_UTF16);
    this.#checkBytes(pointer, size, 2);
    this.#spend(size);
    const text = this.bytes.toString("utf16le", pointer, pointer + size);
    if (!text.isWellFormed()) trap("a string is not well-formed UTF-16");
    return text;
  }

  /** Writes the string to fresh memory; answers its pointer, and leaves its length in code units in `length`. */
  storeString(value: unknown): number {
    if (typeof value !== "string") throw new TypeError(`Cannot pass ${describe(value)}: a string is expected`);
    if (this.#encoding !== "utf8") return this.#storeWide(value);
    if (value.length <= SHORT_WRITE) return this.#storeShort(value);
    const size = Buffer.byteLength(value, "utf8");
    const pointer = this.allocate(1, size);
    this.bytes.write(value, pointer, size, "utf8");
    this.length = size;
    return pointer;
  }

  /** Takes it for ASCII until a character is none. */
  #storeShort(value: string): number {
    const { length } = value;
    const pointer = this.allocate(1, length);
    const { bytes } = this;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return this.#widen(value, pointer);
      bytes[pointer + i] = code;
    }
    this.length = length;
    return pointer;
  }

  #widen(value: string, pointer: number): number {
    const size = Buffer.byteLength(value, "utf8");
    const wider = this.#reallocate(pointer, value.length, 1, size);
    this.bytes.write(value, wider, size, "utf8");
    this.length = size;
    return wider;
  }

  #storeWide(value: string): number {
    const { length } = value;
    if (this.#encoding === "latin1+utf16" && !/[^\0-\xff]/.test(value)) {
      const pointer = this.allocate(2, length);
      this.bytes.write(value, pointer, length, "latin1");
      this.length = length;
      return pointer;
    }
    const pointer = this.allocate(2, length * 2);
    this.bytes.write(value.toWellFormed(), pointer, length * 2, "utf16le");
    this.length = this.#encoding === "utf16" ? length : length + TAG_UTF16;
    return pointer;
  }

  #checkBytes(pointer: number, size: number, align: number): void {
    if (size > BYTES_MAX) trap(`a string or list of ${size} bytes is longer than ${BYTES_MAX}`);
    this.check(pointer, size, align);
  }

  #spend(weight: number): void {
    if (weight >= CHARGED_BYTES) this.charge?.(weight);
    this.#left -= weight;
    if (this.#left < 0) trap(`the values of one call are larger than ${LIFT_MAX} bytes`);
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
