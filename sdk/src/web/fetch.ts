/**
 * fetch of the Fetch standard over the world's `outgoing`: to the addresses that the manifest's `egress`
 * lists, or to a service that its `calls` lists.
 */
import outgoing from "cytoplane:service/outgoing@0.1.0";
import type { Failure, Request as WorldRequest } from "cytoplane:service/types@0.1.0";
import { fromHost } from "../failure.ts";
import { begin, cause, forget, scope } from "../operation.ts";
import { type AbortSignal, follow } from "./abort.ts";
import { type Sender, toWorldBody } from "./body.ts";
import { partsOf, Request, type RequestOptions, signalOf } from "./request.ts";
import { ARRIVED, type Arrival, Response } from "./response.ts";
import { HostStream } from "./streams.ts";
import { URL } from "./url.ts";

const REDIRECTS_MAX = 20;

export async function fetch(input: string | URL | Request, options?: RequestOptions): Promise<Response> {
  const request = new Request(input, options);
  const { fields, content } = partsOf(request);
  const signal = signalOf(request);
  let next = { method: request.method, url: request.url, fields };
  let body = content;
  for (let redirects = 0; ; redirects++) {
    const record = await exchange(next, body, signal, (op, message) => outgoing.fetch(op, cause(), message));
    const location = new Response(ARRIVED, record).headers.get("location");
    const moved = [301, 302, 303, 307, 308].includes(record.status) && location !== null;
    if (!moved || request.redirect === "manual") return new Response(ARRIVED, record, next.url, redirects > 0);
    if (record.body instanceof HostStream) record.body.cancel();
    if (request.redirect === "error") throw failed(next.url, `it redirects to ${location}, and redirect is "error"`);
    if (redirects === REDIRECTS_MAX) throw failed(next.url, `more than ${REDIRECTS_MAX} redirects`);
    const url = new URL(location, next.url);
    if (url.protocol !== "http:" && url.protocol !== "https:") throw failed(next.url, `it redirects to ${url.href}`);
    const asGet =
      record.status === 303
        ? next.method !== "GET" && next.method !== "HEAD"
        : next.method === "POST" && (record.status === 301 || record.status === 302);
    if (!asGet && body !== null && typeof body !== "string" && !(body instanceof Uint8Array)) {
      throw failed(next.url, "it redirects, and a streamed body cannot be sent twice");
    }
    if (asGet) body = null;
    next = {
      method: asGet ? "GET" : next.method,
      url: url.href,
      fields: without(next.fields, asGet, url.origin !== new URL(next.url).origin),
    };
  }
}

/** To another service of the app; answered by its response as it is, redirects included. */
export async function invoke(
  service: string,
  input: string | URL | Request,
  options?: RequestOptions,
): Promise<Response> {
  const base = `http://${service}.internal`;
  const request = new Request(input instanceof Request ? input : new URL(input, base), options);
  const { fields, content } = partsOf(request);
  const message = { method: request.method, url: request.url, fields };
  const record = await exchange(message, content, signalOf(request), (op, sent) =>
    outgoing.invoke(op, cause(), service.toWellFormed(), sent),
  );
  return new Response(ARRIVED, record, request.url);
}

/** One message out and its answer. Aborting gives both up, the answer's body included. */
function exchange(
  head: Omit<WorldRequest, "body">,
  content: Parameters<typeof toWorldBody>[0],
  signal: AbortSignal | undefined,
  start: (op: number, message: WorldRequest) => void,
): Promise<Arrival> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const sender: Sender = { sending: undefined, bodyBroke() {} };
    let answer: HostStream | undefined;
    const op = begin(
      (number) => {
        const url = head.url.replace(/#.*$/, "");
        start(number, { ...head, url, body: toWorldBody(content, sender) });
        void sender.sending?.run();
      },
      (outcome) => {
        if (outcome.tag === "response") {
          const { status, fields, body } = outcome.val;
          if (body.tag === "stream") answer = new HostStream(body.val);
          else leave?.();
          resolve({ status, fields, body: answer ?? body });
        } else {
          leave?.();
          reject(failed(head.url, outcome.tag === "failed" ? outcome.val : "no response"));
        }
      },
    );
    const leave =
      signal &&
      follow(signal, () => {
        sender.sending?.abort(signal.reason);
        answer?.abort(signal.reason);
        if (forget(op) && scope.awake) outgoing.cancel(op);
        reject(signal.reason);
      });
  });
}

function failed(url: string, why: string | Failure): TypeError {
  if (typeof why === "string") return new TypeError(`fetch failed: ${url}: ${why}`);
  return fromHost(new TypeError(`fetch failed: ${why.message}`), why);
}

/** The header for the next hop: no credentials to another origin, no description of a body that is gone. */
function without(fields: string, bodyGone: boolean, otherOrigin: boolean): string {
  return fields
    .split("\n")
    .filter((line) => !(otherOrigin && /^(authorization|cookie|host|proxy-authorization):/.test(line)))
    .filter((line) => !(bodyGone && /^content-(encoding|language|length|location|type):/.test(line)))
    .join("\n");
}
