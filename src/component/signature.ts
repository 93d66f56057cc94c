/** Whole functions: how parameters and results cross, and how an error crosses as one. */
import { type Codec, codecOf, productCodec } from "./codec.ts";
import type { ResolvedFunction } from "./types.ts";

/** More flat parameters or results than these go through memory. */
const FLAT_PARAMS_MAX = 16;
const FLAT_RESULTS_MAX = 1;

/** A function's parameters and result as they cross between a guest and JavaScript. */
export interface Signature {
  readonly params: Codec;
  readonly paramCount: number;
  /** Parameters that do not fit in core values arrive as a pointer. */
  readonly paramsInMemory: boolean;
  readonly result: Codec | undefined;
  readonly resultInMemory: boolean;
  /** `result<T, E>` as a whole result becomes a return or a throw. */
  readonly throws: boolean;
  /** The result is a future: a promise is the answer, and nothing to wait for. */
  readonly future: boolean;
}

export function signatureOf(type: ResolvedFunction): Signature {
  const params = productCodec(
    type.params.map((param) => codecOf(param.type)),
    undefined,
  );
  const result = type.result && codecOf(type.result);
  return {
    params,
    paramCount: type.params.length,
    paramsInMemory: params.flat.length > FLAT_PARAMS_MAX,
    result,
    resultInMemory: (result?.flat.length ?? 0) > FLAT_RESULTS_MAX,
    throws: type.result?.kind === "result",
    future: type.result?.kind === "future",
  };
}

/** Thrown by an export that answered with the error of its `result`. */
export class ComponentError extends Error {
  override readonly name = "ComponentError";
  readonly payload: unknown;

  constructor(payload: unknown) {
    super(
      typeof payload === "string" ? payload : JSON.stringify(payload, (_, v) => (typeof v === "bigint" ? `${v}` : v)),
    );
    this.payload = payload;
  }
}

/** A return of a host function, or what it threw, as the value of its `result`; anything else rises. */
export function thrownAsResult(thrown: unknown): unknown {
  if (typeof thrown === "object" && thrown !== null && "payload" in thrown) {
    return { tag: "err", val: (thrown as { payload: unknown }).payload };
  }
  if (thrown instanceof Error) throw thrown;
  return { tag: "err", val: thrown };
}
