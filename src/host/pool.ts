/**
 * The instances of one deployment: started when calls need them, reused, replaced when they break,
 * let go when nobody calls. The I/O round decision.ts.
 *
 *     handle ──▶ room? ──▶ instance.handle
 *                  └─ no ─▶ queue ──▶ (an instance finished or started) ──▶ instance.handle
 *                              └─ full: overloaded · caller gone: leaves · cannot start: why
 *
 * Always true: at most `instances` live or start at a time; none has more calls than `concurrency`;
 * a call that was let in settles exactly once; a broken instance is never called again; starting
 * is not tried again at once after it failed. Time is only read when a call has to wait.
 */
import type { Instance } from "../component/contract.ts";
import { type Call, type Clock, CytoError, limits, type Reply, toCytoError } from "../kernel/index.ts";
import type { Deployment, Pool, PoolStatus } from "./contract.ts";
import { admit, choose, evict, shortage } from "./decision.ts";

export interface PoolParts {
  readonly clock: Clock;
  /** Told that an instance lives, and so that sweeping has a point. */
  readonly onStart?: () => void;
  /** How long `drain` waits for the calls inside before it disposes the instances under them. */
  readonly drainTimeoutMs?: number;
}

export function createPool(deployment: Deployment, parts: PoolParts): Pool {
  return new InstancePool(deployment, parts);
}

interface Slot {
  readonly instance: Instance;
  readonly room: number;
  used: boolean;
  /** Waiting to be let go. */
  leaving: boolean;
}

interface Waiter {
  readonly call: Call;
  readonly resolve: (reply: Reply | Promise<Reply>) => void;
  readonly reject: (error: CytoError) => void;
  readonly leave: () => void;
}

/** After a failed start: how long until the next try, doubled each time up to the longest. */
const backoffMs = { first: 100, longest: 5_000 };

class InstancePool implements Pool {
  readonly #deployment: Deployment;
  readonly #clock: Clock;
  readonly #onStart: () => void;
  readonly #drainTimeoutMs: number;
  readonly #slots: Slot[] = [];
  readonly #queue = new Set<Waiter>();
  #starting = 0;
  #latestStart: Promise<CytoError | undefined> = Promise.resolve(undefined);
  #traps = 0;
  #failures = 0;
  #failure: CytoError | undefined;
  #blockedUntilMs = Number.NEGATIVE_INFINITY;
  #drained: PromiseWithResolvers<void> | undefined;
  #closed = false;

  constructor(deployment: Deployment, { clock, onStart, drainTimeoutMs }: PoolParts) {
    this.#deployment = deployment;
    this.#clock = clock;
    this.#onStart = onStart ?? (() => {});
    this.#drainTimeoutMs = drainTimeoutMs ?? limits.timeoutMs;
  }

  readonly handle = (call: Call): Promise<Reply> => {
    if (this.#queue.size > 0 || this.#drained !== undefined) return this.#wait(call);
    const slot = choose(this.#slots);
    if (slot === undefined) return this.#wait(call);
    slot.used = true;
    return slot.instance.handle(call);
  };

  get status(): PoolStatus {
    const instances = this.#slots.map((slot) => slot.instance);
    return {
      service: this.#deployment.service,
      digest: this.#deployment.digest,
      instances: instances.length,
      active: instances.reduce((sum, instance) => sum + instance.active, 0),
      queued: this.#queue.size,
      traps: this.#traps,
      memoryBytes: instances.reduce((sum, instance) => sum + instance.memoryBytes(), 0),
    };
  }

  async warm(): Promise<void> {
    if (this.#slots.length > 0) return;
    const failure = await (this.#starting > 0 ? this.#latestStart : this.#start());
    if (failure) throw failure;
  }

  sweep(): boolean {
    const unused = evict(this.#slots);
    for (const slot of this.#slots) slot.used = slot.instance.active > 0;
    for (const slot of unused) this.#letGo(slot);
    return this.#slots.length + this.#starting > 0;
  }

  drain(): Promise<void> {
    if (this.#drained === undefined) {
      this.#drained = Promise.withResolvers();
      const timer = this.#clock.after(this.#drainTimeoutMs, () => this.#close());
      void this.#drained.promise.then(() => timer[Symbol.dispose]());
      this.#pump();
    }
    return this.#drained.promise;
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
    for (const slot of [...this.#slots]) if (slot.instance.broken !== undefined) this.#remove(slot);
    for (const waiter of this.#queue) {
      const slot = choose(this.#slots);
      if (slot === undefined) break;
      waiter.leave();
      if (this.#clock.now() >= waiter.call.deadlineMs) {
        waiter.reject(this.#gone(waiter.call));
        continue;
      }
      slot.used = true;
      waiter.resolve(slot.instance.handle(waiter.call));
    }
    for (let missing = shortage(this.#supply(), this.#deployment); missing > 0; missing--) void this.#start();
    if (this.#slots.length + this.#starting === 0) this.#dismiss(() => this.#unstartable());
    if (this.#drained !== undefined) this.#settleDrain();
  }

  /** Answers why it failed, if it did. */
  #start(): Promise<CytoError | undefined> {
    this.#starting++;
    this.#latestStart = this.#instantiate();
    return this.#latestStart;
  }

  async #instantiate(): Promise<CytoError | undefined> {
    try {
      const instance = await this.#deployment.instantiate();
      this.#failures = 0;
      if (this.#closed) {
        instance[Symbol.dispose]();
        return undefined;
      }
      const room = Math.min(this.#deployment.concurrency, instance.concurrency);
      const slot: Slot = { instance, room, used: true, leaving: false };
      instance.onFinish = () => {
        if (this.#queue.size > 0 || this.#drained !== undefined || instance.broken !== undefined) this.#pump();
      };
      this.#slots.push(slot);
      this.#onStart();
      return undefined;
    } catch (thrown) {
      const delayMs = Math.min(backoffMs.first * 2 ** this.#failures++, backoffMs.longest);
      this.#blockedUntilMs = this.#clock.monotonic() + delayMs;
      const { code, message, hint } = toCytoError(thrown, "service-failed");
      this.#failure = new CytoError(code, `Cannot start an instance of ${this.#deployment.service}: ${message}`, {
        cause: thrown,
        ...(hint !== undefined && { hint }),
      });
      return this.#failure;
    } finally {
      this.#starting--;
      this.#pump();
    }
  }

  #supply() {
    return {
      warm: this.#slots.length,
      starting: this.#starting,
      queued: this.#queue.size,
      blocked: this.#clock.monotonic() < this.#blockedUntilMs,
    };
  }

  /** Disposes the instance once its `waitUntil` work is done, unless a call came in meanwhile. */
  #letGo(slot: Slot): void {
    if (slot.leaving) return;
    slot.leaving = true;
    const end = (): void => {
      slot.leaving = false;
      if (slot.instance.active > 0 || (slot.used && this.#drained === undefined)) return;
      this.#remove(slot);
      if (this.#drained !== undefined) this.#settleDrain();
    };
    slot.instance.idle().then(end, end);
  }

  #remove(slot: Slot): void {
    const index = this.#slots.indexOf(slot);
    if (index < 0) return;
    this.#slots.splice(index, 1);
    if (slot.instance.broken !== undefined) this.#traps++;
    slot.instance.onFinish = undefined;
    // Not at once: the instance itself may be the one that is calling.
    queueMicrotask(() => slot.instance[Symbol.dispose]());
  }

  #settleDrain(): void {
    for (const slot of this.#slots) if (slot.instance.active === 0) this.#letGo(slot);
    if (this.#slots.length + this.#starting + this.#queue.size === 0) this.#drained?.resolve();
  }

  #close(): void {
    this.#closed = true;
    const { service } = this.#deployment;
    this.#dismiss(() => new CytoError("draining", `Cannot call ${service}: the time to drain is over`));
    for (const slot of [...this.#slots]) this.#remove(slot);
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
