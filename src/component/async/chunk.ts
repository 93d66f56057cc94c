/** Items of a stream or future between a guest's memory and JavaScript: many of one type at a time. */
import { type CanonContext, describe } from "../canon-context.ts";
import { codecOf, type TypedArray, typedArrays } from "../codec.ts";
import type { Chunk } from "../contract.ts";
import type { ValueType } from "../types.ts";

/** How items of one type cross. */
export interface ChunkCodec {
  /** Two streams carry the same if this is the same. */
  readonly key: string;
  readonly size: number;
  readonly align: number;
  /** Numbers may be copied within one component instance; anything else may not, for now. */
  readonly plain: boolean;
  load(cx: CanonContext, pointer: number, count: number): Chunk;
  /** Stores `count` items of the chunk, from `from` on. */
  store(cx: CanonContext, chunk: Chunk, from: number, count: number, pointer: number): void;
  /** The items from `from` on, as a chunk of its own. */
  slice(chunk: Chunk, from: number, to: number): Chunk;
}

export function chunkCodecOf(element: ValueType | undefined): ChunkCodec {
  if (element === undefined) return nothing;
  let codec = made.get(element);
  if (codec === undefined) {
    codec = chunkCodec(element);
    made.set(element, codec);
  }
  return codec;
}

const made = new WeakMap<ValueType, ChunkCodec>();

function chunkCodec(element: ValueType): ChunkCodec {
  const key = typeKey(element);
  const Typed = element.kind === "primitive" ? typedArrays[element.type] : undefined;
  const { size, align } = codecOf(element);
  if (Typed !== undefined) {
    const part = (chunk: Chunk, from: number, to: number): TypedArray =>
      chunk instanceof Typed
        ? chunk.subarray(from, to)
        : Typed.from(Array.prototype.slice.call(chunk, from, to) as never);
    return {
      key,
      size,
      align,
      plain: true,
      load(cx, pointer, count) {
        cx.refresh();
        return new Typed(cx.view.buffer.slice(pointer, pointer + count * size) as ArrayBuffer);
      },
      store(cx, chunk, from, count, pointer) {
        const { buffer, byteOffset } = part(chunk, from, from + count);
        cx.refresh();
        cx.bytes.set(new Uint8Array(buffer, byteOffset, count * size), pointer);
      },
      slice: part,
    };
  }
  const codec = codecOf(element);
  // Lifted as one list, so that the bound of what a call lifts is one for all of them.
  const list = codecOf({ kind: "list", element, length: undefined });
  return {
    key,
    size,
    align,
    plain: false,
    load(cx, pointer, count) {
      cx.refresh();
      return list.lift(cx, [pointer, count], 0) as Chunk;
    },
    store(cx, chunk, from, count, pointer) {
      cx.refresh();
      for (let i = 0; i < count; i++) codec.store(cx, chunk[from + i], pointer + i * size);
    },
    slice: (chunk, from, to) => Array.prototype.slice.call(chunk, from, to),
  };
}

/** What a host gives must be something that has items. */
export function assertChunk(chunk: unknown): asserts chunk is Chunk {
  if (typeof chunk !== "object" || chunk === null || typeof (chunk as Chunk).length !== "number")
    throw new TypeError(`Cannot pass ${describe(chunk)} to a stream: an array is expected`);
}

const nothing: ChunkCodec = {
  key: "",
  size: 0,
  align: 1,
  plain: true,
  // As long as a guest says, and no array: it may say 2^28.
  load: (_cx, _pointer, count) => ({ length: count }),
  store: () => undefined,
  slice: (_chunk, from, to) => new Array<undefined>(to - from).fill(undefined),
};

const resources = new WeakMap<object, number>();
let resourceCount = 0;

const keys = new WeakMap<ValueType, string>();

/** Equal for types of the same structure; a resource type is only equal to itself. */
export function typeKey(type: ValueType | undefined): string {
  if (type === undefined) return "";
  let key = keys.get(type);
  if (key === undefined) {
    key = keyOf(type);
    keys.set(type, key);
  }
  return key;
}

function keyOf(type: ValueType): string {
  return JSON.stringify(type, (name, value: unknown) => {
    if (name !== "resource") return value;
    const resource = value as object;
    const known = resources.get(resource);
    if (known !== undefined) return known;
    resources.set(resource, ++resourceCount);
    return resourceCount;
  });
}
