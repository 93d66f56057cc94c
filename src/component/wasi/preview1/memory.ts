/**
 * A guest's linear memory, as the functions of WASI 0.1 read and write it.
 *
 * Every access is checked against the memory as it is at that moment: what lies outside throws
 * `fault`, which the guest gets as its answer. What is given out are views: they hold until the guest
 * runs again, for then its memory may grow.
 */
export class GuestMemory {
  readonly #memory: WebAssembly.Memory;
  #bytes: Uint8Array;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
  }

  bytes(pointer: number, length: number): Uint8Array {
    const all = this.#all();
    const start = pointer >>> 0;
    const end = start + (length >>> 0);
    if (end > all.length) throw "fault";
    return all.subarray(start, end);
  }

  /** A structure of `length` bytes, its fields at their offsets. */
  struct(pointer: number, length: number): DataView {
    const { buffer, byteOffset } = this.bytes(pointer, length);
    return new DataView(buffer, byteOffset, length);
  }

  text(pointer: number, length: number): string {
    const bytes = this.bytes(pointer, length);
    try {
      return utf8.decode(bytes);
    } catch {
      throw "illegal-byte-sequence";
    }
  }

  /** The buffers that an array of `iovec` names. */
  vectors(pointer: number, count: number): Uint8Array[] {
    const list = this.struct(pointer, (count >>> 0) * 8);
    const buffers: Uint8Array[] = [];
    for (let at = 0; at < list.byteLength; at += 8)
      buffers.push(this.bytes(list.getUint32(at, true), list.getUint32(at + 4, true)));
    return buffers;
  }

  setU32(pointer: number, value: number): void {
    this.struct(pointer, 4).setUint32(0, value, true);
  }

  setU64(pointer: number, value: bigint): void {
    this.struct(pointer, 8).setBigUint64(0, value, true);
  }

  #all(): Uint8Array {
    if (this.#bytes.buffer !== this.#memory.buffer) this.#bytes = new Uint8Array(this.#memory.buffer);
    return this.#bytes;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
