/**
 * How the error of a `result` crosses: a guest's is thrown in JavaScript, and what a host function throws
 * reaches the guest as one. Any other `Error` is a fault and rises.
 */

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
  return { tag: "err", val: thrownPayload(thrown) };
}

/** The error of a `result` that a host function threw; anything else rises. */
export function thrownPayload(thrown: unknown): unknown {
  if (typeof thrown === "object" && thrown !== null && "payload" in thrown) return thrown.payload;
  if (thrown instanceof Error) throw thrown;
  return thrown;
}
