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
  const key = keyOf(element);
  const Typed = element.kind === "primitive" ? typedArrays[element.type] : undefined;
  const { size, align } = codecOf(element);
  if (Typed !== undefined) {
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
        const array = chunk instanceof Typed ? (chunk as TypedArray) : Typed.from(chunk as never);
        cx.refresh();
        cx.bytes.set(new Uint8Array(array.buffer, array.byteOffset + from * size, count * size), pointer);
      },
      slice: (chunk, from, to) => (chunk instanceof Typed ? chunk : Typed.from(chunk as never)).subarray(from, to),
    };
  }
  const codec = codecOf(element);
  return {
    key,
    size,
    align,
    plain: false,
    load(cx, pointer, count) {
      cx.refresh();
      return Array.from({ length: count }, (_, i) => codec.load(cx, pointer + i * size));
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
  load: (_cx, _pointer, count) => new Array<undefined>(count).fill(undefined),
  store: () => undefined,
  slice: (_chunk, from, to) => new Array<undefined>(to - from).fill(undefined),
};

const resources = new WeakMap<object, number>();
let resourceCount = 0;

/** Equal for types of the same structure; a resource type is only equal to itself. */
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
