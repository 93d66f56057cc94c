/**
 * A host function that answers at once, as a guest calls it: the text that lifts its arguments, calls it,
 * and puts the answer where the guest wants it. While it allocates for that, the guest may call nothing.
 */
import { type CanonContext, trap } from "../canon-context.ts";
import { thrownPayload } from "../component-error.ts";
import { giveBack } from "../handles.ts";
import { layoutOf, offsetsOf, payloadOffset, product } from "../layout.ts";
import type { HostCall, Shape } from "../signature.ts";
import { compile } from "../source.ts";
import type { ValueType } from "../types.ts";
import { lift, load } from "./read.ts";
import { type CoreValue, split, Text } from "./text.ts";
import { unitOf } from "./unit.ts";
import { lower, store } from "./write.ts";

export type CoreFunction = (...values: CoreValue[]) => CoreValue | undefined;

/** The instance that calls. */
export interface LeavingHome {
  mayLeave: boolean;
  assertMayLeave(): void;
}

export type Lowered = (cx: CanonContext, home: LeavingHome, call: HostCall) => CoreFunction;

export function loweredCode(shape: Shape): Lowered {
  const { type, paramsInMemory, resultInMemory, throws, future } = shape;
  const text = new Text(unitOf);
  const types = type.params.map((param) => param.type);
  const layouts = types.map((one) => layoutOf(one));
  const { size, align, flat } = product(layouts, Number.POSITIVE_INFINITY);
  const values = paramsInMemory ? ["f0"] : flat.map((_, i) => `f${i}`);
  const call = `call(${types.map((_, i) => `x${i}`).join(", ")})`;
  const where = resultInMemory ? ", r" : "";

  writeAnswer(text, shape);
  text.line(`return (cx, home, call) => (${(resultInMemory ? [...values, "r"] : values).join(", ")}) => {`);
  text.line("home.assertMayLeave();");
  if (types.length > 0) text.line("cx.refresh(); cx.beginLift();");
  if (paramsInMemory) {
    text.line(`const p = f0 >>> 0; cx.check(p, ${size}, ${align}); const v = cx.view;`);
    const offsets = offsetsOf(layouts);
    types.forEach((one, i) => {
      text.line(`const x${i} = ${load(text, one, "p", offsets[i]!)};`);
    });
  } else {
    const parts = split(types, values);
    types.forEach((one, i) => {
      text.line(`const x${i} = ${lift(text, one, parts[i]!)};`);
    });
  }
  text.line("const lent = cx.handles.takeLent();");
  text.line(`let y; try { y = ${call}; }`);
  if (throws) text.line(`catch (thrown) { return failed(cx, home, thrown${where}); }`);
  text.line("finally { giveBack(lent); }");
  if (!future) text.line("if (y instanceof Promise) waits();");
  text.line(`return answer(cx, home, y${where}); };`);
  return compile({ ...text.constants, thrownPayload, giveBack, waits }, text.toString()) as Lowered;
}

/** The functions `answer` and, where the result can be an error, `failed`. */
function writeAnswer(text: Text, { type, resultInMemory, throws }: Shape): void {
  const { result } = type;
  const formal = resultInMemory ? "cx, home, y, r" : "cx, home, y";
  const begin = () => {
    if (result) text.line("cx.refresh(); home.mayLeave = false;");
    if (!resultInMemory) return;
    const { size, align } = layoutOf(result!);
    text.line(`const p = r >>> 0; cx.check(p, ${size}, ${align});`);
  };
  const whole = (of: ValueType) => {
    if (resultInMemory) store(text, of, "y", "p", 0, "the result");
    else {
      text.line("let f;");
      lower(text, of, "y", ["f"], "the result");
    }
    text.line("home.mayLeave = true;");
    if (!resultInMemory) text.line("return f;");
  };
  const half = (index: 0 | 1, payload: ValueType | undefined) => {
    // Both halves without a payload: the discriminant is all there is.
    if (resultInMemory) {
      text.line(`cx.view.setUint8(p, ${index});`);
      if (payload) store(text, payload, "y", "p", payloadOffset(halves), index === 0 ? "the result" : "the error");
    }
    text.line("home.mayLeave = true;");
    if (!resultInMemory) text.line(`return ${index};`);
  };
  const halves =
    result?.kind === "result"
      ? [
          { name: "ok", type: result.ok },
          { name: "err", type: result.err },
        ]
      : [];
  text.line(`function answer(${formal}) {`);
  begin();
  if (throws) half(0, halves[0]!.type);
  else if (result) whole(result);
  text.line("}");
  if (!throws) return;
  text.line(`function failed(${formal}) {`);
  text.line("y = thrownPayload(y);");
  begin();
  half(1, halves[1]!.type);
  text.line("}");
}

function waits(): never {
  return trap("a host function waits that is not marked as one that may");
}
