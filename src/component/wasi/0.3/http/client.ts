/**
 * The way out of wasi:http 0.3: `client.send`, through `grants.fetch`; and of a middleware
 * `handler.handle`, to the next of its chain, through `grants.next`.
 *
 *   sent ─▶ head arrived ─▶ body ended
 *
 * A request ends with the guest's call until its head has arrived, with its body from then on, and with
 * the instance whenever that ends: the platform's signal is then aborted.
 */
import { type Body, type Call, CytoError, type Reply } from "../../../../kernel/index.ts";
import type { AsyncCall, Grants, OutgoingRequest } from "../../../contract.ts";
import { toTimerMs } from "../../clocks.ts";
import { type ErrorCode, HttpFault, toErrorCode } from "../../http/error.ts";
import { assertLive, type HostState, quickTurns } from "../../state.ts";
import { headOf, MadeContents, ReceivedContents } from "./contents.ts";
import { GuestBody } from "./guest-body.ts";
import { type Request, Response } from "./message.ts";

/** Where requests go. */
export type Destination = (request: OutgoingRequest, parent: Call | undefined) => Promise<Reply>;

/** Requests that one instance may have under way at a time. */
const requestsUnderway = 1024;

/** The function `send` or `handle` as a guest imports it. */
export function createSend(destination: Destination, grants: Grants, state: HostState) {
  return async (request: Request, call: AsyncCall): Promise<Response> => {
    assertLive(state);
    const url = request.url();
    const refused: ErrorCode | undefined =
      state.underway.size >= requestsUnderway
        ? { tag: "connection-limit-reached" }
        : url === undefined
          ? { tag: "HTTP-request-URI-invalid" }
          : undefined;
    if (refused !== undefined) {
      fail(request, refused);
      throw refused;
    }
    const parent = (call.cause as Call | undefined) ?? state.call;
    return new Exchange(grants, state, request, call.signal).send(url!, destination, parent);
  };
}

class Exchange {
  readonly #grants: Grants;
  readonly #state: HostState;
  readonly #request: Request;
  readonly #call: AbortSignal;
  readonly #abort = new AbortController();
  readonly #cancel = (reason: CytoError): void => this.#cut(reason);
  readonly #gone = (): void =>
    this.#cut(new CytoError("cancelled", "Cannot finish the request: the guest waits for it no more"));
  #timer: Disposable | undefined;
  /** Why it was cut short. */
  #cause: unknown;

  constructor(grants: Grants, state: HostState, request: Request, call: AbortSignal) {
    this.#grants = grants;
    this.#state = state;
    this.#request = request;
    this.#call = call;
  }

  async send(url: string, destination: Destination, parent: Call | undefined): Promise<Response> {
    const request = this.#request;
    const { connect, firstByte } = request.options ?? {};
    const connectMs = toTimerMs(connect);
    this.#state.underway.add(this.#cancel);
    this.#call.addEventListener("abort", this.#gone);
    if (this.#call.aborted) this.#gone();
    this.#time(firstByte, "HTTP-response-timeout", "no reply came in time");
    try {
      const contents = request.contents.transmit(headOf(request.fields, false));
      const body = contents instanceof GuestBody ? await contents.gather(quickTurns) : contents;
      if (this.#cause !== undefined) throw this.#cause;
      const reply = await destination(
        {
          method: request.methodName(),
          url,
          headers: request.fields.headers(),
          ...(body !== undefined && { body }),
          ...(connectMs !== undefined && { connectTimeoutMs: connectMs }),
          signal: this.#abort.signal,
        },
        parent,
      );
      this.#timer?.[Symbol.dispose]();
      this.#call.removeEventListener("abort", this.#gone);
      if (request.contents instanceof MadeContents) request.contents.answered();
      const received = new ReceivedContents(this.#watched(reply.body), this.#gone);
      return Response.received(reply.status, reply.headers, received);
    } catch (thrown) {
      this.#release();
      const error = toErrorCode(this.#cause ?? thrown);
      fail(request, error);
      throw error;
    }
  }

  /** The reply's body, with its end noticed and its pauses timed. */
  #watched(body: Body | undefined): Body | undefined {
    if (body === undefined || body instanceof Uint8Array) {
      this.#release();
      return body;
    }
    const { betweenBytes } = this.#request.options ?? {};
    const exchange = this;
    let steps: AsyncIterator<Uint8Array, unknown> | undefined;
    return {
      [Symbol.asyncIterator]: () => ({
        async next() {
          try {
            if (exchange.#cause !== undefined) throw exchange.#cause;
            exchange.#time(betweenBytes, "connection-read-timeout", "the next bytes came too late");
            steps ??= body[Symbol.asyncIterator]();
            const step = await steps.next();
            exchange.#timer?.[Symbol.dispose]();
            if (step.done) exchange.#release();
            return step;
          } catch (thrown) {
            exchange.#release();
            throw exchange.#cause ?? thrown;
          }
        },
        async return() {
          exchange.#release();
          // First, for a body that waits for its next bytes hears nothing else.
          exchange.#abort.abort();
          await steps?.return?.();
          return { done: true, value: undefined };
        },
      }),
    };
  }

  #time(timeout: bigint | undefined, tag: string, why: string): void {
    const delayMs = toTimerMs(timeout);
    if (delayMs === undefined) return;
    this.#timer = this.#grants.clock.after(delayMs, () =>
      this.#cut(new HttpFault({ tag }, `Cannot finish the request: ${why}`)),
    );
  }

  #cut(cause: unknown): void {
    this.#cause ??= cause;
    this.#release();
    this.#abort.abort(cause);
  }

  #release(): void {
    this.#timer?.[Symbol.dispose]();
    this.#call.removeEventListener("abort", this.#gone);
    this.#state.underway.delete(this.#cancel);
  }
}

/** Whoever made it learns that it was not transmitted. */
function fail({ contents }: Request, error: ErrorCode): void {
  if (contents instanceof MadeContents) contents.fail(error);
  contents.discard();
}
