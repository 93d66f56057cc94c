/**
 * How a program of the public WASI test-suite is run and what it must do: the JSON beside it, as the
 * suite's own specification tells. The older form, without `operations`, is read as the newer.
 */
import { existsSync, readFileSync } from "node:fs";

export interface Specification {
  /** `wasi:cli/command`, or `wasi:http/service`. */
  readonly world: string;
  readonly proposals: readonly string[];
  readonly servers: readonly ServerSpecification[];
  readonly operations: readonly Operation[];
}

export interface ServerSpecification {
  readonly name: string;
  /** `closed`: an address at which nobody listens. */
  readonly kind: "listening" | "closed";
  readonly endpoints: readonly Endpoint[];
}

export interface Endpoint {
  readonly method: string;
  readonly path: string;
  readonly mode: "static" | "echo-body" | "echo-headers";
  readonly response: EndpointResponse;
}

export interface EndpointResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** In place of `body`: sent chunk by chunk, with trailers. */
  readonly chunks: readonly string[] | undefined;
  readonly trailers: Readonly<Record<string, string>>;
}

export type Operation =
  | {
      readonly type: "run";
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
      readonly root: string | undefined;
    }
  | { readonly type: "wait"; readonly exitCode: number }
  | { readonly type: "read" | "write" | "send" | "recv"; readonly id: string; readonly payload: string }
  | { readonly type: "connect"; readonly id: string }
  | {
      readonly type: "request";
      readonly method: string;
      readonly path: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
      readonly response: EndpointResponse;
    }
  | { readonly type: "kill"; readonly signal: NodeJS.Signals };

type Json = Readonly<Record<string, unknown>>;
type Texts = Readonly<Record<string, string>>;

/** Throws on what the suite's specification does not know, so that no expectation is passed over. */
export function readSpecification(program: string): Specification {
  const file = program.replace(/\.wasm$/, ".json");
  const json = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Json) : {};
  const newer = ["operations", "proposals", "servers", "world"];
  const older = ["args", "root", "env", "exit_code", "stderr", "stdout"];
  const unknown = Object.keys(json).filter((key) => !newer.includes(key) && !older.includes(key));
  if (unknown.length > 0) throw new Error(`Cannot read ${file}: it has ${unknown.join(", ")}, which is unknown here`);
  const operations = (json.operations as readonly Json[] | undefined) ?? fromOlder(json);
  return {
    world: (json.world as string | undefined) ?? "wasi:cli/command",
    proposals: (json.proposals as readonly string[] | undefined) ?? [],
    servers: ((json.servers as readonly Json[] | undefined) ?? []).map(readServer),
    operations: operations.map(readOperation),
  };
}

function fromOlder({ args, env, root, stdout, stderr, exit_code }: Json): readonly Json[] {
  const reads = Object.entries({ stdout, stderr }).flatMap(([id, payload]) =>
    payload === undefined ? [] : [{ type: "read", id, payload }],
  );
  return [{ type: "run", args, env, root }, ...reads, { type: "wait", exit_code }];
}

function readOperation(json: Json): Operation {
  const {
    type,
    id = "",
    payload = "",
  } = json as { readonly type: string; readonly id?: string; readonly payload?: string };
  switch (type) {
    case "run":
      return {
        type,
        args: (json.args as readonly string[] | undefined) ?? [],
        env: (json.env as Texts | undefined) ?? {},
        root: (json.root as string | null | undefined) ?? undefined,
      };
    case "wait":
      return { type, exitCode: (json.exit_code as number | undefined) ?? 0 };
    case "read":
      return { type, id: id || "stdout", payload };
    case "write":
    case "send":
    case "recv":
      return { type, id, payload };
    case "connect":
      if ((json.protocol_type ?? "tcp") !== "tcp") throw new Error(`Cannot connect by ${json.protocol_type}`);
      return { type, id: id || "server" };
    case "request":
      return {
        type,
        method: (json.method as string | undefined) ?? "GET",
        path: (json.path as string | undefined) ?? "/",
        headers: (json.headers as Texts | undefined) ?? {},
        body: (json.body as string | undefined) ?? "",
        response: readResponse(json.response),
      };
    case "kill":
      return { type, signal: (json.signal as NodeJS.Signals | undefined) ?? "SIGTERM" };
    default:
      throw new Error(`Cannot do the operation ${type}: it is unknown here`);
  }
}

function readServer(json: Json): ServerSpecification {
  const endpoints = ((json.endpoints as readonly Json[] | undefined) ?? []).map(
    (endpoint): Endpoint => ({
      method: (endpoint.method as string | undefined) ?? "GET",
      path: (endpoint.path as string | undefined) ?? "/",
      mode: (endpoint.mode as Endpoint["mode"] | undefined) ?? "static",
      response: readResponse(endpoint.response),
    }),
  );
  return { name: json.name as string, kind: json.kind === "closed" ? "closed" : "listening", endpoints };
}

/** A text stands for a body. */
function readResponse(json: unknown = {}): EndpointResponse {
  const given = typeof json === "string" ? { body: json } : (json as Partial<EndpointResponse>);
  return { status: 200, headers: {}, body: "", chunks: undefined, trailers: {}, ...given };
}
