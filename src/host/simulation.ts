/**
 * Instances that live on a simulated clock: what the host's tests run on instead of WebAssembly.
 * They keep the whole contract of `Instance`; how a call goes is told by its headers.
 */
import type { Instance } from "../component/contract.ts";
import { type Call, type Clock, CytoError, header, type Reply } from "../kernel/index.ts";

export interface SimulatedInstance extends Instance {
  readonly disposed: number;
  /** Calls that left their trace in it since it was made or reset. */
  readonly traces: number;
  /** The most traces that a call met when it came in. */
  readonly met: number;
  /** The most calls that were in it at a time. */
  readonly peak: number;
  readonly calls: readonly string[];
  /** Begins or ends `waitUntil` work. */
  hold(): void;
  release(): void;
}

/**
 * Headers of a call: `lasts` (milliseconds until the head of the reply), `streams` (milliseconds
 * until its body has ended), `traps` (present: the instance breaks when the time is over).
 */
export function createSimulatedInstance(clock: Clock, concurrency: number, resettable = false): SimulatedInstance {
  const failing = new Set<(error: CytoError) => void>();
  const waiting: (() => void)[] = [];
  const calls: string[] = [];
  let active = 0;
  let held = 0;
  let peak = 0;
  let disposed = 0;
  let traces = 0;
  let met = 0;
  let broken: Error | undefined;

  function settle(): void {
    if (active + held > 0) return;
    for (const resolve of waiting.splice(0)) resolve();
  }

  function breakDown(error: CytoError): void {
    broken ??= error;
    for (const fail of [...failing]) fail(error);
  }

  const instance: SimulatedInstance = {
    handle(call: Call): Promise<Reply> {
      if (broken !== undefined || disposed > 0) throw new Error("a broken or disposed instance was called");
      calls.push(call.id);
      met = Math.max(met, traces++);
      peak = Math.max(peak, ++active);
      return new Promise((resolve, reject) => {
        const milliseconds = (name: string): number => Number(header(call.headers, name) ?? 0);
        let timer = clock.after(milliseconds("lasts"), () => {
          if (header(call.headers, "traps") !== undefined) {
            breakDown(new CytoError("instance-trapped", "Cannot go on: unreachable"));
            return;
          }
          resolve({ status: 200, headers: [] });
          if (milliseconds("streams") > 0) timer = clock.after(milliseconds("streams"), finish);
          else finish();
        });
        const finish = (): void => {
          if (!failing.delete(fail)) return;
          timer[Symbol.dispose]();
          call.signal.removeEventListener("abort", abort);
          active--;
          settle();
          instance.onFinish?.();
        };
        const fail = (error: CytoError): void => {
          reject(error);
          finish();
        };
        const abort = (): void => fail(new CytoError("cancelled", "Cannot reply: the caller has gone"));
        failing.add(fail);
        call.signal.addEventListener("abort", abort);
      });
    },
    concurrency,
    get active() {
      return active;
    },
    get broken() {
      return broken;
    },
    get disposed() {
      return disposed;
    },
    get peak() {
      return peak;
    },
    get traces() {
      return traces;
    },
    get met() {
      return met;
    },
    calls,
    onFinish: undefined,
    hold: () => {
      held++;
    },
    release: () => {
      held--;
      settle();
    },
    idle: () => new Promise((resolve) => (active + held === 0 ? resolve() : void waiting.push(resolve))),
    ...(resettable && {
      reset() {
        if (active > 0 || held > 0 || broken !== undefined || disposed > 0) return false;
        traces = 0;
        return true;
      },
    }),
    memoryBytes: () => 65_536,
    [Symbol.dispose]() {
      disposed++;
      for (const fail of [...failing]) fail(new CytoError("draining", "Cannot go on: the instance was disposed"));
    },
  };
  return instance;
}
