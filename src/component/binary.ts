/**
 * Reads the primitives of WebAssembly binaries. Every failure says at which offset, so that a
 * truncated or corrupt file is told apart from one that uses something unknown.
 */
import { CytoError } from "../kernel/index.ts";

export class BinaryReader {
  readonly bytes: Uint8Array;
  offset: number;
  readonly end: number;

  constructor(bytes: Uint8Array, offset = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  get done(): boolean {
    return this.offset >= this.end;
  }

  fail(problem: string, hint = "The file may be damaged: build or copy it again."): never {
    const message = `Cannot decode the component: ${problem} at byte ${this.offset}`;
    throw new CytoError("invalid-component", message, { hint });
  }

  byte(): number {
    if (this.offset >= this.end) this.fail("it ends in the middle", cutOff);
    return this.bytes[this.offset++]!;
  }

  /** An unsigned LEB128 number of at most 32 bits. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffffffff) this.fail("a number is larger than 32 bits");
        return value;
      }
    }
    return this.fail("a number is longer than 5 bytes");
  }

  /** A signed LEB128 number of at most 33 bits. */
  s33(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return byte & 0x40 ? value - 2 ** (shift + 7) : value;
    }
    return this.fail("a number is longer than 5 bytes");
  }

  name(): string {
    const bytes = this.take(this.u32());
    try {
      return utf8.decode(bytes);
    } catch {
      return this.fail("a name is not UTF-8");
    }
  }

  take(length: number): Uint8Array {
    if (length > this.end - this.offset) {
      this.fail(`${length} bytes are announced and ${this.end - this.offset} are there`, cutOff);
    }
    const taken = this.bytes.subarray(this.offset, this.offset + length);
    this.offset += length;
    return taken;
  }

  /** A reader over the next `length` bytes, which are skipped here. */
  section(length: number): BinaryReader {
    const start = this.offset;
    this.take(length);
    return new BinaryReader(this.bytes, start, start + length);
  }

  vector<T>(item: () => T): T[] {
    const count = this.u32();
    // Every item takes a byte at least, so a larger count can only be a lie.
    if (count > this.end - this.offset) this.fail(`${count} items are announced`);
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(item());
    return items;
  }

  optional<T>(item: () => T): T | undefined {
    const flag = this.byte();
    if (flag === 0) return undefined;
    if (flag !== 1) this.fail(`0x${flag.toString(16)} is no presence flag`);
    return item();
  }
}

const cutOff = "The file is cut off: build or copy it again.";
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What kind of file the bytes begin like. */
export function sniff(bytes: Uint8Array): "component" | "core-module" | "text" | "unknown" | "empty" {
  if (bytes.length === 0) return "empty";
  const magic = bytes.length >= 8 && bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d;
  if (magic && bytes[6] === 1 && bytes[7] === 0) return "component";
  if (magic && bytes[4] === 1 && bytes[6] === 0) return "core-module";
  const start = Buffer.from(bytes.subarray(0, 64)).toString("latin1").trimStart();
  if (start.startsWith("(component") || start.startsWith("(module")) return "text";
  return "unknown";
}
