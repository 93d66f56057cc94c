/**
 * What happens when a woven guest has used up its count: the clock is looked at, and the guest goes on,
 * yields the thread, or ends.
 *
 * A count is an estimate and the clock is the truth: counts are so large that the clock is looked at
 * about every half millisecond, and never larger than what a slow guest may use unseen. A guest
 * that has held the present turn of the event loop for its slice is suspended (JSPI) and goes on in a turn of its
 * own, in the order in which guests were suspended, with I/O in between. Slices of a call are short from its second
 * on, so that others wait little for one that computes long. One that has used the CPU time of its call is
 * ended: its instance traps, in a way that no handler of the guest can catch, and
 * `ended` says why.
 *
 * Nothing is done for a call of the host, and entering costs no look at the clock: what a guest used
 * before its first look, or after a wait, is told from its count.
 */
import { CytoError } from "../kernel/index.ts";
import { Writer } from "./binary-writer.ts";
import { REFILL_UNITS_MIN } from "./weave/emit.ts";
import type { WovenExports } from "./weave/weave.ts";

/** What one call may use, and has used. The caller makes it and may read it at any time. */
export interface Account {
  /** CPU time in the guest; time that it waits does not count. */
  cpuMs: number;
  /** Whether its stack can be suspended: it was entered through `WebAssembly.promising`. */
  readonly suspendable: boolean;
  usedMs: number;
  /** Asked as it computes: whether anybody still waits for it. If not, it does not compute on to the end of its budget. */
  wanted?: (() => boolean) | undefined;
  /** It was found that nobody does. */
  abandoned?: boolean;
  /** It is no call: an instance is made ready. */
  readonly starts?: boolean;
}

/** What a call may still compute that nobody waits for: enough to hear of it and tidy up. */
const TIDYING_MS = 50;

function curtail(account: Account): void {
  account.abandoned = true;
  account.cpuMs = Math.min(account.cpuMs, account.usedMs + TIDYING_MS);
}

/** The metering of a thread. */
export interface Metering {
  /** A meter for one instance of a component, all its core modules together. */
  meter(): Meter;
  /** How many guests wait for their turn. */
  readonly waiting: number;
}

export interface Meter {
  /**
   * Takes charge of an instance of a woven module, and runs its start function. To be done before anything
   * else of it is called.
   */
  attach(instance: WebAssembly.Instance, names: WovenExports): void;
  /** Runs what makes an instance ready, which cannot be suspended and may take longer than what else cannot. */
  start(run: () => void): void;
  /**
   * The guest is entered, or goes on, for `account`; without one it is entered for what cannot be suspended
   * and has to be short: an allocation, a destructor, a callback. Answers with what `leave` is to be given.
   */
  enter(account?: Account): Account | undefined;
  leave(before: Account | undefined): void;
  /** The host has moved so many bytes for the guest: if they are many, the clock is looked at soon. */
  charge(bytes: number): void;
  /** Ends the guest where it runs or waits for its turn. */
  end(reason: CytoError): void;
  /** Why it was ended. What was thrown then is a trap that says nothing. */
  readonly ended: CytoError | undefined;
  /** What each function of modules woven for a profile did so far. */
  profile(): FunctionProfile[];
}

/** Told to the calls of an instance that met a limit with several calls in it. */
export const oneOfSeveral =
  "Several calls were in the instance: one of them met the limit, and the others ended with it.";

/** Whether a guest was ended because it met a limit: what its caller is told then. */
export function metLimit(thrown: unknown): thrown is CytoError {
  return thrown instanceof CytoError && (thrown.code === "cpu-exceeded" || thrown.code === "memory-exceeded");
}

export interface FunctionProfile {
  /** In the order of attaching. */
  readonly module: number;
  /** In the author's module and in the woven one. */
  readonly functionIndex: number;
  readonly entries: number;
  /** The time between two looks at the clock goes to the function that asked for the second. */
  readonly selfMs: number;
}

export interface MeteringOptions {
  /** Milliseconds that never run backwards: of the thread's CPU, where it has such a clock. */
  readonly monotonic: () => number;
  /** The same of the wall, by which slices are measured: others wait for as long, whoever has the core. `monotonic`, unless given. */
  readonly wall?: () => number;
  /** Runs an action in another turn of the event loop, after I/O: `setImmediate`. */
  readonly nextTurn: (action: () => void) => void;
  /**
   * How much of the heap of V8 is used, from 0 to 1. A guest that makes objects there, and finds it
   * nearly full, is ended before V8 ends the process.
   */
  readonly heapUse?: () => number;
  /** How long guests may hold one turn of the event loop. */
  readonly sliceMs?: number;
  /** The same for a call that has used as much: what is short goes before what is long. */
  readonly laterSliceMs?: number;
  /** How long an entry may take that cannot be suspended. */
  readonly uninterruptedMs?: number;
  /** The same for what makes an instance ready: it is done once, and before anybody waits. */
  readonly startMs?: number;
}

/** Between two looks at the clock. */
const LOOK_MS = 0.5;
const UNITS_FIRST = 16_384;
/** Even units that take twenty times as long as they should (each a fresh page of memory) are seen in time. */
const UNITS_MAX = 1 << 18;
/** What a unit is taken to last until it has been measured. */
const UNIT_MS = 1e-6;
const CHARGED_BYTES = 65_536;
const HEAP_LOOK_MS = 1;
/** V8's limit counts the space for young objects, and it gives up when the old ones fill the rest. */
const HEAP_USE_MAX = 0.6;

interface State {
  account: Account | undefined;
  /** Goes up with each entry and each way out: time between two of the same is time in the guest. */
  span: number;
  lookSpan: number;
  /** Used by the present entry without an account. */
  uninterruptedMs: number;
  units: number;
  unitMs: number;
  ended: CytoError | undefined;
  readonly attached: Attached[];
}

/** One core instance. The guest hands it over with each tick. */
interface Attached {
  readonly state: State;
  readonly counter: WebAssembly.Global;
  readonly counts: WebAssembly.Memory | undefined;
  readonly imported: number;
  readonly collected: boolean;
  /** By function, in a profile. */
  readonly selfMs: Map<number, number>;
  given: number;
}

export function createMetering(options: MeteringOptions): Metering {
  const {
    monotonic,
    wall = monotonic,
    nextTurn,
    heapUse,
    sliceMs = 3,
    laterSliceMs = 0.5,
    uninterruptedMs = 5,
    startMs = 250,
  } = options;
  /** When guests began to hold this turn of the event loop, as far as has been seen. */
  let since: number | undefined;
  let armed = false;
  let lookedAt = 0;
  /** The same by the wall's clock, as `since` is. */
  let seenAt = 0;
  let heapLookedAt = Number.NEGATIVE_INFINITY;
  let looker: State | undefined;
  const queue: (() => void)[] = [];

  function arm(): void {
    if (armed) return;
    armed = true;
    nextTurn(() => {
      armed = false;
      since = looker = undefined;
      const next = queue.shift();
      if (!next) return;
      lookedAt = monotonic();
      since = seenAt = wall === monotonic ? lookedAt : wall();
      arm();
      next();
    });
  }

  function refill(at: Attached): number {
    at.given = at.state.units;
    return at.given;
  }

  /** Units, 0 when the guest is to pause, or less than that when it is to end. */
  function look(at: Attached, func: number): number {
    const { state } = at;
    if (state.ended) return -1;
    const now = monotonic();
    const unbroken = looker === state && state.lookSpan === state.span;
    const spentMs = unbroken ? now - lookedAt : at.given * state.unitMs;
    if (unbroken && at.given > 0) {
      state.unitMs = spentMs / at.given;
      if (spentMs < LOOK_MS / 2) state.units = Math.min(state.units * 2, UNITS_MAX);
      else if (spentMs > LOOK_MS)
        state.units = Math.max(Math.floor((state.units * LOOK_MS) / spentMs), REFILL_UNITS_MIN);
    }
    looker = state;
    lookedAt = now;
    state.lookSpan = state.span;
    if (func >= 0) at.selfMs.set(func, (at.selfMs.get(func) ?? 0) + spentMs);

    const { account } = state;
    if (account) {
      account.usedMs += spentMs;
      if (!account.abandoned && account.wanted?.() === false) curtail(account);
      if (account.usedMs > account.cpuMs) return end(state, overBudget(account));
    } else {
      state.uninterruptedMs += spentMs;
      if (state.uninterruptedMs > uninterruptedMs) return end(state, uninterruptedTooLong(uninterruptedMs));
    }
    if (at.collected && heapUse && now - heapLookedAt >= HEAP_LOOK_MS) {
      heapLookedAt = now;
      if (heapUse() > HEAP_USE_MAX) return end(state, heapFull());
    }
    const atWall = wall === monotonic ? now : wall();
    if (since === undefined) {
      since = unbroken ? seenAt : atWall - Math.min(spentMs, LOOK_MS);
      arm();
    }
    seenAt = atWall;
    const allowedMs = account && account.usedMs >= sliceMs ? laterSliceMs : sliceMs;
    return account?.suspendable && atWall - since >= allowedMs ? 0 : refill(at);
  }

  /** Settles in a turn of its own. */
  function pause(at: Attached): Promise<number> {
    const { state } = at;
    const { account } = state;
    return new Promise((resolve) => {
      queue.push(() => {
        state.account = account;
        looker = state;
        state.lookSpan = ++state.span;
        resolve(state.ended ? -1 : refill(at));
      });
      arm();
    });
  }

  const ticks = new WebAssembly.Instance(new WebAssembly.Module(tickModule()), {
    meter: { look, pause: new WebAssembly.Suspending(pause) },
  }).exports;

  return {
    meter: () => createMeter(ticks, startMs),
    get waiting() {
      return queue.length;
    },
  };
}

function createMeter(ticks: WebAssembly.Instance["exports"], startMs: number): Meter {
  const state: State = {
    account: undefined,
    span: 0,
    lookSpan: -1,
    uninterruptedMs: 0,
    units: UNITS_FIRST,
    unitMs: UNIT_MS,
    ended: undefined,
    attached: [],
  };

  function enter(account?: Account): Account | undefined {
    const before = state.account;
    state.account = account;
    state.span += 1;
    if (!account) state.uninterruptedMs = 0;
    return before;
  }

  function leave(before: Account | undefined): void {
    // What could not be interrupted was done for the call that it interrupted.
    if (before && !state.account) before.usedMs += state.uninterruptedMs;
    state.account = before;
    state.span += 1;
  }

  function start(run: () => void): void {
    const account: Account = { cpuMs: startMs, suspendable: false, usedMs: 0, starts: true };
    const before = enter(account);
    try {
      run();
    } catch (thrown) {
      throw state.ended ?? thrown;
    } finally {
      leave(before);
    }
  }

  return {
    start,
    attach({ exports }, names) {
      const counter = exports[names.counter] as WebAssembly.Global;
      const counts = names.counts === undefined ? undefined : (exports[names.counts] as WebAssembly.Memory);
      const attached: Attached = {
        state,
        counter,
        counts,
        imported: names.importedFunctions,
        collected: names.collected,
        selfMs: new Map(),
        given: 0,
      };
      state.attached.push(attached);
      (exports[names.meter] as WebAssembly.Global).value = attached;
      (exports[names.tick] as WebAssembly.Global).value = counts ? ticks.tickFrom : ticks.tick;
      if (names.start !== undefined) start(exports[names.start] as () => void);
    },
    enter,
    leave,
    charge(bytes) {
      if (bytes < CHARGED_BYTES) return;
      for (const { counter } of state.attached) counter.value = 0;
    },
    end: (reason) => {
      end(state, reason);
    },
    get ended() {
      return state.ended;
    },
    profile: () => state.attached.flatMap(profileOf),
  };
}

function end(state: State, reason: CytoError): number {
  state.ended ??= reason;
  for (const { counter } of state.attached) counter.value = 0;
  return -1;
}

function profileOf({ counts, selfMs, imported }: Attached, module: number): FunctionProfile[] {
  if (!counts) return [];
  const entries = new BigUint64Array(counts.buffer);
  const indexes = new Set(selfMs.keys());
  for (const [index, count] of entries.entries()) if (count > 0n) indexes.add(index + imported);
  return [...indexes].map((functionIndex) => ({
    module,
    functionIndex,
    entries: Number(entries[functionIndex - imported] ?? 0n),
    selfMs: selfMs.get(functionIndex) ?? 0,
  }));
}

function overBudget({ cpuMs, abandoned, starts }: Account): CytoError {
  if (starts) {
    return new CytoError("cpu-exceeded", `Cannot start the component: its start functions took over ${cpuMs} ms`, {
      hint: "What makes an instance ready cannot be interrupted and has to be short: do long work in the first call.",
    });
  }
  if (abandoned) {
    const message = `Cannot go on with the call: it computed for ${TIDYING_MS} ms after its caller had gone`;
    return new CytoError("cpu-exceeded", message, {
      hint: "Have the service wait now and then while it computes, so that it can hear that a call is cancelled.",
    });
  }
  return new CytoError("cpu-exceeded", `Cannot go on with the call: it has used its CPU time of ${cpuMs} ms`, {
    hint: "Have the service do less in one call, or raise its limit `cpuMs`.",
  });
}

function heapFull(): CytoError {
  return new CytoError("memory-exceeded", "Cannot go on with the call: the heap for collected objects is nearly full", {
    hint: "A component that makes such objects shares the heap with the host: give the host more (--max-old-space-size).",
  });
}

function uninterruptedTooLong(ms: number): CytoError {
  return new CytoError(
    "cpu-exceeded",
    `Cannot go on with the call: a step that cannot be interrupted took over ${ms} ms`,
    {
      hint: "Allocations, destructors and callbacks have to be short: do long work in the call itself.",
    },
  );
}

/**
 * The module that every woven one calls to be given more. It asks `look`, a plain import, first, because one
 * that may suspend costs more; and it traps rather than throws, because guests can catch what is thrown.
 */
function tickModule(): Uint8Array<ArrayBuffer> {
  const w = new Writer(256);
  w.put([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
  w.section(1, () => w.put([2, 0x60, 1, 0x6f, 1, 0x7f, 0x60, 2, 0x6f, 0x7f, 1, 0x7f]));
  w.section(2, () => {
    w.byte(2);
    for (const [name, type] of [
      ["look", 1],
      ["pause", 0],
    ] as const) {
      w.name("meter");
      w.name(name);
      w.put([0, type]);
    }
  });
  w.section(3, () => w.put([2, 1, 0]));
  w.section(7, () => {
    w.byte(2);
    for (const [name, index] of [
      ["tickFrom", 2],
      ["tick", 3],
    ] as const) {
      w.name(name);
      w.put([0, index]);
    }
  });
  const tickFrom = [
    ...[1, 1, 0x7f], // (local i32)
    ...[0x20, 0, 0x20, 1, 0x10, 0, 0x22, 2, 0x45], // look(meter, function) == 0
    ...[0x04, 0x40, 0x20, 0, 0x10, 1, 0x21, 2, 0x0b], // then pause(meter)
    ...[0x20, 2, 0x41, 0, 0x48, 0x04, 0x40, 0x00, 0x0b], // less than 0: unreachable
    ...[0x20, 2, 0x0b],
  ];
  const tick = [0, 0x20, 0, 0x41, 0x7f, 0x10, 2, 0x0b];
  w.section(10, () => {
    w.byte(2);
    for (const body of [tickFrom, tick]) {
      w.unsigned(body.length);
      w.put(body);
    }
  });
  return w.finish().slice();
}
