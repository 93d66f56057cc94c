import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Clock, type CytoError, systemClock } from "../kernel/index.ts";
import type { Home, Trial } from "./shard-fixture.ts";
import { type Shards, type ShardThread, startShards } from "./shards.ts";

interface Opened extends AsyncDisposable {
  readonly shards: Shards<Trial>;
  /** Settles with the next death, or one that nobody has asked for. */
  died(): Promise<{ readonly index: number; readonly reason: CytoError }>;
  revived(): Promise<ShardThread<Trial>>;
  /** Delays that the clock was asked for. */
  readonly delays: number[];
  readonly closed: number[];
}

/** Events in order, for who asks before or after they happen. */
function queue<T>() {
  const happened: T[] = [];
  const waiting: ((value: T) => void)[] = [];
  return {
    push: (value: T) => void (waiting.shift() ?? ((each: T) => happened.push(each)))(value),
    next: () =>
      happened.length > 0 ? Promise.resolve(happened.shift()!) : new Promise<T>((resolve) => waiting.push(resolve)),
  };
}

function open(revive: (shard: ShardThread<Trial>) => Promise<unknown> = async () => {}, count = 2): Opened {
  const deaths = queue<{ readonly index: number; readonly reason: CytoError }>();
  const revivals = queue<ShardThread<Trial>>();
  const delays: number[] = [];
  const closed: number[] = [];
  let nowMs = 0;
  const clock: Clock = {
    ...systemClock,
    // A minute passes whenever somebody looks.
    monotonic: () => (nowMs += 60_000),
    after(delayMs, action) {
      delays.push(delayMs);
      return systemClock.after(Math.min(delayMs, 100), action);
    },
  };
  const shards = startShards<Trial, Home>({
    count,
    entry: new URL("shard-fixture.ts", import.meta.url),
    data: undefined,
    clock,
    heapMegabytes: 32,
    open: (index) => ({
      answers: { answer: (text) => `${index}: ${text}` },
      close: async () => void closed.push(index),
    }),
    async revive(shard, join) {
      await revive(shard);
      join();
      revivals.push(shard);
    },
    onDeath: (index, reason) => deaths.push({ index, reason }),
  });
  const end = () => shards.close(async () => {});
  return { shards, died: deaths.next, revived: revivals.next, delays, closed, [Symbol.asyncDispose]: end };
}

describe("startShards()", { timeout: 60_000 }, () => {
  test("starts as many as are asked for; each asks and answers", async () => {
    await using opened = open();
    const { serving } = opened.shards;
    assert.deepEqual(
      serving.map(({ index }) => index),
      [0, 1],
    );
    assert.deepEqual(await Promise.all(serving.map((shard) => shard.ask("echo", "hello"))), ["hello", "hello"]);
    assert.deepEqual(await Promise.all(serving.map((shard) => shard.ask("callHome", "hello"))), [
      "0: hello",
      "1: hello",
    ]);
    assert.deepEqual(opened.delays, [], "no timer while all serve");
  });

  const ways = [
    ["exit", /^Cannot go on with shard 1: its thread ended with 7$/],
    ["throw", /^Cannot go on with shard 1: thrown where nobody catches$/],
    ["reject", /^Cannot go on with shard 1: rejected where nobody catches$/],
    ["memory", /^Cannot go on with shard 1: .*memory/],
  ] as const;
  for (const [how, message] of ways) {
    test(`survives one that ends by ${how}: what it was asked fails, another takes its place`, async () => {
      await using opened = open();
      const [other, victim] = opened.shards.serving;
      const waiting = victim!.ask("never");
      const dying = victim!.ask("die", how);
      const { index, reason } = await opened.died();
      assert.equal(index, 1);
      assert.match(reason.message, message);
      await assert.rejects(waiting, reason);
      await assert.rejects(dying, reason);
      assert.equal(await other!.ask("echo", "still here"), "still here");
      const successor = await opened.revived();
      assert.equal(successor.index, 1);
      assert.equal(await successor.ask("echo", "here again"), "here again");
      assert.equal(opened.shards.deaths, 1);
      assert.deepEqual(opened.closed, [1], "what it had open here is closed");
    });
  }

  test("does not count one among those that serve before it is where the others are", async () => {
    const gate = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    await using opened = open(() => {
      reached.resolve();
      return gate.promise;
    });
    const [first, second] = opened.shards.serving;
    void first!.ask("die", "exit").catch(() => {});
    await opened.died();
    assert.deepEqual(opened.shards.serving, [second]);
    await reached.promise;
    assert.deepEqual(opened.shards.serving, [second]);
    gate.resolve();
    await opened.revived();
    assert.equal(opened.shards.serving.length, 2);
  });

  test("waits longer each time that a successor cannot be brought up, and says why", async () => {
    let refusals = 3;
    await using opened = open((shard) => (refusals-- > 0 ? shard.ask("refuse") : Promise.resolve()), 1);
    void opened.shards.serving[0]!.ask("die", "exit").catch(() => {});
    await opened.died();
    for (let i = 0; i < 3; i++) {
      const { reason } = await opened.died();
      assert.match(reason.message, /^Cannot go on with shard 0: Cannot open the gateway: it is taken$/);
    }
    await opened.revived();
    assert.deepEqual(opened.delays, [100, 200, 400, 800]);
    void opened.shards.serving[0]!.ask("die", "exit").catch(() => {});
    await opened.died();
    assert.equal(opened.delays.at(-1), 100, "one that held out begins anew");
  });

  test("close() asks each to end, ends those that do not, and starts none again", async () => {
    const opened = open();
    const asked: number[] = [];
    await opened.shards.close(async (shard) => {
      asked.push(shard.index);
      if (shard.index === 0) await shard.ask("die", "exit");
      else await shard.ask("never");
    });
    assert.deepEqual(asked, [0, 1]);
    assert.deepEqual(opened.closed.toSorted(), [0, 1]);
    assert.deepEqual([opened.shards.serving, opened.shards.deaths], [[], 0]);
  });

  test("close() during a back-off starts nothing", async () => {
    const opened = open();
    void opened.shards.serving[0]!.ask("die", "exit").catch(() => {});
    await opened.died();
    await opened.shards.close(async () => {});
    assert.deepEqual([opened.shards.serving, opened.shards.deaths], [[], 1]);
    assert.deepEqual(opened.closed.toSorted(), [0, 1]);
  });
});
