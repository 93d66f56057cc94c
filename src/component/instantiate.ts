/**
 * A plan and host objects to a running instance. What a core module imports is made here: other core
 * exports, or trampolines into JavaScript.
 *
 * Where something may wait, core code and JavaScript meet through the shims of `async/shim.ts`; an
 * instance in which nothing can wait runs its exports as plain calls.
 */
import { CytoError } from "../kernel/index.ts";
import { blockingSignature, builtIn } from "./async/built-ins.ts";
import { Carrier } from "./async/carry.ts";
import { Home } from "./async/home.ts";
import { answered, Lift, plainEntry, suspendableEntry } from "./async/lift.ts";
import { type CoreFunction, coreSignatureOf, lowerGuest, lowerHost } from "./async/lower.ts";
import { type CoreSignature, liftShim, lowerShim } from "./async/shim.ts";
import { Store } from "./async/store.ts";
import { End } from "./async/stream.ts";
import { type Callee, Task } from "./async/task.ts";
import { CanonContext } from "./canon-context.ts";
import type { CoreValue, Flat } from "./codec.ts";
import { type CoreInstance, type CpuOptions, type HostFunction, type ImportObject, maySuspend } from "./contract.ts";
import type { CompiledCode } from "./core-module.ts";
import { hostFunction } from "./host-function.ts";
import type { Meter } from "./meter.ts";
import type { CoreItem, HostFunctionPlan, LiftPlan, Linking, ResourcePlan, Trampoline } from "./plan.ts";
import { type Member, resourceClass } from "./resource-class.ts";
import { takeSnapshot } from "./snapshot.ts";
import { camelCase, pascalCase, type ResourceType, withoutVersion } from "./types.ts";

export interface Linkage {
  readonly plan: Linking;
  readonly modules: readonly (CompiledCode | undefined)[];
  readonly imports: ImportObject;
  /** When false, what would suspend the guest traps. */
  readonly suspend: boolean;
  readonly deadlock: "wait" | "trap";
  readonly cpu: CpuOptions | undefined;
  /** Present when the modules expose their state and it is to be put back; counted here. */
  readonly resets: ResetCount | undefined;
}

/** How often instances of a component were reset, and how often that could not be done. */
export interface ResetCount {
  done: number;
  failed: number;
}

export function instantiate({ plan, modules, imports, suspend, deadlock, cpu, resets }: Linkage): CoreInstance {
  const hosts = resolveHosts(plan, imports);
  const meter = meterOf(modules, cpu);
  const blocking = blockingOf(plan, hosts, suspend || meter !== undefined, meter !== undefined);
  // A guest that is metered may be interrupted wherever it is.
  const suspends = blocking.size > 0 || meter !== undefined;
  const store = new Store(suspends, deadlock === "trap", meter);
  const homes: Home[] = [];
  plan.homes.forEach((container, index) => {
    homes.push(new Home(index, store, container === undefined ? undefined : homes[container]));
  });
  const carriers = homes.map((home) => new Carrier(store, home.handles));
  const instances: (WebAssembly.Instance | undefined)[] = [];
  const contexts = plan.contexts.map(
    ({ home, encoding }) => new CanonContext(home, homes[home]!.handles, carriers[home]!, encoding),
  );
  if (meter !== undefined) for (const cx of contexts) cx.charge = meter.charge;
  const lifts = new Map<LiftPlan, Lift>();

  function item(of: CoreItem): unknown {
    if (of.from === "trampoline") return trampolines[of.index];
    const exports = instances[of.instance]?.exports;
    if (!exports || !(of.name in exports)) {
      throw new CytoError("invalid-component", `Cannot link the component: a core module exports no ${of.name}`);
    }
    return exports[of.name];
  }

  const callable = (of: CoreItem | undefined) => (of === undefined ? undefined : (item(of) as CoreFunction));

  /** Gives memory and allocator to the contexts that wait for the instance. */
  function bind(instance: number): void {
    plan.contexts.forEach(({ memory, realloc }, index) => {
      const last = Math.max(instanceOf(memory), instanceOf(realloc));
      if (last === instance)
        contexts[index]!.bind(memory && (item(memory) as WebAssembly.Memory), brief(callable(realloc)) as never);
    });
  }

  /** Core code that cannot be suspended where it is called, and has to be short. */
  function brief(core: CoreFunction | undefined): CoreFunction | undefined {
    if (meter === undefined || core === undefined) return core;
    return (a, b, c, d) => {
      const before = meter.enter();
      try {
        return core(a!, b!, c!, d!);
      } catch (thrown) {
        throw meter.ended ?? thrown;
      } finally {
        meter.leave(before);
      }
    };
  }

  function trampoline(from: Trampoline): CoreFunction {
    switch (from.kind) {
      case "lower":
        return lower(from);
      case "resource.new":
        return (representation) => {
          const home = homes[from.home]!;
          home.assertMayLeave();
          return home.handles.add(from.type, representation, true);
        };
      case "resource.rep":
        return (handle) => homes[from.home]!.handles.get((handle as number) >>> 0, from.type) as number;
      case "resource.drop":
        return (handle) => {
          const home = homes[from.home]!;
          home.assertMayLeave();
          const dropped = home.handles.drop((handle as number) >>> 0, from.type);
          if (dropped.own) destroy(from.type, dropped.resource, home);
          return undefined;
        };
      case "unsupported":
        return () => {
          throw new WebAssembly.RuntimeError(`the component uses ${from.name}, which this engine does not have`);
        };
      default:
        return builtIn(from, {
          store,
          home: homes[from.home]!,
          context: (index) => contexts[index]!,
          memory: (of) => new DataView((item(of) as WebAssembly.Memory).buffer),
        });
    }
  }

  function lower({ func, context: at, async }: Extract<Trampoline, { kind: "lower" }>): CoreFunction {
    const caller = { store, home: homes[plan.contexts[at]!.home]!, cx: contexts[at]!, async };
    if (func.kind === "lift") return lowerGuest(caller, func.signature, () => lift(func));
    const host = hosts.get(func)!;
    return async || func.async || maySuspend(host)
      ? lowerHost(caller, func.signature, host, func.async)
      : func.signature.lowered(caller.cx, caller.home, host);
  }

  function destroy(type: ResourceType, resource: unknown, from: Home | undefined): void {
    if (type.home === undefined) {
      (resource as Partial<Disposable>)[Symbol.dispose]?.();
      return;
    }
    const destructor = brief(callable(plan.destructors.get(type)));
    if (destructor === undefined) return;
    const entered = homes[type.home]!.entering(from);
    if (entered.some((home) => home.entered))
      throw new WebAssembly.RuntimeError("a resource was dropped whose component is in a call already");
    for (const home of entered) home.entered = true;
    const { current } = store;
    // In a task of its own, as any function that is called.
    store.current = new Task(plainCallee(homes[type.home]!), noArguments, () => undefined).thread;
    try {
      destructor(resource as number);
    } finally {
      store.current = current;
      for (const home of entered) home.entered = false;
    }
  }

  /** For JavaScript, which drops it: at once, or when what runs has blocked or ended. */
  function destroyFromOutside(type: ResourceType, representation: number): void {
    if (store.trapped !== undefined) return;
    if (store.current !== undefined || !store.free) {
      store.enterLater(() => {
        try {
          destroyFromOutside(type, representation);
        } catch {
          // It has trapped: whoever calls the instance next is told.
        }
      });
      store.schedule();
      return;
    }
    try {
      destroy(type, representation, undefined);
    } catch (thrown) {
      store.trap(thrown);
      throw thrown;
    }
  }
  store.resources.destroy = destroyFromOutside;

  /** A function that a guest exports. */
  function lift(from: LiftPlan): Lift {
    let made = lifts.get(from);
    if (made === undefined) {
      const core = callable(from.core)!;
      const callback = callable(from.callback);
      const enter = (core: CoreFunction, signature: CoreSignature) =>
        suspends ? suspendableEntry(store, suspendable(core, signature)) : plainEntry(core);
      made = new Lift({
        store,
        home: homes[from.home]!,
        cx: contexts[from.context]!,
        signature: from.signature,
        asyncType: from.asyncType,
        asyncOption: from.async,
        enter: enter(core, entrySignatureOf(from)),
        enterCallback: callback && enter(callback, callbackSignature),
        postReturn: brief(callable(from.postReturn)) as never,
        account: cpu && (() => ({ cpuMs: cpu.cpuMs, suspendable: suspends, usedMs: 0 })),
      });
      lifts.set(from, made);
    }
    return made;
  }

  /** For a guest that may catch whatever comes: what is thrown has ended the instance, and it calls nothing more. */
  function fatal(call: CoreFunction): CoreFunction {
    return (...values) => {
      store.assertLive();
      try {
        return call(...values);
      } catch (thrown) {
        store.trap(thrown);
        throw thrown;
      }
    };
  }

  /** What an interface exports: its functions, and a class for each resource. */
  function exported(items: ReadonlyMap<string, LiftPlan | ResourcePlan>): Record<string, Member> {
    const functions = new Map<string, Member>();
    for (const [name, item] of items) {
      if (item.kind === "resource") continue;
      const made = lift(item);
      functions.set(name, (...args) => made.call(args));
    }
    const target: Record<string, Member> = {};
    for (const [name, member] of functions) {
      const resource = /^\[.+\]([^.]+)/.exec(name)?.[1];
      if (resource === undefined || !items.has(resource)) target[camelCase(name)] = member;
    }
    for (const [name, item] of items) {
      if (item.kind !== "resource") continue;
      const { classes } = store.resources;
      const Class = classes.get(item.resource) ?? resourceClass(name, functions);
      classes.set(item.resource, Class);
      target[pascalCase(name)] = Class as unknown as Member;
    }
    return target;
  }

  /** Core code behind the shim that tells of its end. */
  function suspendable(core: CoreFunction, signature: CoreSignature): (...values: CoreValue[]) => Promise<unknown> {
    const done = answered(store);
    const { exports } = new WebAssembly.Instance(liftModule(signature), {
      "": { c0: core, [`d${signature.result ?? ""}`]: done },
    });
    return WebAssembly.promising(exports.f0) as (...values: CoreValue[]) => Promise<unknown>;
  }

  const catches = modules.some((module) => module?.catches);
  const trampolines: unknown[] = plan.trampolines.map((from) => (catches ? fatal(trampoline(from)) : trampoline(from)));
  if (blocking.size > 0) {
    const wait = new WebAssembly.Suspending(() => store.takePending());
    const given: Record<string, unknown> = { blocked: store.blocked };
    for (const flat of ["", "i32", "i64", "f32", "f64"]) given[`w${flat}`] = wait;
    const behind = [...blocking.keys()];
    behind.forEach((index, i) => {
      given[`t${i}`] = trampolines[index];
    });
    const { exports } = new WebAssembly.Instance(lowerModule(plan, [...blocking.values()]), { "": given });
    behind.forEach((index, i) => {
      trampolines[index] = exports[`f${i}`];
    });
  }

  for (const planned of plan.instances) {
    if (planned === undefined) {
      instances.push(undefined);
      continue;
    }
    const { module, home, imports: wanted } = planned;
    const given: Record<string, Record<string, unknown>> = {};
    for (const { name, from } of wanted) {
      if (typeof from === "number") given[name] = instances[from]!.exports;
      else given[name] = Object.fromEntries([...from].map(([key, of]) => [key, item(of)]));
    }
    // A start function may call out, in a task of its own that cannot block.
    store.current = new Task(plainCallee(homes[home]!), noArguments, () => undefined).thread;
    try {
      const { code, meter: names } = modules[module]!;
      const instance = new WebAssembly.Instance(code, given);
      const at = instances.push(instance) - 1;
      bind(at);
      if (names !== undefined) meter?.attach(instance, names);
    } finally {
      store.current = undefined;
    }
  }

  const exports: Record<string, Record<string, (...args: never[]) => unknown>> = {};
  for (const [name, items] of plan.exports) exports[name] = exported(items);
  // What a start function took from the host cannot be given again.
  const taken = () => takeSnapshot(instances.filter((instance) => instance !== undefined));
  const snapshot = resets && homes.every(({ handles }) => handles.size === 0) ? taken() : undefined;

  /** Whatever the guest still holds of the host's. */
  function drop(): void {
    for (const { handles } of homes) {
      for (const { type, resource } of handles.owned()) if (type.home === undefined) destroy(type, resource, undefined);
      for (const entry of handles.others()) if (entry instanceof End) entry.shared.drop();
    }
  }

  const memories = plan.memories.map((of) => item(of) as WebAssembly.Memory);
  return {
    exports,
    memoryBytes: () => memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0),
    ...(resets &&
      snapshot && {
        reset() {
          if (!store.idle) return false;
          drop();
          for (const home of homes) home.clear();
          store.resources.clear();
          const restored = snapshot.restore();
          resets[restored ? "done" : "failed"]++;
          return restored;
        },
      }),
    [Symbol.dispose]() {
      const reason = new CytoError("cancelled", "Cannot run the component on: the instance has ended");
      meter?.end(reason);
      store.trap(reason);
      drop();
    },
  };
}

function meterOf(modules: Linkage["modules"], cpu: CpuOptions | undefined): Meter | undefined {
  if (cpu !== undefined) return cpu.metering.meter();
  if (modules.every((module) => module?.meter === undefined)) return undefined;
  throw new CytoError(
    "internal",
    "Cannot instantiate the component: it was loaded to be metered, and nothing meters it",
  );
}

/** The trampolines that may suspend their caller, by index. */
function blockingOf(
  plan: Linking,
  hosts: ReadonlyMap<HostFunctionPlan, HostFunction>,
  suspend: boolean,
  metered: boolean,
): Map<number, CoreSignature> {
  const blocking = new Map<number, CoreSignature>();
  const guests: [index: number, signature: CoreSignature][] = [];
  plan.trampolines.forEach((trampoline, index) => {
    switch (trampoline.kind) {
      case "lower": {
        const { func, async } = trampoline;
        const signature = coreSignatureOf(func.signature, async);
        if (func.kind === "lift") guests.push([index, signature]);
        else if (suspend && !async && (func.async || maySuspend(hosts.get(func)!))) blocking.set(index, signature);
        return;
      }
      case "resource.new":
      case "resource.rep":
      case "resource.drop":
      case "unsupported":
        return;
      default: {
        const signature = blockingSignature(trampoline);
        if (suspend && signature !== undefined) blocking.set(index, signature);
      }
    }
  });
  const waits =
    metered || blocking.size > 0 || (suspend && guests.some(([index]) => mayBlock(plan.trampolines[index]!)));
  if (waits) for (const [index, signature] of guests) blocking.set(index, signature);
  return blocking;
}

/** A call of another component that may wait for its task, not only for its code. */
function mayBlock(trampoline: Trampoline): boolean {
  return trampoline.kind === "lower" && trampoline.func.kind === "lift" && trampoline.func.asyncType;
}

/** Core code that the engine runs by itself: start functions and destructors. */
function plainCallee(home: Home): Callee {
  const none = { result: undefined, cx: undefined };
  return { home, asyncType: false, asyncOption: false, needsExclusive: false, suspendable: false, ...none };
}

const noArguments = (): readonly unknown[] => [];

function instanceOf(of: CoreItem | undefined): number {
  return of?.from === "instance" ? of.instance : -1;
}

const callbackSignature: CoreSignature = { params: ["i32", "i32", "i32"], result: "i32" };

/** What the core function of a lift is called with, and what it answers. */
function entrySignatureOf({ signature, async, callback }: LiftPlan): CoreSignature {
  const params: readonly Flat[] = signature.paramsInMemory ? ["i32"] : signature.params.flat;
  if (async) return { params, result: callback === undefined ? undefined : "i32" };
  return { params, result: signature.resultInMemory ? "i32" : signature.result?.flat[0] };
}

const liftModules = new Map<string, WebAssembly.Module>();

function liftModule(signature: CoreSignature): WebAssembly.Module {
  const key = `${signature.params.join()}:${signature.result ?? ""}`;
  let module = liftModules.get(key);
  if (module === undefined) {
    module = new WebAssembly.Module(liftShim([signature]));
    liftModules.set(key, module);
  }
  return module;
}

const lowerModules = new WeakMap<Linking, Map<string, WebAssembly.Module>>();

/** One for each set of signatures: which functions may wait depends on the hosts that are given. */
function lowerModule(plan: Linking, signatures: readonly CoreSignature[]): WebAssembly.Module {
  let modules = lowerModules.get(plan);
  if (modules === undefined) {
    modules = new Map();
    lowerModules.set(plan, modules);
  }
  const key = JSON.stringify(signatures);
  let module = modules.get(key);
  if (module === undefined) {
    module = new WebAssembly.Module(lowerShim(signatures));
    modules.set(key, module);
  }
  return module;
}

/** Every host function that the plan calls. Throws `unbound-import` naming all that are missing. */
function resolveHosts(plan: Linking, imports: ImportObject): ReadonlyMap<HostFunctionPlan, HostFunction> {
  const hosts = new Map<HostFunctionPlan, HostFunction>();
  const missing: string[] = [];
  for (const trampoline of plan.trampolines) {
    if (trampoline.kind !== "lower" || trampoline.func.kind !== "host" || hosts.has(trampoline.func)) continue;
    const { func } = trampoline;
    const target = imports[func.interface] ?? imports[withoutVersion(func.interface)];
    const count = func.signature.paramCount + (func.async ? 1 : 0);
    const host = target && hostFunction(target, func.name, count);
    if (host) hosts.set(func, host);
    else missing.push(func.interface === "$root" ? func.name : `${withoutVersion(func.interface)}#${func.name}`);
  }
  if (missing.length > 0) {
    throw new CytoError("unbound-import", `Cannot instantiate the component: nothing provides ${missing.join(", ")}`);
  }
  return hosts;
}
