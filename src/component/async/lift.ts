/**
 * Functions that a guest exports, as a caller starts them: arguments in, core code run, result out, in
 * the three forms of lifting.
 *
 *   plain     core function ─▶ its results are the result ─▶ post-return
 *   stackful  core function, which returns through `task.return` and may block wherever it is
 *   callback  core function ─▶ exit · yield · wait ─▶ callback with an event ─▶ exit · yield · wait …
 *
 * Follows "canon lift" of the Component Model's CanonicalABI.md.
 */
import { CytoError } from "../../kernel/index.ts";
import { type CanonContext, trap } from "../canon-context.ts";
import type { CoreValue } from "../codec.ts";
import type { TaskOptions } from "../contract.ts";
import { giveBack } from "../handles.ts";
import type { Account } from "../meter.ts";
import { ComponentError, type Signature } from "../signature.ts";
import type { ValueType } from "../types.ts";
import type { Home } from "./home.ts";
import type { Store, Thread } from "./store.ts";
import { type Callee, cancelled, Task } from "./task.ts";
import { cancelledEvent, type Event, noEvent, WaitableSet } from "./waitable.ts";

/** Enters core code; `then` gets its answer once it has ended, maybe before this returns. */
export type Enter = (
  thread: Thread,
  values: readonly CoreValue[],
  then: (answer: CoreValue | undefined) => void,
) => void;

/** Core code that is never suspended. */
export function plainEntry(core: (...values: CoreValue[]) => CoreValue | undefined): Enter {
  return (_thread, values, then) => then(core(...values));
}

/** Core code behind the shim, which may be suspended: `entry` tells its end through {@link answered}. */
export function suspendableEntry(store: Store, entry: (...values: CoreValue[]) => Promise<unknown>): Enter {
  return (thread, values, then) => {
    thread.answered = false;
    const ended = entry(...values);
    if (thread.answered) {
      then(thread.answer);
      return;
    }
    ended.then(
      () => {
        if (store.trapped !== undefined) return;
        try {
          then(thread.answer);
        } catch (thrown) {
          store.trap(thrown);
        }
      },
      (thrown) => store.trap(thrown),
    );
  };
}

/** What the shim calls when core code has ended, while the guest is still on the stack. */
export function answered(store: Store): (answer?: CoreValue) => void {
  return (answer) => {
    const { thread } = store;
    thread.answered = true;
    thread.answer = answer;
  };
}

export interface LiftParts {
  readonly store: Store;
  readonly home: Home;
  readonly cx: CanonContext;
  readonly signature: Signature;
  readonly asyncType: boolean;
  readonly asyncOption: boolean;
  readonly enter: Enter;
  readonly enterCallback: Enter | undefined;
  readonly postReturn: ((value: CoreValue | undefined) => void) | undefined;
  /** What a call from outside may use, where guests are metered. */
  readonly account: (() => Account) | undefined;
}

/** What a callback lift's core code asks for. */
const callbackCode = { exit: 0, yield: 1, wait: 2 } as const;

export class Lift implements Callee {
  readonly home: Home;
  readonly asyncType: boolean;
  readonly asyncOption: boolean;
  readonly needsExclusive: boolean;
  readonly suspendable = true;
  readonly result: ValueType | undefined;
  readonly cx: CanonContext;
  readonly signature: Signature;
  readonly #store: Store;
  readonly #enter: Enter;
  readonly #callback: Enter | undefined;
  readonly #postReturn: LiftParts["postReturn"];
  readonly #account: LiftParts["account"];

  constructor({
    store,
    home,
    cx,
    signature,
    asyncType,
    asyncOption,
    enter,
    enterCallback,
    postReturn,
    account,
  }: LiftParts) {
    this.#store = store;
    this.home = home;
    this.cx = cx;
    this.signature = signature;
    this.result = signature.resultType;
    this.asyncType = asyncType;
    this.asyncOption = asyncOption;
    this.needsExclusive = asyncType && (!asyncOption || enterCallback !== undefined);
    this.#enter = enter;
    this.#callback = enterCallback;
    this.#postReturn = postReturn;
    this.#account = account;
  }

  /** Runs the task's thread until it blocks, pauses or ends. `entered` is what its caller may not be in. */
  start(task: Task, entered: readonly Home[]): void {
    this.#store.start(task.thread, entered, () => this.#whenAdmitted(task));
  }

  /**
   * A call from outside of the store. Answers a promise where the function's type is `async` or the
   * call takes time. Where it is `async`, options may follow the arguments.
   */
  call(given: readonly unknown[]): unknown {
    const store = this.#store;
    store.assertLive();
    store.called();
    const { paramCount } = this.signature;
    const args = given.slice(0, paramCount);
    const options = this.asyncType ? ((given[paramCount] as TaskOptions | undefined) ?? {}) : {};
    let outcome: (() => unknown) | undefined;
    let promised: PromiseWithResolvers<unknown> | undefined;
    const settle = (settled: () => unknown): void => {
      outcome = settled;
      if (promised === undefined) return;
      store.asked--;
      store.onTrap.delete(promised.reject);
      try {
        promised.resolve(settled());
      } catch (thrown) {
        promised.reject(thrown);
      }
    };
    const task = new Task(
      this,
      () => args,
      (value) =>
        settle(() => {
          if (value === cancelled) throw options.signal!.reason;
          return unwrap(this.signature, value);
        }),
      (error) =>
        settle(() => {
          throw error;
        }),
    );
    task.account = this.#account?.();
    follow(store, task, options);
    const begin = (): void => {
      const { chain } = this.home;
      if (chain.some((home) => home.entered))
        throw new CytoError("internal", "Cannot enter the component: it is in a call already");
      this.start(task, chain);
    };
    // Another thread may be in the middle of something: the call begins when that has blocked or ended.
    if (store.current !== undefined || store.free) begin();
    else {
      store.enterLater(() => {
        if (store.trapped !== undefined) return;
        try {
          begin();
        } catch (thrown) {
          // Nobody else is on this stack: the caller has the promise.
          store.trap(thrown);
        }
      });
    }
    if (!this.asyncType && outcome !== undefined) return outcome();
    promised = Promise.withResolvers();
    store.onTrap.add(promised.reject);
    store.asked++;
    if (outcome !== undefined) settle(outcome);
    else store.checkProgress();
    return promised.promise;
  }

  #whenAdmitted(task: Task): void {
    const { home } = this;
    const { thread } = task;
    if (!this.asyncType) {
      this.#begin(task);
      return;
    }
    const held = () => home.backpressure > 0 || (this.needsExclusive && home.exclusive !== undefined);
    if (!held() && home.waitingToEnter === 0) {
      this.#begin(task);
      return;
    }
    home.waitingToEnter++;
    this.#store.wait(
      thread,
      () => !held(),
      true,
      (cancelled) => {
        home.waitingToEnter--;
        if (cancelled) {
          task.cancel();
          this.#store.end(thread);
        } else this.#begin(task);
      },
    );
  }

  #begin(task: Task): void {
    const { home, cx, signature } = this;
    if (this.needsExclusive) home.exclusive = task.thread;
    const args = task.takeArguments();
    const { handles } = home;
    handles.scope = task;
    home.mayLeave = false;
    let values: CoreValue[];
    try {
      values = lowerParams(cx, signature, args);
    } catch (thrown) {
      if (task.refuse === undefined || !(thrown instanceof TypeError)) throw thrown;
      giveBack(task.lent);
      task.refuse(thrown);
      this.#leave(task);
      return;
    } finally {
      home.mayLeave = true;
      handles.scope = undefined;
    }
    this.#enter(task.thread, values, (answer) => this.#ended(task, answer));
  }

  #ended(task: Task, answer: CoreValue | undefined): void {
    // A guest that caught what ended it has nothing to answer.
    if (this.#store.trapped !== undefined) throw this.#store.trapped;
    if (this.#callback !== undefined) {
      this.#follow(task, answer as number);
      return;
    }
    if (!this.asyncOption) {
      task.resolve(liftResult(this.cx, this.signature, answer));
      if (this.#postReturn !== undefined) {
        this.home.mayLeave = false;
        this.#postReturn(answer);
        this.home.mayLeave = true;
      }
    }
    this.#exit(task);
  }

  /** Does what the core code of a callback lift asked for. */
  #follow(task: Task, packed: number): void {
    const { home } = this;
    const { thread } = task;
    const code = packed & 0xf;
    if (code === callbackCode.exit) {
      this.#exit(task);
      return;
    }
    const store = this.#store;
    home.release();
    const goOn = (event: Event): void => {
      home.exclusive = thread;
      this.#callback!(thread, event, (answer) => this.#follow(task, answer as number));
    };
    const free = () => home.exclusive === undefined;
    if (code === callbackCode.yield) {
      if (task.deliverPendingCancel(true)) goOn(cancelledEvent);
      else store.wait(thread, free, true, (cancelled) => goOn(cancelled ? cancelledEvent : noEvent));
      return;
    }
    if (code !== callbackCode.wait) trap(`${code} is nothing that a callback can ask for`);
    const set = home.handles.at(packed >>> 4, WaitableSet, "waitable set");
    if (task.deliverPendingCancel(true)) {
      goOn(cancelledEvent);
      return;
    }
    set.waiting.add(thread);
    store.wait(
      thread,
      () => set.hasEvent && free(),
      true,
      (cancelled) => {
        set.waiting.delete(thread);
        goOn(cancelled ? cancelledEvent : set.takeEvent());
      },
    );
  }

  #exit(task: Task): void {
    if (task.state !== "resolved") trap("the component ended a task without returning");
    this.#leave(task);
  }

  #leave(task: Task): void {
    if (this.needsExclusive) this.home.release();
    this.#store.end(task.thread);
  }
}

/** Lets the caller's options reach the task, for as long as it lives. */
function follow(store: Store, task: Task, { signal, cause, ended, wanted }: TaskOptions): void {
  task.cause = cause;
  if (task.account !== undefined) task.account.wanted = wanted ?? (signal && (() => !signal.aborted));
  if (signal === undefined && ended === undefined) return;
  const act = (): void => {
    if (store.trapped !== undefined) return;
    const woken = task.requestCancellation(undefined);
    if (woken !== undefined) store.resume(woken, true);
  };
  const cancel = (): void => {
    if (store.current !== undefined) queueMicrotask(cancel);
    else if (store.free) act();
    else store.enterLater(act);
  };
  const end = (trapped: Error | undefined): void => {
    store.onTrap.delete(end);
    signal?.removeEventListener("abort", cancel);
    ended?.(trapped);
  };
  task.ended = () => end(undefined);
  store.onTrap.add(end);
  signal?.addEventListener("abort", cancel, { once: true });
  if (signal?.aborted) queueMicrotask(cancel);
}

/** What an exported function answers to JavaScript: the error of a whole result is thrown. */
function unwrap(signature: Signature, answer: unknown): unknown {
  if (!signature.throws) return answer;
  const { tag, val } = answer as { tag: string; val?: unknown };
  if (tag === "err") throw new ComponentError(val);
  return val;
}

function lowerParams(cx: CanonContext, signature: Signature, args: readonly unknown[]): CoreValue[] {
  cx.refresh();
  const { params } = signature;
  if (signature.paramsInMemory) {
    const pointer = cx.allocate(params.align, params.size);
    params.store(cx, args, pointer);
    return [pointer];
  }
  const values = new Array<CoreValue>(params.flat.length);
  params.lower(cx, args, values, 0);
  return values;
}

function liftResult(cx: CanonContext, { result, resultInMemory }: Signature, value: CoreValue | undefined): unknown {
  if (result === undefined) return undefined;
  cx.refresh();
  if (!resultInMemory) return result.lift(cx, [value!], 0);
  const pointer = (value as number) >>> 0;
  cx.check(pointer, result.size, result.align);
  return result.load(cx, pointer);
}
