/**
 * wasi:http/outgoing-handler: requests that leave the service, through `grants.fetch`.
 *
 *   created → sent → head arrived → body ended
 *
 * A request is sent when its body is finished or the guest next waits, so that a body written right
 * after `handle` goes out whole. It ends with its call: when the caller has gone, the instance ends, or
 * the guest drops the future or the body, the platform's signal is aborted.
 */
import { type Call, CytoError, type Reply } from "../../../kernel/index.ts";
import type { Grants, OutgoingRequest as Leaving } from "../../contract.ts";
import { toTimerMs } from "../clocks.ts";
import { type ByteSource, InputStream, Pollable, Waitable } from "../io.ts";
import { assertLive, type HostState, quickTurns } from "../state.ts";
import { bodySource } from "./body.ts";
import { type ErrorCode, HttpFault, toErrorCode } from "./error.ts";
import { IncomingResponse, type OutgoingRequest, type RequestOptions } from "./message.ts";

/** Requests that one call may have under way at a time. */
const requestsUnderway = 256;

export function outgoingHandler(grants: Grants, state: HostState) {
  return {
    handle(request: OutgoingRequest, options: RequestOptions | undefined): FutureIncomingResponse {
      assertLive(state);
      if (state.underway.size >= requestsUnderway) throw { tag: "connection-limit-reached" } satisfies ErrorCode;
      if (request.url() === undefined) throw { tag: "HTTP-request-URI-invalid" } satisfies ErrorCode;
      return new FutureIncomingResponse(grants, state, request, options);
    },
  };
}

export class FutureIncomingResponse extends Waitable {
  readonly #grants: Grants;
  readonly #state: HostState;
  readonly #request: OutgoingRequest;
  readonly #connectMs: number | undefined;
  readonly #betweenBytesMs: number | undefined;
  readonly #abort = new AbortController();
  readonly #cancel = (reason: CytoError): void => this.#end(reason);
  #timer: Disposable | undefined;
  #stream: InputStream | undefined;
  #outcome:
    | { readonly tag: "ok"; readonly val: IncomingResponse }
    | { readonly tag: "err"; readonly val: ErrorCode }
    | undefined;
  #taken = false;

  constructor(grants: Grants, state: HostState, request: OutgoingRequest, options: RequestOptions | undefined) {
    super();
    this.#grants = grants;
    this.#state = state;
    this.#request = request;
    this.#connectMs = toTimerMs(options?.connect);
    this.#betweenBytesMs = toTimerMs(options?.betweenBytes);
    state.underway.add(this.#cancel);
    const firstByteMs = toTimerMs(options?.firstByte);
    if (firstByteMs !== undefined)
      this.#timer = this.#after(firstByteMs, "HTTP-response-timeout", "no reply came in time");
    void this.#send(state.call);
  }

  subscribe(): Pollable {
    return new Pollable(this);
  }

  override ready(): boolean {
    return this.#outcome !== undefined;
  }

  get(): object | undefined {
    if (this.#outcome === undefined) return undefined;
    if (this.#taken) return { tag: "err", val: undefined };
    this.#taken = true;
    return { tag: "ok", val: this.#outcome };
  }

  /** The response, once taken, lives on by itself. */
  [Symbol.dispose](): void {
    if (!this.#taken) this.#end(new CytoError("cancelled", "Cannot finish the request: the guest dropped it"));
  }

  async #send(parent: Call | undefined): Promise<void> {
    const { pipe } = this.#request;
    for (let turn = 0; turn < quickTurns && pipe?.ended === false && pipe.room() > 0; turn++) await undefined;
    if (this.#outcome !== undefined) return;
    const body = pipe?.body();
    const leaving: Leaving = {
      method: this.#request.methodName(),
      url: this.#request.url()!,
      headers: this.#request.fields.headers(),
      ...(body === undefined ? {} : { body }),
      ...(this.#connectMs === undefined ? {} : { connectTimeoutMs: this.#connectMs }),
      signal: this.#abort.signal,
    };
    try {
      this.#arrived(await this.#grants.fetch(leaving, parent));
    } catch (thrown) {
      this.#end(thrown);
    }
  }

  #arrived(reply: Reply): void {
    if (this.#outcome !== undefined) return;
    this.#timer?.[Symbol.dispose]();
    const source = bodySource(reply.body);
    this.#stream = new InputStream(source && this.#watched(source));
    if (source === undefined) this.#release();
    this.#outcome = { tag: "ok", val: new IncomingResponse(reply, this.#stream) };
    this.wake();
  }

  /** The source, with its end noticed and its pauses timed. */
  #watched(source: ByteSource): ByteSource {
    return {
      pull: () => {
        const pulled = source.pull();
        if (!(pulled instanceof Promise)) {
          if (pulled === undefined) this.#release();
          return pulled;
        }
        if (this.#betweenBytesMs !== undefined)
          this.#timer = this.#after(this.#betweenBytesMs, "connection-read-timeout", "the next bytes came too late");
        return pulled.then(
          (bytes) => {
            this.#timer?.[Symbol.dispose]();
            if (bytes === undefined) this.#release();
            return bytes;
          },
          (thrown) => {
            this.#release();
            throw thrown;
          },
        );
      },
      cancel: () => {
        source.cancel();
        this.#release();
        this.#abort.abort();
      },
    };
  }

  #after(delayMs: number, tag: string, why: string): Disposable {
    return this.#grants.clock.after(delayMs, () =>
      this.#end(new HttpFault({ tag }, `Cannot finish the request: ${why}`)),
    );
  }

  /** Ends it before its time, in whatever state it is. */
  #end(cause: unknown): void {
    this.#release();
    this.#request.pipe?.cancel();
    this.#abort.abort(cause);
    if (this.#stream !== undefined) this.#stream.fail(cause);
    else if (this.#outcome === undefined) {
      this.#outcome = { tag: "err", val: toErrorCode(cause) };
      this.wake();
    }
  }

  #release(): void {
    this.#timer?.[Symbol.dispose]();
    this.#state.underway.delete(this.#cancel);
  }
}
