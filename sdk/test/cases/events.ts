import { type Cases, equal, fails, same } from "./assert.ts";

const wait = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

export const cases: Cases = {
  "an event reaches its listeners once each, in order"() {
    const target = new EventTarget();
    const seen: string[] = [];
    const first = (event: Event) => seen.push(`first ${event.type} ${event.target === target}`);
    target.addEventListener("x", first);
    target.addEventListener("x", first);
    target.addEventListener("x", { handleEvent: () => void seen.push("object") });
    target.addEventListener("x", () => seen.push("once"), { once: true });
    target.dispatchEvent(new Event("x"));
    target.removeEventListener("x", first);
    target.dispatchEvent(new Event("x"));
    same(seen, ["first x true", "object", "once", "object"]);
  },
  "preventDefault and stopImmediatePropagation"() {
    const target = new EventTarget();
    target.addEventListener("x", (event) => {
      event.preventDefault();
      event.stopImmediatePropagation();
    });
    target.addEventListener("x", () => {
      throw new Error("not reached");
    });
    equal(target.dispatchEvent(new Event("x", { cancelable: true })), false);
    equal(target.dispatchEvent(new Event("x")), true);
  },
  "a custom event carries its detail; a class can be a target"() {
    class Bus extends EventTarget {}
    const bus = new Bus();
    let detail: unknown;
    bus.addEventListener("x", (event) => {
      detail = (event as CustomEvent).detail;
    });
    bus.dispatchEvent(new CustomEvent("x", { detail: 7 }));
    equal(detail, 7);
  },
  "a listener's signal removes it"() {
    const target = new EventTarget();
    const controller = new AbortController();
    let count = 0;
    target.addEventListener("x", () => count++, { signal: controller.signal });
    target.dispatchEvent(new Event("x"));
    controller.abort();
    target.dispatchEvent(new Event("x"));
    equal(count, 1);
  },
  async abort() {
    const controller = new AbortController();
    const { signal } = controller;
    const seen: string[] = [];
    signal.onabort = () => seen.push("onabort");
    signal.addEventListener("abort", () => seen.push("listener"));
    signal.throwIfAborted();
    controller.abort();
    controller.abort(new Error("later"));
    same(seen, ["onabort", "listener"]);
    equal(signal.reason.name, "AbortError");
    equal(signal.reason instanceof DOMException, true);
    await fails("AbortError", () => signal.throwIfAborted());
    equal(AbortSignal.abort("why").reason, "why");
  },
  async "AbortSignal.timeout and AbortSignal.any"() {
    const timeout = AbortSignal.timeout(1);
    const any = AbortSignal.any([new AbortController().signal, timeout]);
    await new Promise((resolve) => any.addEventListener("abort", resolve));
    equal(any.reason.name, "TimeoutError");
    equal(any.reason, timeout.reason);
    equal(AbortSignal.any([AbortSignal.abort(1), AbortSignal.abort(2)]).reason, 1);
    equal(AbortSignal.any([]).aborted, false);
    await fails("TypeError", () => new (AbortSignal as unknown as new () => unknown)());
  },
  async "timers run in order, with their arguments"() {
    const seen: unknown[] = [];
    setTimeout((...args: unknown[]) => seen.push(...args), 4, "b", "c");
    setTimeout(() => seen.push("a"), 0);
    const dropped = setTimeout(() => seen.push("dropped"), 1);
    clearTimeout(dropped);
    clearTimeout(undefined);
    queueMicrotask(() => seen.push("micro"));
    await wait(15);
    same(seen, ["micro", "a", "b", "c"]);
  },
  async "an interval runs until it is cleared"() {
    let count = 0;
    await new Promise<void>((resolve) => {
      const id = setInterval(() => {
        count++;
        if (count < 3) return;
        clearInterval(id);
        resolve();
      }, 1);
    });
    await wait(5);
    equal(count, 3);
  },
  async "time goes on"() {
    const before = Date.now();
    const start = performance.now();
    await wait(2);
    equal(performance.now() > start, true);
    equal(Date.now() > before, true);
    equal(new Date() >= new Date(before), true);
    equal(new Date(2020, 1, 3).getFullYear(), 2020);
    equal(new Date("2020-01-01T00:00:00Z").toISOString(), "2020-01-01T00:00:00.000Z");
    equal(typeof (Date as unknown as () => unknown)(), "string");
    class Moment extends Date {
      plus = 1;
    }
    equal(new Moment(0) instanceof Date && new Moment(0).plus === 1 && new Moment(5).getTime() === 5, true);
    equal(new Date().constructor, Date);
  },
  "chance is in its range, and not always the same"() {
    const values = Array.from({ length: 100 }, () => Math.random());
    equal(
      values.every((value) => value >= 0 && value < 1),
      true,
    );
    equal(new Set(values).size, 100);
  },
};
