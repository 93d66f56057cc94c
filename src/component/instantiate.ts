/**
 * A plan and host objects to a running instance. What a core module imports is made here as
 * trampolines: functions that lift the guest's arguments, call the host (or another component), and
 * lower what comes back.
 *
 * A host function that may wait is imported as suspending, and exports are then called as promising
 * (JSPI); an instance with no such import runs its exports as plain calls.
 */
import { CytoError } from "../kernel/index.ts";
import { CanonContext } from "./canon-context.ts";
import type { CoreValue } from "./codec.ts";
import { type CoreInstance, type HostFunction, type ImportObject, maySuspend, suspending } from "./contract.ts";
import { HandleTable } from "./handles.ts";
import type { CoreItem, FunctionPlan, HostFunctionPlan, LiftPlan, Linking, Trampoline } from "./plan.ts";
import { ComponentError, type Signature, thrownAsResult } from "./signature.ts";
import { camelCase, GuestResource, pascalCase, type ResourceType } from "./types.ts";

type CoreFunction = (...values: CoreValue[]) => CoreValue | undefined;
type MaybePromise<T> = T | Promise<T>;

/** One call of an export that was lifted with the callback form of component-model async. */
interface Task {
  readonly context: number[];
  returned: boolean;
  result: unknown;
}

/** Codes that a callback lift answers with; the rest of the word is a waitable set. */
const EXIT = 0;
const YIELD = 1;
/** A guest that only ever yields is given up rather than spun on. */
const YIELDS_MAX = 100_000;

export interface Linkage {
  readonly plan: Linking;
  readonly modules: readonly WebAssembly.Module[];
  readonly imports: ImportObject;
  /** When false, a host function that returns a promise traps instead of suspending the guest. */
  readonly suspend: boolean;
}

export function instantiate({ plan, modules, imports, suspend }: Linkage): CoreInstance {
  const instances: WebAssembly.Instance[] = [];
  const handles = Array.from({ length: plan.homes }, () => new HandleTable());
  const tasks: (Task | undefined)[] = new Array(plan.homes);
  const contexts: (CanonContext | undefined)[] = new Array(plan.contexts.length);
  const hosts = new Map<HostFunctionPlan, HostFunction>();
  const suspends = resolveHosts(plan, imports, hosts) && suspend;

  function item(of: CoreItem): unknown {
    if (of.from === "trampoline") return trampoline(plan.trampolines[of.index]!);
    const exports = instances[of.instance]?.exports;
    if (!exports || !(of.name in exports)) {
      throw new CytoError("invalid-component", `Cannot link the component: a core module exports no ${of.name}`);
    }
    return exports[of.name];
  }

  const callable = (of: CoreItem | undefined) => (of === undefined ? undefined : (item(of) as CoreFunction));

  function context(index: number): CanonContext {
    let cx = contexts[index];
    if (!cx) {
      const from = plan.contexts[index]!;
      cx = new CanonContext(
        from.home,
        handles[from.home]!,
        from.memory && (item(from.memory) as WebAssembly.Memory),
        callable(from.realloc) as never,
        from.encoding,
      );
      contexts[index] = cx;
    }
    return cx;
  }

  function trampoline(from: Trampoline): unknown {
    switch (from.kind) {
      case "lower": {
        const target = callee(from.func);
        const lowered = lower(context(from.context), from.func.signature, target.call);
        return suspends && target.suspends ? new WebAssembly.Suspending(lowered as never) : lowered;
      }
      case "resource.new":
        return (representation: number) => handles[from.home]!.add(from.type, representation, true);
      case "resource.rep":
        return (handle: number) => handles[from.home]!.get(handle >>> 0, from.type);
      case "resource.drop":
        return (handle: number) => {
          const dropped = handles[from.home]!.drop(handle >>> 0, from.type);
          if (dropped.own) destroy(from.type, dropped.resource);
        };
      case "task.return": {
        const cx = context(from.context);
        const { result } = from;
        return (...values: CoreValue[]) => {
          const task = tasks[from.home];
          if (!task || task.returned) throw new WebAssembly.RuntimeError("task.return was called outside of a task");
          cx.refresh();
          task.returned = true;
          if (!result) return;
          task.result =
            result.flat.length > 16 ? result.load(cx, (values[0] as number) >>> 0) : result.lift(cx, values, 0);
        };
      }
      case "context.get":
        return () => tasks[from.home]?.context[from.slot] ?? 0;
      case "context.set":
        return (value: number) => {
          const task = tasks[from.home];
          if (task) task.context[from.slot] = value;
        };
      case "unsupported":
        return () => {
          throw new WebAssembly.RuntimeError(`the component uses ${from.name}, which this engine does not have`);
        };
    }
  }

  function destroy(type: ResourceType, resource: unknown): void {
    if (type.home === undefined) {
      (resource as Partial<Disposable>)[Symbol.dispose]?.();
      return;
    }
    const representation = resource instanceof GuestResource ? resource.representation : (resource as number);
    callable(plan.destructors.get(type))?.(representation);
  }

  /** What a lowered function calls: the host, or a function that another component lifted. */
  function callee(func: FunctionPlan): {
    readonly call: (...args: never[]) => unknown;
    readonly suspends: boolean;
  } {
    if (func.kind === "lift") return { call: lift(func) as (...args: never[]) => unknown, suspends: true };
    const host = hosts.get(func)!;
    return { call: host, suspends: maySuspend(host) };
  }

  /** A function that a guest exports, as JavaScript calls it. */
  function lift(from: LiftPlan): (...args: unknown[]) => unknown {
    const cx = context(from.context);
    const { signature } = from;
    const core = callable(from.core)!;
    const entry = suspends ? (WebAssembly.promising(core) as unknown as CoreFunction) : core;
    if (from.async) return liftAsync(from, cx, entry);
    const postReturn = callable(from.postReturn);
    const { result } = signature;

    function finish(value: CoreValue | undefined): unknown {
      let answer: unknown;
      if (result) {
        cx.refresh();
        if (signature.resultInMemory) {
          const pointer = (value as number) >>> 0;
          cx.check(pointer, result.size, result.align);
          answer = result.load(cx, pointer);
        } else answer = result.lift(cx, [value!], 0);
      }
      postReturn?.(value!);
      return unwrap(signature, answer);
    }

    return (...args) => {
      const value: MaybePromise<CoreValue | undefined> = entry(...lowerParams(cx, signature, args));
      return suspends ? (value as unknown as Promise<CoreValue>).then(finish) : finish(value);
    };
  }

  function liftAsync(from: LiftPlan, cx: CanonContext, entry: CoreFunction): (...args: unknown[]) => unknown {
    const callback = callable(from.callback);
    const { home, signature } = from;

    function step(task: Task, packed: CoreValue | undefined): unknown {
      let code = packed as number;
      for (let yields = 0; callback && (code & 0xf) === YIELD; yields++) {
        if (yields === YIELDS_MAX) throw new WebAssembly.RuntimeError("the component yields without end");
        code = callback(0, 0, 0) as number;
      }
      tasks[home] = undefined;
      if (callback && (code & 0xf) !== EXIT) {
        throw new WebAssembly.RuntimeError("the component waits on a waitable set, which this engine does not have");
      }
      if (!task.returned) throw new WebAssembly.RuntimeError("the component ended a task without returning");
      return unwrap(signature, task.result);
    }

    return (...args) => {
      if (tasks[home]) throw new CytoError("internal", "Cannot enter the component: it is in a call already");
      const task: Task = { context: [0, 0], returned: false, result: undefined };
      tasks[home] = task;
      try {
        const value: MaybePromise<CoreValue | undefined> = entry(...lowerParams(cx, signature, args));
        return suspends
          ? (value as unknown as Promise<CoreValue>).then((packed) => step(task, packed))
          : step(task, value);
      } catch (thrown) {
        tasks[home] = undefined;
        throw thrown;
      }
    };
  }

  for (const { module, imports: wanted } of plan.instances) {
    const given: Record<string, Record<string, unknown>> = {};
    for (const { name, from } of wanted) {
      if (typeof from === "number") given[name] = instances[from]!.exports;
      else given[name] = Object.fromEntries([...from].map(([key, of]) => [key, item(of)]));
    }
    instances.push(new WebAssembly.Instance(modules[module]!, given));
  }

  const exports: Record<string, Record<string, (...args: never[]) => unknown>> = {};
  for (const [name, functions] of plan.exports) {
    const target: Record<string, (...args: never[]) => unknown> = {};
    for (const [inner, from] of functions) target[camelCase(inner)] = lift(from) as (...args: never[]) => unknown;
    exports[name] = target;
  }
  const memories = plan.memories.map((of) => item(of) as WebAssembly.Memory);
  return {
    exports,
    memoryBytes: () => memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0),
    [Symbol.dispose]() {
      for (const table of handles) {
        for (const { type, resource } of table.owned()) if (type.home === undefined) destroy(type, resource);
      }
    },
  };
}

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

/** The core function that a guest calls for `call`. */
function lower(cx: CanonContext, signature: Signature, call: (...args: never[]) => unknown): CoreFunction {
  const { params, result, throws } = signature;
  const resultAt = signature.paramsInMemory ? 1 : params.flat.length;

  function answer(value: unknown, values: readonly CoreValue[]): CoreValue | undefined {
    if (!result) return undefined;
    cx.refresh();
    if (signature.resultInMemory) {
      const pointer = (values[resultAt] as number) >>> 0;
      cx.check(pointer, result.size, result.align);
      result.store(cx, value, pointer);
      return undefined;
    }
    const lowered: CoreValue[] = [0];
    result.lower(cx, value, lowered, 0);
    return lowered[0];
  }

  return (...values) => {
    cx.refresh();
    const args = (
      signature.paramsInMemory ? params.load(cx, (values[0] as number) >>> 0) : params.lift(cx, values, 0)
    ) as never[];
    let value: unknown;
    try {
      value = call(...args);
    } catch (thrown) {
      if (!throws) throw thrown;
      return answer(thrownAsResult(thrown), values);
    }
    if (value instanceof Promise) {
      // The guest is suspended by the promise; what is stored on settling is what it wakes up to.
      return value.then(
        (settled) => answer(throws ? { tag: "ok", val: settled } : settled, values),
        (thrown) => {
          if (!throws) throw thrown;
          return answer(thrownAsResult(thrown), values);
        },
      ) as never;
    }
    return answer(throws ? { tag: "ok", val: value } : value, values);
  };
}

/**
 * Finds every host function that the plan calls, and tells whether any may suspend. Throws
 * `unbound-import` naming all that are missing.
 */
function resolveHosts(plan: Linking, imports: ImportObject, hosts: Map<HostFunctionPlan, HostFunction>): boolean {
  const missing: string[] = [];
  let suspends = false;
  for (const trampoline of plan.trampolines) {
    if (trampoline.kind !== "lower" || trampoline.func.kind !== "host" || hosts.has(trampoline.func)) continue;
    const { func } = trampoline;
    const host = hostFunction(func, imports);
    if (!host) missing.push(func.interface === "$root" ? func.name : `${func.interface}#${func.name}`);
    else {
      hosts.set(func, host);
      suspends ||= maySuspend(host);
    }
  }
  if (missing.length > 0) {
    throw new CytoError("unbound-import", `Cannot instantiate the component: nothing provides ${missing.join(", ")}`);
  }
  return suspends;
}

function hostFunction(func: HostFunctionPlan, imports: ImportObject): HostFunction | undefined {
  const target = imports[func.interface];
  if (!target) return undefined;
  const special = /^\[(method|static|constructor)\](.+)$/.exec(func.name);
  if (!special) return target[camelCase(func.name)] as HostFunction | undefined;
  const [, kind, path] = special;
  const [resource, member] = path!.split(".");
  const Class = target[pascalCase(resource!)] as (new (...args: never[]) => object) | undefined;
  if (!Class) return undefined;
  if (kind === "constructor") return (...args) => new Class(...args);
  const name = camelCase(member!);
  if (kind === "static") {
    const fn = (Class as unknown as Record<string, HostFunction>)[name];
    return fn && adopt(fn, ((...args: never[]) => fn.apply(Class, args)) as HostFunction);
  }
  const method = (Class.prototype as Record<string, HostFunction>)[name];
  // Called by name, so that a host may give an object of a subclass.
  const call = (self: Record<string, HostFunction>, ...args: never[]) => self[name]!(...args);
  return method && adopt(method, call as HostFunction);
}

/** A wrapper may suspend exactly when what it wraps may. */
function adopt(original: HostFunction, wrapper: HostFunction): HostFunction {
  return maySuspend(original) ? suspending(wrapper) : wrapper;
}
