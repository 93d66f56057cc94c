import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Body, type Call, CytoError, createSimulatedClock, type Reply } from "../../../../kernel/index.ts";
import type { Grants, OutgoingRequest, StreamSource } from "../../../contract.ts";
import { createStreamPipe, futureOf } from "../../../stream-pipe.ts";
import { createHostState, endState } from "../../state.ts";
import { createSend } from "./client.ts";
import type { Outcome, Trailers } from "./contents.ts";
import { Fields } from "./fields.ts";
import { Request, RequestOptions, Response } from "./message.ts";

const none: Trailers = { tag: "ok", val: undefined };

/** `client.send` over a destination of the test's, on a clock that stands still. */
function open(destination: (request: OutgoingRequest, parent: Call | undefined) => Promise<Reply>) {
  const clock = createSimulatedClock();
  const grants = { service: "s", clock } as unknown as Grants;
  const state = createHostState(grants);
  return { clock, state, send: createSend(destination, grants, state) };
}

function ask(given: { options?: RequestOptions; body?: Parameters<typeof Request.new>[1]; headers?: Fields } = {}) {
  const [request, sent] = Request.new(given.headers ?? new Fields(), given.body, futureOf(none), given.options);
  request.setAuthority("example.com");
  return { request, sent };
}

const call = (signal = new AbortController().signal, cause?: unknown) => ({ signal, cause });
const tag = (expected: string) => (thrown: unknown) => (thrown as { tag: string }).tag === expected;
/** A promise that never settles, but rejects with the request's signal. */
const stuck = ({ signal }: OutgoingRequest) =>
  new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

async function* stalling(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("a");
  await new Promise(() => {});
}

describe("createSend()", () => {
  test("sends what the guest made, for the call that it is made for, and gives the reply", async () => {
    const options = new RequestOptions();
    options.setConnectTimeout(1_500_000n);
    const seen: [OutgoingRequest, Call | undefined][] = [];
    const { send, state } = open(async (request, parent) => {
      seen.push([request, parent]);
      return { status: 201, headers: [["x-a", "1"]], body: Buffer.from("reply") };
    });
    const { reader, write, end } = createStreamPipe<Uint8Array>();
    void write(Buffer.from("body")).then(end);
    const { request, sent } = ask({ options, body: reader, headers: Fields.fromList([["X-B", Buffer.from("2")]]) });
    request.setPathWithQuery("/p?q");
    request.setMethod({ tag: "put" });
    const cause = { id: "parent" } as Call;
    const response = await send(request, call(undefined, cause));
    const [[left, parent]] = seen as [[OutgoingRequest, Call]];
    const { signal, ...rest } = left;
    assert.equal(signal.aborted, false);
    assert.deepEqual(rest, {
      method: "PUT",
      url: "https://example.com/p?q",
      headers: [["x-b", "2"]],
      body: Buffer.from("body"),
      connectTimeoutMs: 2,
    });
    assert.equal(parent, cause);
    assert.equal(response.getStatusCode(), 201);
    assert.deepEqual(response.getHeaders().copyAll(), [["x-a", Buffer.from("1")]]);
    assert.deepEqual(await sent, { tag: "ok", val: undefined } satisfies Outcome);
    assert.equal(state.underway.size, 0);
  });

  test("refuses what has nowhere to go, and a request too many; neither was sent", async () => {
    const { send, state } = open(stuck);
    const nowhere = ask();
    nowhere.request.setAuthority(undefined);
    await assert.rejects(send(nowhere.request, call()), tag("HTTP-request-URI-invalid"));
    assert.deepEqual(await nowhere.sent, { tag: "err", val: { tag: "HTTP-request-URI-invalid" } });
    const under = Array.from({ length: 1024 }, () => assert.rejects(send(ask().request, call())));
    await assert.rejects(send(ask().request, call()), tag("connection-limit-reached"));
    endState(state);
    await Promise.all(under);
    await assert.rejects(send(ask().request, call()), CytoError);
  });

  test("refuses a length that its body has not, or that is none", async () => {
    const { send } = open(async ({ body }) => {
      for await (const _ of body as AsyncIterable<Uint8Array>);
      return { status: 200, headers: [] };
    });
    const of = (length: string) => Fields.fromList([["content-length", Buffer.from(length)]]);
    await assert.rejects(send(ask({ headers: of("five") }).request, call()), tag("HTTP-protocol-error"));
    await assert.rejects(send(ask({ headers: of("5") }).request, call()), tag("HTTP-request-body-size"));
    const { reader, write } = createStreamPipe<Uint8Array>();
    const writing = write(Buffer.alloc(7)).then(() => write(Buffer.alloc(1)));
    const long = ask({ headers: of("5"), body: reader });
    await assert.rejects(send(long.request, call()), tag("HTTP-request-body-size"));
    assert.equal(await writing, false);
    assert.equal((await long.sent).tag, "err");
  });

  test("ends at its time-outs, before the head and between bytes", async () => {
    const options = new RequestOptions();
    options.setFirstByteTimeout(5_000_000n);
    options.setBetweenBytesTimeout(3_000_000n);
    const early = open(stuck);
    const waiting = early.send(ask({ options }).request, call());
    await new Promise(setImmediate);
    early.clock.advance(5);
    await assert.rejects(waiting, tag("HTTP-response-timeout"));

    let signal: AbortSignal | undefined;
    const late = open(async (request) => {
      signal = request.signal;
      const body: Body = {
        async *[Symbol.asyncIterator]() {
          yield Buffer.from("a");
          await stuck(request);
        },
      };
      return { status: 200, headers: [], body };
    });
    const response = await late.send(ask({ options }).request, call());
    late.clock.advance(60_000);
    const [stream, trailers] = Response.consumeBody(response, futureOf<Outcome>({ tag: "ok", val: undefined }));
    const source = stream as StreamSource<Uint8Array>;
    assert.equal(String(await source.pull()), "a");
    const next = source.pull();
    await new Promise(setImmediate);
    late.clock.advance(3);
    assert.equal(await next, undefined);
    assert.deepEqual(await trailers, { tag: "err", val: { tag: "connection-read-timeout" } });
    assert.equal(signal?.aborted, true);
    assert.equal(late.clock.timers + early.clock.timers, 0);
  });

  test("ends with the guest's call until the head is here, with its body from then on, and with the instance", async () => {
    const { send, state } = open(stuck);
    const cancel = new AbortController();
    const waiting = send(ask().request, call(cancel.signal));
    cancel.abort();
    await assert.rejects(waiting, tag("connection-terminated"));
    await assert.rejects(send(ask().request, call(AbortSignal.abort())), tag("connection-terminated"));
    assert.equal(state.underway.size, 0);

    for (const end of ["drop", "body", "instance"] as const) {
      const signals: AbortSignal[] = [];
      const host = open(async ({ signal }) => {
        signals.push(signal);
        return { status: 200, headers: [], body: stalling() };
      });
      const caller = new AbortController();
      const response = await host.send(ask().request, call(caller.signal));
      caller.abort();
      assert.equal(signals[0]!.aborted, false, "the call has been answered");
      if (end === "drop") response[Symbol.dispose]();
      else if (end === "instance") endState(host.state);
      else {
        const [stream] = Response.consumeBody(response, futureOf<Outcome>({ tag: "ok", val: undefined }));
        assert.equal(String(await (stream as StreamSource<Uint8Array>).pull()), "a");
        const next = (stream as StreamSource).pull();
        (stream as StreamSource).cancel();
        assert.equal(await next, undefined);
      }
      assert.equal(signals[0]!.aborted, true, end);
      assert.equal(host.state.underway.size, 0);
    }
  });
});
