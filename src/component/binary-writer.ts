/** A growing buffer that binaries are written into. Lengths that are known later take five bytes and are patched. */

export class Writer {
  bytes: Uint8Array;
  length = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
  }

  /** Makes room for `more` bytes. */
  reserve(more: number): void {
    const wanted = this.length + more;
    if (wanted <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(wanted, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.reserve(1);
    this.bytes[this.length++] = value;
  }

  put(values: ArrayLike<number>): void {
    this.reserve(values.length);
    this.bytes.set(values, this.length);
    this.length += values.length;
  }

  /** The bytes of `from` in `start..end`. */
  copy(from: Uint8Array, start: number, end: number): void {
    this.reserve(end - start);
    // Between two sites there are a few bytes as a rule, for which a loop is faster than a view.
    if (end - start < 48) {
      let at = this.length;
      for (let index = start; index < end; index++) this.bytes[at++] = from[index]!;
    } else this.bytes.set(from.subarray(start, end), this.length);
    this.length += end - start;
  }

  /** An unsigned LEB128 number; of up to 53 bits. */
  unsigned(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 128) | 0x80);
      rest = Math.floor(rest / 128);
    }
    this.byte(rest);
  }

  /** A signed LEB128 number of 32 bits. */
  signed(value: number): void {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      const last = (rest === 0 && !(low & 0x40)) || (rest === -1 && low & 0x40);
      this.byte(last ? low : low | 0x80);
      if (last) return;
    }
  }

  /** Leaves room for a number, and answers with its place for {@link patch}. */
  hole(): number {
    this.reserve(5);
    this.length += 5;
    return this.length - 5;
  }

  /** Writes at `hole` how many bytes stand after it. */
  patch(hole: number): void {
    let rest = this.length - hole - 5;
    for (let index = 0; index < 4; index++) {
      this.bytes[hole + index] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[hole + 4] = rest;
  }

  section(id: number, body: () => void): void {
    this.byte(id);
    const hole = this.hole();
    body();
    this.patch(hole);
  }

  name(text: string): void {
    const bytes = Buffer.from(text);
    this.unsigned(bytes.length);
    this.put(bytes);
  }

  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}
