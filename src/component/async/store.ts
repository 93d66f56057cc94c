/**
 * The threads of one instantiated component, and which of them runs.
 *
 *            start                    block                       its turn has come
 *   (new) ─────────▶ running ─────────────────▶ waiting ──▶ ready ─────────────────▶ running
 *                      │  ▲                                                             │
 *                      │  └──── paused ◀── (host takes its time, or another thread has  │
 *                      ▼                    to run first)                               ▼
 *                     done                                                             …
 *
 * Always true: at most one thread of a store runs, and it runs until it blocks, pauses or ends. A thread
 * is entered either on the stack of whoever starts it (`current`), or from the queue (`running`); of a
 * stack that V8 suspended nothing tells when it goes on, so that no other is taken from the queue between
 * saying so and its next block. After a trap nothing runs any more, and no stack stays suspended: V8 holds
 * those, with the instances that they are in, for as long as nothing lets them go on.
 *
 * Follows "Stack Switching", "Threads" and "Store" of the Component Model's CanonicalABI.md.
 */
import { trap } from "../canon-context.ts";
import type { Meter } from "../meter.ts";
import { GuestResources } from "../resource-class.ts";
import type { Home } from "./home.ts";
import type { Task } from "./task.ts";

/** A guest that only yields gives the event loop a turn after so many. */
const YIELDS_MAX = 64;

type State = "running" | "waiting" | "paused" | "done";

export class Thread {
  readonly task: Task;
  /** What `context.get` and `context.set` see. */
  readonly storage: (number | bigint)[] = [0, 0];
  state: State = "running";
  /** While it waits: whether a cancellation may wake it. */
  cancellable = false;
  /** While it waits: whether it may go on. */
  ready: (() => boolean) | undefined;
  /** While it does not run: how it goes on. */
  proceed: ((cancelled: boolean) => void) | undefined;
  /** Paused until this one blocks, pauses or ends. */
  starter: Thread | undefined;
  /** Component instances that nobody may enter while it runs. */
  entered: readonly Home[] = [];
  queued = false;
  /** What the core function that it is in answered, once it has. */
  answered = false;
  answer: number | bigint | undefined;

  constructor(task: Task) {
    this.task = task;
  }
}

type Answer = number | bigint | false | undefined;

/** What `blocked` says when all stacks have to unwind. */
const ENDED = -1;

/** The other end of a stack that the shim suspends: whichever is called first lets it go on. */
export interface Suspended {
  resolve(value: number | bigint | undefined): void;
  reject(error: unknown): void;
}

export class Store {
  /** The thread that runs on the present JavaScript stack. */
  current: Thread | undefined;
  /** The thread taken from the queue, from then until it blocks or ends. */
  running: Thread | undefined;
  /** Why nothing runs any more. */
  trapped: Error | undefined;
  /** What the host may still do that lets a thread go on: calls under way, ends of streams that it holds. */
  #outside = 0;
  /** Told of a trap. */
  readonly onTrap = new Set<(error: Error) => void>();
  /** Resources of its guests that are outside of them. */
  readonly resources = new GuestResources();
  /** What the shim asks after each call that may block: 1 when it has to wait, -1 when it has to trap. */
  readonly blocked: WebAssembly.Global | undefined;
  #pending: Promise<Answer> | undefined;
  readonly #suspended = new Set<(answer: Answer) => void>();
  readonly #ready: Thread[] = [];
  readonly #entries: (() => void)[] = [];
  #scheduled = false;
  #yields = 0;
  /** Threads that have begun and not ended. */
  #live = 0;

  /** Interrupts guest code that stays too long, and ends what has used up its time. */
  readonly meter: Meter | undefined;
  /** Calls from outside that have not been answered. */
  asked = 0;
  readonly #trapsDeadlock: boolean;

  /**
   * `suspends`: whether stacks can be suspended (JSPI). `trapsDeadlock`: whether calls that wait for
   * nothing that will come are a trap.
   */
  constructor(suspends: boolean, trapsDeadlock: boolean, meter?: Meter) {
    this.meter = meter;
    this.#trapsDeadlock = trapsDeadlock;
    if (suspends) this.blocked = new WebAssembly.Global({ value: "i32", mutable: true }, 0);
  }

  /** The thread whose guest code is running. */
  get thread(): Thread {
    return this.current ?? this.running ?? trap("a built-in was called outside of a task");
  }

  assertLive(): void {
    if (this.trapped === undefined) return;
    const { message } = this.trapped;
    throw new WebAssembly.RuntimeError(`the component cannot be called any more, it has trapped: ${message}`, {
      cause: this.trapped,
    });
  }

  /** Whether a call may begin now; if not, `enterLater` begins it when it may, after those that came before. */
  get free(): boolean {
    return this.running === undefined && this.#entries.length === 0;
  }

  /** Nothing of it is on any stack, waits, or could be woken. */
  get idle(): boolean {
    return this.#live + this.#outside + this.#entries.length === 0 && this.trapped === undefined;
  }

  /** A call comes from outside: the event loop has had its turn. */
  called(): void {
    this.#yields = 0;
  }

  enterLater(begin: () => void): void {
    this.#entries.push(begin);
  }

  /** The host holds something that may let a thread go on; each is to be let go of once. */
  hold(): void {
    this.#outside++;
  }

  letGo(): void {
    // What lets go may be about to let a thread go on.
    if (--this.#outside === 0 && this.#trapsDeadlock) queueMicrotask(() => this.checkProgress());
  }

  /** Runs a new thread on the present stack, until it blocks, pauses or ends. */
  start(thread: Thread, entered: readonly Home[], body: () => void): void {
    const starter = this.current;
    this.current = thread;
    this.#live++;
    const before = this.meter?.enter(thread.task.account);
    enter(thread, entered);
    try {
      body();
    } catch (thrown) {
      this.trap(thrown);
      throw thrown;
    } finally {
      this.meter?.leave(before);
      this.current = starter;
      // What runs on by itself holds the store from here on.
      if (thread.state === "running") thread.state = "paused";
      if (thread.state === "paused") this.running = this.#innermost(thread);
    }
  }

  /** The thread stops here until `ready` says that it may go on. */
  wait(thread: Thread, ready: () => boolean, cancellable: boolean, proceed: (cancelled: boolean) => void): void {
    thread.state = "waiting";
    thread.ready = ready;
    thread.cancellable = cancellable;
    thread.proceed = proceed;
    this.check(thread);
    this.leave(thread);
  }

  /** Something has changed that a waiting thread may have waited for. */
  check(thread: Thread): void {
    if (thread.state !== "waiting" || thread.queued || this.trapped !== undefined) return;
    if (thread.ready!()) {
      thread.queued = true;
      this.#ready.push(thread);
      this.schedule();
      return;
    }
    const { home } = thread.task;
    if (home.exclusive !== undefined || home.backpressure > 0) home.deferred.add(thread);
  }

  /** The thread goes on now, before any other. `cancelled` is what it learns. */
  resume(thread: Thread, cancelled: boolean): void {
    const { proceed } = thread;
    thread.state = "running";
    thread.ready = undefined;
    thread.proceed = undefined;
    this.running = thread;
    if (thread.entered.length === 0) enter(thread, thread.task.home.chain);
    this.meter?.enter(thread.task.account);
    try {
      proceed!(cancelled);
    } catch (thrown) {
      this.trap(thrown);
    }
  }

  /** Without the stack's going on at once: whoever asked, and waits for it, has to leave the stack first. */
  resumeSoon(thread: Thread, entered: readonly Home[], cancelled: boolean): void {
    thread.state = "running";
    thread.ready = undefined;
    enter(thread, entered);
    this.running = thread;
    queueMicrotask(() => {
      if (this.trapped === undefined) this.resume(thread, cancelled);
    });
  }

  /** The host takes its time: nothing else of the store runs until `thread` goes on through `resume`. */
  pause(thread: Thread, proceed: () => void): void {
    thread.state = "paused";
    thread.proceed = proceed;
    this.running = thread;
  }

  /** `thread` goes on when `other`, which it started or woke, blocks or ends. */
  pauseFor(thread: Thread, other: Thread, proceed: () => void): void {
    thread.state = "paused";
    thread.proceed = proceed;
    other.starter = thread;
  }

  /** The thread has blocked or ended. */
  leave(thread: Thread): void {
    for (const home of thread.entered) home.entered = false;
    thread.entered = [];
    const { starter } = thread;
    thread.starter = undefined;
    if (this.running !== thread) return;
    this.meter?.leave(undefined);
    this.running = undefined;
    if (starter !== undefined) this.resume(starter, false);
    else this.schedule();
  }

  end(thread: Thread): void {
    thread.state = "done";
    this.#live--;
    this.leave(thread);
    thread.task.ended?.();
  }

  /** Suspends the wasm stack that called the present trampoline, which must then return at once. */
  suspend(): Suspended {
    if (this.blocked === undefined) trap("the component waits, and it was instantiated without leave to be suspended");
    if (this.current?.task.callee.suspendable === false) trap("a start function or destructor waits: only a call can");
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.blocked.value = this.trapped === undefined ? 1 : ENDED;
    this.#pending = promise;
    const suspended = this.#suspended;
    suspended.add(resolve);
    return {
      resolve(value) {
        suspended.delete(resolve);
        resolve(value);
      },
      reject(error) {
        suspended.delete(resolve);
        reject(error);
      },
    };
  }

  /** What the shim waits for. */
  takePending(): Promise<Answer> | false {
    const pending = this.#pending ?? false;
    this.#pending = undefined;
    if (this.trapped === undefined) this.blocked!.value = 0;
    return pending;
  }

  schedule(): void {
    if (this.#scheduled || this.running !== undefined || this.trapped !== undefined) return;
    if (this.#ready.length === 0 && this.#entries.length === 0) return;
    this.#scheduled = true;
    const turn = () => {
      this.#scheduled = false;
      this.#pump();
    };
    // Yields of one guest do not keep the thread of the host from everybody else.
    if (++this.#yields < YIELDS_MAX) queueMicrotask(turn);
    else {
      this.#yields = 0;
      setImmediate(turn);
    }
  }

  /** Ends everything. */
  trap(thrown: unknown): void {
    if (this.trapped !== undefined) return;
    // What ends a guest from outside is a trap that says nothing but where it was.
    const ended = this.meter?.ended;
    if (ended !== undefined && ended !== thrown) ended.cause ??= thrown;
    const reason = ended ?? thrown;
    this.trapped = reason instanceof Error ? reason : new WebAssembly.RuntimeError(String(reason));
    this.#ready.length = 0;
    this.running = undefined;
    if (this.blocked !== undefined) this.blocked.value = ENDED;
    // False is a number of any type; nobody sees it.
    for (const resolve of this.#suspended) resolve(false);
    this.#suspended.clear();
    const told = [...this.onTrap];
    this.onTrap.clear();
    for (const tell of told) tell(this.trapped);
    for (const begin of this.#entries.splice(0)) begin();
  }

  #pump(): void {
    // Those that become ready meanwhile have the next turn, so that a guest that only yields ends this one.
    for (let left = this.#ready.length; left > 0 && this.running === undefined; left--) {
      const thread = this.#ready.shift();
      if (thread === undefined) break;
      thread.queued = false;
      if (thread.state !== "waiting") continue;
      if (thread.ready!()) this.resume(thread, false);
      else this.check(thread);
    }
    while (this.running === undefined && this.#entries.length > 0) this.#entries.shift()!();
    this.schedule();
    this.checkProgress();
  }

  /** To be called where nothing may be left that could let a waiting call go on. */
  checkProgress(): void {
    if (!this.#trapsDeadlock || this.#scheduled || this.running !== undefined || this.current !== undefined) return;
    if (this.trapped === undefined && this.asked > 0 && this.#outside === 0)
      this.trap(new WebAssembly.RuntimeError("every task of the component waits for another: a deadlock"));
  }

  /** Of a chain of threads that wait for one another, the one that runs. */
  #innermost(thread: Thread): Thread {
    const { running } = this;
    for (let outer: Thread | undefined = running; outer !== undefined; outer = outer.starter)
      if (outer === thread) return running!;
    return thread;
  }
}

function enter(thread: Thread, entered: readonly Home[]): void {
  thread.entered = entered;
  for (const home of entered) home.entered = true;
}
