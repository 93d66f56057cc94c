/** Failures on their way through the guest: from the host as errors with a `code`, to the host from what was thrown. */
import type { Failure } from "cytoplane:service/types@0.1.0";
import { inspect } from "./web/inspect.ts";

/** Errors that the host gave, with its code. */
const given = new WeakMap<Error, string>();

/**
 * What a service that did not catch it passes on under the host's own code: its caller may try again, or
 * the time is up. Everything else that it lets through is its own failure.
 */
const passedOn = new Set([
  "backend-unavailable",
  "call-loop",
  "cancelled",
  "deadline-exceeded",
  "draining",
  "overloaded",
  "storage-full",
]);

/** Puts the host's code on `error`. */
export function fromHost<E extends Error>(error: E, failure: Failure): E & { code: string } {
  given.set(error, failure.code);
  return Object.assign(error, { code: failure.code });
}

/** What the handler threw, as the world has it. */
export function toFailure(thrown: unknown): Failure {
  if (!(thrown instanceof Error)) {
    return { code: "error", message: `${inspect(thrown)} was thrown`.toWellFormed(), stack: null };
  }
  const code = given.get(thrown);
  return {
    code: code !== undefined && passedOn.has(code) ? code : "error",
    message: `${thrown.name}: ${thrown.message}`.toWellFormed(),
    stack: stackOf(thrown, 0).toWellFormed() || null,
  };
}

function stackOf(error: Error, depth: number): string {
  const own = typeof error.stack === "string" ? error.stack.trimEnd() : "";
  if (!(error.cause instanceof Error) || depth === 4) return own;
  return `${own}\nCaused by ${error.cause.name}: ${error.cause.message}\n${stackOf(error.cause, depth + 1)}`;
}
