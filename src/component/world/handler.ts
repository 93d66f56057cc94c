/**
 * A component that exports wasi:http/handler 0.3 (`service` and `middleware`), as an {@link Instance}.
 *
 *   handle(call) ─ guest runs ─┬─ returns a response ─ body ends        reply, whole or streamed
 *                              ├─ returns an error                      service-failed
 *                              ├─ the body is not what its head says    invalid-reply, or a broken stream
 *                              ├─ trap, or a limit met                  instance-trapped; broken, with all its calls
 *                              └─ call.signal aborted                   its reason; the guest is asked to cancel
 *
 * The guest never blocks its instance: many calls are in it at a time. A call is counted until the guest
 * has answered it and its body has ended; one whose caller has gone, until the guest has let go of it.
 * An instance in which nothing but such calls is left, for longer than they are given, is broken: its
 * guest does not hear. What a guest does after its reply has ended is its own, until the instance ends.
 */
import { type Body, type Call, CytoError, type Headers, type Reply } from "../../kernel/index.ts";
import type { CoreInstance, Instance, TaskOptions } from "../contract.ts";
import { metLimit, oneOfSeveral } from "../meter.ts";
import { ComponentError } from "../signature.ts";
import { type Head, headOf, ReceivedContents } from "../wasi/0.3/http/contents.ts";
import { GuestBody } from "../wasi/0.3/http/guest-body.ts";
import { Request, type Response } from "../wasi/0.3/http/message.ts";
import type { ErrorCode } from "../wasi/http/error.ts";
import { assertLive, endState, type HostState, quickTurns } from "../wasi/state.ts";
import { cancellation, invalid, refusal, toInvalid } from "./answer-error.ts";

const handlerInterface = "wasi:http/handler";
/** How long a guest may take to let go of a call whose caller has gone. */
const leaveMs = 1_000;

type Handle = (request: Request, options: TaskOptions) => Promise<Response>;

/** `core` was instantiated with the host objects of `state`; at most `concurrency` calls are in it at a time. */
export function openHandlerInstance(core: CoreInstance, state: HostState, concurrency: number): Instance {
  const handle = core.exports[handlerInterface]?.handle;
  if (handle === undefined)
    throw new CytoError(
      "invalid-component",
      `Cannot open service ${state.grants.service}: it does not export ${handlerInterface}`,
    );
  return new HandlerInstance(core, handle as unknown as Handle, state, concurrency);
}

class HandlerInstance implements Instance {
  readonly concurrency: number;
  broken: CytoError | undefined;
  onFinish: (() => void) | undefined;
  readonly #core: CoreInstance;
  readonly #run: Handle;
  readonly #state: HostState;
  readonly #exchanges = new Set<Exchange>();
  /** Tasks of the guest that have not ended. */
  #tasks = 0;
  #idle: (() => void)[] = [];
  #ended = false;

  constructor(core: CoreInstance, run: Handle, state: HostState, concurrency: number) {
    this.#core = core;
    this.#run = run;
    this.#state = state;
    this.concurrency = concurrency;
  }

  get active(): number {
    return this.#exchanges.size;
  }

  async handle(call: Call): Promise<Reply> {
    if (this.broken !== undefined) throw this.broken;
    if (this.active >= this.concurrency)
      throw new CytoError("overloaded", `Cannot call service ${call.service}: the instance is in ${this.active} calls`);
    if (call.signal.aborted) throw cancellation(call);
    assertLive(this.#state);
    const exchange = new Exchange(call);
    this.#exchanges.add(exchange);
    this.#attribute();
    exchange.left = () => this.#leave(exchange);
    exchange.listen(() => this.#abandon(exchange));
    try {
      const response = await exchange.unlessFailed(this.#enter(exchange));
      const reply = await exchange.reply(response);
      if (exchange.body === undefined) exchange.leave();
      return reply;
    } catch (thrown) {
      const failure = exchange.failure ?? toInvalid(call, thrown);
      exchange.fail(failure);
      if (exchange.answered) exchange.leave();
      throw failure;
    }
  }

  idle(): Promise<void> {
    return this.#isIdle() ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  memoryBytes(): number {
    return this.#core.memoryBytes();
  }

  [Symbol.dispose](): void {
    this.#break(
      new CytoError("draining", `Cannot call service ${this.#state.grants.service}: the instance was disposed`),
    );
  }

  /** Starts the guest's task. Settles with its response; a trap breaks the instance first. */
  #enter(exchange: Exchange): Promise<Response> {
    const { call } = exchange;
    this.#tasks++;
    const answer = (async () =>
      this.#run(exchange.request, {
        signal: exchange.cancelled,
        cause: call,
        ended: (trapped) => {
          this.#tasks--;
          if (trapped !== undefined) this.#trapped(trapped);
          this.#wakeIdle();
        },
      }))();
    return answer.then(
      (response) => {
        exchange.answered = true;
        // Its caller has gone meanwhile, or the instance has.
        if (exchange.failure !== undefined) {
          response[Symbol.dispose]();
          exchange.leave();
        }
        return response;
      },
      (thrown) => {
        exchange.answered = true;
        const failed = exchange.failure !== undefined;
        if (thrown instanceof ComponentError) exchange.fail(refusal(call, thrown.payload as ErrorCode));
        else if (!exchange.cancelled.aborted) this.#trapped(thrown);
        if (failed) exchange.leave();
        throw exchange.failure ?? thrown;
      },
    );
  }

  /** The caller has gone: what its call waits for fails, and the guest is asked to let go of it. */
  #abandon(exchange: Exchange): void {
    exchange.fail(cancellation(exchange.call));
    if (exchange.answered) {
      exchange.leave();
      return;
    }
    exchange.abandoned = this.#state.grants.clock.after(leaveMs, () => {
      exchange.overdue = true;
      this.#breakIfStuck();
    });
  }

  #breakIfStuck(): void {
    if (this.active === 0 || [...this.#exchanges].some((exchange) => !exchange.overdue)) return;
    const { service } = this.#state.grants;
    this.#break(
      new CytoError("cancelled", `Cannot go on with an instance of service ${service}: it holds on to cancelled calls`),
    );
  }

  #trapped(thrown: unknown): void {
    if (this.broken !== undefined) return;
    const { service } = this.#state.grants;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    // Of several calls nobody knows which one met a limit.
    this.#break(
      this.active === 1 && metLimit(thrown)
        ? thrown
        : new CytoError("instance-trapped", `Cannot finish the call to service ${service}: ${message}`, {
            cause: thrown,
            hint: metLimit(thrown)
              ? oneOfSeveral
              : "What the guest wrote to its standard error is in the log of the service.",
          }),
    );
  }

  /** Nothing runs in the instance from here on, and nothing of it stays open. */
  #break(failure: CytoError): void {
    this.broken ??= failure;
    if (this.#ended) return;
    this.#ended = true;
    // First of all, so that no guest code runs on what follows.
    this.#core[Symbol.dispose]();
    endState(this.#state);
    if (this.active === 0) this.onFinish?.();
    for (const exchange of [...this.#exchanges]) {
      exchange.fail(failure);
      exchange.leave();
    }
    this.#tasks = 0;
    this.#wakeIdle();
  }

  #leave(exchange: Exchange): void {
    this.#exchanges.delete(exchange);
    for (const finish of this.#state.afterCall) finish();
    this.#attribute();
    if (!this.#ended) this.#breakIfStuck();
    this.onFinish?.();
    this.#wakeIdle();
  }

  /** What cannot tell which call it is part of is part of the only one, or of none. */
  #attribute(): void {
    const [only, another] = this.#exchanges;
    this.#state.call = another === undefined ? only?.call : undefined;
  }

  #isIdle(): boolean {
    return this.active === 0 && this.#tasks <= 0;
  }

  #wakeIdle(): void {
    if (!this.#isIdle()) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}

/** One call on its way through the guest. */
class Exchange {
  readonly call: Call;
  readonly request: Request;
  failure: CytoError | undefined;
  /** The guest has returned, or has let go. */
  answered = false;
  /** The reply's body while it streams. */
  body: GuestBody | Body | undefined;
  /** Runs while the guest may still let go of it; afterwards `overdue`. */
  abandoned: Disposable | undefined;
  overdue = false;
  /** Told once, when it is over. */
  left: (() => void) | undefined;
  readonly #contents: ReceivedContents;
  readonly #cancel = new AbortController();
  #unlisten: (() => void) | undefined;
  #reject: ((failure: CytoError) => void) | undefined;

  constructor(call: Call) {
    this.call = call;
    this.#contents = new ReceivedContents(call.body);
    this.request = Request.received(call, this.#contents);
  }

  get cancelled(): AbortSignal {
    return this.#cancel.signal;
  }

  listen(abort: () => void): void {
    const { signal } = this.call;
    signal.addEventListener("abort", abort, { once: true });
    this.#unlisten = () => signal.removeEventListener("abort", abort);
  }

  /** As `answer`, or the failure that comes before it. */
  unlessFailed(answer: Promise<Response>): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      answer.then(resolve, reject);
      if (this.failure !== undefined) reject(this.failure);
    });
  }

  /** Breaks both bodies and asks the guest to cancel; what was not yet told the caller is now this. */
  fail(failure: CytoError): void {
    if (this.failure !== undefined) return;
    this.failure = failure;
    this.#contents.fail(failure);
    if (this.body instanceof GuestBody) this.body.break(failure);
    this.#cancel.abort(failure);
    this.#reject?.(failure);
  }

  leave(): void {
    this.#unlisten?.();
    this.abandoned?.[Symbol.dispose]();
    const left = this.left;
    this.left = undefined;
    left?.();
  }

  async reply(response: Response): Promise<Reply> {
    const { call } = this;
    const status = response.getStatusCode();
    if (status < 200) {
      response[Symbol.dispose]();
      throw invalid(call, `status ${status} is not final`);
    }
    const headers = response.fields.headers();
    const contents = response.contents.transmit(head(response, call.method));
    this.body = contents;
    if (this.failure !== undefined && contents instanceof GuestBody) contents.break(this.failure);
    const body = contents instanceof GuestBody ? await contents.gather(quickTurns) : contents;
    if (body === undefined || body instanceof Uint8Array) {
      this.body = undefined;
      return { status, headers: headers as Headers, ...(body !== undefined && { body }) };
    }
    return { status, headers, body: this.#watched(body) };
  }

  /** The body, with its end noticed: it is the end of the call. */
  #watched(body: AsyncIterable<Uint8Array, unknown>): AsyncIterable<Uint8Array, unknown> {
    const steps = body[Symbol.asyncIterator]();
    const exchange = this;
    return {
      [Symbol.asyncIterator]: () => ({
        async next() {
          try {
            const step = await steps.next();
            if (step.done) exchange.leave();
            return step;
          } catch (thrown) {
            const failure = exchange.failure ?? toInvalid(exchange.call, thrown);
            exchange.fail(failure);
            exchange.leave();
            throw failure;
          }
        },
        async return() {
          await steps.return?.();
          exchange.leave();
          return { done: true, value: undefined };
        },
      }),
    };
  }
}

/** Throws what {@link toInvalid} makes an invalid reply of. */
function head(response: Response, method: string): Head {
  try {
    return headOf(response.fields, method === "HEAD" || response.getStatusCode() === 304);
  } catch (thrown) {
    response[Symbol.dispose]();
    throw thrown;
  }
}
