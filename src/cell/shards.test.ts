/** A cell on several threads: what holds although nothing is shared, and when one of them dies. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { Agent, get } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Worker } from "node:worker_threads";
import { createBuilder } from "../build/index.ts";
import { canSharePorts } from "../gateway/index.ts";
import { type Artifact, type Cell, type CellOptions, type CellRecord, startCell } from "./cell.ts";
import type { App } from "./manifest/contract.ts";
import { parseManifest } from "./manifest/parse.ts";
import { openSecrets } from "./secrets.ts";

const source = (version: string) => `
import { keyvalue, secret } from "@cytoplane/sdk";
const notes = keyvalue("notes");

async function perform(act: string, first: string): Promise<unknown> {
  switch (act) {
    case "version":
      await new Promise((resolve) => setTimeout(resolve, 2));
      return ${JSON.stringify(version)};
    case "write":
      return await notes.setText("note", first);
    case "read":
      return await notes.getText("note");
    case "count":
      return await notes.increment("count");
    case "wait":
      console.log("waiting");
      await new Promise((resolve) => setTimeout(resolve, Number(first)));
      return "waited";
    case "hold":
      console.log("waiting");
      while ((await notes.getText("note")) !== first) await new Promise((resolve) => setTimeout(resolve, 20));
      return "let go";
    case "log":
      console.log(first.repeat(200));
      return "logged";
    case "secret":
      return await secret(first);
    default:
      throw new Error("the till is broken");
  }
}

export default {
  async fetch(request: Request): Promise<Response> {
    const [, act = "", first = ""] = new URL(request.url).pathname.split("/");
    return new Response(String(await perform(act, first)));
  },
};
`;

let folder: string;
const artifacts = new Map<string, Artifact>();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cyto-shards-"));
  await copyFile(new URL("../../test/guests/probe.wasm", import.meta.url), join(folder, "probe.wasm"));
  const build = createBuilder();
  for (const version of ["one", "two"]) {
    const file = join(folder, `${version}.ts`);
    await writeFile(file, source(version));
    const cacheDirectory = join(folder, "build");
    artifacts.set(version, await build({ service: version, source: file, engine: "quickjs", cacheDirectory }));
  }
});
after(() => rm(folder, { recursive: true, force: true }));

function read(name: string, declaration: object = {}): App {
  const shop = { component: "one.ts", routes: ["/*"], ...declaration };
  const { app, diagnostics } = parseManifest(
    JSON.stringify({ app: name, services: { shop } }),
    join(folder, "cyto.yaml"),
  );
  assert.ok(app, JSON.stringify(diagnostics));
  return app;
}

interface Opened extends AsyncDisposable {
  readonly cell: Cell;
  /** By index; one that takes another's place comes after those that were there before. */
  readonly threads: readonly Worker[];
  readonly records: readonly CellRecord[];
  /** Settles with the record of the message that is the first, or the `count`th. */
  logged(message: RegExp, count?: number): Promise<CellRecord>;
  /** On a connection of its own, so that the system picks a shard: `200 body`. */
  get(path: string): Promise<string>;
  /** The value of a metric, as written with its labels. */
  metric(name: string): Promise<number>;
}

async function open(app: App, options: CellOptions = {}): Promise<Opened> {
  const records: CellRecord[] = [];
  const waiting = new Set<() => void>();
  const threads: Worker[] = [];
  const created = (worker: Worker): void => void threads.push(worker);
  process.on("worker", created);
  const cell = await startCell({
    app,
    components: { shop: artifacts.get("one")! },
    options: {
      shards: 2,
      gateway: { port: 0, adminPort: 0 },
      stateDirectory: join(folder, "state", app.name),
      variables: {},
      onRecord(record) {
        records.push(record);
        for (const look of waiting) look();
      },
      ...options,
    },
  });
  return {
    cell,
    threads,
    records,
    logged(message, count = 1) {
      const { promise, resolve } = Promise.withResolvers<CellRecord>();
      const look = (): void => {
        const found = records.filter((record) => message.test(record.message))[count - 1];
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
      return promise;
    },
    get: (path) => ask(`${cell.address}${path}`),
    async metric(name) {
      const text = await (await fetch(`${cell.adminAddress}/metrics`)).text();
      const line = text.split("\n").find((each) => each.startsWith(`${name} `));
      return Number(line?.slice(name.length + 1) ?? Number.NaN);
    },
    async [Symbol.asyncDispose]() {
      await cell.close();
      process.off("worker", created);
    },
  };
}

function ask(url: string, agent: Agent | false = false): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get(url, { agent }, (reply) => {
    let text = "";
    reply.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    reply.on("error", reject).on("end", () => resolve(`${reply.statusCode} ${text}`));
  }).on("error", reject);
  return promise;
}

const many = <T>(count: number, make: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => make(index)));
const requests = 'http_server_requests_total{service="shop",route="/*",method="GET",status="200"}';
const ofShard = (shard: number) => `cytoplane_shard_requests_total{shard="${shard}"}`;

describe("a cell of two shards", { timeout: 60_000, skip: !canSharePorts(process.platform) }, () => {
  test("spreads connections over them, and counts as one", async () => {
    await using opened = await open(read("spread"));
    const replies = await many(64, () => opened.get("/version"));
    assert.deepEqual(new Set(replies), new Set(["200 one"]));
    assert.equal(await opened.metric(requests), 64);
    const [first, second] = [await opened.metric(ofShard(0)), await opened.metric(ofShard(1))];
    assert.ok(first > 0 && second > 0, `${first} and ${second}`);
    assert.equal(first + second, 64);
    assert.equal(await opened.metric("cytoplane_shards"), 2);
    assert.equal(await opened.metric('cytoplane_instances{service="shop"}'), 2, "one warm on each");
    const { shards, services } = await opened.cell.status();
    assert.deepEqual([shards, services.map(({ service, instances }) => [service, instances])], [2, [["shop", 2]]]);
  });

  for (const provider of ["memory", "sqlite"]) {
    test(`has one ${provider} store: no increment is lost, a write is seen by all`, async () => {
      await using opened = await open(read(`state-${provider}`, { bindings: { notes: { keyvalue: provider } } }));
      const sums = await many(200, () => opened.get("/count"));
      assert.deepEqual(
        sums.map((sum) => Number(sum.slice(4))).toSorted((a, b) => a - b),
        Array.from({ length: 200 }, (_, i) => i + 1),
      );
      for (const value of ["first", "second"]) {
        await opened.get(`/write/${value}`);
        assert.deepEqual(new Set(await many(20, () => opened.get("/read"))), new Set([`200 ${value}`]));
      }
      assert.ok((await opened.metric(ofShard(0))) > 0 && (await opened.metric(ofShard(1))) > 0);
    });
  }

  test("keeps what the process holds when a shard dies", async () => {
    await using opened = await open(read("kept", { bindings: { notes: { keyvalue: "memory" } } }));
    await opened.get("/write/kept");
    await many(2, (index) => opened.threads[index]!.terminate());
    await many(2, (index) => opened.logged(new RegExp(`shard ${index} serves again`)));
    assert.equal(await opened.get("/read"), "200 kept");
  });

  test("gives its shards the secrets that a service lists, and has their errors whole", async () => {
    const app = read("secretive", { secrets: ["TILL_KEY", "OTHER_KEY"] });
    const place = { stateDirectory: join(folder, "state", app.name), variables: {} };
    await openSecrets(place).set("TILL_KEY", "open sesame");
    await using opened = await open(app);
    assert.deepEqual(new Set(await many(8, () => opened.get("/secret/TILL_KEY"))), new Set(["200 open sesame"]));
    assert.match(await opened.get("/secret/OTHER_KEY"), /^500 .*OTHER_KEY/);
    assert.match(await opened.get("/break"), /^500 .*the till is broken/);
    assert.match((await opened.logged(/the till is broken/)).stack ?? "", /at perform \(.*one\.ts:\d+:\d+\)/);
  });

  test("writes one log, in whole lines, all of them by the time it is closed", async () => {
    const opened = await open(read("logging"));
    await many(300, (index) => opened.get(`/log/${index % 10}`));
    await opened.cell.close();
    const text = await readFile(join(folder, "state", "logging", "logs", "logging.jsonl"), "utf8");
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as CellRecord);
    assert.equal(lines.filter(({ message }) => /^(\d)\1{199}$/.test(message)).length, 300);
    assert.equal(lines.filter(({ kind }) => kind === "access").length, 300);
    assert.equal(opened.records.length, lines.length);
  });

  test("replaces the app in all of them under load, and drops no request", async () => {
    const app = read("replaced");
    await using opened = await open(app);
    let over = false;
    const clients = many(8, async (index) => {
      using agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 1 }), {
        [Symbol.dispose]: () => agent.destroy(),
      });
      const seen: string[] = [];
      // Some on one connection, some on a new one for every request.
      while (!over) seen.push(await ask(`${opened.cell.address}/version`, index % 2 === 0 && agent));
      return seen;
    });
    for (const version of ["two", "one", "two"]) {
      await opened.cell.replace(app, { shop: artifacts.get(version)! });
      assert.deepEqual(new Set(await many(16, () => opened.get("/version"))), new Set([`200 ${version}`]));
    }
    over = true;
    const seen = (await clients).flat();
    assert.deepEqual([...new Set(seen)].sort(), ["200 one", "200 two"]);
  });

  test("changes nothing in any of them when a release is refused", async () => {
    await using opened = await open(read("refused"));
    const refused: readonly (readonly [App, Artifact, RegExp])[] = [
      [read("refused"), { component: Uint8Array.of(0) }, /Cannot deploy shop from .*one\.ts/],
      [
        read("refused", { component: "probe.wasm" }),
        { component: await readFile(join(folder, "probe.wasm")) },
        /Cannot deploy shop.*it imports wasi:keyvalue\//,
      ],
    ];
    for (const [app, artifact, message] of refused) {
      await assert.rejects(opened.cell.replace(app, { shop: artifact }), { name: "CytoError", message });
      assert.deepEqual(new Set(await many(16, () => opened.get("/version"))), new Set(["200 one"]));
    }
    await opened.cell.replace(read("refused"), { shop: artifacts.get("two")! });
    assert.deepEqual(new Set(await many(16, () => opened.get("/version"))), new Set(["200 two"]));
  });

  test("serves a pinned service from one shard, and lets none in beside others", async () => {
    const pinned = read("pinned", { instances: { policy: "pinned" } });
    await using opened = await open(pinned);
    assert.equal((await opened.cell.status()).shards, 1);
    assert.equal(opened.threads.length, 0);
    await opened.logged(/^one shard serves instead of 2: shop is pinned, and lives once$/);
    await using other = await open(read("unpinned"));
    await assert.rejects(other.cell.replace(pinned, { shop: artifacts.get("one")! }), {
      code: "invalid-manifest",
      message: "Cannot deploy shop: it is pinned, and 2 shards serve",
    });
    assert.equal(await other.get("/version"), "200 one");
  });

  test("survives the death of one: its requests fail, the others' do not, another takes its place", async () => {
    const app = read("dying", { bindings: { notes: { keyvalue: "memory" } } });
    await using opened = await open(app);
    await opened.cell.replace(app, { shop: artifacts.get("two")! });
    await many(32, () => opened.get("/version"));
    const before = await opened.metric(requests);
    const outcomes = many(16, () => opened.get("/hold/go").catch((error: NodeJS.ErrnoException) => error.code));
    await opened.logged(/^waiting$/, 16);
    await opened.threads[0]!.terminate();
    const told = await opened.logged(/Cannot go on with shard 0: its thread ended with 1; another takes its place/);
    assert.equal(told.level, "error");
    await opened.get("/write/go");
    const counts = Object.groupBy(await outcomes, (outcome) => String(outcome));
    assert.deepEqual(Object.keys(counts).sort(), ["200 let go", "ECONNRESET"]);
    await opened.logged(/shard 0 serves again/);
    assert.deepEqual(
      new Set(await many(64, () => opened.get("/version"))),
      new Set(["200 two"]),
      "runs what the others run",
    );
    assert.equal(opened.threads.length, 3);
    assert.equal(await opened.metric("cytoplane_shards"), 2);
    assert.equal(await opened.metric("cytoplane_shard_deaths_total"), 1);
    assert.ok((await opened.metric(requests)) >= before + 64, "counters never go back");
  });

  test("says that it is not ready while none serves", async () => {
    await using opened = await open(read("none"));
    const ready = () => fetch(`${opened.cell.adminAddress}/readyz`);
    assert.equal((await ready()).status, 200);
    await many(2, (index) => opened.threads[index]!.terminate());
    await many(2, (index) => opened.logged(new RegExp(`shard ${index}: its thread ended`)));
    const reply = await ready();
    assert.deepEqual([reply.status, await reply.json()], [503, { status: "unready", reason: "no shard serves" }]);
    await many(2, (index) => opened.logged(new RegExp(`shard ${index} serves again`)));
    assert.equal((await ready()).status, 200);
    assert.equal(await opened.get("/version"), "200 one");
  });

  test("close() lets the requests of all finish, and ends every thread", async () => {
    const opened = await open(read("closing"));
    const replies = many(16, () => opened.get("/wait/200"));
    await opened.logged(/^waiting$/, 16);
    const ended = Promise.all(opened.threads.map((thread) => once(thread, "exit")));
    const closed = opened.cell.close();
    const ready = await fetch(`${opened.cell.adminAddress}/readyz`);
    assert.deepEqual(await ready.json(), { status: "unready", reason: "shutting down" });
    assert.deepEqual(new Set(await replies), new Set(["200 waited"]));
    await closed;
    await ended;
    await assert.rejects(opened.get("/version"), { code: "ECONNREFUSED" });
    assert.equal(opened.records.filter(({ kind }) => kind === "access").length, 16);
    assert.equal(opened.records.filter(({ level }) => level === "error").length, 0);
  });

  test("leaves nothing behind when the app is refused or the port is taken", async () => {
    const threads: Worker[] = [];
    const created = (worker: Worker): void => void threads.push(worker);
    process.on("worker", created);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const unbound = read("unbound", { component: "probe.wasm" });
    const probe = { component: await readFile(join(folder, "probe.wasm")) };
    const stateDirectory = join(folder, "state", "none");
    const start = (app: App, shop: Artifact, gateway: CellOptions["gateway"]) =>
      startCell({
        app,
        components: { shop },
        options: { shards: 2, gateway: { adminPort: 0, ...gateway }, stateDirectory },
      });
    await assert.rejects(start(unbound, probe, { port: 0 }), { code: "unbound-import" });
    await assert.rejects(start(read("none"), artifacts.get("one")!, { port }), { code: "cannot-listen" });
    taken.close();
    assert.deepEqual(
      threads.map(({ threadId }) => threadId),
      [-1, -1, -1, -1],
      "all have ended",
    );
    process.off("worker", created);
  });
});
