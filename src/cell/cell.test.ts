/** Whole cells, with services built from source: what holds only when every room is stacked. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createBuilder } from "../build/index.ts";
import { CytoError } from "../kernel/index.ts";
import { type Artifact, type Cell, type CellOptions, type CellRecord, startCell } from "./cell.ts";
import type { App } from "./manifest/contract.ts";
import { parseManifest } from "./manifest/parse.ts";
import { readRunFile } from "./run-file.ts";
import { openSecrets } from "./secrets.ts";

/** Does what the path says. */
const source = (version: string) => `
import { config, keyvalue, secret, service } from "@cytoplane/sdk";

const notes = keyvalue("notes");
const version: string = ${JSON.stringify(version)};
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function perform(act: string, [first = "", ...rest]: string[]): Promise<unknown> {
  switch (act) {
    case "version":
      await pause(2);
      return version;
    case "write":
      await notes.setText("note", first);
      return "written";
    case "read":
      return (await notes.getText("note")) ?? "nothing";
    case "count":
      return await notes.increment("count");
    case "wait":
      console.log("waiting");
      await pause(Number(first));
      return rest.length === 0 ? "waited" : await perform(rest[0]!, rest.slice(1));
    case "call":
      return await (await service(first).fetch("/" + rest.join("/"))).text();
    case "fetch":
      return await (await fetch("http://" + first + ".internal/" + rest.join("/"))).text();
    case "round":
      return await (await service(first).fetch("/round/" + rest[0] + "/" + first)).text();
    case "secret":
      console.log("it is " + (await secret(first)));
      return "told";
    case "leak":
      throw new Error("it was " + (await secret(first)));
    case "setting":
      return config(first);
    default:
      throw new Error("the till is broken");
    case "grumble":
      console.error(new Error("the drawer sticks"));
      return "grumbled";
    case "visit":
      return ++visits;
  }
}
let visits = 0;

export default {
  async fetch(request: Request): Promise<Response> {
    const [, act = "", ...rest] = new URL(request.url).pathname.split("/");
    return new Response(String(await perform(act, rest)));
  },
};
`;

let folder: string;
const artifacts = new Map<string, Artifact>();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "cyto-cell-"));
  const build = createBuilder();
  for (const version of ["one", "two"]) {
    const file = join(folder, `${version}.ts`);
    await writeFile(file, source(version));
    const request = {
      service: version,
      source: file,
      engine: "quickjs",
      cacheDirectory: join(folder, "build"),
    } as const;
    artifacts.set(version, await build(request));
  }
});
after(() => rm(folder, { recursive: true, force: true }));

interface Opened extends AsyncDisposable {
  readonly cell: Cell;
  readonly records: readonly CellRecord[];
  /** Settles with the first record from now on that has the message. */
  logged(message: string): Promise<CellRecord>;
  /** `200 body` */
  get(path: string): Promise<string>;
}

function read(name: string, services: Record<string, object>, more: object = {}, environment = "local"): App {
  const declared = Object.entries(services).map(([service, declaration]) => [
    service,
    { component: "one.ts", ...declaration },
  ]);
  const manifest = JSON.stringify({ app: name, services: Object.fromEntries(declared), ...more });
  const { app, diagnostics } = parseManifest(manifest, join(folder, "cyto.yaml"), { environment });
  assert.ok(app, JSON.stringify(diagnostics));
  return app;
}

const every = (app: App, version: string) =>
  Object.fromEntries(Object.keys(app.services).map((service) => [service, artifacts.get(version)!]));

async function open(app: App, components = every(app, "one"), options: CellOptions = {}): Promise<Opened> {
  const records: CellRecord[] = [];
  const waiting = new Set<(record: CellRecord) => void>();
  const cell = await startCell({
    app,
    components,
    options: {
      gateway: { port: 0, adminPort: 0 },
      stateDirectory: join(folder, "state", app.name),
      variables: {},
      onRecord(record) {
        records.push(record);
        for (const tell of waiting) tell(record);
      },
      ...options,
    },
  });
  return {
    cell,
    records,
    logged: (message) =>
      new Promise((resolve) => {
        const tell = (record: CellRecord): void => {
          if (record.message !== message) return;
          waiting.delete(tell);
          resolve(record);
        };
        waiting.add(tell);
      }),
    async get(path) {
      const reply = await fetch(`${cell.address}${path}`);
      return `${reply.status} ${await reply.text()}`;
    },
    [Symbol.asyncDispose]: () => cell.close(),
  };
}

const routed = { routes: ["/*"] };
const failsWith = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CytoError);
  assert.equal(error.code, code, error.message);
  assert.match(`${error.message} ${error.hint}`, message);
  return true;
};

describe("startCell()", { timeout: 60_000 }, () => {
  test("serves an app, and says where in the run file until it closes", async () => {
    const app = read("plain", { shop: routed });
    const opened = await open(app);
    assert.equal(await opened.get("/version"), "200 one");
    const state = join(folder, "state", app.name);
    assert.equal(readRunFile(state)?.gateway, opened.cell.address);
    assert.equal((await opened.cell.status()).services[0]?.instances, 1);
    await opened.cell.close();
    assert.equal(readRunFile(state), undefined);
    const log = await readFile(join(state, "logs", "plain.jsonl"), "utf8");
    assert.match(log, /"message":"GET \/version 200"/);
  });

  test("keeps instances as the manifest says: warm, fresh for every request, or pinned", async () => {
    const policies = ["warm", "fresh", "pinned"];
    const services = policies.map((policy) => [policy, { routes: [`/visit/${policy}`], instances: { policy } }]);
    await using opened = await open(read("kept", Object.fromEntries(services)));
    const visits = async (policy: string) => {
      const answers: string[] = [];
      for (let visit = 0; visit < 3; visit++) answers.push(await opened.get(`/visit/${policy}`));
      return answers;
    };
    assert.deepEqual(await visits("warm"), ["200 1", "200 2", "200 3"]);
    assert.deepEqual(await visits("pinned"), ["200 1", "200 2", "200 3"]);
    assert.deepEqual(await visits("fresh"), ["200 1", "200 1", "200 1"]);
    const together = await Promise.all(Array.from({ length: 40 }, () => opened.get("/visit/fresh")));
    assert.deepEqual(new Set(together), new Set(["200 1"]));
    const metrics = await (await fetch(`${opened.cell.adminAddress}/metrics`)).text();
    assert.match(metrics, /cytoplane_instances_reset_total\{service="fresh"\} 4\d/);
    assert.match(metrics, /cytoplane_calls_total\{service="fresh"\} 43/);
  });

  test("tells the log why a call failed, in the author's file, and the client only in the local environment", async () => {
    for (const environment of ["local", "production"]) {
      const app = read(`failing-${environment}`, { shop: routed }, { environments: { production: {} } }, environment);
      await using opened = await open(app);
      const failed = opened.logged("Error: the till is broken");
      const reply = await fetch(`${opened.cell.address}/break`);
      const problem = (await reply.json()) as Record<string, string>;
      const record = await failed;
      assert.equal(reply.status, 500);
      assert.equal(problem.code, "service-failed");
      assert.equal(JSON.stringify(problem).includes("till"), environment === "local");
      assert.equal(record.requestId, problem.requestId);
      assert.equal(record.service, "shop");
      assert.match(record.stack ?? "", /at perform \(.*one\.ts:38:\d+\)/);
      assert.equal(opened.records.filter(({ kind }) => kind === "failure").length, 1);
    }
  });

  test("names the author's file in what a service logs itself", async () => {
    await using opened = await open(read("grumbling", { shop: routed }));
    await fetch(`${opened.cell.address}/grumble`);
    const said = opened.records.find(({ message }) => message.includes("the drawer sticks"));
    assert.match(said?.message ?? "", /at perform \(.*one\.ts:40:\d+\)/);
  });

  test("refuses a component whose import is not bound, naming the binding", async () => {
    const component = await readFile(new URL("../../test/guests/probe.wasm", import.meta.url));
    const app = read("unbound", { probe: { ...routed, secrets: ["KEY"] } });
    await assert.rejects(
      open(app, { probe: { component } }),
      failsWith("unbound-import", /Cannot deploy probe .*wasi:keyvalue\/.*services\.probe: bindings: /),
    );
    const bound = read("bound", {
      probe: { ...routed, secrets: ["KEY"], bindings: { default: { keyvalue: "memory" } } },
    });
    await using opened = await open(bound, { probe: { component } });
    assert.equal((await opened.cell.status()).services[0]?.instances, 1);
  });

  test("gives sockets what the manifest lists, and logs what it would have to list", async () => {
    const component = await readFile(new URL("../../test/guests/sockets.wasm", import.meta.url));
    const peer = createServer({ allowHalfOpen: true }, (socket) =>
      socket.resume().on("end", () => socket.end("heard")),
    );
    await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
    const { port } = peer.address() as { port: number };
    const app = read("sockets", { open: { routes: ["/*"], egress: [`tcp://localhost:${port}`] } });
    await using opened = await open(app, { open: { component } });
    const ask = async (path: string) => (await fetch(`${opened.cell.address}${path}`)).text();
    assert.equal(await ask(`/ask?at=127.0.0.1:${port}`), "PermissionDenied");
    assert.equal(await ask(`/ask?at=localhost:${port}`), "heard");
    assert.equal(await ask("/serve?at=127.0.0.1:5000"), "PermissionDenied");
    const said = opened.records.map(({ message }) => message);
    for (const entry of [
      `"tcp://127.0.0.1:${port}" to services.open.egress`,
      '"tcp://127.0.0.1:5000" to services.open.listen',
    ])
      assert.ok(
        said.some((message) => message.includes(`not permitted; add ${entry}`)),
        `${entry} is not in ${said}`,
      );
    peer.close();
  });

  test("refuses bytes that are no component, naming service and file", async () => {
    const app = read("broken", { good: routed, bad: {} });
    const components = { ...every(app, "one"), bad: { component: Uint8Array.of(1, 2, 3) } };
    await assert.rejects(open(app, components), failsWith("invalid-component", /Cannot deploy bad from .*one\.ts/));
  });

  test("leaves nothing behind when its port is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    const app = read("taken", { shop: routed });
    await assert.rejects(
      open(app, every(app, "one"), { gateway: { port, adminPort: 0 } }),
      failsWith("cannot-listen", new RegExp(`${port}`)),
    );
    taken.close();
    assert.equal(readRunFile(join(folder, "state", app.name)), undefined);
  });

  test("starts and serves the others while a Redis is down", async () => {
    const bindings = { notes: { keyvalue: "redis://127.0.0.1:1" } };
    const app = read("redis", { shop: { routes: ["/version"] }, cart: { routes: ["/read", "/write/*"], bindings } });
    await using opened = await open(app);
    assert.equal(await opened.get("/version"), "200 one");
    assert.match(await opened.get("/read"), /^503 .*backend-unavailable/);
  });

  test("close() lets requests in flight finish and takes no new ones", async () => {
    const opened = await open(read("closing", { shop: routed }));
    const begun = opened.logged("waiting");
    const reply = opened.get("/wait/100");
    await begun;
    const closed = opened.cell.close();
    assert.equal(await reply, "200 waited");
    await closed;
    await assert.rejects(opened.get("/version"));
    await opened.cell.close();
  });
});

describe("a service", { timeout: 60_000 }, () => {
  test("reaches the services that its calls list, and no others", async () => {
    const app = read("calls", { shop: { ...routed, calls: ["cart"] }, cart: {}, till: {} });
    await using opened = await open(app);
    assert.equal(await opened.get("/call/cart/version"), "200 one");
    assert.equal(await opened.get("/fetch/cart/version"), "200 one");
    assert.match(await opened.get("/call/till/version"), /^500 .*till: it is not in the calls of service shop/);
    assert.match(await opened.get("/fetch/till/version"), /^500 .*till: it is not in the calls of service shop/);
  });

  test("in a circle of calls is stopped by the hops", async () => {
    const app = read(
      "circle",
      { shop: { ...routed, calls: ["cart"] }, cart: { calls: ["shop"] } },
      { limits: { hops: 5 } },
    );
    await using opened = await open(app);
    assert.match(await opened.get("/round/cart/shop"), /^508 .*call-loop/);
  });

  test("has its bindings to itself, unless services name the same namespace", async () => {
    const own = { notes: { keyvalue: "sqlite" } };
    const shared = { notes: { keyvalue: "sqlite", namespace: "together" } };
    const service = (name: string, bindings: object) => ({ routes: [{ match: "/*", query: { as: name } }], bindings });
    const app = read("names", {
      a: service("a", own),
      b: service("b", own),
      c: service("c", shared),
      d: service("d", shared),
    });
    await using opened = await open(app);
    assert.equal(await opened.get("/write/mine?as=a"), "200 written");
    assert.equal(await opened.get("/read?as=b"), "200 nothing");
    assert.equal(await opened.get("/write/ours?as=c"), "200 written");
    assert.equal(await opened.get("/read?as=d"), "200 ours");
    assert.equal(await opened.get("/read?as=a"), "200 mine");
  });

  test("reads the configuration that the process's environment overrides", async () => {
    const app = read("settings", { shop: { ...routed, config: { colour: "red", size: "large" } } });
    const variables = { CYTO_CONFIG_SHOP_COLOUR: "blue", CYTO_CONFIG_SHOP_COLOR: "grey" };
    await using opened = await open(app, every(app, "one"), { variables });
    assert.match(opened.records[0]?.message ?? "", /CYTO_CONFIG_SHOP_COLOR is set/);
    assert.equal(await opened.get("/setting/colour"), "200 blue");
    assert.equal(await opened.get("/setting/size"), "200 large");
  });

  test("reads the secrets that it lists, and cannot log them", async () => {
    const app = read("secretive", { shop: { ...routed, secrets: ["TILL_KEY"] } });
    const stateDirectory = join(folder, "state", app.name);
    await openSecrets({ stateDirectory, variables: {} }).set("TILL_KEY", "open sesame");
    await using opened = await open(app);
    const logged = opened.logged("it is [secret TILL_KEY]");
    assert.equal(await opened.get("/secret/TILL_KEY"), "200 told");
    await logged;
    const finished = opened.logged("GET /leak/TILL_KEY 500");
    const leaked = await opened.get("/leak/TILL_KEY");
    assert.match(leaked, /^500 .*it was \[secret TILL_KEY\]/);
    assert.doesNotMatch(leaked, /open sesame/);
    assert.equal((await finished).detail, "Error: it was [secret TILL_KEY]");
    assert.match(await opened.get("/secret/OTHER_KEY"), /^500 .*secrets of service shop/);
    assert.doesNotMatch(JSON.stringify(opened.records), /open sesame/);
  });
});

describe("replace()", { timeout: 60_000 }, () => {
  test("drops no request under load, and keeps what bindings hold", async () => {
    const bindings = { notes: { keyvalue: "memory" } };
    const app = read("replaced", { shop: { ...routed, bindings }, cart: {} });
    await using opened = await open(app);
    await opened.get("/write/kept");
    const cart = (await opened.cell.status()).services.find(({ service }) => service === "cart");
    let over = false;
    const clients = Array.from({ length: 8 }, async () => {
      const seen: string[] = [];
      while (!over) seen.push(await opened.get("/version"));
      return seen;
    });
    const swap = (version: string) => opened.cell.replace(app, { ...every(app, "one"), shop: artifacts.get(version)! });
    for (const version of ["two", "one", "two", "one", "two"]) {
      await swap(version);
      assert.equal(await opened.get("/version"), `200 ${version}`);
    }
    over = true;
    const seen = (await Promise.all(clients)).flat();
    assert.deepEqual([...new Set(seen)].sort(), ["200 one", "200 two"]);
    assert.equal(await opened.get("/read"), "200 kept");
    assert.deepEqual(
      (await opened.cell.status()).services.find(({ service }) => service === "cart"),
      cart,
      "what did not change runs on",
    );
  });

  test("adds and takes away services and routes, and lets what is under way finish", async () => {
    const shop = { routes: ["/wait/*", "/version"], bindings: { notes: { keyvalue: "sqlite" } } };
    await using opened = await open(read("changing", { shop }));
    const begun = opened.logged("waiting");
    const waiting = opened.get("/wait/50/count");
    await begun;
    const app = read("changing", { cart: { routes: ["/version"] } });
    await opened.cell.replace(app, every(app, "two"));
    assert.equal(await opened.get("/version"), "200 two");
    assert.match(await opened.get("/wait/1"), /^404 /);
    assert.equal(await waiting, "200 1", "its binding was open until the end");
    assert.deepEqual(
      (await opened.cell.status()).services.map(({ service }) => service),
      ["cart"],
    );
  });

  test("changes nothing when a service is refused", async () => {
    const app = read("refused", { shop: routed, cart: {} });
    await using opened = await open(app);
    const components = { shop: artifacts.get("two")!, cart: { component: Uint8Array.of(0) } };
    await assert.rejects(opened.cell.replace(app, components), failsWith("invalid-component", /Cannot deploy cart/));
    assert.equal(await opened.get("/version"), "200 one");
    await opened.cell.replace(app, every(app, "two"));
    assert.equal(await opened.get("/version"), "200 two");
  });
});
