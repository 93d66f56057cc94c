/**
 * One request, from its head to the last byte of its reply.
 *
 *   waiting ──answer──▶ replying ──last byte──▶ closed
 *      │  └────fail────────▲ (problem+json)       ▲
 *      └──────────client leaves───────────────────┘
 *
 * Always true: the first of answer and fail wins and the other is dropped; the call's signal is
 * aborted when nobody waits for the reply any more; `close` comes exactly once, last of all, and
 * is when the request is observed.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type Body,
  type Call,
  type Clock,
  CytoError,
  type Deadline,
  type Deadlines,
  type Headers,
  type Reply,
  type Service,
  toCytoError,
  UNSLOTTED,
} from "../kernel/index.ts";
import type { Access, Route } from "./contract.ts";
import type { Identify, RequestIdentity } from "./identity.ts";
import type { Outbox } from "./outbox.ts";
import { toProblem } from "./problem.ts";
import { isBodiless, type ReplyContext, writeStream, writeWhole } from "./reply.ts";
import { bodyBytesOf, gatherBody, type Head, identityOf, readHead, readHeaders, streamBody } from "./request.ts";
import type { Asked, Router } from "./router.ts";

/** What all exchanges of a gateway share. */
export interface Door {
  readonly clock: Clock;
  readonly identify: Identify;
  readonly deadlines: Deadlines;
  readonly outbox: Outbox;
  readonly exposeErrors: boolean;
  /** Where the gateway is reached, for clients that do not say. */
  authority: string;
  /** Swapped as one; an exchange keeps what it began with. */
  table: { readonly router: Router; readonly next: Service };
  draining: boolean;
  readonly inFlight: Set<Exchange>;
  observe(access: Access): void;
  /** An exchange has closed. */
  closed(): void;
}

/** Bodies up to this length reach the service whole: cheaper, and such a call can be repeated. */
const GATHERED_BYTES = 64 * 1024;
/** How long a client may go on sending a body that was refused, so that it comes to read the reply. */
const LINGER_MS = 2_000;

export class Exchange implements Deadline {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  slot = UNSLOTTED;
  deadlineMs = 0;

  readonly #door: Door;
  readonly #startedMs: number;
  readonly #identity: RequestIdentity;
  readonly #expectsContinue: boolean;
  readonly #controller = new AbortController();
  #head: Head | undefined;
  #route: Route | undefined;
  #failure: CytoError | undefined;
  #settled = false;
  #stream: AsyncIterator<Uint8Array> | undefined;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(door: Door, req: IncomingMessage, res: ServerResponse, expectsContinue: boolean) {
    this.req = req;
    this.res = res;
    this.#door = door;
    this.#startedMs = door.clock.monotonic();
    this.#identity = identityOf(req, door.identify);
    this.#expectsContinue = expectsContinue;
  }

  start(): void {
    this.#door.inFlight.add(this);
    this.res.on("close", () => this.#close());
    try {
      this.#dispatch();
    } catch (thrown) {
      this.fail(toCytoError(thrown));
    }
  }

  /** The route's time is up. */
  expire(): void {
    const state = `${this.#route!.service} gave no reply within ${this.#route!.timeoutMs} ms`;
    this.fail(new CytoError("deadline-exceeded", `Cannot answer ${this.#route!.id}: ${state}`));
  }

  /** Answers with a problem; where the reply has begun already, breaks it off. */
  fail(error: CytoError, headers: Headers = []): void {
    if (this.#settled && this.#stream === undefined) return;
    this.#settled = true;
    this.#failure ??= error;
    this.#door.deadlines.remove(this);
    this.#controller.abort(error);
    this.#abandonStream();
    if (this.res.headersSent) this.res.destroy();
    else this.#writeProblem(error, headers);
  }

  /** Whether it is the client that has not moved for the idle time, and not the service. */
  get clientStalls(): "sending" | "reading" | undefined {
    if (this.res.headersSent) return this.res.writableLength > 0 ? "reading" : undefined;
    return !this.#settled && !this.req.complete && this.req.readableLength === 0 ? "sending" : undefined;
  }

  #dispatch(): void {
    const { table } = this.#door;
    const { req } = this;
    const head = readHead(req, this.#door.authority);
    this.#head = head;
    const asked: Asked = {
      method: req.method!,
      host: head.host,
      path: head.path,
      query: head.query,
      headers: req.headers,
    };
    const route = table.router.match(asked);
    if (route === undefined) {
      this.#refuse(asked, table.router);
      return;
    }
    this.#route = route;

    const bodyBytes = bodyBytesOf(req);
    if (bodyBytes !== undefined && bodyBytes > route.bodyBytes) throw tooLarge(route);
    const headers = readHeaders(req, head, this.#identity);
    this.deadlineMs = this.#door.clock.now() + route.timeoutMs;
    this.#door.deadlines.add(this);

    if (bodyBytes === 0) this.#call(table.next, route, head, headers, undefined);
    else if (bodyBytes !== undefined && bodyBytes <= GATHERED_BYTES) {
      this.#continue();
      gatherBody(req, (body) => {
        this.#bytesIn = body.byteLength;
        this.#call(table.next, route, head, headers, body);
      });
    } else this.#call(table.next, route, head, headers, this.#readStream(route));
  }

  #call(next: Service, route: Route, head: Head, headers: Headers, body: Body | undefined): void {
    if (this.#settled) return;
    const call = {
      id: this.#identity.requestId,
      service: route.service,
      route: route.id,
      method: this.req.method!,
      url: head.url,
      headers,
      deadlineMs: this.deadlineMs,
      hops: 0,
      signal: this.#controller.signal,
    } satisfies Call;
    let answer: Promise<Reply>;
    try {
      answer = next(body === undefined ? call : { ...call, body });
    } catch (thrown) {
      this.fail(toCytoError(thrown));
      return;
    }
    answer.then(
      (reply) => this.#answer(reply),
      (thrown) => this.fail(toCytoError(thrown)),
    );
  }

  #answer(reply: Reply): void {
    const { body } = reply;
    const streamed = body !== undefined && !(body instanceof Uint8Array);
    if (this.#settled) {
      if (streamed) abandon(body[Symbol.asyncIterator]());
      return;
    }
    this.#settled = true;
    this.#door.deadlines.remove(this);
    if (streamed) this.#pump(reply, body[Symbol.asyncIterator]());
    else this.#door.outbox.post(() => this.#writeWhole(reply, body));
  }

  #writeWhole(reply: Reply, body: Uint8Array | undefined): void {
    // The client may have gone since.
    if (this.res.destroyed) return;
    try {
      this.#bytesOut = writeWhole(this.#context(), reply, body);
    } catch (thrown) {
      this.#failure = toCytoError(thrown);
      this.#writeProblem(this.#failure, []);
    }
  }

  #pump(reply: Reply, stream: AsyncIterator<Uint8Array, unknown>): void {
    if (this.req.method === "HEAD" || isBodiless(reply.status)) {
      abandon(stream);
      this.#writeWhole(reply, undefined);
      return;
    }
    this.#stream = stream;
    writeStream(this.#context(), reply, stream, (bytes) => {
      this.#bytesOut += bytes;
    }).then(
      () => {
        this.#stream = undefined;
      },
      (thrown) => this.fail(toCytoError(thrown, "service-failed")),
    );
  }

  /** No route takes the request: says why, and what would. */
  #refuse(asked: Asked, router: Router): void {
    if (!isDecodable(asked.path))
      throw new CytoError("bad-request", "Cannot read the request: its path is not percent-encoded UTF-8");
    const allowed = asked.path === "*" ? ["OPTIONS"] : router.allowed(asked);
    const allow: Headers = [["allow", allowed.join(", ")]];
    if (allowed.length === 0)
      throw new CytoError("no-route", `Cannot find ${asked.method} ${asked.path}: no route takes it`);
    if (asked.method === "OPTIONS") this.#answer({ status: 204, headers: allow });
    else
      this.fail(
        new CytoError("method-not-allowed", `Cannot ${asked.method} ${asked.path}: no route takes this method`, {
          hint: `It takes ${allowed.join(", ")}.`,
        }),
        allow,
      );
  }

  async *#readStream(route: Route): AsyncGenerator<Uint8Array, Headers> {
    this.#continue();
    return yield* streamBody(this.req, (bytes) => {
      this.#bytesIn += bytes;
      if (this.#bytesIn <= route.bodyBytes) return;
      const error = tooLarge(route);
      this.fail(error);
      throw error;
    });
  }

  /** Tells a client that waits for it that its body is wanted. */
  #continue(): void {
    if (this.#expectsContinue && !this.res.headersSent) this.res.writeContinue();
  }

  #writeProblem(error: CytoError, headers: Headers): void {
    const { requestId } = this.#identity;
    const { exposeErrors } = this.#door;
    const problem = toProblem(error, { requestId, path: this.#head?.path ?? "", exposeErrors }, headers);
    this.#bytesOut = writeWhole(this.#context(), problem, problem.body);
  }

  #context(): ReplyContext {
    const { requestId } = this.#identity;
    const { signal } = this.#controller;
    return { res: this.res, method: this.req.method!, requestId, last: this.#door.draining, signal };
  }

  #abandonStream(): void {
    if (this.#stream === undefined) return;
    abandon(this.#stream);
    this.#stream = undefined;
  }

  #close(): void {
    const { req, res } = this;
    const door = this.#door;
    door.deadlines.remove(this);
    door.inFlight.delete(this);
    if (!res.writableFinished) {
      this.#failure ??= new CytoError("cancelled", "Cannot finish the reply: the client has gone");
      this.#settled = true;
      this.#controller.abort(this.#failure);
      this.#abandonStream();
    } else if (!req.complete) this.#linger();
    this.#observe();
    door.closed();
  }

  /** The reply is out before the body is in: reads on for a while, so that the client reads the reply. */
  #linger(): void {
    const { socket } = this.req;
    const { deadlines, clock } = this.#door;
    const patience: Deadline = {
      slot: UNSLOTTED,
      deadlineMs: clock.now() + LINGER_MS,
      expire: () => {
        if (!this.req.complete) socket.destroy();
      },
    };
    deadlines.add(patience);
    socket.once("close", () => deadlines.remove(patience));
    this.req.resume();
  }

  #observe(): void {
    const { req, res } = this;
    const answered = res.headersSent;
    this.#door.observe({
      requestId: this.#identity.requestId,
      traceparent: this.#identity.traceparent,
      method: req.method!,
      path: this.#head?.path ?? "",
      host: this.#head?.host ?? "",
      route: this.#route?.id,
      service: this.#route?.service,
      status: answered ? res.statusCode : this.#failure!.status,
      error: this.#failure?.code,
      failure: this.#failure,
      durationMs: this.#door.clock.monotonic() - this.#startedMs,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      remoteAddress: req.socket.remoteAddress ?? "",
    });
  }
}

/** Tells a producer that nobody will read on. What it says to that concerns nobody either. */
async function abandon(stream: AsyncIterator<Uint8Array, unknown>): Promise<void> {
  try {
    await stream.return?.();
  } catch {}
}

function tooLarge(route: Route): CytoError {
  return new CytoError("body-too-large", `Cannot take the body: it is longer than ${route.bodyBytes} bytes`, {
    hint: `${route.id} takes ${route.bodyBytes} bytes.`,
  });
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
