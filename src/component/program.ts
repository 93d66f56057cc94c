/**
 * A core module of WASI 0.1 as a {@link Component}: a command (`_start`) runs as `wasi:cli/run` does, a
 * reactor (`_initialize`) is initialised when it is instantiated and has its functions under `$root`.
 *
 * Its imports are the functions of `wasi_snapshot_preview1` in the import object, each of which is
 * handed the instance's memory first. Numbers cross as WebAssembly has them: an i64 is a signed bigint.
 */
import { CytoError } from "../kernel/index.ts";
import { type Component, type CoreInstance, type ImportObject, maySuspend } from "./contract.ts";

const wasi = "wasi_snapshot_preview1";

type Exports = CoreInstance["exports"];
type Callable = (...args: never[]) => unknown;

export interface Program {
  readonly module: WebAssembly.Module;
  readonly digest: string;
  readonly size: number;
}

/** Throws `invalid-component` for a module that is no program. */
export function programOf({ module, digest, size }: Program): Component {
  const imports = WebAssembly.Module.imports(module);
  const exports = WebAssembly.Module.exports(module);
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
    instantiate: (given, { suspend = true } = {}) => instantiate({ module, imports, command, given, suspend }),
  };
}

interface Linkage {
  readonly module: WebAssembly.Module;
  readonly imports: readonly { readonly module: string; readonly name: string; readonly kind: string }[];
  readonly command: boolean;
  readonly given: ImportObject;
  readonly suspend: boolean;
}

function instantiate({ module, imports: wanted, command, given, suspend }: Linkage): CoreInstance {
  let memory: WebAssembly.Memory | undefined;
  let suspends = false;
  const missing: string[] = [];
  const imports: Record<string, Record<string, unknown>> = {};
  for (const { module: from, name, kind } of wanted) {
    const host = kind === "function" && from === wasi ? given[from]?.[name] : undefined;
    if (host === undefined) {
      missing.push(`${from}#${name}`);
      continue;
    }
    const call = host as (memory: WebAssembly.Memory, ...values: never[]) => unknown;
    const bound = (...values: never[]) => call(memory ?? early(name), ...values);
    const waits = suspend && maySuspend(host);
    suspends ||= waits;
    imports[from] ??= {};
    imports[from][name] = waits ? new WebAssembly.Suspending(bound) : bound;
  }
  if (missing.length > 0) {
    throw new CytoError("unbound-import", `Cannot instantiate the component: nothing provides ${missing.join(", ")}`);
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  memory = exports.memory as WebAssembly.Memory;
  const entry = (name: string): Callable => {
    const core = exports[name] as Callable;
    return suspends ? WebAssembly.promising(core) : core;
  };
  if (!command) (exports._initialize as Callable)();
  return {
    exports: command ? { "wasi:cli/run": { run: entry("_start") } } : { $root: functionsOf(exports, entry) },
    memoryBytes: () => memory.buffer.byteLength,
    [Symbol.dispose]() {},
  };
}

/** What WASI reads and writes is the memory that a module exports, and it exports nothing before it has started. */
function early(name: string): never {
  throw new CytoError("instance-trapped", `Cannot instantiate the component: its start function calls ${name}`);
}

function functionsOf(exports: Record<string, unknown>, entry: (name: string) => Callable): Exports[string] {
  const names = Object.keys(exports).filter((name) => typeof exports[name] === "function" && name !== "_initialize");
  return Object.fromEntries(names.map((name) => [name, entry(name)]));
}
