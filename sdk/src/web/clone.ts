/** structuredClone of the HTML standard, for what exists here. */
import { Blob, File } from "./blob.ts";

const errors: Readonly<Record<string, ErrorConstructor>> = {
  EvalError: EvalError as ErrorConstructor,
  RangeError: RangeError as ErrorConstructor,
  ReferenceError: ReferenceError as ErrorConstructor,
  SyntaxError: SyntaxError as ErrorConstructor,
  TypeError: TypeError as ErrorConstructor,
  URIError: URIError as ErrorConstructor,
};

export function structuredClone<T>(value: T, options: { transfer?: readonly unknown[] } = {}): T {
  const transfer = [...(options?.transfer ?? [])];
  for (const item of transfer) {
    if (!(item instanceof ArrayBuffer)) throw refused(item, "cannot be transferred here: only an ArrayBuffer can");
  }
  if (new Set(transfer).size < transfer.length) throw refused(transfer, "is listed twice for transfer");
  const clone = copy(value, new Map()) as T;
  // Taken away last, so that a refusal changes nothing.
  for (const buffer of transfer as ArrayBuffer[]) buffer.transfer();
  return clone;
}

function copy(value: unknown, known: Map<object, unknown>): unknown {
  if (typeof value === "symbol") throw refused(value, "is a symbol");
  if (typeof value === "function") throw refused(value, "is a function");
  if (typeof value !== "object" || value === null) return value;
  if (known.has(value)) return known.get(value);
  const remember = <R>(made: R): R => {
    known.set(value, made);
    return made;
  };
  const inner = (held: unknown) => copy(held, known);
  if (value instanceof ArrayBuffer) return remember(value.slice());
  if (ArrayBuffer.isView(value)) return remember(copyView(value, inner));
  if (value instanceof Date) return remember(new Date(value.getTime()));
  if (value instanceof RegExp) return remember(new RegExp(value.source, value.flags));
  if (value instanceof Boolean || value instanceof Number || value instanceof String || value instanceof BigInt) {
    return remember(Object(value.valueOf()));
  }
  if (value instanceof File) {
    return remember(new File([value], value.name, { type: value.type, lastModified: value.lastModified }));
  }
  if (value instanceof Blob) return remember(new Blob([value], { type: value.type }));
  if (value instanceof Map) {
    const made = remember(new Map<unknown, unknown>());
    for (const [key, held] of [...value]) made.set(inner(key), inner(held));
    return made;
  }
  if (value instanceof Set) {
    const made = remember(new Set<unknown>());
    for (const held of [...value]) made.add(inner(held));
    return made;
  }
  if (value instanceof DOMException) return remember(new DOMException(value.message, value.name));
  if (value instanceof Error) return copyError(value, remember, inner);
  if (Array.isArray(value)) return copyProperties(value, remember(new Array(value.length)), inner);
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (["Promise", "WeakMap", "WeakSet", "WeakRef", "Generator", "AsyncGenerator"].includes(tag)) {
    throw refused(value, `is a ${tag}`);
  }
  return copyProperties(value, remember({}), inner);
}

function copyView(view: ArrayBufferView, inner: (held: unknown) => unknown): ArrayBufferView {
  const length = view instanceof DataView ? view.byteLength : (view as Uint8Array).length;
  const { constructor: View } = view as unknown as { constructor: Uint8ArrayConstructor };
  return new View(inner(view.buffer) as ArrayBuffer, view.byteOffset, length);
}

function copyError(error: Error, remember: (made: Error) => Error, inner: (held: unknown) => unknown): Error {
  const made = remember(new (errors[error.name] ?? Error)(error.message));
  if (typeof error.stack === "string") {
    Object.defineProperty(made, "stack", { value: error.stack, writable: true, configurable: true });
  }
  if ("cause" in error) {
    Object.defineProperty(made, "cause", { value: inner(error.cause), writable: true, configurable: true });
  }
  return made;
}

function copyProperties(from: object, to: object, inner: (held: unknown) => unknown): object {
  for (const key of Object.keys(from)) {
    Object.defineProperty(to, key, {
      value: inner((from as Record<string, unknown>)[key]),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return to;
}

function refused(value: unknown, why: string): DOMException {
  const name = typeof value === "symbol" || typeof value === "function" ? String(value) : "The value";
  return new DOMException(`${name.slice(0, 100)} could not be cloned: it ${why}`, "DataCloneError");
}
