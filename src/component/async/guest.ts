/**
 * A small component for tests, out of WebAssembly text: one core module, what it imports and what is lifted. The
 * memory is `$mem`, and an allocator that only goes up `$realloc`.
 */
import { parse } from "@bytecodealliance/jco";
import type { InstantiateOptions, LoadOptions } from "../contract.ts";
import { load } from "../index.ts";

/** Answers what instantiates it: with the functions of the import `host`, to what it exports. */
export async function guest({ imports = "", builtIns, code, lifts }: GuestText, options: LoadOptions = {}) {
  const each = (text: (name: string, canon: string, type: string) => string) =>
    Object.entries(builtIns)
      .map(([name, [canon, type]]) => text(name, canon, type))
      .join("\n");
  const component = await load(
    await parse(`(component
      ${imports}
      (core module $memory
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 4096))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
          (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
          (global.set $next (i32.add (local.get $at) (local.get 3)))
          local.get $at))
      (core instance $m (instantiate $memory))
      (alias core export $m "memory" (core memory $mem))
      (alias core export $m "realloc" (core func $realloc))
      ${each((name, canon) => `(core func $${name} (canon ${canon}))`)}
      (core module $main
        (import "" "memory" (memory 1))
        ${each((name, _, type) => `(import "" "${name}" (func $${name} ${type}))`)}
        ${code})
      (core instance $i (instantiate $main (with "" (instance (export "memory" (memory $mem))
        ${each((name) => `(export "${name}" (func $${name}))`)}))))
      ${lifts})`),
    options,
  );
  return (host: object = {}, options: Pick<InstantiateOptions, "deadlock" | "cpu"> = {}) => {
    const { exports } = component.instantiate({ host } as never, options);
    return exports.$root as unknown as Record<string, (...args: unknown[]) => never>;
  };
}

interface GuestText {
  /** Of the component, and its types. */
  readonly imports?: string;
  /** What the core module imports, by name: as a canonical definition, and its core type. */
  readonly builtIns: Readonly<Record<string, readonly [canon: string, type: string]>>;
  readonly code: string;
  readonly lifts: string;
}
