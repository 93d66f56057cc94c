/** `poll_oneoff` of WASI 0.1: waits until a clock, or a descriptor, has something to say. */
import type { Clock } from "../../../kernel/index.ts";
import { InputStream, type Pollable, poll } from "../io.ts";
import { errnoOf } from "./errno.ts";
import type { GuestMemory } from "./memory.ts";
import { type DescriptorTable, type Open, right } from "./table.ts";

/** Waits on the monotonic clock, in nanoseconds. */
export interface Alarms {
  subscribeInstant(when: bigint): Pollable;
  subscribeDuration(duration: bigint): Pollable;
}

const subscriptionBytes = 48;
const eventBytes = 32;
/** A guest waits for its clocks and descriptors, of which it has few; each costs a watcher. */
const subscriptionsMax = 4_096;
const kinds = { clock: 0, read: 1, write: 2 } as const;
const clockIds = { realtime: 0, monotonic: 1 } as const;
const absolute = 1;

interface Event {
  readonly userdata: bigint;
  readonly kind: number;
  readonly errno?: number;
  readonly available?: bigint;
}

/** Something subscribed to: what it becomes when it happens, and `undefined` where it has happened already. */
interface Subscription {
  readonly pollable: Pollable | undefined;
  event(): Event;
}

export function pollFunctions(table: () => DescriptorTable, clock: Clock, alarms: Alarms) {
  function subscribe(struct: DataView): Subscription {
    const userdata = struct.getBigUint64(0, true);
    const kind = struct.getUint8(8);
    try {
      if (kind === kinds.clock) return { pollable: alarm(struct), event: () => ({ userdata, kind }) };
      if (kind !== kinds.read && kind !== kinds.write) throw "invalid";
      const opened = table().get(struct.getUint32(16, true), right.poll);
      return { pollable: pollableOf(opened, kind), event: () => ({ userdata, kind, available: availableOf(opened) }) };
    } catch (thrown) {
      const errno = errnoOf(thrown);
      return { pollable: undefined, event: () => ({ userdata, kind, errno }) };
    }
  }

  function alarm(struct: DataView): Pollable {
    const id = struct.getUint32(16, true);
    if (id !== clockIds.realtime && id !== clockIds.monotonic) throw "invalid";
    const timeout = struct.getBigUint64(24, true);
    if ((struct.getUint16(40, true) & absolute) === 0) return alarms.subscribeDuration(timeout);
    if (id === clockIds.monotonic) return alarms.subscribeInstant(timeout);
    const left = timeout - BigInt(clock.now()) * 1_000_000n;
    return alarms.subscribeDuration(left > 0n ? left : 0n);
  }

  return {
    poll_oneoff(memory: GuestMemory, from: number, to: number, count: number, out: number): void | Promise<void> {
      const length = count >>> 0;
      if (length === 0 || length > subscriptionsMax) throw "invalid";
      memory.bytes(to, length * eventBytes);
      const subscriptions = Array.from({ length }, (_, index) =>
        subscribe(memory.struct((from >>> 0) + index * subscriptionBytes, subscriptionBytes)),
      );
      const answer = (events: readonly Event[]): void => {
        for (const [index, event] of events.entries()) writeEvent(memory, (to >>> 0) + index * eventBytes, event);
        memory.setU32(out, events.length);
      };
      const waiting = subscriptions.flatMap(({ pollable }) => (pollable === undefined ? [] : [pollable]));
      const happened = () =>
        subscriptions
          .filter(({ pollable }) => pollable === undefined || pollable.ready())
          .map((subscription) => subscription.event());
      if (waiting.length < subscriptions.length) return answer(happened());
      const ready = poll(waiting);
      return ready instanceof Promise ? ready.then(() => answer(happened())) : answer(happened());
    },
  };
}

/** `undefined` for a file: it is always ready. */
function pollableOf(opened: Open, kind: number): Pollable | undefined {
  if (opened.kind === "file") return undefined;
  if (opened.kind === "directory") throw "bad-descriptor";
  if ((kind === kinds.read) !== opened.stream instanceof InputStream) throw "bad-descriptor";
  return opened.stream.subscribe();
}

/** Of a stream it is not known: at least one byte, or its end. */
function availableOf(opened: Open): bigint {
  if (opened.kind !== "file") return 1n;
  const left = opened.file.stat().size - BigInt(opened.position);
  return left > 0n ? left : 0n;
}

function writeEvent(memory: GuestMemory, at: number, { userdata, kind, errno = 0, available = 0n }: Event): void {
  const struct = memory.struct(at, eventBytes);
  struct.setBigUint64(0, userdata, true);
  struct.setUint16(8, errno, true);
  struct.setUint8(10, kind);
  struct.setBigUint64(16, available, true);
  struct.setUint16(24, 0, true);
}
