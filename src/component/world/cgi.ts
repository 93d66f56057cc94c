/**
 * A command as a service, in the way of CGI (RFC 3875): it is told of the request by its environment
 * and standard input, and writes head and body of the reply to standard output.
 *
 *   handle(call) ─ command runs ─┬─ head, then its end with 0      reply, whole or streamed
 *                                ├─ ended with another code        service-failed, or a broken stream
 *                                ├─ no head, or none that is one   invalid-reply
 *                                ├─ trap                           instance-trapped
 *                                └─ call.signal aborted            its reason
 *
 * Every request is a fresh run: nothing is left of it for the next. What it writes to standard error is
 * in the log of the service.
 */
import { type Call, CytoError, type Headers, header, limits, type Reply, toCytoError } from "../../kernel/index.ts";
import type { Component, Grants, Instance, StandardInput, StandardOutput } from "../contract.ts";
import { bodySource } from "../wasi/http/body.ts";
import { chunkBytes } from "../wasi/io.ts";
import { quickTurns } from "../wasi/state.ts";
import { type Channel, createChannel } from "./channel.ts";
import { runCommand } from "./command.ts";

export function openCgiInstance(component: Component, grants: Grants): Instance {
  return new CgiInstance(component, grants);
}

class CgiInstance implements Instance {
  readonly concurrency = 1;
  broken: CytoError | undefined;
  onFinish: (() => void) | undefined;
  readonly #component: Component;
  readonly #grants: Grants;
  #run: Run | undefined;
  #idle: (() => void)[] = [];

  constructor(component: Component, grants: Grants) {
    this.#component = component;
    this.#grants = grants;
  }

  get active(): number {
    return this.#run === undefined ? 0 : 1;
  }

  async handle(call: Call): Promise<Reply> {
    if (this.broken !== undefined) throw this.broken;
    if (this.#run !== undefined)
      throw new CytoError("overloaded", `Cannot call service ${call.service}: the instance is in another call`);
    const run = new Run(call);
    this.#run = run;
    const { stdin, stdout, signal } = run;
    const declared = this.#grants.environment;
    const names = new Set(declared.map(([name]) => name));
    // What the manifest says of a variable, no client may say otherwise.
    const environment = [...declared, ...requestVariables(call).filter(([name]) => !names.has(name))];
    runCommand(this.#component, { ...this.#grants, environment, stdio: { stdin, stdout } }, { call, signal })
      .then(
        (exitCode) => run.end(exitCode),
        (thrown) => run.fail(toCytoError(thrown, "instance-trapped")),
      )
      .finally(() => this.#finish());
    return run.reply();
  }

  idle(): Promise<void> {
    return this.#run === undefined ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Between calls there is no memory. What a run has is bounded by its component. */
  memoryBytes(): number {
    return 0;
  }

  [Symbol.dispose](): void {
    this.broken ??= new CytoError("draining", `Cannot call service ${this.#grants.service}: the instance was disposed`);
    this.#run?.stop(this.broken);
  }

  #finish(): void {
    this.#run = undefined;
    this.onFinish?.();
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

/** One request on its way through a command. */
class Run {
  readonly stdin: StandardInput;
  readonly stdout: StandardOutput;
  readonly signal: AbortSignal;
  readonly #call: Call;
  readonly #stopping = new AbortController();
  /** What was written and nobody has taken: until the head is whole, and until the reply is given. */
  #written: Uint8Array = new Uint8Array(0);
  #head: Head | undefined;
  #channel: Channel | undefined;
  #failure: CytoError | undefined;
  #ended = false;
  #decide: (() => void) | undefined;
  /** Lets a command write on that was ahead of the reply. */
  #goOn: ((streamed: Promise<undefined>) => void) | undefined;

  constructor(call: Call) {
    this.#call = call;
    const source = bodySource(call.body);
    this.stdin = { terminal: false, pull: () => source?.pull(), cancel: () => source?.cancel() };
    this.stdout = { terminal: false, write: (bytes) => this.#write(bytes) };
    this.signal = AbortSignal.any([call.signal, this.#stopping.signal]);
  }

  /** Settles when the head is known, whole if the command ends without waiting. */
  async reply(): Promise<Reply> {
    if (!this.#decided) {
      await new Promise<void>((resolve) => {
        this.#decide = resolve;
      });
    }
    for (let turn = 0; turn < quickTurns && !this.#ended && this.#goOn === undefined; turn++) await undefined;
    if (this.#failure !== undefined) throw this.#failure;
    const { status, headers } = this.#head!;
    if (this.#ended) return this.#written.length === 0 ? { status, headers } : { status, headers, body: this.#written };
    return { status, headers, body: this.#stream() };
  }

  end(exitCode: number): void {
    if (exitCode !== 0) {
      this.fail(new CytoError("service-failed", `Cannot answer ${this.#about}: the command ended with ${exitCode}`));
    } else if (this.#head === undefined) {
      this.fail(this.#invalid("it ended before its header was whole"));
    } else {
      this.#ended = true;
      this.#channel?.end();
    }
  }

  fail(failure: CytoError): void {
    this.#failure ??= failure;
    this.#ended = true;
    this.#channel?.fail(this.#failure);
    this.#decide?.();
  }

  stop(reason: CytoError): void {
    this.#stopping.abort(reason);
  }

  get #decided(): boolean {
    return this.#head !== undefined || this.#failure !== undefined;
  }

  get #about(): string {
    return `a ${this.#call.method} request with service ${this.#call.service}`;
  }

  #write(bytes: Uint8Array): undefined | Promise<undefined> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#channel !== undefined) return this.#channel.write(bytes).then(() => undefined);
    this.#written = this.#written.length === 0 ? bytes : Buffer.concat([this.#written, bytes]);
    if (this.#head === undefined) this.#readHead();
    if (this.#head === undefined || this.#written.length < chunkBytes) return undefined;
    return new Promise((resolve) => {
      this.#goOn = resolve;
    });
  }

  #readHead(): void {
    const end = endOfHead(this.#written);
    if (end === undefined && this.#written.length <= limits.headerBytes) return;
    try {
      if (end === undefined || end.end > limits.headerBytes)
        throw `its header is longer than ${limits.headerBytes} bytes`;
      this.#head = parseHead(Buffer.from(this.#written.subarray(0, end.start)).toString("latin1"));
      this.#written = this.#written.subarray(end.end);
      this.#decide?.();
    } catch (why) {
      const failure = typeof why === "string" ? this.#invalid(why) : toCytoError(why);
      this.fail(failure);
      this.stop(failure);
      throw failure;
    }
  }

  /** From here on the command writes at the pace of the reader. */
  #stream(): AsyncIterable<Uint8Array> {
    const channel = createChannel(() => {
      if (!this.#ended) this.stop(new CytoError("cancelled", `Cannot finish ${this.#about}: the caller has gone`));
    });
    this.#channel = channel;
    const first = channel.write(this.#written).then(() => undefined);
    // The reader may go before it has taken anything: the command then hears of it by its signal.
    first.catch(() => {});
    this.#goOn?.(first);
    return channel.body;
  }

  #invalid(why: string): CytoError {
    return new CytoError("invalid-reply", `Cannot answer ${this.#about}: ${why}`, {
      hint: "A command that serves requests writes a header to standard output, an empty line, and the body.",
    });
  }
}

interface Head {
  readonly status: number;
  readonly headers: Headers;
}

/** Where the header's text ends, and where the body begins. */
function endOfHead(bytes: Uint8Array): { readonly start: number; readonly end: number } | undefined {
  for (let at = bytes.indexOf(lineFeed); at !== -1; at = bytes.indexOf(lineFeed, at + 1)) {
    const start = bytes[at - 1] === carriageReturn ? at - 1 : at;
    if (bytes[at + 1] === lineFeed) return { start, end: at + 2 };
    if (bytes[at + 1] === carriageReturn && bytes[at + 2] === lineFeed) return { start, end: at + 3 };
  }
  return undefined;
}

const [lineFeed, carriageReturn] = [10, 13];
/** They say how a message is carried, which is for the gateway to say. */
const carriage = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "trailer"]);

/** Throws what is wrong with it, as a text. */
function parseHead(text: string): Head {
  let status: number | undefined;
  const headers: (readonly [string, string])[] = [];
  for (const line of text.split(/\r?\n/)) {
    const [, name = "", value = ""] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === "" || /[\0\r]/.test(value)) throw `"${line.slice(0, 60)}" is no header field`;
    const lower = name.toLowerCase();
    if (lower === "status") {
      status = Number(/^[2-5]\d\d(?= |$)/.exec(value)?.[0]);
      if (Number.isNaN(status)) throw `"${value.slice(0, 60)}" is no final status`;
    } else if (!carriage.has(lower)) headers.push([lower, value]);
  }
  return { status: status ?? (header(headers, "location") === undefined ? 200 : 302), headers };
}

/**
 * Told by variables of their own; and `Proxy`, which would pose as the variable by which a program's own
 * requests are sent elsewhere. A name with an underscore would pose as one with a hyphen.
 */
const left = new Set(["content-length", "content-type", "proxy"]);

/** The meta-variables of RFC 3875, section 4.1, and the header fields as `HTTP_…`. */
function requestVariables({ method, url, headers, body }: Call): (readonly [string, string])[] {
  const { hostname, port, protocol, pathname, search } = new URL(url);
  const length = header(headers, "content-length") ?? (body instanceof Uint8Array ? String(body.length) : undefined);
  const type = header(headers, "content-type");
  const variables: (readonly [string, string])[] = [
    ["GATEWAY_INTERFACE", "CGI/1.1"],
    ["SERVER_PROTOCOL", "HTTP/1.1"],
    ["SERVER_SOFTWARE", "cytoplane"],
    ["SERVER_NAME", hostname],
    ["SERVER_PORT", port || (protocol === "https:" ? "443" : "80")],
    ["REQUEST_METHOD", method],
    ["REQUEST_URI", `${pathname}${search}`],
    ["SCRIPT_NAME", ""],
    ["PATH_INFO", decoded(pathname)],
    ["QUERY_STRING", search.slice(1)],
  ];
  if (length !== undefined) variables.push(["CONTENT_LENGTH", length]);
  if (type !== undefined) variables.push(["CONTENT_TYPE", type]);
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    if (left.has(name) || !/^[a-z0-9-]+$/.test(name)) continue;
    const variable = `HTTP_${name.toUpperCase().replaceAll("-", "_")}`;
    const earlier = joined.get(variable);
    joined.set(variable, earlier === undefined ? value : `${earlier}${name === "cookie" ? "; " : ", "}${value}`);
  }
  return [...variables, ...joined];
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
