/** Event, CustomEvent and EventTarget of the DOM standard, for targets that form no tree. */
import { report } from "./report.ts";

type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

interface Registration {
  readonly type: string;
  readonly listener: Listener;
  readonly capture: boolean;
  readonly once: boolean;
  readonly passive: boolean;
  removed: boolean;
}

interface EventOptions {
  bubbles?: boolean;
  cancelable?: boolean;
  composed?: boolean;
}

interface ListenerOptions {
  capture?: boolean;
  once?: boolean;
  passive?: boolean;
  signal?: EventTarget & { readonly aborted: boolean };
}

interface EventState {
  target: EventTarget | null;
  dispatching: boolean;
  stopped: boolean;
  prevented: boolean;
  passive: boolean;
}

let stateOf: (event: Event) => EventState;

export class Event {
  static readonly NONE = 0;
  static readonly CAPTURING_PHASE = 1;
  static readonly AT_TARGET = 2;
  static readonly BUBBLING_PHASE = 3;

  readonly type: string;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  readonly composed: boolean;
  readonly isTrusted = false;
  readonly timeStamp = 0;
  readonly #state: EventState = { target: null, dispatching: false, stopped: false, prevented: false, passive: false };

  static {
    stateOf = (event) => event.#state;
  }

  constructor(type: string, options: EventOptions = {}) {
    if (type === undefined) throw new TypeError("Event: the type is missing");
    this.type = String(type);
    this.bubbles = Boolean(options.bubbles);
    this.cancelable = Boolean(options.cancelable);
    this.composed = Boolean(options.composed);
  }

  get target(): EventTarget | null {
    return this.#state.target;
  }

  get srcElement(): EventTarget | null {
    return this.#state.target;
  }

  get currentTarget(): EventTarget | null {
    return this.#state.dispatching ? this.#state.target : null;
  }

  get eventPhase(): number {
    return this.#state.dispatching ? Event.AT_TARGET : Event.NONE;
  }

  get defaultPrevented(): boolean {
    return this.#state.prevented;
  }

  get returnValue(): boolean {
    return !this.#state.prevented;
  }

  composedPath(): EventTarget[] {
    return this.#state.dispatching && this.#state.target ? [this.#state.target] : [];
  }

  preventDefault(): void {
    if (this.cancelable && !this.#state.passive) this.#state.prevented = true;
  }

  stopPropagation(): void {
    // A target has no parents here, so there is nowhere to stop on the way to.
  }

  stopImmediatePropagation(): void {
    this.#state.stopped = true;
  }

  get [Symbol.toStringTag](): string {
    return "Event";
  }
}

export class CustomEvent<T = unknown> extends Event {
  readonly detail: T | null;

  constructor(type: string, options: EventOptions & { detail?: T } = {}) {
    super(type, options);
    this.detail = options.detail ?? null;
  }

  override get [Symbol.toStringTag](): string {
    return "CustomEvent";
  }
}

export class EventTarget {
  #registrations: Registration[] = [];

  addEventListener(type: string, listener: Listener | null, options: boolean | ListenerOptions = {}): void {
    const { capture = false, once = false, passive = false, signal } = toOptions(options);
    if (listener === null || listener === undefined || signal?.aborted) return;
    if (typeof listener !== "function" && typeof listener !== "object") {
      throw new TypeError("addEventListener: the listener is neither a function nor an object");
    }
    const same = this.#registrations.some(
      (known) => known.type === `${type}` && known.listener === listener && known.capture === capture,
    );
    if (same) return;
    const registration = { type: `${type}`, listener, capture, once, passive, removed: false };
    this.#registrations.push(registration);
    signal?.addEventListener("abort", () => this.#remove(registration), { once: true });
  }

  removeEventListener(type: string, listener: Listener | null, options: boolean | ListenerOptions = {}): void {
    const { capture = false } = toOptions(options);
    const found = this.#registrations.find(
      (known) => known.type === `${type}` && known.listener === listener && known.capture === capture,
    );
    if (found) this.#remove(found);
  }

  dispatchEvent(event: Event): boolean {
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent: the argument is not an Event");
    const state = stateOf(event);
    if (state.dispatching) throw new DOMException("The event is already being dispatched", "InvalidStateError");
    state.dispatching = true;
    state.target = this;
    state.stopped = false;
    // A copy: listeners added meanwhile wait for the next event, those removed are skipped.
    for (const registration of [...this.#registrations]) {
      if (registration.type !== event.type || registration.removed) continue;
      if (registration.once) this.#remove(registration);
      state.passive = registration.passive;
      const { listener } = registration;
      try {
        if (typeof listener === "function") listener.call(this, event);
        else listener.handleEvent(event);
      } catch (error) {
        report(`An event listener for "${event.type}" threw`, error);
      }
      if (state.stopped) break;
    }
    state.passive = false;
    state.dispatching = false;
    return !state.prevented;
  }

  #remove(registration: Registration): void {
    registration.removed = true;
    this.#registrations = this.#registrations.filter((known) => known !== registration);
  }

  get [Symbol.toStringTag](): string {
    return "EventTarget";
  }
}

function toOptions(options: boolean | ListenerOptions | null): ListenerOptions {
  if (typeof options === "boolean") return { capture: options };
  const { capture, once, passive, signal } = options ?? {};
  return {
    capture: Boolean(capture),
    once: Boolean(once),
    passive: Boolean(passive),
    ...(signal ? { signal } : {}),
  };
}

/** Gives `target` the `on<type>` attribute of a class: one listener, replaced by assignment. */
export function attribute(target: EventTarget, type: string): { get(): Listener | null; set(listener: unknown): void } {
  let current: Listener | null = null;
  return {
    get: () => current,
    set(listener) {
      if (current) target.removeEventListener(type, current);
      current = typeof listener === "function" ? (listener as Listener) : null;
      if (current) target.addEventListener(type, current);
    },
  };
}
