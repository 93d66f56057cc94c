/**
 * A failure in the words of the command line: what, where, why, what to do; and its exit code.
 *
 * A stack trace is shown with `--verbose` only.
 */
import { CytoError } from "../kernel/index.ts";
import type { Output } from "./output.ts";

/** Documented in docs/cli.md; scripts rely on them. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** The command was called wrongly: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly hint: string | undefined;

  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** Everything has been said already: only the exit code is left. */
export class SilentFailure extends Error {
  override readonly name = "SilentFailure";
}

/** The user gave up before it was done: exit code 130. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** A program that was run has ended, and said how it went: its code is ours. */
export class Ended extends Error {
  override readonly name = "Ended";
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`The program ended with ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Says what was thrown, and answers the exit code. */
export function reportFailure(thrown: unknown, output: Output): number {
  if (thrown instanceof Ended) return thrown.exitCode;
  if (thrown instanceof SilentFailure) return exitCodes.failed;
  if (thrown instanceof Interrupted) return exitCodes.interrupted;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const usage = error instanceof UsageError;
  const hint = error instanceof CytoError || usage ? error.hint : undefined;
  const code = error instanceof CytoError ? error.code : usage ? "usage" : "internal";
  const why = reasons(error);
  output.event("error", { code, message: error.message, ...(why.length > 0 && { why }), ...(hint && { hint }) });
  if (!output.json) {
    const paint = output.errorPaint;
    const lines = [`${paint.red(paint.bold("error"))}${paint.bold(`: ${error.message}`)}`];
    for (const reason of why) lines.push(`  ${paint.dim("because")} ${reason}`);
    if (hint !== undefined) lines.push(`  ${paint.cyan("=")} ${hint}`);
    if (code === "internal" && !output.verbose) lines.push(`  ${paint.cyan("=")} --verbose shows where it happened`);
    output.complain(lines.join("\n"));
  }
  if (output.verbose) output.complain(error.stack ?? "");
  return usage ? exitCodes.usage : exitCodes.failed;
}

/** The messages of the causes, nearest first, without repetition. */
function reasons(error: Error): string[] {
  const found: string[] = [];
  let cause = error.cause;
  while (cause instanceof Error && found.length < 5) {
    if (cause.message !== "" && !error.message.includes(cause.message) && !found.includes(cause.message)) {
      found.push(cause.message);
    }
    cause = cause.cause;
  }
  return found;
}
