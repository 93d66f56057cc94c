/**
 * The process in which componentizing happens: it takes one task, answers it, and ends.
 *
 * A process, because evaluating an author's module can run for ever, take all memory or bring the
 * engine down, and only a process can be ended for it.
 */
import type { Engine } from "./contract.ts";
import { engines } from "./engine.ts";

export interface Task {
  readonly engine: Engine;
  readonly code: string;
  readonly witPath: string;
}

/** `late` is the builder's own: there was no answer in time. */
export type Failed = { readonly failure: string } | { readonly late: true };
export type Answer = { readonly component: Uint8Array } | Failed;

process.once("message", async (task: Task) => {
  let answer: Answer;
  try {
    answer = { component: await engines[task.engine].componentize(task.code, task.witPath) };
  } catch (error) {
    answer = { failure: error instanceof Error ? error.message : String(error) };
  }
  process.send!(answer);
});
// The builder ends this process when it has the answer. If the builder has gone, nobody will; and an
// orderly exit could wait for an evaluation that never ends.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
