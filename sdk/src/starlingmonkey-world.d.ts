/** The world in `wit/service.wit` as a StarlingMonkey guest sees it: results are returned or thrown. */
declare module "wasi:keyvalue/store@0.2.0-draft" {
  export class Bucket {
    get(key: string): Uint8Array | undefined;
    set(key: string, value: Uint8Array): void;
    delete(key: string): void;
    exists(key: string): boolean;
    listKeys(cursor: bigint | undefined): { keys: string[]; cursor?: bigint };
  }
  export function open(identifier: string): Bucket;
}

declare module "wasi:keyvalue/atomics@0.2.0-draft" {
  import type { Bucket } from "wasi:keyvalue/store@0.2.0-draft";
  export function increment(bucket: Bucket, key: string, delta: bigint): bigint;
}

declare module "wasi:config/store@0.2.0-rc.1" {
  export function get(key: string): string | undefined;
  export function getAll(): [name: string, value: string][];
}

declare module "cytoplane:secrets/store@0.1.0" {
  export function get(name: string): string;
}

declare module "wasi:http/types@0.2.10" {
  interface Handle {
    [Symbol.dispose](): void;
  }
  export type Method = { tag: "other"; val: string } | { tag: "get" | "head" | "post" | "put" | "delete" | "patch" };
  export interface IncomingRequest extends Handle {
    method(): Method;
    pathWithQuery(): string | undefined;
    scheme(): { tag: "HTTP" | "HTTPS" | "other" } | undefined;
    authority(): string | undefined;
    headers(): Fields;
    consume(): IncomingBody;
  }
  export interface InputStream extends Handle {
    /** Throws the variant `closed` at the end. */
    blockingRead(length: bigint): Uint8Array;
  }
  export interface OutputStream extends Handle {
    checkWrite(): bigint;
    write(contents: Uint8Array): void;
    blockingFlush(): void;
    subscribe(): Handle & { block(): void };
  }
  export class Fields implements Handle {
    static fromList(entries: [name: string, value: Uint8Array][]): Fields;
    entries(): [name: string, value: Uint8Array][];
    [Symbol.dispose](): void;
  }
  export class IncomingBody implements Handle {
    static finish(body: IncomingBody): Handle;
    stream(): InputStream;
    [Symbol.dispose](): void;
  }
  export class OutgoingResponse implements Handle {
    constructor(headers: Fields);
    setStatusCode(status: number): void;
    body(): OutgoingBody;
    [Symbol.dispose](): void;
  }
  export class OutgoingBody implements Handle {
    static finish(body: OutgoingBody, trailers: undefined): void;
    write(): OutputStream;
    [Symbol.dispose](): void;
  }
  export class ResponseOutparam implements Handle {
    static set(out: ResponseOutparam, response: { tag: "ok"; val: OutgoingResponse }): void;
    [Symbol.dispose](): void;
  }
}
