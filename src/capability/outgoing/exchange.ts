/**
 * One request and its reply, from sending to the last byte, and all that can cut it short: the
 * deadline, the guest that gives up, the caller that goes. `end` runs once, whatever happened, and
 * leaves no timer, listener or half-read body behind.
 */
import { type Body, type Call, type Clock, CytoError, type Headers } from "../../kernel/index.ts";
import type { OutgoingRequest } from "../request.ts";

export interface ExchangeOptions {
  /** For messages. */
  readonly host: string;
  readonly request: OutgoingRequest;
  readonly parent: Call | undefined;
  readonly deadlineMs: number;
  readonly clock: Clock;
}

export interface Exchange {
  /** Aborted, with a CytoError as its reason, when the exchange is cut short. */
  readonly signal: AbortSignal;
  /** The request's body; its producer is told when the exchange has ended. */
  readonly body: Body | undefined;
  /** The reply's body, which ends with what `trailers` then answers; its end is the end of the exchange. */
  read(
    source: AsyncIterable<Uint8Array>,
    trailers: () => Headers,
    toError: (error: unknown) => CytoError,
  ): AsyncIterable<Uint8Array, unknown>;
  /** The request is on a connection: what bounded the wait for one is over. */
  connected(): void;
  end(): void;
}

/** The longest that a timer of Node can be. */
const timerMaxMs = 2 ** 31 - 1;

export function createExchange({ host, request, parent, deadlineMs, clock }: ExchangeOptions): Exchange {
  const abort = new AbortController();
  const producer = request.body instanceof Uint8Array ? undefined : request.body?.[Symbol.asyncIterator]();
  let ended = false;

  const late = () =>
    new CytoError("deadline-exceeded", `Cannot get a reply from ${host}: the time of the call that needs it is over`, {
      hint: "Raise the policy's timeout, or find out why the host is slow.",
    });
  const unconnected = () =>
    new CytoError("upstream-failed", `Cannot call ${host}: there was no connection to it in the time that was given`, {
      cause: Object.assign(new Error("no connection in time"), { code: "UND_ERR_CONNECT_TIMEOUT" }),
    });
  const cut = (reason: CytoError) => {
    end();
    abort.abort(reason);
  };
  const gone = (event: Event) => {
    const { reason } = event.target as AbortSignal;
    if (reason instanceof CytoError) cut(reason);
    else if (clock.now() >= deadlineMs) cut(late());
    else cut(new CytoError("cancelled", `Cannot get a reply from ${host}: nobody waits for it any more`));
  };

  const timer = clock.after(Math.min(Math.max(0, deadlineMs - clock.now()), timerMaxMs), () => cut(late()));
  const connecting =
    request.connectTimeoutMs === undefined
      ? undefined
      : clock.after(Math.min(request.connectTimeoutMs, timerMaxMs), () => cut(unconnected()));
  const signals = parent === undefined ? [request.signal] : [request.signal, parent.signal];
  for (const signal of signals) {
    signal.addEventListener("abort", gone);
    if (signal.aborted) gone({ target: signal } as unknown as Event);
  }

  function end(): void {
    if (ended) return;
    ended = true;
    timer[Symbol.dispose]();
    connecting?.[Symbol.dispose]();
    for (const signal of signals) signal.removeEventListener("abort", gone);
    // A producer that fails while it is given up has nobody left to tell.
    producer?.return?.().catch(() => undefined);
  }

  return {
    signal: abort.signal,
    body: producer === undefined ? request.body : { [Symbol.asyncIterator]: () => producer },
    connected: () => connecting?.[Symbol.dispose](),
    end,
    read(source, trailers, toError) {
      const chunks = source[Symbol.asyncIterator]();
      return {
        [Symbol.asyncIterator]: () => ({
          async next() {
            try {
              const result = await chunks.next();
              if (!result.done) return result;
              end();
              return { done: true, value: trailers() };
            } catch (error) {
              end();
              throw toError(error);
            }
          },
          async return() {
            if (!ended) cut(new CytoError("cancelled", `Cannot go on reading from ${host}: the reader has gone`));
            return { done: true, value: undefined };
          },
        }),
      };
    },
  };
}
