/**
 * Date and performance on the host's time.
 *
 * While the component is being built time stands at zero, so that a build is the same whenever it is made.
 */
import timers from "cytoplane:service/timers@0.1.0";
import { scope } from "../operation.ts";

export function now(): number {
  return scope.awake ? Math.floor(timers.now()) : 0;
}

/** The engine's Date, asking the host where it would ask the system. */
export function wrapDate(native: DateConstructor): DateConstructor {
  const wrapped = function (...args: number[]): Date | string {
    if (!new.target) return new native(now()).toString();
    return Reflect.construct(native, args.length === 0 ? [now()] : args, new.target);
  };
  Object.defineProperty(wrapped, "name", { value: "Date", configurable: true });
  Object.defineProperty(wrapped, "length", { value: 7, configurable: true });
  native.prototype.constructor = wrapped;
  return Object.assign(wrapped, {
    prototype: native.prototype,
    now,
    parse: native.parse,
    UTC: native.UTC,
  }) as unknown as DateConstructor;
}

let originMs: number | undefined;

function sinceOrigin(): number {
  if (!scope.awake) return 0;
  const monotonicMs = timers.monotonic();
  originMs ??= monotonicMs;
  return monotonicMs - originMs;
}

export const performance = {
  now: sinceOrigin,
  get timeOrigin(): number {
    return scope.awake ? timers.now() - sinceOrigin() : 0;
  },
  toJSON(): { timeOrigin: number } {
    return { timeOrigin: this.timeOrigin };
  },
};
