/**
 * setTimeout and setInterval over the host's `sleep`.
 *
 * A timer's id is the number of its first operation; an interval sleeps anew after every run. What a
 * callback throws is logged, never lost.
 */
import timers from "cytoplane:service/timers@0.1.0";
import { begin, forget, scope } from "../operation.ts";
import { report } from "./report.ts";

type Callback = (...args: never[]) => unknown;

/** The operation that an interval now sleeps on, by its id. */
const intervals = new Map<number, number>();

export function setTimer(callback: () => void, milliseconds: number): number {
  return begin((op) => timers.sleep(op, milliseconds), callback);
}

export function clearTimer(id: number): void {
  const op = intervals.get(id) ?? id;
  intervals.delete(id);
  if (forget(op) && scope.awake) timers.cancel(op);
}

export function setTimeout<A extends unknown[]>(callback: (...args: A) => void, delay?: number, ...args: A): number {
  requireFunction("setTimeout", callback);
  return setTimer(() => run("A timer", callback, args), toDelay(delay));
}

export function setInterval<A extends unknown[]>(callback: (...args: A) => void, delay?: number, ...args: A): number {
  requireFunction("setInterval", callback);
  const milliseconds = toDelay(delay);
  const tick = () => {
    run("An interval", callback, args);
    // The callback may have cleared it.
    if (intervals.has(id)) intervals.set(id, setTimer(tick, milliseconds));
  };
  const id = setTimer(tick, milliseconds);
  intervals.set(id, id);
  return id;
}

export function clearTimeout(id?: number | null): void {
  if (id !== undefined && id !== null) clearTimer(Number(id));
}

/** The engine's own, except that what the callback throws is logged. */
export function wrapQueueMicrotask(native: (callback: () => void) => void): (callback: () => void) => void {
  return function queueMicrotask(callback) {
    requireFunction("queueMicrotask", callback);
    native(() => run("A microtask", callback, []));
  };
}

function run<A extends unknown[]>(what: string, callback: (...args: A) => unknown, args: A): void {
  try {
    const result = callback(...args);
    if (result instanceof Promise) result.catch((error) => report(`${what} rejected`, error));
  } catch (error) {
    report(`${what} threw`, error);
  }
}

function requireFunction(name: string, callback: Callback | (() => void)): void {
  if (typeof callback !== "function") throw new TypeError(`${name}: the callback is not a function`);
}

function toDelay(delay: number | undefined): number {
  const milliseconds = Number(delay);
  return milliseconds > 0 ? Math.min(milliseconds, 0x7fffffff) : 0;
}
