/**
 * The lean world (`wit/service.wit`) as a QuickJS guest sees it.
 *
 * How WIT becomes JavaScript there: a variant is `{ tag, val }`, an absent option is `null`, a list of
 * bytes is a `Uint8Array`, an `s64` is a number. Strings must be well formed: a lone surrogate traps.
 */
declare module "cytoplane:service/types@0.1.0" {
  export type Body =
    | { tag: "empty" }
    | { tag: "bytes"; val: Uint8Array }
    | { tag: "text"; val: string }
    | { tag: "stream"; val: number };

  export interface Request {
    method: string;
    url: string;
    fields: string;
    body: Body;
  }

  export interface Response {
    status: number;
    fields: string;
    body: Body;
  }

  export interface Failure {
    code: string;
    message: string;
    stack: string | null;
  }

  export type Outcome =
    | { tag: "done" }
    | { tag: "bytes"; val: Uint8Array | null }
    | { tag: "text"; val: string | null }
    | { tag: "number"; val: number }
    | { tag: "flag"; val: boolean }
    | { tag: "keys"; val: [keys: string[], cursor: string | null] }
    | { tag: "response"; val: Response }
    | { tag: "failed"; val: Failure };
}

declare module "cytoplane:service/reply@0.1.0" {
  import type { Failure, Response } from "cytoplane:service/types@0.1.0";

  const reply: {
    respond(call: number, response: Response): void;
    fail(call: number, failure: Failure): void;
    hold(): void;
    release(): void;
  };
  export default reply;
}

declare module "cytoplane:service/streams@0.1.0" {
  const streams: {
    read(op: number, stream: number): void;
    cancel(stream: number): void;
    write(op: number, stream: number, chunk: Uint8Array): void;
    close(stream: number, error: string | null): void;
  };
  export default streams;
}

declare module "cytoplane:service/timers@0.1.0" {
  const timers: {
    sleep(op: number, milliseconds: number): void;
    cancel(op: number): void;
    now(): number;
    monotonic(): number;
  };
  export default timers;
}

declare module "cytoplane:service/random@0.1.0" {
  const random: { getBytes(length: number): Uint8Array };
  export default random;
}

declare module "cytoplane:service/outgoing@0.1.0" {
  import type { Request } from "cytoplane:service/types@0.1.0";

  const outgoing: {
    fetch(op: number, cause: number | null, request: Request): void;
    invoke(op: number, cause: number | null, service: string, request: Request): void;
    cancel(op: number): void;
  };
  export default outgoing;
}

declare module "cytoplane:service/keyvalue@0.1.0" {
  const keyvalue: {
    get(op: number, binding: string, key: string): void;
    set(op: number, binding: string, key: string, value: Uint8Array): void;
    delete(op: number, binding: string, key: string): void;
    exists(op: number, binding: string, key: string): void;
    listKeys(op: number, binding: string, cursor: string | null): void;
    increment(op: number, binding: string, key: string, delta: number): void;
  };
  export default keyvalue;
}

declare module "cytoplane:service/config@0.1.0" {
  const config: {
    get(key: string): string | null;
    getAll(): [name: string, value: string][];
  };
  export default config;
}

declare module "cytoplane:service/secrets@0.1.0" {
  const secrets: { get(op: number, name: string): void };
  export default secrets;
}

declare module "cytoplane:service/logging@0.1.0" {
  export type Level = "trace" | "debug" | "info" | "warn" | "error" | "critical";
  const logging: { log(level: Level, context: string, message: string, call: number | null): void };
  export default logging;
}
