/**
 * Types that cross as an index into a table: handles of resources, streams, futures and error contexts.
 * Each is a pair of functions between that index and what JavaScript holds.
 */
import { type CanonContext, describe } from "./canon-context.ts";
import type { ResourceType, ValueType } from "./types.ts";

export interface Reference {
  lift(cx: CanonContext, index: number): unknown;
  lower(cx: CanonContext, value: unknown): number;
}

export type ReferenceType = Extract<ValueType, { kind: "own" | "borrow" | "stream" | "future" }> | typeof errorContext;

export const errorContext = { kind: "primitive", type: "error-context" } as const;

export function referenceOf(type: ReferenceType): Reference {
  switch (type.kind) {
    case "own":
    case "borrow":
      return handle(type.kind === "own", type.resource);
    case "stream": {
      const { element } = type;
      return {
        lift: (cx, index) => cx.carrier.liftStream(index, element),
        lower: (cx, value) => cx.carrier.lowerStream(value, element),
      };
    }
    case "future": {
      const { element } = type;
      return {
        lift: (cx, index) => cx.carrier.liftFuture(index, element),
        lower: (cx, value) => cx.carrier.lowerFuture(value, element),
      };
    }
    case "primitive":
      return {
        lift: (cx, index) => cx.carrier.liftErrorContext(index),
        lower: (cx, value) => cx.carrier.lowerErrorContext(value),
      };
  }
}

function handle(own: boolean, type: ResourceType): Reference {
  const { home } = type;
  const wrong = (value: unknown): never => {
    throw new TypeError(`Cannot pass ${describe(value)}: a ${type.name} is expected`);
  };
  // What the host defines crosses as it is.
  if (home === undefined) {
    return {
      lift: own ? (cx, index) => cx.handles.take(index, type) : (cx, index) => cx.handles.lend(index, type),
      lower: (cx, value) =>
        cx.handles.add(type, typeof value === "object" && value !== null ? value : wrong(value), own),
    };
  }
  return {
    lift(cx, index) {
      const representation = own ? cx.handles.take(index, type) : cx.handles.lend(index, type);
      return cx.carrier.resources.lift(type, representation as number, own);
    },
    lower(cx, value) {
      const representation = cx.carrier.resources.lower(type, value, own, cx.handles.scope);
      // A borrow of a component's own resource arrives as its representation, not as a handle.
      return !own && home === cx.home ? representation : cx.handles.add(type, representation, own);
    },
  };
}
