/**
 * Functions that a guest imports: of the host, or of another component. Called plainly, the guest goes
 * on with the result, and its stack is suspended if that takes time; called with the option `async`,
 * it goes on at once and learns of the result by an event.
 *
 * Follows "canon lower" of the Component Model's CanonicalABI.md.
 */
import { type CanonContext, trap } from "../canon-context.ts";
import type { CoreValue } from "../codec.ts";
import type { AsyncCall } from "../contract.ts";
import { giveBack, type ResourceHandle } from "../handles.ts";
import { type Signature, thrownAsResult } from "../signature.ts";
import type { Home } from "./home.ts";
import type { Lift } from "./lift.ts";
import type { CoreSignature } from "./shim.ts";
import type { Store, Suspended } from "./store.ts";
import { cancelled, Subtask, subtaskState, Task } from "./task.ts";

/** What core code imports. */
export type CoreFunction = (...values: CoreValue[]) => CoreValue | undefined;

/** With the option `async`, more flat parameters than these go through memory. */
const ASYNC_FLAT_PARAMS_MAX = 4;

export interface Caller {
  readonly store: Store;
  readonly home: Home;
  readonly cx: CanonContext;
  readonly async: boolean;
}

export function coreSignatureOf(signature: Signature, async: boolean): CoreSignature {
  const { params, result, resultInMemory } = signature;
  const inMemory = async ? params.flat.length > ASYNC_FLAT_PARAMS_MAX : signature.paramsInMemory;
  const flat = inMemory ? (["i32"] as const) : params.flat;
  if (async) return { params: result === undefined ? flat : [...flat, "i32"], result: "i32" };
  return resultInMemory ? { params: [...flat, "i32"], result: undefined } : { params: flat, result: result?.flat[0] };
}

/** What an `async func` of the host is given after its arguments. */
class HostCall implements AsyncCall {
  readonly cause: unknown;
  #abort: AbortController | undefined;
  #aborted = false;

  constructor(cause: unknown) {
    this.cause = cause;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#aborted) this.#abort.abort();
    return this.#abort.signal;
  }

  cancel(): void {
    this.#aborted = true;
    this.#abort?.abort();
  }
}

/** A host function that may take its time; `asyncType` when its type says so, which lets others run meanwhile. */
export function lowerHost(
  { store, home, cx, async }: Caller,
  signature: Signature,
  call: (...args: never[]) => unknown,
  asyncType: boolean,
): CoreFunction {
  const crossing = createCrossing(home, cx, signature, async);

  function callPlainly(values: readonly CoreValue[]): CoreValue | undefined {
    const { thread } = store;
    const args = crossing.args(values);
    const lent = home.handles.takeLent();
    const hostCall = asyncType ? new HostCall(store.thread.task.cause) : undefined;
    const outcome = begin(args, hostCall);
    if (!waits(outcome)) {
      giveBack(lent);
      return crossing.answer(outcome, values);
    }
    const stack = store.suspend();
    let settled: { readonly value: unknown } | undefined;
    const goOn = () => resolveWith(stack, () => crossing.answer(settled!.value, values));
    if (asyncType) {
      if (!thread.task.callee.asyncType) trap("a function that is not async waits for one that is");
      store.wait(thread, () => settled !== undefined, false, goOn);
    } else store.pause(thread, goOn);
    settle(outcome, hostCall, lent, (value) => {
      settled = { value };
      if (asyncType) store.check(thread);
      else store.resume(thread, false);
    });
    return crossing.none;
  }

  function callAsync(values: readonly CoreValue[]): number {
    const hostCall = asyncType ? new HostCall(store.thread.task.cause) : undefined;
    const args = crossing.args(values);
    const lent = home.handles.takeLent();
    const outcome = begin(args, hostCall);
    if (!waits(outcome)) {
      giveBack(lent);
      crossing.answer(outcome, values);
      return subtaskState.returned;
    }
    const subtask = new Subtask(store);
    subtask.lent = lent;
    subtask.state = subtaskState.started;
    subtask.index = home.handles.insert(subtask);
    const giveUp = settle(outcome, hostCall, [], (value) => {
      crossing.answer(value, values);
      subtask.progress(subtaskState.returned);
    });
    subtask.onCancel = () => {
      giveUp();
      hostCall?.cancel();
      subtask.progress(subtaskState.cancelledBeforeReturned);
      return undefined;
    };
    return subtask.state | (subtask.index << 4);
  }

  const waits = (outcome: unknown): outcome is Promise<unknown> =>
    outcome instanceof Promise && (asyncType || !signature.future);

  /** The value of the function's result type, or a promise of it. */
  function begin(args: readonly unknown[], hostCall: HostCall | undefined): unknown {
    const { current } = store;
    store.current = store.thread;
    try {
      const value = call(...((hostCall === undefined ? args : [...args, hostCall]) as never[]));
      if (!waits(value)) return succeeded(signature, value);
      return value.then(
        (one) => succeeded(signature, one),
        (thrown) => failed(signature, thrown),
      );
    } catch (thrown) {
      return failed(signature, thrown);
    } finally {
      store.current = current;
    }
  }

  /** Waits for the host. What is answered gives it up: however the host ends then, it tells nobody. */
  function settle(
    outcome: Promise<unknown>,
    hostCall: HostCall | undefined,
    lent: readonly ResourceHandle[],
    then: (value: unknown) => void,
  ): () => void {
    const abort = () => hostCall?.cancel();
    store.onTrap.add(abort);
    store.hold();
    let open = true;
    const close = (): void => {
      open = false;
      store.letGo();
      store.onTrap.delete(abort);
    };
    const finish = (act: () => void): void => {
      if (!open) return;
      close();
      if (store.trapped !== undefined) return;
      giveBack(lent);
      try {
        act();
      } catch (thrown) {
        store.trap(thrown);
      }
    };
    outcome.then(
      (value) => finish(() => then(value)),
      (thrown) =>
        finish(() => {
          throw thrown;
        }),
    );
    return close;
  }

  return (...values) => {
    home.assertMayLeave();
    return async ? callAsync(values) : callPlainly(values);
  };
}

/** A function that another component of the store lifted. */
export function lowerGuest({ store, home, cx, async }: Caller, signature: Signature, callee: () => Lift): CoreFunction {
  const crossing = createCrossing(home, cx, signature, async);
  return (...values) => {
    home.assertMayLeave();
    const lift = callee();
    const caller = store.thread;
    const entered = lift.home.enterFrom(home);
    const subtask = new Subtask(store);
    let flat: CoreValue | undefined = crossing.none;
    const task = new Task(
      lift,
      () => {
        const args = crossing.args(values);
        subtask.lent = home.handles.takeLent();
        subtask.progress(subtaskState.started);
        return args;
      },
      (result) => {
        if (result === cancelled) subtask.progress(subtask.cancelledState());
        else {
          flat = crossing.answer(result, values);
          subtask.progress(subtaskState.returned);
        }
        if (caller.state === "waiting") store.check(caller);
      },
    );
    task.cause = caller.task.cause;
    task.account = caller.task.account;
    subtask.onCancel = (from) => task.requestCancellation(from);
    lift.start(task, entered);

    /** Ends the call with what core code is answered, or leaves the stack waiting for it. */
    function finish(stack: Suspended | undefined): CoreValue | undefined {
      const answer = (value: CoreValue | undefined) => {
        stack?.resolve(value);
        return value;
      };
      if (subtask.resolved) {
        subtask.deliver();
        return answer(async ? subtask.state : flat);
      }
      if (async) {
        subtask.index = home.handles.insert(subtask);
        return answer(subtask.state | (subtask.index << 4));
      }
      if (!caller.task.callee.asyncType) trap("a function that is not async waits for one that is");
      const waiting = stack ?? store.suspend();
      store.wait(
        caller,
        () => subtask.resolved,
        false,
        () => {
          subtask.deliver();
          waiting.resolve(flat);
        },
      );
      return crossing.none;
    }

    if (task.thread.state !== "paused") return finish(undefined);
    const stack = store.suspend();
    store.pauseFor(caller, task.thread, () => finish(stack));
    return crossing.none;
  };
}

function resolveWith(stack: Suspended, value: () => CoreValue | undefined): void {
  try {
    stack.resolve(value());
  } catch (thrown) {
    stack.reject(thrown);
  }
}

/** A host's answer as a value of the result type: a `result` is what it returned or threw. */
function succeeded(signature: Signature, value: unknown): unknown {
  return signature.throws ? { tag: "ok", val: value } : value;
}

function failed(signature: Signature, thrown: unknown): unknown {
  if (!signature.throws) throw thrown;
  return thrownAsResult(thrown);
}

/** Arguments out of the caller's core values, and the result back into them. */
function createCrossing(home: Home, cx: CanonContext, signature: Signature, async: boolean) {
  const { params, result } = signature;
  const paramsInMemory = async ? params.flat.length > ASYNC_FLAT_PARAMS_MAX : signature.paramsInMemory;
  const resultInMemory = async ? result !== undefined : signature.resultInMemory;
  const resultAt = paramsInMemory ? 1 : params.flat.length;

  return {
    /** What the core function answers while nothing is known: of the right type, and never seen. */
    none: result !== undefined && !resultInMemory && result.flat[0] === "i64" ? 0n : 0,
    args(values: readonly CoreValue[]): readonly unknown[] {
      cx.refresh();
      if (!paramsInMemory) return params.lift(cx, values, 0) as unknown[];
      const pointer = (values[0] as number) >>> 0;
      cx.check(pointer, params.size, params.align);
      return params.load(cx, pointer) as unknown[];
    },
    answer(value: unknown, values: readonly CoreValue[]): CoreValue | undefined {
      if (result === undefined) return undefined;
      home.mayLeave = false;
      cx.refresh();
      let flat: CoreValue | undefined;
      if (resultInMemory) {
        const pointer = (values[resultAt] as number) >>> 0;
        cx.check(pointer, result.size, result.align);
        result.store(cx, value, pointer);
      } else {
        const lowered: CoreValue[] = [0];
        result.lower(cx, value, lowered, 0);
        flat = lowered[0];
      }
      home.mayLeave = true;
      return flat;
    },
  };
}
