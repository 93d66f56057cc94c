import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { componentize } from "componentize-qjs";
import { type Call, CytoError, type Reply, systemClock, systemRandom } from "../../kernel/index.ts";
import { type Component, type Grants, type Instance, load } from "../index.ts";
import { createMetering } from "../meter.ts";
import { openServiceInstance } from "./service.ts";

/** A guest in plain JavaScript over the world itself, one behaviour a path. */
const guest = `
import reply from "cytoplane:service/reply@0.1.0";
import streams from "cytoplane:service/streams@0.1.0";
import timers from "cytoplane:service/timers@0.1.0";
import keyvalue from "cytoplane:service/keyvalue@0.1.0";
import outgoing from "cytoplane:service/outgoing@0.1.0";
const ops = new Map();
let count = 0;
let cancelled = "";
const op = (begin) => new Promise((resolve, reject) => {
  const id = ++count;
  ops.set(id, (o) => (o.tag === "failed" ? reject(new Error(o.val.code)) : resolve(o.val)));
  begin(id);
});
const text = (call, val) => reply.respond(call, { status: 200, fields: "content-type: text/plain\\nx-a: 1", body: { tag: "text", val } });
const paths = {
  hello: async (call) => text(call, "hello"),
  together: async (call) => {
    await Promise.all([1, 2, 3].map(() => op((id) => timers.sleep(id, 5))));
    text(call, "slept");
  },
  visits: async (call) => text(call, String(await op((id) => keyvalue.increment(id, "visits", "n", 1)))),
  stranger: async (call) => op((id) => keyvalue.get(id, "nobody's", "n")),
  never: () => new Promise(() => {}),
  throw: async () => { throw new Error("on purpose"); },
  trap: async () => { const again = () => again() + 1; again(); },
  twice: async (call) => { text(call, "first"); text(call, "second"); },
  wait: async (call) => { await op((id) => timers.sleep(id, 60_000)); },
  cancelled: async (call) => text(call, cancelled),
  busy: async (call) => {
    for (let i = 0; i < 200_000; i++);
    text(call, cancelled || "nobody has gone");
  },
  invoke: async (call) => {
    const answer = await op((id) => outgoing.invoke(id, call, "other", { method: "GET", url: "http://other/x", fields: "a: b", body: { tag: "empty" } }));
    text(call, answer.status + answer.fields);
  },
  half: async (call) => {
    reply.respond(call, { status: 200, fields: "", body: { tag: "stream", val: 9000 } });
    await op((o) => streams.write(o, 9000, new Uint8Array(5)));
    throw new Error("half-way");
  },
  echo: async (call, { body }) => {
    const id = 7000 + call;
    reply.respond(call, { status: 200, fields: "", body: { tag: "stream", val: id } });
    for (;;) {
      const chunk = await op((o) => streams.read(o, body.val));
      if (!chunk) break;
      await op((o) => streams.write(o, id, chunk));
    }
    streams.close(id, undefined);
  },
};
export const handler = {
  async start(call, request) {
    const path = new RegExp("//h/(.*)").exec(request.url)[1];
    paths[path](call, request).catch((e) => reply.fail(call, { code: "error", message: e.message, stack: e.stack }));
  },
  async resume(id, outcome) {
    const settle = ops.get(id);
    ops.delete(id);
    settle(outcome);
  },
  async cancel(call, reason) { cancelled = reason; },
};
`;

describe("openServiceInstance()", () => {
  let component: Component;
  let bytes: Uint8Array;
  before(async () => {
    const witPath = new URL("../../../wit/service.wit", import.meta.url).pathname;
    const built = await componentize({ witPath, jsSource: guest, stubWasi: true });
    bytes = built.component;
    component = await load(bytes, { memoryBytes: 64 * 1024 * 1024 });
  });

  function open(changes: Partial<Grants> = {}, of: Component = component): Instance {
    const counts = new Map<string, bigint>();
    const unused = () => {
      throw new Error("not part of this test");
    };
    const visits = {
      get: unused,
      set: unused,
      delete: unused,
      exists: unused,
      keys: unused,
      increment(key: string, delta: bigint) {
        const sum = (counts.get(key) ?? 0n) + delta;
        counts.set(key, sum);
        return sum;
      },
    };
    const grants: Grants = {
      service: "test",
      clock: systemClock,
      random: systemRandom,
      keyvalue: { visits },
      config: {},
      secret: unused,
      fetch: unused,
      invoke: unused,
      log: () => {},
      directories: [],
      environment: [],
      args: [],
      ...changes,
    };
    return openServiceInstance({ component: of, grants, wasi: {}, concurrency: 64 });
  }

  function call(path: string, changes: Partial<Call> = {}): Call {
    return {
      id: "r-1",
      service: "test",
      method: "GET",
      url: `http://h/${path}`,
      headers: [["host", "h"]],
      deadlineMs: Number.MAX_SAFE_INTEGER,
      hops: 0,
      signal: new AbortController().signal,
      ...changes,
    };
  }

  const bodyOf = (reply: Reply) => Buffer.from(reply.body as Uint8Array).toString();
  const refused = (code: string) => (error: CytoError) => error instanceof CytoError && error.code === code;

  test("answers a call", async () => {
    using instance = open();
    const reply = await instance.handle(call("hello"));
    assert.equal(reply.status, 200);
    assert.deepEqual(reply.headers, [
      ["content-type", "text/plain"],
      ["x-a", "1"],
    ]);
    assert.equal(bodyOf(reply), "hello");
    assert.equal(instance.active, 0);
  });

  test("is in many calls at a time", async () => {
    using instance = open();
    const paths = ["together", "hello", "visits", "together", "visits"];
    const replies = await Promise.all(paths.map((path) => instance.handle(call(path))));
    assert.deepEqual(replies.map(bodyOf), ["slept", "hello", "1", "slept", "2"]);
  });

  test("refuses a binding that was not granted, naming the manifest's line", async () => {
    using instance = open();
    await assert.rejects(instance.handle(call("stranger")), (error: CytoError) => error.message === "not-permitted");
  });

  test("gives the error of a handler that throws, with the guest's own stack as its cause", async () => {
    using instance = open();
    await assert.rejects(instance.handle(call("throw")), (error: CytoError) => {
      assert.equal(error.code, "service-failed");
      assert.equal(error.message, "on purpose");
      assert.match((error.cause as Error).stack!, /user\.js:\d+:\d+/);
      return true;
    });
    assert.equal(bodyOf(await instance.handle(call("hello"))), "hello");
  });

  test("tells at once that a handler can never answer", async () => {
    using instance = open();
    await assert.rejects(instance.handle(call("never")), refused("no-reply"));
  });

  test("takes the first of two answers", async () => {
    using instance = open();
    assert.equal(bodyOf(await instance.handle(call("twice"))), "first");
  });

  test("breaks on a trap, and takes only its own calls with it", async () => {
    using instance = open();
    using other = open();
    let finished = 0;
    instance.onFinish = () => finished++;
    const waiting = assert.rejects(instance.handle(call("wait")), refused("instance-trapped"));
    await assert.rejects(instance.handle(call("trap")), refused("instance-trapped"));
    await waiting;
    assert.ok(instance.broken && finished > 0);
    await assert.rejects(instance.handle(call("hello")), refused("instance-trapped"));
    assert.equal(bodyOf(await other.handle(call("hello"))), "hello");
  });

  test("tells the guest when the caller has gone", async () => {
    using instance = open();
    const caller = new AbortController();
    const reply = instance.handle(call("wait", { signal: caller.signal }));
    caller.abort(new CytoError("cancelled", "the caller has gone"));
    await assert.rejects(reply, refused("cancelled"));
    assert.equal(instance.active, 0);
    assert.equal(bodyOf(await instance.handle(call("cancelled"))), "the caller has gone");
  });

  test("tells a guest that was interrupted when it has got on, and not between its look and its answer", async () => {
    const turns: (() => void)[] = [];
    let nowMs = 0;
    const monotonic = () => {
      nowMs += 0.01;
      return nowMs;
    };
    const metering = createMetering({
      monotonic,
      nextTurn: (turn) => turns.push(turn),
      sliceMs: 0.001,
      laterSliceMs: 0.001,
    });
    const metered = await load(bytes, { metered: true });
    const cpu = { metering, cpuMs: 1e9 };
    const instantiate: Component["instantiate"] = (imports, options) =>
      metered.instantiate(imports, { ...options, cpu });
    using instance = open({}, { ...metered, instantiate });
    const caller = new AbortController();
    let answered = false;
    const reply = instance.handle(call("busy", { signal: caller.signal })).finally(() => {
      answered = true;
    });
    assert.equal(metering.waiting, 1);
    caller.abort(new CytoError("cancelled", "the caller has gone"));
    while (!answered) {
      turns.shift()?.();
      await new Promise(setImmediate);
    }
    assert.equal(bodyOf(await reply), "nobody has gone");
  });

  test("calls another service as the call being served", async () => {
    const seen: unknown[] = [];
    using instance = open({
      async invoke(service, request, parent) {
        seen.push(service, request.headers, parent?.id);
        return { status: 201, headers: [["x", "y"]] };
      },
    });
    assert.equal(bodyOf(await instance.handle(call("invoke"))), "201x: y");
    assert.deepEqual(seen, ["other", [["a", "b"]], "r-1"]);
  });

  test("streams both ways, never ahead of the reader", async () => {
    using instance = open();
    let produced = 0;
    async function* source() {
      for (; produced < 100; produced++) yield new Uint8Array(1000).fill(produced);
    }
    const reply = await instance.handle(call("echo", { body: source() }));
    let received = 0;
    for await (const chunk of reply.body as AsyncIterable<Uint8Array>) {
      assert.equal(chunk[0], received++);
      assert.ok(produced - received < 5, `${produced} chunks were produced when ${received} had been read`);
    }
    assert.equal(received, 100);
    await instance.idle();
  });

  test("breaks a body off when its handler throws while sending it", async () => {
    using instance = open();
    const reply = await instance.handle(call("half"));
    await assert.rejects(async () => {
      for await (const chunk of reply.body as AsyncIterable<Uint8Array>) assert.equal(chunk.length, 5);
    }, refused("service-failed"));
    assert.equal(instance.active, 0);
  });

  test("gives up both bodies when the reader leaves half-way", async () => {
    using instance = open();
    const closed = Promise.withResolvers<void>();
    async function* source() {
      try {
        for (;;) yield new Uint8Array(1000);
      } finally {
        closed.resolve();
      }
    }
    const reply = await instance.handle(call("echo", { body: source() }));
    for await (const _ of reply.body as AsyncIterable<Uint8Array>) break;
    await closed.promise;
    await instance.idle();
    assert.equal(instance.active, 0);
  });
});
