/**
 * Reads the primitives of WebAssembly binaries. Every failure says in which section and at which
 * offset of the file, so that a truncated or corrupt file is told apart from one that uses something
 * unknown.
 */
import { CytoError } from "../kernel/index.ts";

export class BinaryReader {
  readonly bytes: Uint8Array;
  offset: number;
  readonly end: number;
  /** What the bytes are part of: `the type section`. */
  readonly place: string | undefined;
  /** Where `bytes` begin in the file. */
  readonly base: number;

  constructor(bytes: Uint8Array, offset = 0, end: number = bytes.length, place?: string, base = 0) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
    this.place = place;
    this.base = base;
  }

  get done(): boolean {
    return this.offset >= this.end;
  }

  fail(problem: string, at: number = this.offset, hint = "The file may be damaged: build or copy it again."): never {
    throw invalid(problem, this.place, this.position(at), hint);
  }

  /** Where an offset of `bytes` is in the file. */
  position(offset: number): number {
    return this.base + offset;
  }

  byte(): number {
    if (this.offset >= this.end) this.fail("it ends in the middle", this.offset, cutOff);
    return this.bytes[this.offset++]!;
  }

  /** Fails at the byte just read, which is none that may stand there. */
  unknown(byte: number, what: string): never {
    return this.fail(`0x${byte.toString(16)} is ${what}`, this.offset - 1);
  }

  flag(): boolean {
    const flag = this.byte();
    if (flag > 1) this.unknown(flag, "no flag");
    return flag === 1;
  }

  /** An unsigned LEB128 number of at most 32 bits. */
  u32(): number {
    const at = this.offset;
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffffffff) this.fail("a number is larger than 32 bits", at);
        return value;
      }
    }
    return this.fail("a number is longer than 5 bytes", at);
  }

  /** An unsigned LEB128 number of at most 64 bits, as near as a double comes. */
  u64(): number {
    const at = this.offset;
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (shift === 63 && byte > 1) this.fail("a number is larger than 64 bits", at);
        return value;
      }
    }
    return this.fail("a number is longer than 10 bytes", at);
  }

  /** A signed LEB128 number of at most 33 bits. */
  s33(): number {
    const at = this.offset;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        // Of the fifth byte five bits count, the last of them the sign: the others repeat it.
        if (shift === 28 && byte & 0x10 ? byte < 0x70 : shift === 28 && byte >= 0x10) {
          this.fail("a number is larger than 33 bits", at);
        }
        return byte & 0x40 ? value - 2 ** (shift + 7) : value;
      }
    }
    return this.fail("a number is longer than 5 bytes", at);
  }

  name(): string {
    const at = this.offset;
    const bytes = this.take(this.u32());
    try {
      return utf8.decode(bytes);
    } catch {
      return this.fail("a name is not UTF-8", at);
    }
  }

  take(length: number): Uint8Array {
    if (length > this.end - this.offset) {
      this.fail(`${length} bytes are announced and ${this.end - this.offset} are there`, this.offset, cutOff);
    }
    const taken = this.bytes.subarray(this.offset, this.offset + length);
    this.offset += length;
    return taken;
  }

  /** A reader over the next `length` bytes, which are skipped here. */
  section(length: number, place: string | undefined = this.place): BinaryReader {
    const start = this.offset;
    if (length > this.end - start) {
      const problem = `${length} bytes are announced and ${this.end - start} are there`;
      throw invalid(problem, place, this.position(start), cutOff);
    }
    this.offset += length;
    return new BinaryReader(this.bytes, start, start + length, place, this.base);
  }

  vector<T>(item: () => T): T[] {
    const at = this.offset;
    const count = this.u32();
    // Every item takes a byte at least, so a larger count can only be a lie.
    if (count > this.end - this.offset)
      this.fail(`${count} items are announced, more than there are bytes`, at, cutOff);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item());
    return items;
  }

  optional<T>(item: () => T): T | undefined {
    const flag = this.byte();
    if (flag === 0) return undefined;
    if (flag !== 1) this.unknown(flag, "no presence flag");
    return item();
  }
}

/** A component that breaks a rule: which, in what part of it, and where. */
export function invalid(problem: string, place: string | undefined, offset: number, hint?: string): CytoError {
  const where = place === undefined ? "" : `in ${place} `;
  return new CytoError(
    "invalid-component",
    `Cannot decode the component: ${where}at byte ${offset}: ${problem}`,
    hint === undefined ? {} : { hint },
  );
}

const cutOff = "The file is cut off: build or copy it again.";
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What kind of file the bytes begin like. */
export type FileKind = "component" | "other-version" | "core-module" | "cut-off" | "text" | "unknown" | "empty";

/** Version and layer of the binary format that is read here, as they follow `\0asm`. */
const COMPONENT = [0x0d, 0x00, 0x01, 0x00];

export function sniff(bytes: Uint8Array): FileKind {
  if (bytes.length === 0) return "empty";
  const magic = [0x00, 0x61, 0x73, 0x6d];
  if (magic.slice(0, bytes.length).every((byte, i) => bytes[i] === byte)) {
    if (bytes.length < 8) return "cut-off";
    if (COMPONENT.every((byte, i) => bytes[4 + i] === byte)) return "component";
    if (bytes[4] === 1 && bytes[5] === 0 && bytes[6] === 0 && bytes[7] === 0) return "core-module";
    return "other-version";
  }
  const start = Buffer.from(bytes.subarray(0, 64)).toString("latin1").trimStart();
  if (start.startsWith("(component") || start.startsWith("(module")) return "text";
  return "unknown";
}
