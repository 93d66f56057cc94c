/** Bytes as text and back, in the engine's native code, typed for those whose `lib` does not know it yet. */

interface Options {
  readonly alphabet?: "base64" | "base64url";
  readonly omitPadding?: boolean;
}

interface Native extends Uint8Array {
  toBase64(options?: Options): string;
  toHex(): string;
}

interface NativeConstructor {
  fromBase64(text: string, options?: Options): Uint8Array<ArrayBuffer>;
}

export function toBase64(bytes: Uint8Array, options?: Options): string {
  return (bytes as Native).toBase64(options);
}

/** Throws a SyntaxError for what is no base64. */
export function fromBase64(text: string, options?: Options): Uint8Array<ArrayBuffer> {
  return (Uint8Array as unknown as NativeConstructor).fromBase64(text, options);
}

export function toHex(bytes: Uint8Array): string {
  return (bytes as Native).toHex();
}
