/**
 * JavaScript made from text, for work that is known only once a component's types are: V8 then sees
 * constants where a closure would look them up.
 *
 * The text is ours alone. A name out of a component gets into it as a literal through {@link literal}
 * or {@link property}, and everything else as a value beside it. Equal text is compiled once, so that components that
 * share an interface share its code, and what V8 learnt about it.
 */

/** What the text may speak of, by the names it uses. */
export type Constants = Readonly<Record<string, unknown>>;
type Factory = (...values: unknown[]) => unknown;

const factories = new Map<string, Factory>();
const FACTORIES_MAX = 4096;
const KEPT_LENGTH_MAX = 65_536;

/** Runs the body of a function, strict, with the constants in scope; answers what it returns. */
export function compile(constants: Constants, body: string): unknown {
  const names = Object.keys(constants);
  const key = `${names.join()}\n${body}`;
  let factory = factories.get(key);
  if (factory === undefined) {
    factory = new Function(...names, `"use strict";\n${body}`) as Factory;
    // Kept in the order of their making; the oldest makes room.
    if (factories.size >= FACTORIES_MAX) factories.delete(factories.keys().next().value!);
    if (key.length <= KEPT_LENGTH_MAX) factories.set(key, factory);
  }
  return factory(...names.map((name) => constants[name]));
}

/** A text as a JavaScript literal, whatever it holds. */
export function literal(text: string): string {
  return JSON.stringify(text);
}

/** A key of an object literal; computed, since a plain `__proto__` would not make a property. */
export function property(name: string): string {
  return name === "__proto__" ? `[${literal(name)}]` : literal(name);
}
