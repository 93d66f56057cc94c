/**
 * The Canonical ABI, type by type: moving a value between a guest's memory or core values and
 * JavaScript. Codecs know no instance; what belongs to one (memory, allocator, handles) comes in as the
 * context, refreshed by whoever ran guest code before.
 *
 * Follows the Component Model's design/mvp/CanonicalABI.md. Everything that a guest gets wrong is a
 * `WebAssembly.RuntimeError` (a trap); everything a host function gets wrong is a TypeError. A whole
 * function crosses by the code of its signature, which is quicker than its parts.
 */
import type { CanonContext } from "./canon-context.ts";
import type { CoreValue, Unit } from "./emit/text.ts";
import { unitOf } from "./emit/unit.ts";
import { type Flat, type Layout, layoutOf } from "./layout.ts";
import type { ValueType } from "./types.ts";

export { type CoreValue, type TypedArray, typedArrays } from "./emit/text.ts";
export type { Flat } from "./layout.ts";

export interface Codec {
  readonly size: number;
  readonly align: number;
  /** Cut off where there are more core values than are ever passed: such a value goes through memory. */
  readonly flat: readonly Flat[];
  /** The caller has checked that `size` bytes at the pointer are inside of memory, and aligned. */
  load(cx: CanonContext, pointer: number): unknown;
  store(cx: CanonContext, value: unknown, pointer: number): void;
  /** Reads `flat.length` core values from `values[at]` on. */
  lift(cx: CanonContext, values: readonly CoreValue[], at: number): unknown;
  /** Writes `flat.length` core values to `values[at]` on. */
  lower(cx: CanonContext, value: unknown, values: CoreValue[], at: number): void;
}

const codecs = new WeakMap<ValueType, Codec>();

export function codecOf(type: ValueType): Codec {
  let codec = codecs.get(type);
  if (codec === undefined) {
    codec = new EmittedCodec(type, layoutOf(type));
    codecs.set(type, codec);
  }
  return codec;
}

/** Its code is made when it is first used: most types of a component only ever cross inside of others. */
class EmittedCodec implements Codec {
  readonly size: number;
  readonly align: number;
  readonly flat: readonly Flat[];
  readonly #type: ValueType;
  #made: Unit | undefined;

  constructor(type: ValueType, layout: Layout) {
    this.#type = type;
    this.size = layout.size;
    this.align = layout.align;
    this.flat = layout.flat;
  }

  get #unit(): Unit {
    this.#made ??= unitOf(this.#type);
    return this.#made;
  }

  load(cx: CanonContext, pointer: number): unknown {
    cx.beginLift();
    return this.#unit.load(cx, pointer);
  }

  store(cx: CanonContext, value: unknown, pointer: number): void {
    this.#unit.store(cx, value, pointer);
  }

  lift(cx: CanonContext, values: readonly CoreValue[], at: number): unknown {
    cx.beginLift();
    return this.#unit.lift(cx, ...values.slice(at, at + this.flat.length));
  }

  lower(cx: CanonContext, value: unknown, values: CoreValue[], at: number): void {
    this.#unit.lower(cx, value, values, at);
  }
}
