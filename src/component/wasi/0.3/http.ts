/** wasi:http 0.3 as a host offers it: the resources of `types`, the way out, and the next of a chain. */
import type { Grants } from "../../contract.ts";
import type { HostState } from "../state.ts";
import { createSend } from "./http/client.ts";
import { Fields } from "./http/fields.ts";
import { Request, RequestOptions, Response } from "./http/message.ts";

export function http(grants: Grants, state: HostState) {
  const { next } = grants;
  return {
    "wasi:http/types@0.3": { Fields, Request, RequestOptions, Response },
    "wasi:http/client@0.3": { send: createSend((request, parent) => grants.fetch(request, parent), grants, state) },
    // Of a middleware; nobody else has a next.
    ...(next && {
      "wasi:http/handler@0.3": { handle: createSend((request, parent) => next(request, parent), grants, state) },
    }),
  };
}
