/**
 * A component that exports wasi:http/incoming-handler 0.2, as an {@link Instance}.
 *
 *   handle(call) ─ guest runs ─┬─ set ─ body ─ returned            reply, whole or streamed
 *                              ├─ returned without set             no-reply
 *                              ├─ set, body not finished           invalid-reply, or a broken stream
 *                              ├─ trap                             instance-trapped; broken
 *                              └─ call.signal aborted              its reason; broken if the guest stays inside
 *
 * The guest blocks, so that an instance is in one call at a time: from `handle` until the guest has
 * returned. A reply whose head was given streams on beside it. Nothing is waited for, and nothing
 * listens to the signal, in a call that the guest answers without waiting.
 */
import { type Call, CytoError, type Headers, type Reply } from "../../kernel/index.ts";
import type { CoreInstance, Grants, Instance } from "../contract.ts";
import { metLimit } from "../meter.ts";
import { type Answerable, IncomingRequest, type OutgoingResponse, ResponseOutparam } from "../wasi/http/message.ts";
import { assertLive, cancelUnderway, createHostState, endState, type HostState, quickTurns } from "../wasi/state.ts";
import { cancellation, describe, invalid, refusal, toInvalid } from "./answer-error.ts";

const handlerInterface = "wasi:http/incoming-handler";

/** A promise when the component imports anything that may suspend it. */
type Handle = (request: IncomingRequest, out: ResponseOutparam) => unknown;

/** What the hosts and the instance share; make one for each instance. */
export function createHttpState(grants: Grants): HostState {
  return createHostState(grants);
}

/** `core` was instantiated with the host objects of `state`. */
export function openHttpInstance(core: CoreInstance, state: HostState): Instance {
  const handle = core.exports[handlerInterface]?.handle;
  if (handle === undefined)
    throw new CytoError(
      "invalid-component",
      `Cannot open service ${state.grants.service}: it does not export ${handlerInterface}`,
    );
  return new HttpInstance(core, handle as unknown as Handle, state);
}

class HttpInstance implements Instance {
  readonly concurrency = 1;
  /** Absent where the component cannot be put back. */
  readonly reset?: () => boolean;
  broken: CytoError | undefined;
  onFinish: (() => void) | undefined;
  readonly #core: CoreInstance;
  readonly #run: Handle;
  readonly #state: HostState;
  /** The call that the guest is in. */
  #exchange: Exchange | undefined;
  #idle: (() => void)[] = [];
  #ended = false;

  constructor(core: CoreInstance, run: Handle, state: HostState) {
    this.#core = core;
    this.#run = run;
    this.#state = state;
    if (core.reset !== undefined) this.reset = () => this.#reset();
  }

  get active(): number {
    return this.#exchange === undefined ? 0 : 1;
  }

  async handle(call: Call): Promise<Reply> {
    const exchange = this.#begin(call);
    for (let turn = 0; turn < quickTurns && !exchange.left && !exchange.full; turn++) await undefined;
    if (!exchange.left) await this.#waitFor(exchange);
    return exchange.reply();
  }

  idle(): Promise<void> {
    return this.#exchange === undefined ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  memoryBytes(): number {
    return this.#core.memoryBytes();
  }

  [Symbol.dispose](): void {
    this.broken ??= new CytoError(
      "draining",
      `Cannot call service ${this.#state.grants.service}: the instance was disposed`,
    );
    this.#exchange?.fail(this.broken);
    this.#end();
  }

  #reset(): boolean {
    if (this.#exchange !== undefined || this.broken !== undefined || this.#core.reset?.() !== true) return false;
    // What is open though the guest dropped all it had was not its own to drop.
    return this.#state.open.size === 0;
  }

  /** Runs the guest until it returns or first waits. */
  #begin(call: Call): Exchange {
    if (this.broken !== undefined) throw this.broken;
    if (this.#exchange !== undefined)
      throw new CytoError("overloaded", `Cannot call service ${call.service}: the instance is in another call`);
    if (call.signal.aborted) throw cancellation(call);
    assertLive(this.#state);
    const exchange = new Exchange(call);
    this.#exchange = exchange;
    this.#state.call = call;
    try {
      const running = this.#run(exchange.request, new ResponseOutparam(exchange));
      if (running instanceof Promise)
        running.then(
          () => this.#returned(exchange),
          (thrown) => this.#trapped(exchange, thrown),
        );
      else this.#returned(exchange);
    } catch (thrown) {
      this.#trapped(exchange, thrown);
    }
    return exchange;
  }

  /** Until the guest has answered, and has had its turn to finish the body; or until it fails. */
  async #waitFor(exchange: Exchange): Promise<void> {
    const { signal } = exchange.call;
    const abort = (): void => this.#abort(exchange);
    signal.addEventListener("abort", abort, { once: true });
    exchange.unlisten = () => signal.removeEventListener("abort", abort);
    if (signal.aborted) abort();
    if (!exchange.decided) {
      await new Promise<void>((resolve) => {
        exchange.wake = resolve;
      });
      for (
        let turn = 0;
        turn < quickTurns && !exchange.left && !exchange.full && exchange.failure === undefined;
        turn++
      )
        await undefined;
    }
  }

  #returned(exchange: Exchange): void {
    if (exchange.left) return;
    exchange.returned();
    this.#leave();
  }

  #trapped(exchange: Exchange, thrown: unknown): void {
    if (exchange.left) return;
    const { service } = exchange.call;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    this.broken ??= metLimit(thrown)
      ? thrown
      : new CytoError("instance-trapped", `Cannot finish the call to service ${service}: ${message}`, {
          cause: thrown,
          hint: "What the guest wrote to its standard error is in the log of the service.",
        });
    exchange.fail(this.broken);
    this.#end();
  }

  /** The caller has gone: what the guest waits for fails, which is its chance to return. */
  #abort(exchange: Exchange): void {
    const reason = cancellation(exchange.call);
    exchange.fail(reason);
    cancelUnderway(this.#state, reason);
    setImmediate(() => {
      if (exchange.left) return;
      this.broken ??= reason;
      this.#end();
    });
  }

  /** Nothing runs in the instance from here on, and nothing of it stays open. */
  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    endState(this.#state);
    this.#leave();
    this.#core[Symbol.dispose]();
  }

  #leave(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    exchange.leave();
    for (const finish of this.#state.afterCall) finish();
    if (this.#state.underway.size > 0) cancelUnderway(this.#state, returnedEarly(exchange.call));
    this.#exchange = undefined;
    this.#state.call = undefined;
    this.onFinish?.();
    const waiting = this.#idle;
    if (waiting.length === 0) return;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}

/** One call on its way through the guest. */
class Exchange implements Answerable {
  readonly call: Call;
  readonly request: IncomingRequest;
  failure: CytoError | undefined;
  /** The guest is out: it returned, trapped, or was given up. */
  left = false;
  wake: (() => void) | undefined;
  unlisten: (() => void) | undefined;
  #response: OutgoingResponse | undefined;

  constructor(call: Call) {
    this.call = call;
    this.request = new IncomingRequest(call);
  }

  /** Whether there is something to tell the caller. */
  get decided(): boolean {
    return this.#response !== undefined || this.failure !== undefined;
  }

  /** Whether the guest can write no more before somebody reads. */
  get full(): boolean {
    return this.#response?.pipe?.room() === 0;
  }

  answer(answer: Parameters<Answerable["answer"]>[0]): void {
    if (answer.tag === "ok") {
      this.#response = answer.val;
      answer.val.answers = this.call.method;
    } else this.failure ??= refusal(this.call, answer.val);
    this.#decide();
  }

  unanswered(): void {
    this.failure ??= noReply(this.call, "the guest dropped its response-outparam");
    this.#decide();
  }

  returned(): void {
    if (!this.decided) this.failure = noReply(this.call, "the guest returned without a response");
    const pipe = this.#response?.pipe;
    if (pipe !== undefined && !pipe.ended) pipe.break(unfinished(this.call));
  }

  /** Breaks both bodies; what was not yet told the caller is now this. */
  fail(failure: CytoError): void {
    this.failure ??= failure;
    this.request.stream?.fail(failure);
    this.#response?.pipe?.break(failure);
    this.#decide();
  }

  leave(): void {
    this.left = true;
    this.request.stream?.[Symbol.dispose]();
    this.unlisten?.();
    this.#decide();
  }

  reply(): Reply {
    if (this.failure !== undefined) throw this.failure;
    const response = this.#response!;
    const { status, pipe } = response;
    if (status < 200) throw invalid(this.call, `status ${status} is not final`);
    const headers = response.fields.headers();
    if (pipe === undefined) return this.#empty(response, headers);
    if (pipe.failure !== undefined) throw toInvalid(this.call, pipe.failure);
    if (pipe.ended && pipe.written === 0) return this.#empty(response, headers);
    return { status, headers, body: pipe.body()! };
  }

  #empty(response: OutgoingResponse, headers: Headers): Reply {
    const declared = response.fields.first("content-length");
    if (declared !== undefined && !/^0+$/.test(declared) && !response.mayBeEmpty())
      throw invalid(this.call, `content-length says ${declared} and there is no body`);
    return { status: response.status, headers };
  }

  #decide(): void {
    const wake = this.wake;
    this.wake = undefined;
    wake?.();
  }
}

function noReply(call: Call, why: string): CytoError {
  return new CytoError("no-reply", `Cannot answer ${describe(call)}: ${why}`);
}

function unfinished(call: Call): CytoError {
  return invalid(call, "the guest returned before the body was finished");
}

function returnedEarly(call: Call): CytoError {
  return new CytoError("cancelled", `Cannot finish the request: the guest returned from ${describe(call)}`);
}
