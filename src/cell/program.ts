/**
 * A command run by hand: a component's bytes and what its caller lets it reach, to its exit code.
 *
 * No app is round it: there is no binding, no secret and no other service.
 */
import { createOutgoing } from "../capability/outgoing/outgoing.ts";
import { createSocketAccess } from "../capability/sockets/sockets.ts";
import { type Component, type Grants, load, type StandardStreams } from "../component/index.ts";
import { runCommand } from "../component/world/command.ts";
import { type Clock, CytoError, limits, type Random, systemClock, systemRandom, toCytoError } from "../kernel/index.ts";
import { needOf } from "./inspection.ts";

export interface ProgramParts {
  readonly component: Uint8Array;
  /** What it is called: its first argument, and its name in messages. */
  readonly name: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directories: Grants["directories"];
  /** Hosts that it may reach, and addresses that it may be reached at. */
  readonly egress: readonly string[];
  readonly listen: readonly string[];
  readonly stdio: StandardStreams;
  /** Told what it logs by wasi:logging. */
  readonly onLog: Grants["log"];
  readonly clock?: Clock;
  readonly random?: Random;
}

export async function runProgram(parts: ProgramParts): Promise<number> {
  const { name, clock = systemClock, random = systemRandom } = parts;
  const component = await loadProgram(name, parts.component);
  const { timeoutMs, headerBytes, sockets } = limits;
  await using outgoing = createOutgoing({
    service: name,
    allow: parts.egress,
    clock,
    limits: { timeoutMs, headerBytes },
  });
  const refuse = async (what: string): Promise<never> => {
    throw new CytoError("not-permitted", `Cannot ${what}: ${name} runs by itself, without an app`);
  };
  return await runCommand(component, {
    service: name,
    clock,
    random,
    keyvalue: {},
    config: {},
    secret: (secret) => refuse(`read the secret ${secret}`),
    fetch: (request, parent) => outgoing.fetch(request, parent),
    invoke: (service) => refuse(`call service ${service}`),
    log: parts.onLog,
    sockets: createSocketAccess({
      service: name,
      egress: parts.egress,
      listen: parts.listen,
      sockets,
      toPermit: (key, entry) => `run it with --${key} ${entry}`,
    }),
    directories: parts.directories,
    environment: Object.entries(parts.environment),
    args: [name, ...parts.args],
    stdio: parts.stdio,
  });
}

/** Throws what is wrong with the file, saying which file. */
async function loadProgram(name: string, bytes: Uint8Array): Promise<Component> {
  const refuse = (
    code: CytoError["code"],
    why: string,
    details: { readonly cause?: unknown; readonly hint?: string },
  ) => new CytoError(code, `Cannot run ${name}: ${why}`, details);
  const component = await load(bytes).catch((thrown: unknown): never => {
    const { code, message, hint } = toCytoError(thrown);
    throw refuse(code, message, { cause: thrown, ...(hint !== undefined && { hint }) });
  });
  const missing = component.imports.filter((each) => needOf(each).state === "missing");
  if (missing.length === 0) return component;
  throw refuse("unbound-import", `it imports ${missing.join(", ")}, which nothing here provides`, {
    hint: "Build it without: cyto inspect shows what it imports.",
  });
}
