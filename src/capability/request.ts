/** What a guest asks to be sent, outside or to another service: the shape in which the engine hands it over. */
import type { Body, Headers } from "../kernel/index.ts";

export interface OutgoingRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body?: Body;
  /** The longest that making a connection may take, where one has to be made. */
  readonly connectTimeoutMs?: number;
  readonly signal: AbortSignal;
}
