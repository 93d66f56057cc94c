/**
 * The built-ins of component-model async, as core code imports them: one factory each, by name.
 *
 * Follows "Canonical Definitions" of the Component Model's CanonicalABI.md.
 */
import { type CanonContext, trap } from "../canon-context.ts";
import { type CoreValue, codecOf, type Flat } from "../codec.ts";
import type { BuiltIn } from "../plan.ts";
import type { ValueType } from "../types.ts";
import { ErrorContext } from "./carry.ts";
import { chunkCodecOf, typeKey } from "./chunk.ts";
import type { Home } from "./home.ts";
import type { CoreFunction } from "./lower.ts";
import type { CoreSignature } from "./shim.ts";
import type { Store } from "./store.ts";
import {
  type End,
  GuestBuffer,
  ReadableFutureEnd,
  ReadableStreamEnd,
  Rendezvous,
  WritableFutureEnd,
  WritableStreamEnd,
} from "./stream.ts";
import { Subtask } from "./task.ts";
import { BLOCKED, cancelledEvent, type Event, noEvent, Waitable, WaitableSet } from "./waitable.ts";

/** Calls that may be held back before they begin, in one component instance. */
const BACKPRESSURE_MAX = 2 ** 16;
const FLAT_RESULTS_MAX = 16;

export interface BuiltInParts {
  readonly store: Store;
  readonly home: Home;
  /** The memory and encoding of the options at an index of the plan. */
  readonly context: (index: number) => CanonContext;
  /** The memory that events are told in. */
  readonly memory: (item: Extract<BuiltIn, { kind: "waitable-set.wait" | "waitable-set.poll" }>["memory"]) => DataView;
}

/**
 * The core signature of a built-in that may suspend its caller; `undefined` for one that never does. To
 * cancel a copy takes no time here, whether it is asked for as one that may or not.
 */
export function blockingSignature(builtIn: BuiltIn): CoreSignature | undefined {
  const i32s = (count: number): CoreSignature => ({ params: new Array<Flat>(count).fill("i32"), result: "i32" });
  switch (builtIn.kind) {
    case "subtask.cancel":
      return i32s(1);
    case "waitable-set.wait":
      return i32s(2);
    case "thread.yield":
      return i32s(0);
    case "stream.read":
    case "stream.write":
      return builtIn.async ? undefined : i32s(3);
    case "future.read":
    case "future.write":
      return builtIn.async ? undefined : i32s(2);
    default:
      return undefined;
  }
}

export function builtIn(of: BuiltIn, parts: BuiltInParts): CoreFunction {
  const { store, home, context } = parts;
  const { handles } = home;
  /** Most may not be called while the instance allocates or cleans up for a call. */
  const leaving =
    (act: (a: number, b: number, c: number) => unknown): CoreFunction =>
    (a, b, c) => {
      home.assertMayLeave();
      return act((a as number) >>> 0, (b as number) >>> 0, (c as number) >>> 0) as CoreValue | undefined;
    };

  switch (of.kind) {
    case "context.get":
      return () => {
        const value = store.thread.storage[of.slot]!;
        return of.type === "i64" ? BigInt(value) : Number(value);
      };
    case "context.set":
      return (value) => {
        store.thread.storage[of.slot] = value!;
        return undefined;
      };
    case "task.return":
      return taskReturn(of.result, context(of.context), parts);
    case "task.cancel":
      return leaving(() => {
        const { task } = store.thread;
        if (!task.callee.asyncOption) trap("task.cancel was called in a task that was not lifted as async");
        task.cancel();
      });
    case "backpressure.set":
      return (held) => {
        home.backpressure = held ? 1 : 0;
        home.recheck();
        return undefined;
      };
    case "backpressure.inc":
      return () => {
        if (++home.backpressure === BACKPRESSURE_MAX) trap("back-pressure was raised too often");
        return undefined;
      };
    case "backpressure.dec":
      return () => {
        if (--home.backpressure < 0) trap("back-pressure was lowered more often than raised");
        home.recheck();
        return undefined;
      };
    case "thread.yield":
      return yieldThread(of.cancellable, parts);
    case "subtask.cancel":
      return subtaskCancel(of.async, parts);
    case "subtask.drop":
      return leaving((index) => {
        const subtask = handles.at(index, Subtask, "subtask");
        if (!subtask.delivered) trap("a subtask was dropped before its caller learned how it ended");
        handles.remove(index);
        subtask.join(undefined);
      });
    case "waitable-set.new":
      return leaving(() => handles.insert(new WaitableSet()));
    case "waitable-set.wait":
      return waitableSetWait(of.cancellable, parts, () => parts.memory(of.memory));
    case "waitable-set.poll":
      return leaving((index, pointer) => {
        const set = handles.at(index, WaitableSet, "waitable set");
        const cancelled = store.thread.task.deliverPendingCancel(of.cancellable);
        const event = cancelled ? cancelledEvent : set.hasEvent ? set.takeEvent() : noEvent;
        return tell(event, parts.memory(of.memory), pointer);
      });
    case "waitable-set.drop":
      return leaving((index) => {
        const set = handles.at(index, WaitableSet, "waitable set");
        if (set.members.size > 0) trap("a waitable set was dropped that is not empty");
        if (set.waiting.size > 0) trap("a waitable set was dropped that is being waited for");
        handles.remove(index);
      });
    case "waitable.join":
      return leaving((index, setIndex) => {
        const waitable = handles.at(index, Waitable, "waitable");
        if (waitable.waiter !== undefined) trap("a waitable was put in a set while it is being waited for alone");
        waitable.join(setIndex === 0 ? undefined : handles.at(setIndex, WaitableSet, "waitable set"));
      });
    case "stream.new":
    case "future.new": {
      const codec = chunkCodecOf(of.element);
      const [Readable, Writable] =
        of.kind === "stream.new" ? [ReadableStreamEnd, WritableStreamEnd] : [ReadableFutureEnd, WritableFutureEnd];
      return leaving(() => {
        const shared = new Rendezvous(codec, of.kind === "future.new");
        const readable = handles.insert(new Readable(store, shared));
        const writable = handles.insert(new Writable(store, shared));
        return BigInt(readable) | (BigInt(writable) << 32n);
      });
    }
    case "stream.read":
      return copy(of, ReadableStreamEnd, parts);
    case "stream.write":
      return copy(of, WritableStreamEnd, parts);
    case "future.read":
      return copy(of, ReadableFutureEnd, parts);
    case "future.write":
      return copy(of, WritableFutureEnd, parts);
    case "stream.cancel-read":
      return cancelCopy(of, ReadableStreamEnd, home);
    case "stream.cancel-write":
      return cancelCopy(of, WritableStreamEnd, home);
    case "future.cancel-read":
      return cancelCopy(of, ReadableFutureEnd, home);
    case "future.cancel-write":
      return cancelCopy(of, WritableFutureEnd, home);
    case "stream.drop-readable":
      return dropEnd(of.element, ReadableStreamEnd, home);
    case "stream.drop-writable":
      return dropEnd(of.element, WritableStreamEnd, home);
    case "future.drop-readable":
      return dropEnd(of.element, ReadableFutureEnd, home);
    case "future.drop-writable":
      return dropEnd(of.element, WritableFutureEnd, home);
    case "error-context.new": {
      const cx = context(of.context);
      return leaving((pointer, length) => {
        cx.refresh();
        return handles.insert(new ErrorContext(new Error(cx.loadString(pointer, length))));
      });
    }
    case "error-context.debug-message": {
      const cx = context(of.context);
      return leaving((index, pointer) => {
        const { error } = handles.at(index, ErrorContext, "error context");
        cx.refresh();
        cx.check(pointer, 8, 4);
        const start = cx.storeString(error.message);
        cx.view.setUint32(pointer, start, true);
        cx.view.setUint32(pointer + 4, cx.length, true);
      });
    }
    case "error-context.drop":
      return leaving((index) => {
        handles.at(index, ErrorContext, "error context");
        handles.remove(index);
      });
    default:
      return trap(`the component uses ${of.kind}, which this engine does not have`);
  }
}

function taskReturn(result: ValueType | undefined, cx: CanonContext, { store, home }: BuiltInParts): CoreFunction {
  const wrapped = result && codecOf({ kind: "tuple", types: [result] });
  const key = typeKey(result);
  return (...values) => {
    home.assertMayLeave();
    const { task } = store.thread;
    const { callee } = task;
    if (!callee.asyncOption || task.home !== home) trap("task.return was called outside of an async task");
    if (typeKey(callee.result) !== key)
      trap("task.return was called with a result of another type than the function's");
    if (!cx.agrees(callee.cx)) trap("task.return was called with other options than the function's");
    let value: unknown;
    if (wrapped !== undefined) {
      cx.refresh();
      if (wrapped.flat.length > FLAT_RESULTS_MAX) {
        const pointer = (values[0] as number) >>> 0;
        cx.check(pointer, wrapped.size, wrapped.align);
        [value] = wrapped.load(cx, pointer) as [unknown];
      } else [value] = wrapped.lift(cx, values, 0) as [unknown];
    }
    task.resolve(value);
    return undefined;
  };
}

function yieldThread(cancellable: boolean, { store, home }: BuiltInParts): CoreFunction {
  return () => {
    home.assertMayLeave();
    const { thread } = store;
    if (thread.task.deliverPendingCancel(cancellable)) return 1;
    // Nobody else may run in the middle of a function that is not async.
    if (!thread.task.callee.asyncType) return 0;
    const stack = store.suspend();
    store.wait(
      thread,
      () => true,
      cancellable,
      (cancelled) => stack.resolve(cancelled ? 1 : 0),
    );
    return 0;
  };
}

function waitableSetWait(cancellable: boolean, { store, home }: BuiltInParts, memory: () => DataView): CoreFunction {
  return (index, pointer) => {
    home.assertMayLeave();
    const set = home.handles.at((index as number) >>> 0, WaitableSet, "waitable set");
    const at = (pointer as number) >>> 0;
    const { thread } = store;
    if (thread.task.deliverPendingCancel(cancellable)) return tell(cancelledEvent, memory(), at);
    if (set.hasEvent) return tell(set.takeEvent(), memory(), at);
    assertMayBlock(store);
    const stack = store.suspend();
    set.waiting.add(thread);
    store.wait(
      thread,
      () => set.hasEvent,
      cancellable,
      (cancelled) => {
        set.waiting.delete(thread);
        stack.resolve(tell(cancelled ? cancelledEvent : set.takeEvent(), memory(), at));
      },
    );
    return 0;
  };
}

/** Ends a subtask. The callee runs first, until it blocks or ends. */
function subtaskCancel(async: boolean, { store, home }: BuiltInParts): CoreFunction {
  return (at) => {
    home.assertMayLeave();
    const subtask = home.handles.at((at as number) >>> 0, Subtask, "subtask");
    if (subtask.delivered) trap("a subtask was cancelled after its caller learned how it ended");
    if (subtask.cancellationRequested) trap("a subtask was cancelled twice");
    if (subtask.set !== undefined && !async) trap("a subtask in a waitable set was cancelled by a call that waits");
    const taken = (): number => subtask.takeEvent()[2];
    if (subtask.resolved) return taken();
    subtask.cancellationRequested = true;
    const { thread } = store;
    const woken = subtask.onCancel!(home);
    if (woken === undefined) {
      if (subtask.resolved) return taken();
      return async ? BLOCKED : waitFor(subtask, store, taken);
    }
    const stack = store.suspend();
    store.pauseFor(thread, woken, () => {
      if (subtask.resolved) stack.resolve(taken());
      else if (async) stack.resolve(BLOCKED);
      else {
        assertMayBlock(store);
        subtask.waiter = thread;
        store.wait(
          thread,
          () => subtask.hasEvent,
          false,
          () => {
            subtask.waiter = undefined;
            stack.resolve(taken());
          },
        );
      }
    });
    store.resumeSoon(woken, woken.task.home.entering(home), true);
    return 0;
  };
}

type Copy = Extract<BuiltIn, { kind: `${"stream" | "future"}.${"read" | "write"}` }>;

/** Reads or writes. */
function copy(
  of: Copy,
  Of: abstract new (...args: never[]) => End,
  { store, home, context }: BuiltInParts,
): CoreFunction {
  const codec = chunkCodecOf(of.element);
  const isStream = of.kind === "stream.read" || of.kind === "stream.write";
  const cx = context(of.context);
  return (at, pointer, length) => {
    home.assertMayLeave();
    const index = (at as number) >>> 0;
    const end = home.handles.at(index, Of, of.kind);
    if (end.shared.codec.key !== codec.key) trap(`${of.kind} was called with an end of another type`);
    if (end.state !== "idle") trap(`${of.kind} was called with an end that is in use or done`);
    if (end.set !== undefined && !of.async) trap(`${of.kind} waits, and its end is in a waitable set`);
    const count = isStream ? (length as number) >>> 0 : 1;
    end.copy(index, new GuestBuffer(home, cx, codec, (pointer as number) >>> 0, count));
    if (end.hasEvent) return end.takeEvent()[2];
    return of.async ? BLOCKED : waitFor(end, store, () => end.takeEvent()[2]);
  };
}

type CancelCopy = Extract<BuiltIn, { kind: `${"stream" | "future"}.cancel-${"read" | "write"}` }>;

function cancelCopy(of: CancelCopy, Of: abstract new (...args: never[]) => End, home: Home): CoreFunction {
  const { key } = chunkCodecOf(of.element);
  return (at) => {
    home.assertMayLeave();
    const end = home.handles.at((at as number) >>> 0, Of, of.kind);
    if (end.shared.codec.key !== key) trap(`${of.kind} was called with an end of another type`);
    if (end.state !== "copying" || end.waiter !== undefined) trap(`${of.kind} was called where nothing is under way`);
    if (end.set !== undefined && !of.async) trap(`${of.kind} waits, and its end is in a waitable set`);
    end.cancel();
    return end.takeEvent()[2];
  };
}

function dropEnd(element: ValueType | undefined, Of: abstract new (...args: never[]) => End, home: Home): CoreFunction {
  const { key } = chunkCodecOf(element);
  return (at) => {
    home.assertMayLeave();
    const index = (at as number) >>> 0;
    const end = home.handles.at(index, Of, "such end of a stream or future");
    if (end.shared.codec.key !== key) trap("the end of a stream or future was dropped as one of another type");
    end.drop();
    home.handles.remove(index);
    return undefined;
  };
}

/** Suspends the caller until the waitable has an event. */
function waitFor(waitable: Waitable, store: Store, value: () => number): number {
  assertMayBlock(store);
  const { thread } = store;
  const stack = store.suspend();
  waitable.waiter = thread;
  store.wait(
    thread,
    () => waitable.hasEvent,
    false,
    () => {
      waitable.waiter = undefined;
      stack.resolve(value());
    },
  );
  return 0;
}

function assertMayBlock(store: Store): void {
  if (!store.thread.task.callee.asyncType) trap("a function that is not async cannot block before it has returned");
}

function tell([code, first, second]: Event, view: DataView, pointer: number): number {
  if (pointer % 4 !== 0 || pointer + 8 > view.byteLength) trap(`an event cannot be told at ${pointer}`);
  view.setUint32(pointer, first, true);
  view.setUint32(pointer + 4, second, true);
  return code;
}
