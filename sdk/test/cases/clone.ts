import { bytes, type Cases, equal, fails, same } from "./assert.ts";

export const cases: Cases = {
  "copies plain data deeply"() {
    const source = { a: [1, { b: "c" }], d: undefined, e: null, f: 1n, g: Number.NaN };
    const copy = structuredClone(source);
    same([copy.a, copy.f === 1n, "d" in copy, Number.isNaN(copy.g)], [[1, { b: "c" }], true, true, true]);
    equal(copy.a === source.a, false);
  },
  "keeps cycles and shared parts"() {
    const shared = { x: 1 };
    const source: Record<string, unknown> = { p: shared, q: shared };
    source.self = source;
    const copy = structuredClone(source);
    equal(copy.self, copy);
    equal(copy.p, copy.q);
  },
  "copies dates, expressions, maps, sets, bytes and errors"() {
    const copy = structuredClone({
      date: new Date(5),
      expression: /a/gi,
      map: new Map<unknown, unknown>([[{ k: 1 }, new Set([1])]]),
      view: new Uint16Array([1, 2, 3]).subarray(1),
      error: new RangeError("r", { cause: "c" }),
      boxed: Object("s"),
    });
    equal(copy.date.getTime(), 5);
    equal(String(copy.expression), "/a/gi");
    same([...copy.map.keys()], [{ k: 1 }]);
    equal([...copy.map.values()][0] instanceof Set, true);
    same([...copy.view], [2, 3]);
    same([copy.error instanceof RangeError, copy.error.message, copy.error.cause], [true, "r", "c"]);
    equal(copy.boxed instanceof String, true);
  },
  "transfers a buffer"() {
    const view = bytes(1, 2);
    const copy = structuredClone(view, { transfer: [view.buffer] });
    same(copy, bytes(1, 2));
    equal(view.byteLength, 0);
  },
  async "refuses functions and symbols, and then moves nothing"() {
    await fails("DataCloneError", () => structuredClone(() => {}));
    await fails("DataCloneError", () => structuredClone({ a: Symbol("x") }));
    await fails("DataCloneError", () => structuredClone(new WeakMap()));
    const view = bytes(1);
    await fails("DataCloneError", () => structuredClone([view, () => {}], { transfer: [view.buffer] }));
    equal(view.byteLength, 1);
  },
};
