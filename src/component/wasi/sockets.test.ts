/** Sockets as guests use them: by Rust's standard library, which knows nothing of WASI, and by WASI 0.3 itself. */
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { before, describe, test } from "node:test";
import { loadGuest, type OpenGuest, openGuest } from "../../../test/guests/open.ts";
import { systemClock, systemRandom } from "../../kernel/index.ts";
import type { Component, Grants, SocketGrants } from "../contract.ts";
import { serve, until } from "./sockets/loopback-fixture.ts";
import { wasiImports } from "./standard.ts";
import { createHostState, endState } from "./state.ts";

const everything: SocketGrants = {
  sockets: 8,
  bind: () => undefined,
  listen: () => undefined,
  connect: () => undefined,
  resolve: () => undefined,
  resolved: () => undefined,
};

describe("wasi:sockets, through Rust's standard library", () => {
  let component: Component;
  before(async () => {
    component = await loadGuest("sockets");
  });
  const open = (given?: Partial<SocketGrants>) => openGuest(component, { sockets: { ...everything, ...given } });

  /** Where the guest says that it listens. */
  async function placeOf(guest: OpenGuest): Promise<{ port: number; host: string }> {
    const said = () => guest.lines.map((line) => /listening on \[?([^\]]+)\]?:(\d+)/.exec(line)).find(Boolean);
    await until(() => said() !== undefined);
    const [, host, port] = said()!;
    return { host: host!, port: Number(port) };
  }

  test("a client asks, ends its side, and hears the answer out", async () => {
    using server = await serve((socket) => {
      let question = "";
      socket.on("data", (bytes) => (question += bytes)).on("end", () => socket.end(`answer to ${question}`));
    });
    using guest = open();
    assert.equal(await guest.text(`/ask?at=127.0.0.1:${server.port}`), "answer to a question");
    assert.equal(await guest.text(`/ask?at=localhost:${server.port}`), "answer to a question");
  });

  for (const at of ["127.0.0.1:0", "[::1]:0"])
    test(`a server answers at ${at}`, async () => {
      using guest = open();
      const served = guest.text(`/serve?at=${at}`);
      const client = net.connect({ ...(await placeOf(guest)), allowHalfOpen: true });
      client.end("loud");
      assert.equal(String((await client.toArray())[0]), "LOUD");
      assert.match(await served, /^served (127\.0\.0\.1|::1)$/);
    });

  test("megabytes go out and come back as they were", async () => {
    using server = await serve((socket) => socket.pipe(socket));
    using guest = open();
    assert.equal(await guest.text(`/pump?at=127.0.0.1:${server.port}`), "true 0");
  });

  test("UDP as a client, whose thanks are the last it sends", async () => {
    const server = dgram.createSocket("udp4").bind(0, "127.0.0.1");
    await once(server, "listening");
    using guest = open();
    const answer = guest.text(`/ask-udp?at=127.0.0.1:${server.address().port}`);
    const [question, from] = (await once(server, "message")) as [Buffer, dgram.RemoteInfo];
    server.send(`answer to ${question}`, from.port, from.address);
    assert.equal(String((await once(server, "message"))[0]), "thanks");
    assert.equal(await answer, "answer to a question");
    server.close();
  });

  test("UDP as a server", async () => {
    using guest = open();
    const served = guest.text("/serve-udp?at=127.0.0.1:0");
    const { host, port } = await placeOf(guest);
    const client = dgram.createSocket("udp4");
    client.send("loud", port, host);
    assert.equal(String((await once(client, "message"))[0]), "LOUD");
    assert.equal(await served, "served 4");
    client.close();
  });

  test("names", async () => {
    using guest = open();
    assert.match(await guest.text("/resolve?at=localhost:80"), /127\.0\.0\.1:80|\[::1\]:80/);
    assert.equal(await guest.text("/resolve?at=10.1.2.3:80"), "10.1.2.3:80");
  });

  test("what went wrong is the error that programs look for", async () => {
    using guest = open();
    const gone = net.createServer().listen(0, "127.0.0.1");
    await once(gone, "listening");
    const { port } = gone.address() as net.AddressInfo;
    assert.equal(await guest.text(`/serve?at=127.0.0.1:${port}`), "AddrInUse");
    gone.close();
    await once(gone, "close");
    assert.equal(await guest.text(`/connect?at=127.0.0.1:${port}`), "ConnectionRefused");
    assert.equal(await guest.text("/serve?at=192.0.2.1:0"), "AddrNotAvailable");
    assert.equal(await guest.text("/connect?at=127.0.0.1:0"), "InvalidInput");
    using server = await serve((socket) => socket.once("data", () => socket.resetAndDestroy()));
    // The library learns that the stream failed, and does not ask why.
    assert.equal(await guest.text(`/pump?at=127.0.0.1:${server.port}`), "Uncategorized");
  });

  test("without a grant everything is denied, and the log says why", async () => {
    using guest = openGuest(component);
    for (const target of ["/connect?at=127.0.0.1:80", "/serve?at=127.0.0.1:0", "/serve-udp?at=127.0.0.1:0"])
      assert.equal(await guest.text(target), "PermissionDenied");
    assert.notEqual(await guest.text("/resolve?at=localhost:80"), "");
    assert.deepEqual(guest.lines, [
      "warn sockets: Cannot connect to tcp 127.0.0.1:80: no sockets are granted",
      "warn sockets: Cannot bind to tcp 127.0.0.1:0: no sockets are granted",
      "warn sockets: Cannot bind to udp 127.0.0.1:0: no sockets are granted",
      "warn sockets: Cannot look up localhost: no sockets are granted",
    ]);
  });

  test("a connection that the guest forgets lives with its instance, and ends with it", async () => {
    const peers: net.Socket[] = [];
    using server = await serve((socket) => peers.push(socket.resume()));
    using guest = open({ sockets: 2 });
    assert.equal(await guest.text(`/leak?at=127.0.0.1:${server.port}`), "leaked");
    assert.equal(await guest.text(`/leak?at=127.0.0.1:${server.port}`), "leaked");
    assert.notEqual(await guest.text(`/connect?at=127.0.0.1:${server.port}`), "connected");
    await until(() => peers.length === 2);
    const ended = Promise.all(peers.map((peer) => once(peer, "end")));
    guest[Symbol.dispose]();
    await ended;
    for (const peer of peers) peer.destroy();
  });

  test("what was written arrives, though the guest has gone", async () => {
    let received = 0;
    let ended = false;
    using server = await serve((socket) => {
      socket.on("data", (bytes) => (received += bytes.length));
      socket.on("end", () => {
        ended = true;
        socket.end();
      });
    });
    using guest = open();
    assert.equal(await guest.text(`/last-words?at=127.0.0.1:${server.port}`), "written");
    guest[Symbol.dispose]();
    await until(() => ended);
    assert.equal(received, 1_000_000);
  });

  test("a caller that leaves while the guest waits for a peer gives all of it up", async () => {
    const peers: net.Socket[] = [];
    using server = await serve((socket) => peers.push(socket.resume()));
    using guest = open();
    const abort = new AbortController();
    const asking = guest.text(`/ask?at=127.0.0.1:${server.port}`, { signal: abort.signal });
    await until(() => peers.length === 1);
    abort.abort();
    await assert.rejects(asking, { code: "cancelled" });
    await until(() => peers[0]!.readableEnded || peers[0]!.destroyed);
    peers[0]!.destroy();
  });
});

describe("wasi:sockets 0.3, through a guest", () => {
  let component: Component;
  before(async () => {
    component = await loadGuest("sockets-async");
  });

  /** Begins the command; `lines` is what it has said. */
  function begin(args: readonly string[], given?: Partial<SocketGrants>) {
    const lines: string[] = [];
    const grants = {
      service: "guest",
      clock: systemClock,
      random: systemRandom,
      keyvalue: {},
      config: {},
      directories: [],
      environment: [],
      args: ["guest", ...args],
      sockets: { ...everything, ...given },
      log: (_level: string, _context: string, message: string) => lines.push(message),
    } as unknown as Grants;
    const state = createHostState(grants);
    const instance = component.instantiate(wasiImports(grants, state));
    const ended = Promise.resolve(instance.exports["wasi:cli/run"]!.run!());
    const said = async () => {
      await ended;
      await until(() => state.open.size === 0);
      return lines.at(-1);
    };
    const end = () => {
      endState(state);
      instance[Symbol.dispose]();
    };
    return { lines, state, ended, said, [Symbol.dispose]: end };
  }

  test("connections come as a stream; what one receives is what it sends", async () => {
    const connections = 5;
    using guest = begin(["echo", String(connections)]);
    await until(() => guest.lines.length > 0);
    const port = Number(/:(\d+)$/.exec(guest.lines[0]!)![1]);
    const echoed = Array.from({ length: connections }, async (_, index) => {
      const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      const content = Buffer.alloc(200_000 * (index + 1), `${index}`);
      client.end(content);
      assert.ok(Buffer.concat(await client.toArray()).equals(content));
    });
    await Promise.all(echoed);
    assert.equal(await guest.said(), "echoed");
  });

  test("a client asks, ends its side, and hears the answer out", async () => {
    using server = await serve((socket) => {
      let question = "";
      socket.on("data", (bytes) => (question += bytes)).on("end", () => socket.end(`answer to ${question}`));
    });
    using guest = begin(["ask", String(server.port)]);
    assert.equal(await guest.said(), "answer to a question");
  });

  test("a reset is what the future tells", async () => {
    using server = await serve((socket) => socket.resetAndDestroy());
    using guest = begin(["wait", String(server.port)]);
    assert.match((await guest.said()) ?? "", /ErrorCode::ConnectionReset/);
  });

  test("refusals are errors of the call", async () => {
    using guest = begin(["ask", "80"], { connect: () => "not listed" });
    assert.match((await guest.said()) ?? "", /ErrorCode::AccessDenied/);
    using curious = begin(["resolve", "localhost"], { resolve: () => "not listed" });
    assert.match((await curious.said()) ?? "", /ErrorCode::AccessDenied/);
  });

  test("datagrams and names", async () => {
    using guest = begin(["udp"]);
    assert.equal(await guest.said(), "hello");
    using curious = begin(["resolve", "localhost"]);
    assert.equal(await curious.said(), "true");
  });

  test("an instance that ends while it waits leaves nothing open", async () => {
    let peer: net.Socket | undefined;
    using server = await serve((socket) => {
      peer = socket.resume();
    });
    const guest = begin(["wait", String(server.port)]);
    guest.ended.catch(() => undefined);
    await until(() => peer !== undefined);
    guest[Symbol.dispose]();
    await until(() => peer!.readableEnded || peer!.destroyed);
    assert.equal(guest.state.open.size, 0);
    peer!.destroy();
  });
});
