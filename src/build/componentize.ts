/**
 * Runs the componentizer in a process of its own and brings back bytes, or what went wrong.
 *
 * The process is started before it is needed, so that it is ready when the bundle is. It is ended
 * when it takes too long, when the caller gives up, and when the handle is disposed.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type Clock, CytoError } from "../kernel/index.ts";
import type { Answer, Task } from "./componentizer.ts";

export interface Componentizer extends Disposable {
  run(task: Task, limits: { timeoutMs: number; clock: Clock; signal?: AbortSignal }): Promise<Answer>;
}

export function startComponentizer(): Componentizer {
  const child = fork(fileURLToPath(import.meta.resolve("./componentizer.ts")), {
    serialization: "advanced",
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    // A process group of its own, so that what it starts ends with it.
    detached: true,
  });
  const complaint = gather(child);
  child.on("error", () => {}); // `exit` tells the same, and is waited for
  const kill = () => endGroup(child);
  process.once("exit", kill);
  return {
    [Symbol.dispose]() {
      process.off("exit", kill);
      kill();
    },
    async run(task, { timeoutMs, clock, signal }) {
      signal?.throwIfAborted();
      let late: true | undefined;
      using _timer = clock.after(timeoutMs, () => {
        late = true;
        kill();
      });
      signal?.addEventListener("abort", kill);
      try {
        const ended = once(child, "exit");
        const answered = once(child, "message");
        child.send(task);
        const [first] = await Promise.race([answered, ended]);
        if (typeof first === "object" && first !== null) return first as Answer;
        signal?.throwIfAborted();
        if (late) return { late };
        throw new CytoError(
          "build-failed",
          `Cannot componentize: the componentizer ended (${child.signalCode ?? first})`,
          {
            hint: complaint() || "Is there enough memory? It needs about 0.5 GB",
          },
        );
      } finally {
        signal?.removeEventListener("abort", kill);
      }
    },
  };
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL"); // no process groups on this system
  }
}

/** The last of what a process says on its standard error. */
function gather(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    text = (text + chunk).slice(-2000);
  });
  return () => text.trim();
}
