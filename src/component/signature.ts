/**
 * Whole functions: how parameters and results cross, and how an error crosses as one.
 *
 * The code that carries a call is made for the signature, with as many parameters as it has and nothing
 * gathered into arrays; `params` and `result` are the same by parts, for who needs them apart.
 */
import type { CanonContext } from "./canon-context.ts";
import { type Codec, codecOf } from "./codec.ts";
import { type CoreFunction, type LeavingHome, type Lowered, loweredCode } from "./emit/lowered.ts";
import { FLAT_MAX } from "./layout.ts";
import type { ResolvedFunction, ValueType } from "./types.ts";

export { ComponentError, thrownAsResult } from "./component-error.ts";

const FLAT_RESULTS_MAX = 1;

export type HostCall = (...args: never[]) => unknown;

/** A function's parameters and result as they cross between a guest and JavaScript. */
export interface Signature {
  readonly params: Codec;
  readonly paramCount: number;
  /** Parameters that do not fit in core values arrive as a pointer. */
  readonly paramsInMemory: boolean;
  readonly result: Codec | undefined;
  readonly resultType: ValueType | undefined;
  readonly resultInMemory: boolean;
  /** `result<T, E>` as a whole result becomes a return or a throw. */
  readonly throws: boolean;
  /** The result is a future: a promise is the answer, and nothing to wait for. */
  readonly future: boolean;
  /** The core function with which a guest of `home` calls a host function that answers at once. */
  lowered(cx: CanonContext, home: LeavingHome, call: HostCall): CoreFunction;
}

export function signatureOf(type: ResolvedFunction): Signature {
  const params = codecOf({ kind: "tuple", types: type.params.map((param) => param.type) });
  const result = type.result && codecOf(type.result);
  const shape: Shape = {
    type,
    paramsInMemory: params.flat.length > FLAT_MAX,
    resultInMemory: (result?.flat.length ?? 0) > FLAT_RESULTS_MAX,
    throws: type.result?.kind === "result",
    future: type.result?.kind === "future",
  };
  // Made when it is first wanted: most functions of a component are not the host's.
  let lowered: Lowered | undefined;
  return {
    params,
    paramCount: type.params.length,
    paramsInMemory: shape.paramsInMemory,
    result,
    resultType: type.result,
    resultInMemory: shape.resultInMemory,
    throws: shape.throws,
    future: shape.future,
    lowered(cx, home, call) {
      lowered ??= loweredCode(shape);
      return lowered(cx, home, call);
    },
  };
}

/** What the code of a signature depends on. */
export interface Shape {
  readonly type: ResolvedFunction;
  readonly paramsInMemory: boolean;
  readonly resultInMemory: boolean;
  readonly throws: boolean;
  readonly future: boolean;
}
