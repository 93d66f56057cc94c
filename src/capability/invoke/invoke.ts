/**
 * Service to service, for one service: what its `calls` lists and nothing else.
 *
 * The request becomes a child of the call that caused it: the same id and trace, its deadline, one
 * hop more; and it enters the mesh at the top, like any other. Loops are refused there, by the hops.
 */
import {
  type Call,
  type Clock,
  CytoError,
  limits as defaults,
  hex,
  nearest,
  type Random,
  type Reply,
  type Service,
} from "../../kernel/index.ts";
import { causedBy } from "../headers.ts";
import type { OutgoingRequest } from "../request.ts";

export interface InvokeOptions {
  readonly service: string;
  /** The manifest's `calls`. */
  readonly calls: readonly string[];
  /** The mesh's entrance. */
  readonly mesh: Service;
  readonly clock: Clock;
  readonly random: Random;
  /** The time of a request that no call has caused. */
  readonly timeoutMs?: number;
}

export type Invoke = (target: string, request: OutgoingRequest, parent: Call | undefined) => Promise<Reply>;

export function createInvoke(options: InvokeOptions): Invoke {
  const { service, calls, mesh, clock, random, timeoutMs = defaults.timeoutMs } = options;
  const permitted = new Set(calls);

  return async (target, request, parent) => {
    if (!permitted.has(target)) throw notPermitted(service, target, calls);
    return mesh({
      id: parent?.id ?? hex(random.bytes(16)),
      service: target,
      caller: service,
      method: request.method,
      url: urlAt(target, request.url),
      headers: causedBy(parent, request.headers),
      ...(request.body === undefined ? {} : { body: request.body }),
      deadlineMs: parent?.deadlineMs ?? clock.now() + timeoutMs,
      hops: (parent?.hops ?? 0) + 1,
      signal: parent === undefined ? request.signal : either(request.signal, parent.signal),
    });
  };
}

/** The path and query of `written`, whatever host it names: the target alone says where it goes. */
function urlAt(target: string, written: string): string {
  const url = URL.parse(written, `http://${target}`);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CytoError("bad-request", `Cannot call service ${target}: the URL of the request cannot be read`, {
      hint: `Write a path ("/items?x=1") or "http://${target}/items?x=1".`,
    });
  }
  return `http://${target}${url.pathname}${url.search}`;
}

function either(a: AbortSignal, b: AbortSignal): AbortSignal {
  return a === b ? a : AbortSignal.any([a, b]);
}

function notPermitted(service: string, target: string, calls: readonly string[]): CytoError {
  const meant = nearest(target, calls);
  const add = `Add "${target}" to services.${service}.calls in the manifest.`;
  return new CytoError("not-permitted", `Cannot call service ${target}: it is not in the calls of service ${service}`, {
    hint: meant === undefined ? add : `Did you mean "${meant}"? Else: ${add}`,
  });
}
