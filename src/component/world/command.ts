/**
 * A command: a component that exports `wasi:cli/run`, or a core module with `_start`, run once to its
 * end over the grants of its caller.
 *
 *   run ─┬─ returns            0; 1 when its result is an error
 *        ├─ exit(n)            n
 *        ├─ trap               instance-trapped
 *        └─ signal aborted     its reason, or cancelled
 *
 * When `runCommand` settles, nothing of it runs and nothing of it is open.
 */
import { type Call, CytoError, toCytoError } from "../../kernel/index.ts";
import type { Component, Grants } from "../contract.ts";
import { ComponentError } from "../signature.ts";
import { Exit } from "../wasi/exit.ts";
import { wasiImports } from "../wasi/standard.ts";
import { createHostState, endState } from "../wasi/state.ts";

const runInterface = "wasi:cli/run";

export interface Occasion {
  /** What it is run for: its calls and its log lines are part of it. */
  readonly call?: Call;
  /** Ends it at the next thing that it waits for. */
  readonly signal?: AbortSignal;
}

/** Settles with the exit code. */
export async function runCommand(component: Component, grants: Grants, occasion: Occasion = {}): Promise<number> {
  const { service } = grants;
  if (component.world !== "command")
    throw new CytoError("invalid-component", `Cannot run ${service}: it is no command`, {
      hint: `A command exports ${runInterface}, or _start; this exports ${component.exports.join(", ") || "nothing"}.`,
    });
  const state = createHostState(grants);
  state.call = occasion.call;
  const core = component.instantiate(wasiImports(grants, state));
  try {
    const run = core.exports[runInterface]!.run as () => unknown;
    await unlessAborted(occasion.signal, service, run);
    return 0;
  } catch (thrown) {
    if (thrown instanceof Exit) return thrown.exitCode;
    // The error of its result has no value.
    if (thrown instanceof ComponentError) return 1;
    if (thrown instanceof CytoError) throw thrown;
    const { message } = toCytoError(thrown);
    throw new CytoError("instance-trapped", `Cannot finish ${service}: ${message}`, { cause: thrown });
  } finally {
    for (const finish of state.afterCall) finish();
    endState(state);
    core[Symbol.dispose]();
  }
}

function unlessAborted(signal: AbortSignal | undefined, service: string, run: () => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const abort = () =>
      reject(
        signal?.reason instanceof CytoError
          ? signal.reason
          : new CytoError("cancelled", `Cannot finish ${service}: it was asked to stop`),
      );
    if (signal?.aborted) {
      abort();
      return;
    }
    signal?.addEventListener("abort", abort, { once: true });
    const running = async () => run();
    running()
      .then(resolve, reject)
      .finally(() => signal?.removeEventListener("abort", abort));
  });
}
