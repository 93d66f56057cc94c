/** wasi:http as a host offers it: the resources of `types`, and the way out. */
import type { Grants } from "../contract.ts";
import { FutureTrailers, IncomingBody, OutgoingBody } from "./http/body.ts";
import { httpErrorCode } from "./http/error.ts";
import { Fields } from "./http/fields.ts";
import {
  IncomingRequest,
  IncomingResponse,
  OutgoingRequest,
  OutgoingResponse,
  RequestOptions,
  ResponseOutparam,
} from "./http/message.ts";
import { FutureIncomingResponse, outgoingHandler } from "./http/outgoing.ts";
import type { HostState } from "./state.ts";

export function http(grants: Grants, state: HostState) {
  return {
    "wasi:http/types": {
      Fields,
      IncomingRequest,
      IncomingBody,
      IncomingResponse,
      FutureTrailers,
      FutureIncomingResponse,
      OutgoingRequest,
      OutgoingResponse,
      OutgoingBody,
      RequestOptions,
      ResponseOutparam,
      httpErrorCode,
    },
    "wasi:http/outgoing-handler": outgoingHandler(grants, state),
  };
}
