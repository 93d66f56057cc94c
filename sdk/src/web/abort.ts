/** AbortController and AbortSignal of the DOM standard. */
import { attribute, Event, EventTarget } from "./event.ts";
import { setTimer } from "./timer.ts";

/** Runs `algorithm` when the signal aborts, before its listeners; answers how to take it back. */
export let follow: (signal: AbortSignal, algorithm: () => void) => () => void;

let create: () => AbortSignal;
let abort: (signal: AbortSignal, reason: unknown) => void;

const PRIVATE = Symbol();

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason: unknown = undefined;
  #onabort: ReturnType<typeof attribute> | undefined;
  /** Run before listeners; dropped once it has aborted. */
  #algorithms: (() => void)[] = [];

  static {
    follow = (signal, algorithm) => {
      signal.#algorithms.push(algorithm);
      return () => {
        signal.#algorithms = signal.#algorithms.filter((known) => known !== algorithm);
      };
    };
    create = () => new AbortSignal(PRIVATE);
    abort = (signal, reason) => {
      if (signal.#aborted) return;
      signal.#aborted = true;
      signal.#reason = reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
      for (const algorithm of signal.#algorithms.splice(0)) algorithm();
      signal.dispatchEvent(new Event("abort"));
    };
  }

  constructor(key?: symbol) {
    super();
    if (key !== PRIVATE) throw new TypeError("Illegal constructor: use AbortController or AbortSignal.timeout()");
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  get onabort(): unknown {
    return this.#onabort?.get() ?? null;
  }

  set onabort(listener: unknown) {
    this.#onabort ??= attribute(this, "abort");
    this.#onabort.set(listener);
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  static abort(reason?: unknown): AbortSignal {
    const signal = create();
    abort(signal, reason);
    return signal;
  }

  static timeout(milliseconds: number): AbortSignal {
    if (!(milliseconds >= 0)) throw new TypeError(`AbortSignal.timeout: ${milliseconds} is not a duration`);
    const signal = create();
    setTimer(() => abort(signal, new DOMException("The operation timed out", "TimeoutError")), milliseconds);
    return signal;
  }

  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const sources = [...signals];
    const result = create();
    const first = sources.find((signal) => signal.aborted);
    if (first) {
      abort(result, first.reason);
      return result;
    }
    const undo = sources.map((signal) =>
      follow(signal, () => {
        for (const leave of undo) leave();
        abort(result, signal.reason);
      }),
    );
    return result;
  }

  override get [Symbol.toStringTag](): string {
    return "AbortSignal";
  }
}

export class AbortController {
  readonly #signal = create();

  get signal(): AbortSignal {
    return this.#signal;
  }

  abort(reason?: unknown): void {
    abort(this.#signal, reason);
  }

  get [Symbol.toStringTag](): string {
    return "AbortController";
  }
}
