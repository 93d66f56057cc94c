/**
 * The instances of one deployment: started when calls need them or ahead of that, used as its
 * lifetime says, replaced when they are worn or break, let go when nobody calls. The I/O round
 * decision.ts.
 *
 *     handle ──▶ room? ──▶ instance.handle ──▶ worn? ──▶ reset, or a successor, in idle time
 *                  └─ no ─▶ queue ──▶ (an instance finished or started) ──▶ instance.handle
 *                              └─ full: overloaded · caller gone: leaves · cannot start: why
 *
 * Always true: at most `instances` live or start at a time; none has more calls than `concurrency`;
 * a fresh one has had no call before it was started or reset; a call that was let in settles exactly
 * once; a broken instance is never called again; starting is not tried again at once after it
 * failed; a bound on use never costs a call. Time is not read for a call that finds a warm instance.
 */
import type { Instance } from "../component/contract.ts";
import {
  type Call,
  type Clock,
  CytoError,
  fraction,
  limits,
  type Random,
  type Reply,
  toCytoError,
} from "../kernel/index.ts";
import type { Deployment, Pool, PoolStatus } from "./contract.ts";
import { admit, ahead, backoffMs, choose, drawn, evict, isOpen, shortage } from "./decision.ts";
import type { Starts } from "./starts.ts";

export interface PoolParts {
  readonly clock: Clock;
  readonly random: Random;
  /** Begins a start when it is its turn; at once, unless given. */
  readonly starts?: Starts;
  /** Told after how long sweeping has a point. */
  readonly onStart?: (sweepMs: number) => void;
  /** How long `drain` waits for the calls inside before it disposes the instances under them. */
  readonly drainTimeoutMs?: number;
}

export function createPool(deployment: Deployment, parts: PoolParts): Pool {
  return new InstancePool(deployment, parts);
}

interface Slot {
  readonly instance: Instance;
  room: number;
  /** Calls that it may take before it is worn. */
  left: number;
  bornMs: number;
  /** The age at which it is worn. */
  ageMs: number;
  due: boolean;
  /** Whether it took a call since the last sweep. */
  used: boolean;
  idleSinceMs: number;
  /** Waiting to be let go. */
  leaving: boolean;
}

interface Waiter {
  readonly call: Call;
  readonly resolve: (reply: Reply | Promise<Reply>) => void;
  readonly reject: (error: CytoError) => void;
  readonly leave: () => void;
}

/** A pinned instance that lived this long is started again without delay. */
const steadyMs = 10_000;

class InstancePool implements Pool {
  readonly #deployment: Deployment;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #starts: Starts;
  readonly #onStart: (sweepMs: number) => void;
  readonly #drainTimeoutMs: number;
  readonly #slots: Slot[] = [];
  readonly #queue = new Set<Waiter>();
  readonly #counts = { started: 0, failed: 0, reset: 0, evicted: 0, retired: 0, traps: 0 };
  #calls = 0;
  /** As far as the last sweep knew. */
  #callsSwept = 0;
  #calledMs: number;
  /** Nobody has called for so long that nothing is held ready. */
  #asleep = false;
  #starting = 0;
  #latestStart: Promise<CytoError | undefined> = Promise.resolve(undefined);
  #failures = 0;
  #failure: CytoError | undefined;
  #blockedUntilMs = Number.NEGATIVE_INFINITY;
  #tending: Disposable | undefined;
  #revival: Disposable | undefined;
  #drained: PromiseWithResolvers<void> | undefined;
  #closed = false;

  constructor(deployment: Deployment, { clock, random, starts, onStart, drainTimeoutMs }: PoolParts) {
    this.#deployment = deployment;
    this.#clock = clock;
    this.#random = random;
    this.#starts = starts ?? ((start) => start());
    this.#onStart = onStart ?? (() => {});
    this.#drainTimeoutMs = drainTimeoutMs ?? limits.timeoutMs;
    this.#calledMs = clock.monotonic();
  }

  readonly handle = (call: Call): Promise<Reply> => {
    if (this.#queue.size > 0 || this.#drained !== undefined) return this.#wait(call);
    const slot = choose(this.#slots) ?? this.#renewed();
    return slot === undefined ? this.#wait(call) : this.#enter(slot, call);
  };

  get status(): PoolStatus {
    const instances = this.#slots.map((slot) => slot.instance);
    return {
      service: this.#deployment.service,
      digest: this.#deployment.digest,
      instances: instances.length,
      ready: this.#slots.filter((slot) => isOpen(slot) && slot.instance.active === 0).length,
      active: instances.reduce((sum, instance) => sum + instance.active, 0),
      queued: this.#queue.size,
      memoryBytes: instances.reduce((sum, instance) => sum + instance.memoryBytes(), 0),
      calls: this.#calls,
      ...this.#counts,
    };
  }

  async warm(): Promise<void> {
    if (this.#slots.length > 0) return;
    const failure = await (this.#starting > 0 ? this.#latestStart : this.#start());
    if (failure) throw failure;
    if (this.#deployment.lifetime.ready > 0) this.#tendLater();
  }

  sweep(): number | undefined {
    const nowMs = this.#clock.monotonic();
    const { idleMs, ready } = this.#deployment.lifetime;
    if (this.#calls !== this.#callsSwept) this.#calledMs = nowMs;
    this.#callsSwept = this.#calls;
    for (const slot of this.#slots) {
      if (slot.used || slot.instance.active > 0) slot.idleSinceMs = nowMs;
      slot.used = false;
      if (nowMs - slot.bornMs >= slot.ageMs) this.#wear(slot);
    }
    this.#asleep = nowMs - this.#calledMs >= idleMs;
    for (const slot of evict(this.#slots, { nowMs, idleMs, keep: this.#asleep ? 0 : ready })) {
      this.#letGo(slot, "evicted");
    }
    if (this.#slots.length + this.#starting === 0) return undefined;
    let nextMs = idleMs;
    for (const { idleSinceMs, bornMs, ageMs, due } of this.#slots) {
      for (const atMs of [idleSinceMs + idleMs, this.#calledMs + idleMs, due ? 0 : bornMs + ageMs]) {
        if (atMs > nowMs) nextMs = Math.min(nextMs, atMs - nowMs);
      }
    }
    return Number.isFinite(nextMs) ? nextMs : undefined;
  }

  shed(): boolean {
    if (this.#deployment.lifetime.policy === "pinned") return false;
    const empty = this.#slots.filter(({ instance, leaving }) => instance.active === 0 && !leaving);
    for (const slot of empty) {
      slot.used = false;
      this.#letGo(slot, "evicted");
    }
    return empty.length > 0;
  }

  drain(): Promise<void> {
    if (this.#drained === undefined) {
      this.#drained = Promise.withResolvers();
      const timer = this.#clock.after(this.#drainTimeoutMs, () => this.#close());
      void this.#drained.promise.then(() => timer[Symbol.dispose]());
      this.#tending?.[Symbol.dispose]();
      this.#pump();
    }
    return this.#drained.promise;
  }

  #enter(slot: Slot, call: Call): Promise<Reply> {
    slot.used = true;
    this.#calls++;
    if (--slot.left <= 0) this.#wear(slot);
    return slot.instance.handle(call);
  }

  #wait(call: Call): Promise<Reply> {
    const { service, queue } = this.#deployment;
    if (this.#drained !== undefined) {
      const message = `Cannot call ${service}: this version of it is draining`;
      return Promise.reject(new CytoError("draining", message, { retryAfterS: 1 }));
    }
    if (call.signal.aborted) return Promise.reject(this.#gone(call));
    switch (admit(this.#supply(), this.#deployment)) {
      case "fail":
        return Promise.reject(this.#unstartable());
      case "refuse": {
        const message = `Cannot call ${service}: all its instances are busy and ${queue} calls wait already`;
        const hint = "Raise `instances` or `queue` in the service's limits, or call it less often.";
        return Promise.reject(new CytoError("overloaded", message, { hint, retryAfterS: 1 }));
      }
      case "wait":
        return this.#enqueue(call);
    }
  }

  #enqueue(call: Call): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const abandon = (): void => {
        waiter.leave();
        reject(this.#gone(call));
        if (this.#drained !== undefined) this.#settleDrain();
      };
      const leave = (): void => {
        this.#queue.delete(waiter);
        call.signal.removeEventListener("abort", abandon);
      };
      const waiter: Waiter = { call, resolve, reject, leave };
      this.#queue.add(waiter);
      call.signal.addEventListener("abort", abandon);
      this.#pump();
    });
  }

  /** Moves what can move: broken instances out, waiting calls in, new instances up, a drain on. */
  #pump(): void {
    for (const slot of [...this.#slots]) if (slot.instance.broken !== undefined) this.#remove(slot, "traps");
    for (const waiter of this.#queue) {
      const slot = choose(this.#slots) ?? this.#renewed();
      if (slot === undefined) break;
      waiter.leave();
      if (this.#clock.now() >= waiter.call.deadlineMs) {
        waiter.reject(this.#gone(waiter.call));
        continue;
      }
      waiter.resolve(this.#enter(slot, waiter.call));
    }
    for (let missing = shortage(this.#supply(), this.#deployment); missing > 0; missing--) void this.#start();
    this.#revive();
    if (this.#slots.length + this.#starting === 0 && !this.#reviving) this.#dismiss(() => this.#unstartable());
    if (this.#drained !== undefined) this.#settleDrain();
  }

  /** A pinned instance is started again whether anybody calls or not. */
  #revive(): void {
    if (this.#deployment.lifetime.policy !== "pinned" || this.#slots.length + this.#starting > 0) return;
    const over = this.#drained !== undefined && this.#queue.size === 0;
    if (over || this.#revival !== undefined || this.#counts.started === 0) return;
    const delayMs = this.#blockedUntilMs - this.#clock.monotonic();
    if (delayMs <= 0) {
      void this.#start();
      return;
    }
    this.#revival = this.#clock.after(delayMs, () => {
      this.#revival = undefined;
      this.#pump();
    });
  }

  /** It comes back: calls may wait for it. One that could not be started does not, for all we know. */
  get #reviving(): boolean {
    return this.#revival !== undefined && this.#failure === undefined;
  }

  /** Answers why it failed, if it did. */
  #start(): Promise<CytoError | undefined> {
    this.#starting++;
    this.#latestStart = this.#instantiate();
    return this.#latestStart;
  }

  async #instantiate(): Promise<CytoError | undefined> {
    const { lifetime, service } = this.#deployment;
    try {
      const instance = await this.#starts(() => this.#deployment.instantiate());
      this.#counts.started++;
      this.#failure = undefined;
      if (lifetime.policy !== "pinned") this.#failures = 0;
      if (this.#closed) {
        instance[Symbol.dispose]();
        return undefined;
      }
      const slot: Slot = { instance, leaving: false, used: true, idleSinceMs: 0, ...this.#newborn(instance) };
      slot.idleSinceMs = slot.bornMs;
      instance.onFinish = () => {
        const waited = this.#queue.size > 0 || this.#drained !== undefined;
        if (waited || slot.left <= 0 || instance.broken !== undefined) this.#finished(slot);
      };
      this.#slots.push(slot);
      this.#onStart(Math.min(lifetime.idleMs, slot.ageMs));
      if (this.#slots.some(({ due }) => due)) this.#tendLater();
      return undefined;
    } catch (thrown) {
      this.#counts.failed++;
      this.#holdOff();
      const { code, message, hint } = toCytoError(thrown, "service-failed");
      this.#failure = new CytoError(code, `Cannot start an instance of ${service}: ${message}`, {
        cause: thrown,
        ...(hint !== undefined && { hint }),
      });
      return this.#failure;
    } finally {
      this.#starting--;
      this.#pump();
    }
  }

  /** What a new instance and one that was reset begin with. */
  #newborn(instance: Instance) {
    const { concurrency, lifetime } = this.#deployment;
    const { policy, requests, ageMs } = lifetime;
    const worn = (bound: number) =>
      policy === "warm" ? drawn(bound, fraction(this.#random)) : Number.POSITIVE_INFINITY;
    return {
      room: policy === "fresh" ? 1 : Math.min(concurrency, instance.concurrency),
      left: policy === "fresh" ? 1 : worn(requests),
      ageMs: worn(ageMs),
      bornMs: this.#clock.monotonic(),
      due: false,
    };
  }

  /** It was used enough. */
  #wear(slot: Slot): void {
    if (slot.due) return;
    slot.left = 0;
    slot.due = true;
    if (this.#deployment.lifetime.policy === "fresh") slot.room = 0;
    this.#tendLater();
  }

  #finished(slot: Slot): void {
    // One that cannot be reset makes room for another at once.
    if (slot.room === 0 && slot.instance.active === 0 && slot.instance.reset === undefined)
      this.#letGo(slot, "retired");
    this.#pump();
    if (slot.due) this.#tendLater();
  }

  #tendLater(): void {
    if (this.#drained !== undefined) return;
    this.#tending ??= this.#clock.after(0, () => this.#tend());
  }

  /** In idle time: renews or replaces what is worn, and makes instances ahead. */
  #tend(): void {
    this.#tending = undefined;
    for (const slot of this.#slots) {
      if (slot.due && slot.instance.active === 0) this.#renew(slot);
    }
    for (const slot of [...this.#slots]) if (slot.due) this.#retire(slot);
    if (this.#asleep && this.#calls === this.#callsSwept) return;
    const { lifetime, instances } = this.#deployment;
    const ready = Math.min(lifetime.ready, instances);
    for (let missing = ahead(this.#slots, ready, this.#supply(), this.#deployment); missing > 0; missing--) {
      void this.#start();
    }
  }

  /** A worn instance that was made new for the next call. */
  #renewed(): Slot | undefined {
    if (this.#deployment.lifetime.policy !== "fresh") return undefined;
    return this.#slots.find((slot) => slot.due && slot.instance.active === 0 && this.#renew(slot));
  }

  /** Puts an instance that is in no call back to its first state. Answers whether that could be done. */
  #renew(slot: Slot): boolean {
    const { instance, leaving } = slot;
    if (leaving || instance.broken !== undefined || instance.reset === undefined) return false;
    // One that could only be put back in part is in no state to be called.
    slot.room = 0;
    try {
      if (!instance.reset()) return false;
    } catch {
      return false;
    }
    Object.assign(slot, this.#newborn(instance));
    this.#counts.reset++;
    return true;
  }

  /** Takes no more calls once somebody can take its place, and goes after its last one. */
  #retire(slot: Slot): void {
    if (this.#slots.some(isOpen)) slot.room = 0;
    // With a successor on its way it stays; where none fits beside it, it goes unless it is called first.
    if (slot.room > 0 && this.#slots.length + this.#starting < this.#deployment.instances) return;
    if (slot.instance.active > 0) return;
    slot.used = false;
    this.#letGo(slot, "retired");
  }

  #supply() {
    return {
      warm: this.#slots.length,
      starting: this.#starting,
      queued: this.#queue.size,
      blocked: this.#clock.monotonic() < this.#blockedUntilMs,
      reviving: this.#reviving,
    };
  }

  /** Disposes the instance once its `waitUntil` work is done, unless a call came in meanwhile. */
  #letGo(slot: Slot, why: "evicted" | "retired"): void {
    if (slot.leaving) return;
    slot.leaving = true;
    const end = (): void => {
      slot.leaving = false;
      const wanted = slot.used && slot.room > 0 && this.#drained === undefined;
      if (slot.instance.active > 0 || wanted) return;
      this.#remove(slot, why);
      this.#pump();
    };
    slot.instance.idle().then(end, end);
  }

  #remove(slot: Slot, why: "evicted" | "retired" | "traps"): void {
    const index = this.#slots.indexOf(slot);
    if (index < 0) return;
    this.#slots.splice(index, 1);
    if (this.#drained === undefined || why === "traps") this.#counts[why]++;
    if (why === "traps" && this.#deployment.lifetime.policy === "pinned") {
      if (this.#clock.monotonic() - slot.bornMs >= steadyMs) this.#failures = 0;
      else this.#holdOff();
    }
    slot.instance.onFinish = undefined;
    // Not at once: the instance itself may be the one that is calling.
    queueMicrotask(() => slot.instance[Symbol.dispose]());
    if (why !== "evicted") this.#tendLater();
  }

  #holdOff(): void {
    this.#blockedUntilMs = this.#clock.monotonic() + backoffMs(++this.#failures);
  }

  #settleDrain(): void {
    if (this.#queue.size === 0) this.#stopRevival();
    for (const slot of this.#slots) if (slot.instance.active === 0) this.#letGo(slot, "retired");
    if (this.#slots.length + this.#starting + this.#queue.size === 0) this.#drained?.resolve();
  }

  #stopRevival(): void {
    this.#revival?.[Symbol.dispose]();
    this.#revival = undefined;
  }

  #close(): void {
    this.#closed = true;
    this.#stopRevival();
    const { service } = this.#deployment;
    this.#dismiss(() => new CytoError("draining", `Cannot call ${service}: the time to drain is over`));
    for (const slot of [...this.#slots]) this.#remove(slot, slot.instance.broken === undefined ? "retired" : "traps");
    this.#drained?.resolve();
  }

  #dismiss(reason: () => CytoError): void {
    for (const waiter of this.#queue) {
      waiter.leave();
      waiter.reject(reason());
    }
  }

  #unstartable(): CytoError {
    const waitMs = Math.max(0, this.#blockedUntilMs - this.#clock.monotonic());
    const { service } = this.#deployment;
    const { code, message, hint, cause } =
      this.#failure ?? new CytoError("service-failed", `Cannot start an instance of ${service}`);
    return new CytoError(code, message, {
      cause,
      retryAfterS: Math.max(1, Math.ceil(waitMs / 1000)),
      ...(hint !== undefined && { hint }),
    });
  }

  #gone(call: Call): CytoError {
    if (call.signal.reason instanceof CytoError) return call.signal.reason;
    const { service } = this.#deployment;
    return this.#clock.now() >= call.deadlineMs
      ? new CytoError("deadline-exceeded", `Cannot call ${service}: the deadline passed while waiting for an instance`)
      : new CytoError("cancelled", `Cannot call ${service}: the caller has gone`);
  }
}
