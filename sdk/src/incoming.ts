/// <reference path="./starlingmonkey-world.d.ts" preserve="true" />
/**
 * wasi:http requests as Request, and Response as wasi:http responses.
 *
 * Bodies go chunk by chunk both ways. Reading and writing block the instance until the other side is
 * ready, which is the back-pressure; a handle is given back before the one that it came from.
 */
import {
  Fields,
  IncomingBody,
  type IncomingRequest,
  type InputStream,
  OutgoingBody,
  OutgoingResponse,
  type OutputStream,
  ResponseOutparam,
} from "wasi:http/types@0.2.10";

export interface IncomingHandler {
  handle(incoming: IncomingRequest, out: ResponseOutparam): Promise<void>;
}

const CHUNK_BYTES = 65_536n;

export function toRequest(incoming: IncomingRequest): Request {
  const method = incoming.method();
  const scheme = incoming.scheme();
  const url = `${scheme?.tag === "HTTPS" ? "https" : "http"}://${incoming.authority() ?? "localhost"}${incoming.pathWithQuery() ?? "/"}`;
  const fields = incoming.headers();
  const headers = new Headers();
  const decoder = new TextDecoder("latin1");
  for (const [name, value] of fields.entries()) headers.append(name, decoder.decode(value));
  fields[Symbol.dispose]();
  const name = method.tag === "other" ? method.val : method.tag.toUpperCase();
  const init: RequestInit & { duplex: "half" } = { method: name, headers, duplex: "half" };
  const bodied = name !== "GET" && name !== "HEAD";
  const body = bodied ? readBody(incoming.consume()) : null;
  return new Request(url, body ? { ...init, body } : init);
}

function readBody(body: IncomingBody): ReadableStream<Uint8Array> {
  let input: InputStream | undefined = body.stream();
  const done = () => {
    input?.[Symbol.dispose]();
    input = undefined;
    IncomingBody.finish(body)[Symbol.dispose]();
  };
  return new ReadableStream({
    pull(controller) {
      try {
        let chunk = input!.blockingRead(CHUNK_BYTES);
        while (chunk.length === 0) chunk = input!.blockingRead(CHUNK_BYTES);
        controller.enqueue(chunk);
      } catch (thrown) {
        done();
        if (isClosed(thrown)) controller.close();
        else controller.error(new TypeError("The request's body broke off", { cause: thrown }));
      }
    },
    cancel: done,
  });
}

/** Settles when the body has gone out, or nobody reads it any more. */
export async function sendResponse(
  response: Response,
  out: ResponseOutparam,
  log: (what: string, error: unknown) => void,
): Promise<void> {
  const encode = (value: string) => Uint8Array.from(value, (character) => character.charCodeAt(0));
  const entries: [string, Uint8Array][] = [];
  response.headers.forEach((value, name) => {
    if (name !== "set-cookie") entries.push([name, encode(value)]);
  });
  for (const cookie of response.headers.getSetCookie()) entries.push(["set-cookie", encode(cookie)]);
  const outgoing = new OutgoingResponse(Fields.fromList(entries));
  outgoing.setStatusCode(response.status);
  const body = outgoing.body();
  ResponseOutparam.set(out, { tag: "ok", val: outgoing });
  if (response.body) {
    const output = body.write();
    const reader = response.body.getReader();
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) write(output, next.value);
      output.blockingFlush();
    } catch (error) {
      if (isClosed(error)) await reader.cancel(error).catch(() => {});
      else log("The response's body broke", error);
      // Not finished: that is how the host learns that it is not whole.
      output[Symbol.dispose]();
      body[Symbol.dispose]();
      return;
    }
    output[Symbol.dispose]();
  }
  OutgoingBody.finish(body, undefined);
}

function write(output: OutputStream, chunk: Uint8Array): void {
  for (let at = 0; at < chunk.length; ) {
    const room = Number(output.checkWrite());
    if (room === 0) {
      const ready = output.subscribe();
      ready.block();
      ready[Symbol.dispose]();
    } else {
      output.write(chunk.subarray(at, at + room));
      at += room;
    }
  }
}

/** A stream's error is a variant: `closed`, or what the last operation failed with. */
function isClosed(thrown: unknown): boolean {
  const { payload = thrown } = (thrown ?? {}) as { payload?: unknown };
  return (payload as { tag?: string } | undefined)?.tag === "closed";
}
