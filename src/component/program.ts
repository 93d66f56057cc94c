/**
 * A core module of WASI 0.1 as a {@link Component}: a command (`_start`) runs as `wasi:cli/run` does, a
 * reactor (`_initialize`) is initialised when it is instantiated and has its functions under `$root`.
 *
 * Its imports are the functions of `wasi_snapshot_preview1` in the import object, each of which is
 * handed the instance's memory first. Numbers cross as WebAssembly has them: an i64 is a signed bigint.
 */
import { CytoError } from "../kernel/index.ts";
import { type Component, type CoreInstance, type CpuOptions, type ImportObject, maySuspend } from "./contract.ts";
import type { CompiledCode } from "./core-module.ts";
import type { Account, Meter } from "./meter.ts";
import { retell } from "./stack.ts";
import type { WovenExports } from "./weave/weave.ts";

const wasi = "wasi_snapshot_preview1";

type Exports = CoreInstance["exports"];
type Callable = (...args: never[]) => unknown;

export interface Program {
  readonly module: CompiledCode;
  readonly digest: string;
  readonly size: number;
}

/** Throws `invalid-component` for a module that is no program. */
export function programOf({ module, digest, size }: Program): Component {
  const imports = WebAssembly.Module.imports(module.code);
  const appended = module.meter;
  const exports = WebAssembly.Module.exports(module.code).filter(({ name }) => !isAppended(name, appended));
  const exported = (name: string, kind: string) => exports.some((each) => each.name === name && each.kind === kind);
  const command = exported("_start", "function");
  if (!command && !exported("_initialize", "function")) {
    throw new CytoError(
      "invalid-component",
      "Cannot load the component: it is a core WebAssembly module, not a component",
      {
        hint: "A core module runs as it is when it is a program of WASI 0.1: it then exports _start or _initialize.",
      },
    );
  }
  if (!exported("memory", "memory")) {
    throw new CytoError(
      "invalid-component",
      "Cannot load the component: it is a core WebAssembly module that exports no memory",
    );
  }
  return {
    digest,
    size,
    imports: [...new Set(imports.map((each) => each.module))],
    exports: exports.filter(({ kind }) => kind === "function").map(({ name }) => name),
    world: command ? "command" : undefined,
    retell: (stack) => retell(stack, [module]),
    woven: [module.report],
    instantiate: (given, { suspend = true, cpu } = {}) => {
      const names = exports.map(({ name }) => name);
      return instantiate({ module, imports, names, command, given, suspend, meter: cpu?.metering.meter(), cpu });
    },
  };
}

function isAppended(name: string, appended: WovenExports | undefined): boolean {
  return appended !== undefined && Object.values(appended).includes(name);
}

interface Linkage {
  readonly module: CompiledCode;
  /** What the author exports. */
  readonly names: readonly string[];
  readonly imports: readonly { readonly module: string; readonly name: string; readonly kind: string }[];
  readonly command: boolean;
  readonly given: ImportObject;
  readonly suspend: boolean;
  readonly meter: Meter | undefined;
  readonly cpu: CpuOptions | undefined;
}

function instantiate(linkage: Linkage): CoreInstance {
  const { module, names, imports: wanted, command, given, suspend, meter, cpu } = linkage;
  let memory: WebAssembly.Memory | undefined;
  /** What the call under way may use. */
  let account: Account | undefined;
  let suspends = meter !== undefined;
  const missing: string[] = [];
  const imports: Record<string, Record<string, unknown>> = {};
  for (const { module: from, name, kind } of wanted) {
    const host = kind === "function" && from === wasi ? given[from]?.[name] : undefined;
    if (host === undefined) {
      missing.push(`${from}#${name}`);
      continue;
    }
    const call = host as (memory: WebAssembly.Memory, ...values: never[]) => unknown;
    const bound = (...values: never[]) => {
      const answer = call(memory ?? early(name), ...values);
      if (meter === undefined || !(answer instanceof Promise)) return answer;
      meter.leave(undefined);
      return answer.finally(() => meter.enter(account));
    };
    const waits = suspend && maySuspend(host);
    suspends ||= waits;
    imports[from] ??= {};
    imports[from][name] = waits ? new WebAssembly.Suspending(bound) : bound;
  }
  if (missing.length > 0) {
    throw new CytoError("unbound-import", `Cannot instantiate the component: nothing provides ${missing.join(", ")}`);
  }
  const instance = new WebAssembly.Instance(module.code, imports);
  const { exports } = instance;
  memory = exports.memory as WebAssembly.Memory;
  if (module.meter !== undefined) meter?.attach(instance, module.meter);
  const entry = (name: string): Callable => {
    const core = exports[name] as Callable;
    if (!suspends) return core;
    const promised = WebAssembly.promising(core);
    if (meter === undefined) return promised;
    return (...values) => {
      account = { cpuMs: cpu!.cpuMs, suspendable: true, usedMs: 0 };
      const before = meter.enter(account);
      const ended = promised(...values);
      meter.leave(before);
      return ended.catch((thrown) => {
        throw meter.ended ?? thrown;
      });
    };
  };
  if (!command) {
    const initialise = exports._initialize as () => void;
    if (meter === undefined) initialise();
    else meter.start(initialise);
  }
  return {
    exports: command ? { "wasi:cli/run": { run: entry("_start") } } : { $root: functionsOf(exports, names, entry) },
    memoryBytes: () => memory.buffer.byteLength,
    [Symbol.dispose]() {
      meter?.end(new CytoError("cancelled", "Cannot run the program on: the instance has ended"));
    },
  };
}

/** What WASI reads and writes is the memory that a module exports, and it exports nothing before it has started. */
function early(name: string): never {
  throw new CytoError("instance-trapped", `Cannot instantiate the component: its start function calls ${name}`);
}

function functionsOf(
  exports: Record<string, unknown>,
  names: readonly string[],
  entry: (name: string) => Callable,
): Exports[string] {
  const functions = names.filter((name) => typeof exports[name] === "function" && name !== "_initialize");
  return Object.fromEntries(functions.map((name) => [name, entry(name)]));
}
