/**
 * HTTP to the world outside, for one service: what its `egress` lists and nothing else.
 *
 * Always true: a request goes to the authority it names, or not at all; redirects are answered to
 * the guest as they are; bodies stream both ways at the pace of their reader; the deadline of the
 * call that caused it holds until the reply's last byte; when the reader goes, the connection is
 * given up. Whatever goes wrong outside is one CytoError that names the host.
 */
import type { Readable } from "node:stream";
import { Agent, type Dispatcher } from "undici";
import {
  type Call,
  type Clock,
  CytoError,
  limits as defaults,
  type Headers,
  header,
  type Limits,
  type Reply,
} from "../../kernel/index.ts";
import { causedBy, endToEnd } from "../headers.ts";
import type { OutgoingRequest } from "../request.ts";
import { permits, readEgress } from "./egress.ts";
import { createExchange, type Exchange } from "./exchange.ts";
import { createTrailing, type Trailing } from "./trailing.ts";
import { toUpstreamError } from "./upstream-error.ts";

export interface OutgoingOptions {
  readonly service: string;
  /** The manifest's `egress`. */
  readonly allow: readonly string[];
  readonly clock: Clock;
  readonly limits?: Partial<Pick<Limits, "headerBytes" | "timeoutMs">>;
  /** The longest reply body; without it the guest decides how much it reads. */
  readonly replyBytes?: number;
  readonly connectTimeoutMs?: number;
  /** Connections to one origin; requests beyond it wait. */
  readonly connections?: number;
  /** Origins with connections at a time. */
  readonly origins?: number;
  /** PEM of authorities to trust instead of the system's. */
  readonly ca?: string;
}

export interface Outgoing extends AsyncDisposable {
  fetch(request: OutgoingRequest, parent: Call | undefined): Promise<Reply>;
}

export function createOutgoing(options: OutgoingOptions): Outgoing {
  const { service, clock, ca, replyBytes = -1, connectTimeoutMs = 5_000, connections = 64, origins = 256 } = options;
  const { headerBytes, timeoutMs } = { ...defaults, ...options.limits };
  const egress = readEgress(service, options.allow);
  const trailing = createTrailing({ headerBytes, connectTimeoutMs, connections, ca });
  const agent = new Agent({
    connections,
    maxOrigins: origins,
    maxHeaderSize: headerBytes,
    maxResponseSize: replyBytes,
    connect: { timeout: connectTimeoutMs, ...(ca === undefined ? {} : { ca }) },
    // The exchange's deadline covers both.
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  });

  return {
    async fetch(request, parent) {
      const url = readUrl(request.url);
      refuseMethod(request.method);
      if (!permits(egress, url)) throw notPermitted(service, url);
      const deadlineMs = parent?.deadlineMs ?? clock.now() + timeoutMs;
      const exchange = createExchange({ host: url.host, request, parent, deadlineMs, clock });
      try {
        return toReply(
          await send({ agent, trailing }, url, request, parent, exchange),
          request.method,
          exchange,
          url.host,
        );
      } catch (error) {
        exchange.end();
        throw toUpstreamError(error, url.host);
      }
    },
    [Symbol.asyncDispose]() {
      trailing[Symbol.dispose]();
      return agent.destroy();
    },
  };
}

/** What comes back, from either client. */
interface Response {
  readonly status: number;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
  readonly body: Readable;
  /** Complete when the body is. */
  trailers(): Headers;
}

async function send(
  { agent, trailing }: { readonly agent: Agent; readonly trailing: Trailing },
  url: URL,
  request: OutgoingRequest,
  parent: Call | undefined,
  { signal, body, connected }: Exchange,
): Promise<Response> {
  const { method } = request;
  // The length of a body at hand is known here; that of a stream only to the guest.
  const streamed = body !== undefined && !(body instanceof Uint8Array);
  const headers = causedBy(parent, request.headers).filter(([name]) => streamed || name !== "content-length");
  const announced = header(request.headers, "trailer");
  if (streamed && announced !== undefined) {
    const message = await trailing.send({ url, method, headers, announced, body, signal, connected });
    const { statusCode, rawHeaders } = message;
    return { status: statusCode!, rawHeaders, body: message, trailers: () => pairs(message.rawTrailers) };
  }
  const notice = request.connectTimeoutMs === undefined ? undefined : onConnection(connected);
  const response = await (notice === undefined ? agent : agent.compose(notice)).request({
    origin: url.origin,
    path: url.pathname + url.search,
    method: method as Dispatcher.HttpMethod,
    headers: headers.flat(),
    body: (body ?? null) as Dispatcher.DispatchOptions["body"] & null,
    signal,
    responseHeaders: "raw",
  });
  return {
    status: response.statusCode,
    rawHeaders: response.headers as unknown as readonly string[],
    body: response.body,
    trailers: () =>
      Object.entries(response.trailers).flatMap(([name, values]) =>
        [values].flat().map((value) => [name, value] as const),
      ),
  };
}

/** Tells when a request goes out on its connection. */
function onConnection(connected: () => void): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) =>
    dispatch(options, {
      onRequestStart(...start) {
        connected();
        handler.onRequestStart?.(...start);
      },
      onResponseStart: (...head) => handler.onResponseStart?.(...head),
      onResponseData: (...chunk) => handler.onResponseData?.(...chunk),
      onResponseEnd: (...end) => handler.onResponseEnd?.(...end),
      onResponseError: (...error) => handler.onResponseError?.(...error),
    });
}

function toReply(response: Response, method: string, exchange: Exchange, host: string): Reply {
  const { status, body } = response;
  const headers = endToEnd(pairs(response.rawHeaders));
  if (method === "HEAD" || status === 204 || status === 304) {
    body.on("error", () => undefined).resume();
    exchange.end();
    return { status, headers };
  }
  const trailers = () => endToEnd(response.trailers());
  return { status, headers, body: exchange.read(body, trailers, (error) => toUpstreamError(error, host)) };
}

function pairs(raw: readonly string[]): Headers {
  const headers: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) headers.push([`${raw[index]}`, `${raw[index + 1]}`]);
  return headers;
}

function readUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw refuse("its URL is not absolute", 'Write it in full: "https://host/path".');
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw refuse(`its URL has the scheme "${url.protocol}"`, "Only http: and https: leave the platform.");
  }
  if (url.username !== "" || url.password !== "") {
    throw refuse(`its URL to ${url.host} holds credentials`, "Send them in an authorization header.");
  }
  return url;
}

function refuseMethod(method: string): void {
  if (/^(connect|trace|track)$/i.test(method) || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) {
    throw refuse(`its method is ${JSON.stringify(method.slice(0, 40))}`, "Use GET, POST or another method of HTTP.");
  }
}

function refuse(state: string, hint: string): CytoError {
  return new CytoError("bad-request", `Cannot send the request: ${state}`, { hint });
}

function notPermitted(service: string, url: URL): CytoError {
  return new CytoError("not-permitted", `Cannot call ${url.host}: it is not in the egress of service ${service}`, {
    hint: `Add "${url.host}" to services.${service}.egress in the manifest.`,
  });
}
