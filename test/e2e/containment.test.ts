/**
 * Guests that do what they should not, in a host that real clients reach: each is told why it failed, is replaced,
 * and its neighbour on the same shard answers all the while.
 */
import assert from "node:assert/strict";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { parse } from "@bytecodealliance/jco";
import { Agent, request } from "undici";
import { type Running, startCyto } from "./process.ts";

const guests = new URL("../guests/", import.meta.url);

/** Does what its path says, badly. */
const service = `
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const endless = () => new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(65536)) });
const deep = (n: number): number => 1 + deep(n + 1);
const acts: Record<string, (request: Request) => unknown> = {
  hello: () => new Response("hello"),
  loop: () => { for (;;); },
  "loop-later": async () => { await pause(1); for (;;); },
  yields: async () => { for (;;) await undefined; },
  bomb: () => { const kept: unknown[] = []; for (;;) kept.push(new Uint8Array(1 << 20).fill(1)); },
  recursion: () => new Response(String(deep(0))),
  never: () => new Promise(() => setTimeout(() => {}, 60_000)),
  nothing: () => new Promise(() => {}),
  stream: () => new Response(endless()),
  huge: () => new Response("x".repeat(3_000_000)),
  echo: (request: Request) => new Response(request.body),
  throws: () => { throw new Error("on purpose"); },
};
export default {
  fetch: (request: Request) => acts[new URL(request.url).pathname.slice(1)]!(request) as Promise<Response>,
};
`;

describe("a host of guests that behave badly", { timeout: 120_000 }, () => {
  let folder: string;
  let server: Running;
  const agent = new Agent({ connections: null, pipelining: 1 });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cyto-containment-"));
    await writeFile(join(folder, "service.ts"), service);
    const evil = await readFile(new URL("evil/evil.wat", guests), "utf8");
    await writeFile(join(folder, "evil.wasm"), await parse(evil));
    for (const name of ["hello", "probe", "handler"])
      await copyFile(new URL(`${name}.wasm`, guests), join(folder, `${name}.wasm`));
    const limits = { cpuMs: 150, memoryBytes: "16MiB" };
    const services = {
      neighbour: { component: "hello.wasm" },
      evil: { component: "evil.wasm", limits },
      // It comes to its other bounds before it has used up its time.
      greedy: { component: "evil.wasm", limits: { ...limits, cpuMs: 30_000 } },
      probe: { component: "probe.wasm", limits, bindings: { counts: { keyvalue: "memory" } }, secrets: ["token"] },
      handler: { component: "handler.wasm", limits },
      typescript: { source: "service.ts", limits },
      hasty: { source: "service.ts", limits: { cpuMs: 60_000 }, policy: { timeout: "1500ms", retry: { attempts: 2 } } },
    };
    const routed = Object.entries(services).map(([name, declared]) => [
      name,
      { ...declared, routes: [{ match: "/*", headers: { "x-service": name } }] },
    ]);
    const policy = { retry: { attempts: 1 } };
    const manifest = JSON.stringify({ app: "bad", services: Object.fromEntries(routed), policy });
    await writeFile(join(folder, "cyto.yaml"), manifest);
    server = await startCyto(["up", folder]);
  });
  after(async () => {
    await agent.destroy();
    await server?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  function ask(name: string, path: string, options: Partial<Parameters<typeof request>[1]> = {}) {
    return request(new URL(path, server.address), { headers: { "x-service": name }, dispatcher: agent, ...options });
  }

  /** `status code`; the code where it is a problem. */
  async function outcome(name: string, path: string): Promise<string> {
    const { statusCode, headers, body } = await ask(name, path);
    const text = await body.text();
    const problem = /problem/.test(String(headers["content-type"])) ? (JSON.parse(text) as { code?: string }) : {};
    return `${statusCode} ${problem.code ?? text}`;
  }

  /** Asked again and again until `during` has settled; answers how often it was. */
  async function neighbour(during: Promise<unknown>): Promise<number> {
    let over = false;
    const ended = during.finally(() => {
      over = true;
    });
    ended.catch(() => {});
    let answers = 0;
    do {
      assert.equal(await outcome("neighbour", "/"), "200 Hello, WASI!");
      answers++;
    } while (!over);
    return answers;
  }

  const bad = [
    ["evil", "/loop", "502 cpu-exceeded"],
    ["greedy", "/memory", "502 instance-trapped"],
    ["greedy", "/table", "502 instance-trapped"],
    ["greedy", "/recursion", "502 instance-trapped"],
    ["greedy", "/handles", "502 instance-trapped"],
    ["evil", "/x", "502 instance-trapped"],
    ["probe", "/trap", "502 instance-trapped"],
    ["probe", "/exit", "502 instance-trapped"],
    ["handler", "/trap", "502 instance-trapped"],
    ["handler", "/busy?ms=1", "502 cpu-exceeded"],
    ["typescript", "/loop", "502 cpu-exceeded"],
    ["typescript", "/loop-later", "502 cpu-exceeded"],
    ["typescript", "/yields", "502 cpu-exceeded"],
    ["typescript", "/bomb", "500 service-failed"],
    ["typescript", "/recursion", "502 instance-trapped"],
    ["typescript", "/nothing", "502 no-reply"],
    ["typescript", "/throws", "500 service-failed"],
    ["hasty", "/loop", "504 deadline-exceeded"],
    ["hasty", "/loop-later", "504 deadline-exceeded"],
    ["hasty", "/never", "504 deadline-exceeded"],
  ] as const;
  const well = {
    evil: "502 instance-trapped",
    greedy: "502 instance-trapped",
    probe: "200 Hello, WASI!",
    handler: "200 Hello, WASI 0.3!",
  };

  for (const [name, path, expected] of bad) {
    test(`${name} ${path}: ${expected}; another instance takes over, and the neighbour answers`, async () => {
      const offence = outcome(name, path);
      await neighbour(offence);
      assert.equal(await offence, expected);
      const after = name === "evil" || name === "greedy" ? "/x" : "/hello";
      assert.equal(await outcome(name, after), well[name as keyof typeof well] ?? "200 hello");
    });
  }

  const streams = [
    ["probe", "/stream?chunks=1000000000"],
    ["handler", "/stream?chunks=1000000000"],
    ["typescript", "/stream"],
  ] as const;
  for (const [name, path] of streams) {
    test(`${name}: a body that never ends goes at the pace of its reader, and ends when he leaves`, async () => {
      const { statusCode, body } = await ask(name, path);
      assert.equal(statusCode, 200);
      const chunks = body[Symbol.asyncIterator]();
      await chunks.next();
      // The reader takes nothing: the guest waits, and computes for nobody.
      await neighbour(new Promise((resolve) => setTimeout(resolve, 300)));
      for (let count = 0; count < 20; count++) assert.ok(!(await chunks.next()).done);
      body.destroy();
      assert.equal(await outcome(name, "/hello"), well[name as keyof typeof well] ?? "200 hello");
    });
  }

  test("a huge reply reaches its reader whole, whatever it holds", async () => {
    const { statusCode, body } = await ask("typescript", "/huge");
    assert.equal(statusCode, 200);
    const reading = body.arrayBuffer();
    await neighbour(reading);
    assert.equal((await reading).byteLength, 3_000_000);
  });

  const stages = ["before the head", "within the request", "within the reply"] as const;
  const cancelled = [
    ["probe", "/sleep?ms=60000", "/echo"],
    ["handler", "/sleep?ms=60000", "/copy"],
    ["typescript", "/never", "/echo"],
  ] as const;
  for (const [name, waits, echoes] of cancelled) {
    test(`${name}: a client that leaves at any stage leaves nothing behind`, async () => {
      for (let round = 0; round < 8; round++) {
        for (const stage of stages) {
          const leave = new AbortController();
          const { signal } = leave;
          const sent = Readable.from(
            (async function* () {
              yield Buffer.alloc(100_000, "sent");
              if (stage === "within the request") leave.abort();
              await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
            })(),
          );
          // It is broken off when its client leaves.
          sent.on("error", () => {});
          if (stage === "before the head") {
            const gone = assert.rejects(ask(name, waits, { signal }));
            setTimeout(() => leave.abort(), round);
            await gone;
          } else {
            const asked = ask(name, echoes, { method: "POST", body: sent, signal });
            await asked.then(
              async ({ body }) => {
                await body[Symbol.asyncIterator]()
                  .next()
                  .catch(() => {});
                leave.abort();
                await body.dump().catch(() => {});
              },
              () => assert.equal(stage, "within the request"),
            );
          }
          assert.equal(await outcome(name, "/hello"), well[name as keyof typeof well] ?? "200 hello");
        }
      }
    });
  }

  test("when all have left it is idle, ends in peace, and its log says why calls failed and where", async () => {
    const { admin } = JSON.parse(/^.*"ready".*$/m.exec(server.output())![0]) as { admin: string };
    const metrics = await (await request(`${admin}/metrics`)).body.text();
    const active = [...metrics.matchAll(/^cytoplane_calls_active\{.*\} (\d+)$/gm)].map(([, count]) => count);
    assert.deepEqual(
      active,
      active.map(() => "0"),
      metrics,
    );
    assert.ok(active.length >= 7, metrics);
    server.signal("SIGTERM");
    assert.equal(await server.exited, 0, server.output());

    const log = (await readFile(join(folder, ".cyto", "logs", "bad.jsonl"), "utf8")).trim().split("\n");
    const records = log.map((line) => JSON.parse(line) as Record<string, string | undefined>);
    const stacks = (code: string) =>
      records.filter((each) => each.service === "evil" && each.code === code).map(({ stack }) => stack ?? "");
    const evil = await readFile(join(folder, "evil.wasm"));
    const traps = stacks("instance-trapped").find((stack) => stack.includes("at traps"));
    const offset = Number(/at traps \(main:wasm-function\[\d+\]:(0x[0-9a-f]+)\)/.exec(traps ?? "")?.[1]);
    // No locals, unreachable, end.
    assert.deepEqual([...evil.subarray(offset - 1, offset + 2)], [0, 0, 0x0b], `${traps}`);
    assert.match(stacks("cpu-exceeded")[0] ?? "", /^ {4}at loops \(main:wasm-function/);
    assert.ok(!log.some((line) => line.includes("wasm://")));
  });
});
