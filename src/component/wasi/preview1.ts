/**
 * WASI 0.1, `wasi_snapshot_preview1`, for core modules: a surface over the same files, clocks, chance
 * and standard streams that WASI 0.2 has, so that a grant means the same to both.
 *
 * Each function is given the instance's memory before its own arguments, and answers an `errno`. What
 * it throws as a word of {@link errnoOf} is such an answer; anything else ends the instance.
 * There are no sockets: what a guest does with one answers that it is none.
 */
import { type Grants, type HostFunction, suspending } from "../contract.ts";
import { clocks } from "./clocks.ts";
import { Exit } from "./exit.ts";
import { openDirectories } from "./filesystem.ts";
import { errnoOf } from "./preview1/errno.ts";
import { fileFunctions } from "./preview1/files.ts";
import { GuestMemory } from "./preview1/memory.ts";
import { pathFunctions } from "./preview1/paths.ts";
import { pollFunctions } from "./preview1/poll.ts";
import { DescriptorTable, directoryRights, type Open, streamRights } from "./preview1/table.ts";
import { assertLive, type HostState } from "./state.ts";
import type { StandardIo } from "./stdio.ts";

/** The ones that wait. */
const waits = new Set(["fd_read", "fd_write", "fd_sync", "fd_datasync", "poll_oneoff"]);

export function preview1(grants: Grants, state: HostState, stdio: StandardIo) {
  let functions: Record<string, Run> | undefined;
  const find = (name: string): Run | undefined => {
    functions ??= functionsOf(grants, state, stdio);
    return Object.hasOwn(functions, name) ? functions[name] : undefined;
  };
  // Components import none of them, a module few, and an instance may live for one request: each is made on demand.
  const none: Record<string, HostFunction> = {};
  const onDemand: ProxyHandler<typeof none> = {
    get(_, name) {
      const run = typeof name === "string" ? find(name) : undefined;
      return run && answering(run, waits.has(name as string), state);
    },
  };
  return { wasi_snapshot_preview1: new Proxy(none, onDemand) };
}

function functionsOf(grants: Grants, state: HostState, stdio: StandardIo): Record<string, Run> {
  let opened: DescriptorTable | undefined;
  const table = (): DescriptorTable => {
    opened ??= openTable(grants, state, stdio);
    return opened;
  };
  const alarms = clocks(grants.clock, state)["wasi:clocks/monotonic-clock"];
  return {
    ...programFunctions(grants),
    ...clockFunctions(grants, alarms.now),
    ...fileFunctions(table),
    ...pathFunctions(table),
    ...pollFunctions(table, grants.clock, alarms),
    ...socketFunctions(table),
  };
}

type Run = (memory: GuestMemory, ...values: never[]) => unknown;

function answering(run: Run, suspends: boolean, state: HostState): HostFunction {
  let memory: GuestMemory | undefined;
  const answer = (given: WebAssembly.Memory, ...values: never[]): number | Promise<number> => {
    assertLive(state);
    memory ??= new GuestMemory(given);
    try {
      const result = run(memory, ...values);
      return result instanceof Promise ? result.then(() => 0, errnoOf) : 0;
    } catch (thrown) {
      return errnoOf(thrown);
    }
  };
  return suspends ? suspending(answer as HostFunction) : (answer as HostFunction);
}

function openTable(
  grants: Grants,
  state: HostState,
  { stdin, stdout, stderr, terminals }: StandardIo,
): DescriptorTable {
  const table = new DescriptorTable(
    { kind: "input", stream: stdin, terminal: terminals.stdin, base: streamRights.input, inheriting: 0n, flags: 0 },
    { kind: "output", stream: stdout, terminal: terminals.stdout, base: streamRights.output, inheriting: 0n, flags: 0 },
    { kind: "output", stream: stderr, terminal: terminals.stderr, base: streamRights.output, inheriting: 0n, flags: 0 },
  );
  for (const [file, granted] of openDirectories(grants, state)) {
    const directory: Open = {
      kind: "directory",
      file,
      granted,
      listing: undefined,
      flags: 0,
      ...directoryRights,
    };
    table.add(directory);
  }
  return table;
}

function programFunctions({ args, environment, random, service }: Grants) {
  const texts = (list: readonly string[]) => list.map((text) => Buffer.from(`${text}\0`));
  const given = { args: texts(args), environment: texts(environment.map(([name, value]) => `${name}=${value}`)) };
  const sizes = (list: readonly Buffer[]) => (memory: GuestMemory, count: number, bytes: number) => {
    memory.setU32(count, list.length);
    memory.setU32(
      bytes,
      list.reduce((sum, { length }) => sum + length, 0),
    );
  };
  const contents = (list: readonly Buffer[]) => (memory: GuestMemory, pointers: number, buffer: number) => {
    let at = buffer >>> 0;
    for (const [index, text] of list.entries()) {
      memory.setU32((pointers >>> 0) + index * 4, at);
      memory.bytes(at, text.length).set(text);
      at += text.length;
    }
  };
  return {
    args_sizes_get: sizes(given.args),
    args_get: contents(given.args),
    environ_sizes_get: sizes(given.environment),
    environ_get: contents(given.environment),
    random_get(memory: GuestMemory, pointer: number, length: number): void {
      const target = memory.bytes(pointer, length);
      for (let at = 0; at < target.length; at += randomPiece)
        target.set(random.bytes(Math.min(randomPiece, target.length - at)), at);
    },
    proc_exit(_: GuestMemory, status: number): never {
      throw new Exit(service, status >>> 0);
    },
    proc_raise(): never {
      throw "unsupported";
    },
    /** Others run whenever a guest waits: there is nothing that it could yield to. */
    sched_yield(): void {},
  };
}

/** A source of chance may bound what one call asks for. */
const randomPiece = 65_536;

function clockFunctions({ clock }: Grants, monotonicNow: () => bigint) {
  const clockIds = { realtime: 0, monotonic: 1 } as const;
  const read = (id: number): bigint => {
    if (id === clockIds.realtime) return BigInt(Math.round(clock.now() * 1e6));
    if (id === clockIds.monotonic) return monotonicNow();
    throw "invalid";
  };
  return {
    clock_res_get(memory: GuestMemory, id: number, out: number): void {
      read(id);
      memory.setU64(out, id === clockIds.realtime ? 1_000_000n : 1_000n);
    },
    clock_time_get(memory: GuestMemory, id: number, _precision: bigint, out: number): void {
      memory.setU64(out, read(id));
    },
  };
}

function socketFunctions(table: () => DescriptorTable) {
  const refuse = (_: GuestMemory, fd: number): never => {
    table().get(fd);
    throw "not-socket";
  };
  return { sock_accept: refuse, sock_recv: refuse, sock_send: refuse, sock_shutdown: refuse };
}
