/// <reference path="./world.d.ts" preserve="true" />
/**
 * The guest's side of the lean world: what the host calls.
 *
 * start ─▶ handler ─▶ respond ─▶ (body sent) ─▶ over
 *             └─────▶ fail ─────────────────▶ over
 *
 * Always true: every started call is answered exactly once, by `respond` or by `fail`, cancelled or not;
 * no event waits for anything, so the engine's microtasks do the rest after it has returned.
 */
import reply from "cytoplane:service/reply@0.1.0";
import type { Outcome, Request as WorldRequest, Response as WorldResponse } from "cytoplane:service/types@0.1.0";
import { config, keyvalue, service as serviceClient } from "./bindings.ts";
import type { ServiceHandler } from "./contract.ts";
import { describeInvalid, requireService } from "./entry.ts";
import { type BindingTable, createEnv } from "./env.ts";
import { toFailure } from "./failure.ts";
import { type Call, scope, settle, wake } from "./operation.ts";
import { AbortController, type AbortSignal } from "./web/abort.ts";
import type { Sender } from "./web/body.ts";
import { findField } from "./web/headers.ts";
import { report } from "./web/report.ts";
import { INCOMING, Request } from "./web/request.ts";
import { Response, toReply } from "./web/response.ts";
import type { Sending } from "./web/streams.ts";

/** What the world exports. */
export interface Handler {
  start(call: number, request: WorldRequest): PromiseLike<void>;
  resume(op: number, outcome: Outcome): PromiseLike<void>;
  cancel(call: number, reason: string): PromiseLike<void>;
}

/** The event is over as soon as its function returns; a real promise would cost more than the rest of it. */
const over = {
  // biome-ignore lint/suspicious/noThenProperty: it is meant to be awaited.
  then(resolve: (value: undefined) => unknown) {
    resolve(undefined);
  },
} as PromiseLike<void>;

/**
 * The world's `handler` for an author's service.
 *
 * `bindings` says which names of `env` are keyvalue bindings and which are services.
 */
export function createHandler(service: ServiceHandler, bindings?: BindingTable): Handler {
  const target = requireService(service);
  const env = createEnv({ config, keyvalue, service: serviceClient }, bindings);
  /** Those that have outlasted their start. */
  const exchanges = new Map<number, Exchange>();

  function finish(exchange: Exchange): void {
    exchange.live = false;
    exchanges.delete(exchange.number);
  }

  function fail(exchange: Exchange, thrown: unknown): void {
    finish(exchange);
    reply.fail(exchange.number, toFailure(thrown));
  }

  function refuse(exchange: Exchange, message: string): void {
    finish(exchange);
    reply.fail(exchange.number, { code: "invalid-reply", message: message.toWellFormed(), stack: null });
  }

  function answer(exchange: Exchange, result: unknown): void {
    if (!(result instanceof Response) || result.type === "error") {
      refuse(exchange, describeInvalid(result));
      return;
    }
    let message: WorldResponse;
    try {
      message = toReply(result, exchange);
    } catch (error) {
      refuse(exchange, error instanceof Error ? error.message : String(error));
      return;
    }
    reply.respond(exchange.number, message);
    if (exchange.sending) {
      exchanges.set(exchange.number, exchange);
      exchange.send(exchange.sending).then(() => finish(exchange));
    } else finish(exchange);
  }

  return {
    start(call, record) {
      if (!scope.awake) wake();
      const exchange = new Exchange(call, record.fields);
      scope.call = exchange;
      try {
        const result = target.fetch(new Request(INCOMING, record, exchange), env, exchange);
        if (result instanceof Response) answer(exchange, result);
        else {
          exchanges.set(call, exchange);
          Promise.resolve(result).then(
            (settled) => answer(exchange, settled),
            (thrown) => fail(exchange, thrown),
          );
        }
      } catch (thrown) {
        fail(exchange, thrown);
      }
      return over;
    },

    resume(op, outcome) {
      if (!scope.awake) wake();
      settle(op, outcome);
      return over;
    },

    cancel(call, reason) {
      const exchange = exchanges.get(call);
      if (exchange) {
        scope.call = exchange;
        exchange.cancel(reason);
      }
      return over;
    },
  };
}

/** One call, and what its handler is given as its context. */
class Exchange implements Call, Sender {
  live = true;
  sending: Sending | undefined;
  readonly #number: number;
  readonly #fields: string;
  #controller: AbortController | undefined;
  #cancelled: string | undefined;

  constructor(number: number, fields: string) {
    this.#number = number;
    this.#fields = fields;
  }

  get number(): number {
    return this.#number;
  }

  get id(): string {
    return findField(this.#fields, "x-request-id") ?? String(this.#number);
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#cancelled !== undefined) this.#abort(this.#cancelled);
    }
    return this.#controller.signal;
  }

  waitUntil(work: Promise<unknown>): void {
    reply.hold();
    Promise.resolve(work)
      .catch((error) => report("Work given to waitUntil failed", error))
      .then(() => reply.release());
  }

  bodyBroke(error: unknown): void {
    report("The response's body broke", error);
  }

  /** Sends the body that follows the reply. */
  send(sending: Sending): Promise<void> {
    if (this.#cancelled !== undefined) sending.abort(gone(this.#cancelled));
    return sending.run();
  }

  cancel(reason: string): void {
    this.#cancelled = reason;
    if (this.#controller) this.#abort(reason);
    this.sending?.abort(gone(reason));
  }

  #abort(reason: string): void {
    this.#controller?.abort(gone(reason));
  }
}

function gone(reason: string): DOMException {
  return new DOMException(reason, "AbortError");
}
