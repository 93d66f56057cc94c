/** Numbers as WebAssembly binaries have them. */

export function leb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const byte = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? byte | 0x80 : byte);
  } while (rest > 0);
  return bytes;
}

/** A number that is not negative, where a signed one is read: an index as a block type. */
export function signedLeb(value: number): number[] {
  const bytes = leb(value);
  const last = bytes.pop()!;
  return last & 0x40 ? [...bytes, last | 0x80, 0] : [...bytes, last];
}
