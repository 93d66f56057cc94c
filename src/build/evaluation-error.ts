/**
 * A service that failed while it was evaluated at build time, as a diagnostic in the author's file.
 *
 * The top level of every module runs when the component is made, so that it costs nothing at start.
 * What goes wrong there is the author's to mend: found through the engine's stack and the source map.
 */
import { readFileSync } from "node:fs";
import type { BuildRequest, SourceDiagnostic } from "./contract.ts";
import type { EvaluationFailure } from "./engine.ts";
import { noFetchHint } from "./import-error.ts";
import { ownerOf } from "./source-name.ts";
import { defaultExport } from "./source-position.ts";
import { type Frame, frames } from "./stack.ts";

const intoFetch = "The top level of a module runs once, while building. Do this in fetch, or on first use";

/** `undefined` when the failure is not of the author's making. */
export function evaluationDiagnostic(
  request: BuildRequest,
  failure: EvaluationFailure,
  sourceMap: string,
): SourceDiagnostic | undefined {
  const { thrown, worldCall } = failure;
  if (thrown === undefined) return undefined;
  if (thrown.includes("cytoplane:no-fetch")) {
    const at = defaultExport(request.source, readFileSync(request.source, "utf8")) ?? { line: 1, column: 1 };
    return { file: request.source, ...at, message: "The default export has no method fetch", hint: noFetchHint };
  }
  const place = blame(frames(failure.stack, sourceMap));
  const at = place
    ? { file: place.source!, line: place.line, column: place.column }
    : { file: request.source, line: 1, column: 1 };
  if (worldCall !== undefined) {
    return { ...at, message: `"${worldCall}" is called while building, when there is no world yet`, hint: intoFetch };
  }
  return {
    ...at,
    message: `Evaluating the service failed: ${thrown || "an error without a message"}`,
    hint: intoFetch,
  };
}

/** Evaluation that did not end. */
export function endlessDiagnostic(request: BuildRequest, timeoutMs: number): SourceDiagnostic {
  const message = `Evaluating the service did not end within ${timeoutMs / 1000} s`;
  return { file: request.source, line: 1, column: 1, message, hint: intoFetch };
}

/** The author's own frame where there is one: a dependency that throws was called by someone. */
function blame(stack: readonly Frame[]): Frame | undefined {
  const of = (owner: string) => stack.find((frame) => frame.source !== undefined && ownerOf(frame.source) === owner);
  return of("author") ?? of("dependency");
}
