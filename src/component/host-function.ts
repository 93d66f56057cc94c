/**
 * The host's function for an import: by its WIT name, out of the host objects. Methods are called by name
 * on whatever object they are for, so that a host may give one of a subclass; the code that does so has as
 * many parameters as the function, and is made once for each name and number.
 */
import { type HostFunction, type ImportObject, maySuspend, suspending } from "./contract.ts";
import { compile, literal } from "./source.ts";
import { camelCase, pascalCase } from "./types.ts";

type Class = new (...args: never[]) => object;

/** `undefined` when the interface has none. `count` is how many arguments it is called with. */
export function hostFunction(target: ImportObject[string], name: string, count: number): HostFunction | undefined {
  const special = /^\[(method|static|constructor)\](.+)$/.exec(name);
  if (!special) return target[camelCase(name)] as HostFunction | undefined;
  const [, kind, path] = special;
  const [resource, member] = path!.split(".");
  const Class = target[pascalCase(resource!)] as Class | undefined;
  if (!Class) return undefined;
  const args = Array.from({ length: count }, (_, i) => `x${i}`);
  if (kind === "constructor") return caller(Class, `(${args}) => new Class(${args})`);
  const key = literal(camelCase(member!));
  if (kind === "static") {
    const fn = (Class as unknown as Record<string, HostFunction>)[camelCase(member!)];
    return fn && adopt(fn, caller(Class, `(${args}) => Class[${key}](${args})`));
  }
  const fn = (Class.prototype as Record<string, HostFunction>)[camelCase(member!)];
  return fn && adopt(fn, caller(Class, `(${args}) => x0[${key}](${args.slice(1)})`));
}

function caller(Class: Class, text: string): HostFunction {
  return compile({ Class }, `return ${text};`) as HostFunction;
}

/** A wrapper may suspend exactly when what it wraps may. */
function adopt(original: HostFunction, wrapper: HostFunction): HostFunction {
  return maySuspend(original) ? suspending(wrapper) : wrapper;
}
