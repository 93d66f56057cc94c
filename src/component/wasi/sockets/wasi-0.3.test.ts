import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { describe, test } from "node:test";
import type { SocketGrants } from "../../contract.ts";
import type { Family, IpSocketAddress } from "./address.ts";
import { address, collect, families, loopback, openHosts, portOf, serve, streamOf, until } from "./loopback-fixture.ts";

const call = () => ({ signal: new AbortController().signal });
const error = (tag: string) => (thrown: unknown) => {
  assert.equal((thrown as { tag: string }).tag, tag);
  return true;
};
const ok = { tag: "ok", val: undefined };
const failed = (tag: string) => ({ tag: "err", val: { tag } });

function open(given?: Partial<SocketGrants>) {
  const opened = openHosts(given);
  const { TcpSocket, UdpSocket } = opened.hosts["wasi:sockets/types@0.3"];
  const { resolveAddresses } = opened.hosts["wasi:sockets/ip-name-lookup@0.3"];
  const listening = (family: Family) => {
    const socket = TcpSocket.create(family);
    socket.bind(loopback(family));
    return { socket, incoming: socket.listen(), at: socket.getLocalAddress() };
  };
  /** Both ends of one connection, and the listener gone. */
  const pair = async (family: Family = "ipv4") => {
    const { socket, incoming, at } = listening(family);
    const client = TcpSocket.create(family);
    await client.connect(at, call());
    const [server] = (await incoming.pull())!;
    incoming.cancel();
    socket[Symbol.dispose]();
    return { client, server: server! };
  };
  return { ...opened, TcpSocket, UdpSocket, resolveAddresses, listening, pair };
}

type Tcp = ReturnType<ReturnType<typeof open>["TcpSocket"]["create"]>;

for (const family of families) {
  const other = family === "ipv4" ? "ipv6" : "ipv4";
  const mapped = address("ipv6", [0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], 42);
  const wrong: [string, IpSocketAddress][] = [
    ["of the other family", loopback(other, 42)],
    ...(family === "ipv6" ? [["of IPv4 in IPv6", mapped] as [string, IpSocketAddress]] : []),
  ];
  const notUnicast =
    family === "ipv4"
      ? [
          [224, 0, 0, 1],
          [239, 1, 2, 3],
          [255, 255, 255, 255],
        ]
      : [
          [0xff00, 0, 0, 0, 0, 0, 0, 1],
          [0xffff, 0, 0, 0, 0, 0, 0, 1],
        ];
  const nobodys = family === "ipv4" ? [192, 0, 2, 1] : [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1];
  const any = family === "ipv4" ? [0, 0, 0, 0] : [0, 0, 0, 0, 0, 0, 0, 0];

  describe(`wasi:sockets 0.3, TCP over ${family}`, () => {
    test("binds at once: to a free port when none is named, once, and to addresses of this machine", () => {
      using opened = open();
      const socket = opened.TcpSocket.create(family);
      assert.throws(() => socket.getLocalAddress(), error("invalid-state"));
      for (const parts of notUnicast)
        assert.throws(() => socket.bind(address(family, parts)), error("invalid-argument"));
      for (const [, at] of wrong) assert.throws(() => socket.bind(at), error("invalid-argument"));
      assert.throws(() => socket.bind(address(family, nobodys)), error("address-not-bindable"));
      socket.bind(loopback(family));
      assert.deepEqual(socket.getLocalAddress().val.address, loopback(family).val.address);
      assert.notEqual(portOf(socket.getLocalAddress()), 0);
      assert.throws(() => socket.bind(loopback(family)), error("invalid-state"));
    });

    test("a bound port is taken from the world outside before anything listens", async () => {
      using opened = open();
      const socket = opened.TcpSocket.create(family);
      socket.bind(loopback(family));
      const port = portOf(socket.getLocalAddress());
      const refused = net.connect({ port, host: family === "ipv4" ? "127.0.0.1" : "::1" });
      assert.equal((await once(refused, "error"))[0].code, "ECONNREFUSED");
      const incoming = socket.listen();
      const second = opened.TcpSocket.create(family);
      assert.throws(() => second.bind(loopback(family, port)), error("address-in-use"));
      socket[Symbol.dispose]();
      assert.throws(() => second.bind(loopback(family, port)), error("address-in-use"));
      incoming.cancel();
      second.bind(loopback(family, port));
    });

    test("of two that are bound to one port, the second cannot listen", (t) => {
      using opened = open();
      const first = opened.TcpSocket.create(family);
      first.bind(loopback(family));
      const second = opened.TcpSocket.create(family);
      // Where the kernel lets two be bound before either listens, as Linux does.
      try {
        second.bind(first.getLocalAddress());
      } catch (thrown) {
        assert.equal((thrown as { tag: string }).tag, "address-in-use");
        return t.diagnostic("refused when bound");
      }
      first.listen();
      assert.throws(() => second.listen(), error("address-in-use"));
    });

    test("listens once, to a port of the kernel's when it was not bound", async () => {
      using opened = open();
      const socket = opened.TcpSocket.create(family);
      socket.listen();
      assert.ok(socket.getIsListening());
      assert.notEqual(portOf(socket.getLocalAddress()), 0);
      assert.throws(() => socket.listen(), error("invalid-state"));
      await assert.rejects(socket.connect(loopback(family, 42), call()), error("invalid-state"));
    });

    test("connects to where somebody listens, once", async () => {
      using opened = open();
      const { at, incoming } = opened.listening(family);
      const client = opened.TcpSocket.create(family);
      client.bind(loopback(family));
      const from = client.getLocalAddress();
      await client.connect(at, call());
      assert.deepEqual(client.getRemoteAddress(), at);
      assert.deepEqual(client.getLocalAddress(), from);
      const [accepted] = (await incoming.pull())!;
      assert.deepEqual(accepted!.getRemoteAddress(), from);
      assert.deepEqual(accepted!.getLocalAddress(), at);
      await assert.rejects(client.connect(at, call()), error("invalid-state"));
      assert.throws(() => client.listen(), error("invalid-state"));
      assert.throws(() => client.setListenBacklogSize(1n), error("invalid-state"));
    });

    test("a refused connection is said so, and the socket is closed", async () => {
      using opened = open();
      const gone = opened.TcpSocket.create(family);
      gone.bind(loopback(family));
      const at = gone.getLocalAddress();
      gone[Symbol.dispose]();
      const client = opened.TcpSocket.create(family);
      await assert.rejects(client.connect(at, call()), error("connection-refused"));
      await assert.rejects(client.connect(at, call()), error("invalid-state"));
      assert.throws(() => client.getRemoteAddress(), error("invalid-state"));
      client[Symbol.dispose]();
      await until(() => opened.held() === 0);
    });

    test("refuses to connect to what is no address of one machine", async () => {
      using opened = open();
      const client = opened.TcpSocket.create(family);
      const bad = [...wrong.map(([, at]) => at), ...notUnicast.map((parts) => address(family, parts, 42))];
      for (const at of [...bad, address(family, any, 42), loopback(family, 0)])
        await assert.rejects(client.connect(at, call()), error("invalid-argument"));
    });

    test("accepted sockets inherit the options", async () => {
      using opened = open();
      const { socket, at, incoming } = opened.listening(family);
      socket.setKeepAliveEnabled(true);
      socket.setKeepAliveIdleTime(42_000_000_000n);
      socket.setKeepAliveInterval(3_000_000_000n);
      socket.setKeepAliveCount(4);
      socket.setHopLimit(42);
      socket.setReceiveBufferSize(0x10000n);
      await opened.TcpSocket.create(family).connect(at, call());
      const [accepted] = (await incoming.pull())!;
      const read = (of: Tcp) => [
        of.getAddressFamily(),
        of.getKeepAliveEnabled(),
        of.getKeepAliveIdleTime(),
        of.getKeepAliveInterval(),
        of.getKeepAliveCount(),
        of.getHopLimit(),
        of.getReceiveBufferSize(),
        of.getSendBufferSize(),
      ];
      assert.deepEqual(read(accepted!), read(socket));
      assert.deepEqual(read(socket).slice(0, 6), [family, true, 42_000_000_000n, 3_000_000_000n, 4, 42]);
    });

    test("a connection carries bytes both ways, each way ending by itself", async () => {
      using opened = open();
      const { client, server } = await opened.pair(family);
      const [fromClient, clientEnd] = server.receive();
      const [fromServer, serverEnd] = client.receive();
      const sent = client.send(streamOf([Buffer.from("question"), Buffer.from("s")]));
      assert.equal(String(await collect(fromClient)), "questions");
      assert.deepEqual([await sent, await clientEnd], [ok, ok]);
      // The client is done sending, and still hears.
      const answered = server.send(streamOf([Buffer.alloc(300_000, "a")]));
      assert.equal((await collect(fromServer)).length, 300_000);
      assert.deepEqual([await answered, await serverEnd], [ok, ok]);
      client[Symbol.dispose]();
      server[Symbol.dispose]();
      await until(() => opened.held() === 0);
    });
  });
}

describe("wasi:sockets 0.3, TCP", () => {
  test("send and receive are for connected sockets, and for once", async () => {
    using opened = open();
    const unconnected = opened.TcpSocket.create("ipv4");
    const refused = streamOf([]);
    assert.deepEqual(await unconnected.send(refused), failed("invalid-state"));
    assert.ok(refused.disposed);
    const [nothing, why] = unconnected.receive();
    assert.deepEqual([await collect(nothing), await why], [Buffer.alloc(0), failed("invalid-state")]);
    const { client } = await opened.pair();
    void client.send(streamOf([]));
    client.receive();
    assert.deepEqual(await client.send(streamOf([])), failed("invalid-state"));
    assert.deepEqual(await client.receive()[1], failed("invalid-state"));
  });

  test("streams live on when their socket is dropped, and close it when they end", async () => {
    using opened = open();
    const { client, server } = await opened.pair();
    const [source, end] = server.receive();
    server[Symbol.dispose]();
    const sent = client.send(streamOf([Buffer.from("late")]));
    client[Symbol.dispose]();
    assert.equal(String(await collect(source)), "late");
    assert.deepEqual([await end, await sent], [ok, ok]);
    await until(() => opened.held() === 0);
  });

  test("a listener lives on in its stream", async () => {
    using opened = open();
    const { socket, incoming, at } = opened.listening("ipv4");
    socket[Symbol.dispose]();
    await opened.TcpSocket.create("ipv4").connect(at, call());
    assert.equal((await incoming.pull())!.length, 1);
    const waiting = incoming.pull();
    incoming.cancel();
    assert.equal(await waiting, undefined);
    await assert.rejects(opened.TcpSocket.create("ipv4").connect(at, call()), error("connection-refused"));
  });

  test("a stream of received bytes that is dropped ends well, and does not break what is sent", async () => {
    using opened = open();
    const { client, server } = await opened.pair();
    const [source, end] = client.receive();
    source.cancel();
    assert.deepEqual(await end, ok);
    assert.deepEqual(await server.send(streamOf([Buffer.alloc(1_000_000)])), ok);
    const [, back] = [client.send(streamOf([Buffer.from("x")])), server.receive()];
    assert.equal(String(await collect(back[0])), "x");
  });

  test("a peer that resets is told from one that ends", async () => {
    using opened = open();
    let peer: net.Socket | undefined;
    using server = await serve((socket) => {
      peer = socket;
    });
    const client = opened.TcpSocket.create("ipv4");
    await client.connect(loopback("ipv4", server.port), call());
    const [source, end] = client.receive();
    const reading = collect(source);
    const waiting = Promise.withResolvers<Uint8Array | undefined>();
    const endless = { ...streamOf([]), read: () => waiting.promise };
    const sending = client.send(endless);
    await until(() => peer !== undefined);
    peer!.resetAndDestroy();
    assert.equal((await reading).length, 0);
    assert.deepEqual([await end, await sending], [failed("connection-reset"), failed("connection-reset")]);
    client[Symbol.dispose]();
    await until(() => opened.held() === 0);
  });

  test("sending to a peer that has closed fails, however long it took to notice", async () => {
    using opened = open();
    using server = await serve((socket) => socket.destroy());
    const client = opened.TcpSocket.create("ipv4");
    await client.connect(loopback("ipv4", server.port), call());
    function* endless() {
      for (;;) yield Buffer.alloc(1000);
    }
    const outcome = (await client.send(streamOf(endless()))) as { val: { tag: string } };
    assert.ok(["connection-broken", "connection-reset"].includes(outcome.val.tag), outcome.val.tag);
  });

  test("whoever reads slowly slows the sender", async () => {
    using opened = open();
    const { client, server } = await opened.pair();
    let taken = 0;
    const megabytes = 64;
    function* much() {
      for (; taken < megabytes; taken++) yield Buffer.alloc(1024 * 1024);
    }
    const sending = client.send(streamOf(much()));
    const [source, end] = server.receive();
    await source.pull();
    // What the kernel and the platform hold between the two, and no more, leaves the guest's memory.
    let before = -1;
    while (before !== taken) {
      before = taken;
      for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(taken < megabytes / 2, `${taken} MiB were taken`);
    await collect(source);
    assert.deepEqual([await sending, await end], [ok, ok]);
  });

  test("connections beyond the backlog are reset, those within wait", async () => {
    using opened = open();
    const socket = opened.TcpSocket.create("ipv4");
    socket.bind(loopback("ipv4"));
    socket.setListenBacklogSize(2n);
    const incoming = socket.listen();
    const port = portOf(socket.getLocalAddress());
    const clients = [];
    for (let index = 0; index < 2; index++) {
      const client = net.connect({ port, host: "127.0.0.1" });
      await once(client, "connect");
      clients.push(client);
    }
    await until(() => opened.held() === 3);
    const third = net.connect({ port, host: "127.0.0.1" });
    third.on("error", () => undefined).resume();
    await new Promise((resolve) => third.on("close", resolve));
    assert.equal((await incoming.pull())!.length, 1);
    assert.equal((await incoming.pull())!.length, 1);
    for (const client of clients) client.destroy();
  });

  test("an instance has so many sockets and no more, waiting connections among them", async () => {
    using opened = open({ sockets: 2 });
    const { at } = opened.listening("ipv4");
    const peer = net.connect({ port: portOf(at), host: "127.0.0.1" });
    await until(() => opened.held() === 2);
    assert.throws(() => opened.TcpSocket.create("ipv4"), error("other"));
    assert.throws(() => opened.UdpSocket.create("ipv4"), error("other"));
    assert.match(opened.lines[0]!, /Cannot open a socket: 2 are open/);
    peer.destroy();
  });

  test("everything ends with the instance", async () => {
    let ended = 0;
    using server = await serve((socket) => {
      socket.on("close", () => (ended += 1)).resume();
      socket.on("end", () => socket.end());
    });
    const opened = open();
    const client = opened.TcpSocket.create("ipv4");
    await client.connect(loopback("ipv4", server.port), call());
    const [source, outcome] = client.receive();
    const reading = collect(source);
    const { socket, incoming, at } = opened.listening("ipv4");
    const accepting = incoming.pull();
    opened[Symbol.dispose]();
    assert.equal((await reading).length, 0);
    assert.deepEqual([await outcome, await accepting], [ok, undefined]);
    await until(() => ended === 1);
    assert.equal(opened.held(), 0);
    const probe = net.connect({ port: portOf(at), host: "127.0.0.1" });
    assert.equal((await once(probe, "error"))[0].code, "ECONNREFUSED");
    assert.throws(() => opened.TcpSocket.create("ipv4"), { code: "cancelled" });
    assert.throws(() => socket.listen(), { code: "cancelled" });
  });

  test("a call that is cancelled gives the attempt up", async () => {
    using opened = open();
    const { at } = opened.listening("ipv4");
    const client = opened.TcpSocket.create("ipv4");
    const abort = new AbortController();
    const connecting = client.connect(at, { signal: abort.signal });
    abort.abort();
    await assert.rejects(connecting, error("connection-aborted"));
  });

  test("what is not granted is denied, logged, and does not happen", async () => {
    let connections = 0;
    using server = await serve(() => {
      connections += 1;
    });
    using opened = open({
      bind: (protocol, at, port) => (port === 0 ? undefined : `no ${protocol} ${at} ${port}`),
      listen: () => "no listening",
      connect: (protocol, at, port) => `no ${protocol} ${at} ${port}`,
      resolve: (name) => `no ${name}`,
    });
    const client = opened.TcpSocket.create("ipv4");
    await assert.rejects(client.connect(loopback("ipv4", server.port), call()), error("access-denied"));
    assert.throws(() => client.bind(loopback("ipv4", 8080)), error("access-denied"));
    client.bind(loopback("ipv4"));
    assert.throws(() => client.listen(), error("access-denied"));
    assert.throws(() => opened.resolveAddresses("Example.com."), error("access-denied"));
    assert.equal(connections, 0);
    assert.deepEqual(opened.lines, [
      `warn sockets: Cannot connect to tcp 127.0.0.1:${server.port}: no tcp 127.0.0.1 ${server.port}`,
      "warn sockets: Cannot bind to tcp 127.0.0.1:8080: no tcp 127.0.0.1 8080",
      "warn sockets: Cannot listen on tcp 127.0.0.1:0: no listening",
      "warn sockets: Cannot look up example.com: no example.com",
    ]);
  });

  test("options take any value but 0, and say what they made of it", () => {
    using opened = open();
    const socket = opened.TcpSocket.create("ipv4");
    for (const set of [
      () => socket.setListenBacklogSize(0n),
      () => socket.setKeepAliveIdleTime(0n),
      () => socket.setKeepAliveInterval(0n),
      () => socket.setKeepAliveCount(0),
      () => socket.setHopLimit(0),
      () => socket.setReceiveBufferSize(0n),
      () => socket.setSendBufferSize(0n),
    ])
      assert.throws(set, error("invalid-argument"));
    const most = 2n ** 64n - 1n;
    socket.setListenBacklogSize(most);
    socket.setKeepAliveIdleTime(most);
    socket.setKeepAliveInterval(1n);
    socket.setKeepAliveCount(2 ** 32 - 1);
    socket.setReceiveBufferSize(most);
    assert.equal(socket.getKeepAliveInterval(), 1_000_000_000n);
    assert.ok(socket.getKeepAliveIdleTime() > 0n);
    assert.ok(socket.getKeepAliveCount() > 0);
    assert.ok(socket.getReceiveBufferSize() > 0n);
  });
});

for (const family of families)
  describe(`wasi:sockets 0.3, UDP over ${family}`, () => {
    const host = family === "ipv4" ? "127.0.0.1" : "::1";

    test("binds once, to a port that nobody has", () => {
      using opened = open();
      const [first, second] = [opened.UdpSocket.create(family), opened.UdpSocket.create(family)];
      assert.throws(() => first.getLocalAddress(), error("invalid-state"));
      first.bind(loopback(family));
      assert.throws(() => first.bind(loopback(family)), error("invalid-state"));
      assert.throws(() => second.bind(first.getLocalAddress()), error("address-in-use"));
      const nobodys = family === "ipv4" ? [192, 0, 2, 1] : [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1];
      assert.throws(() => second.bind(address(family, nobodys)), error("address-not-bindable"));
      const { val } = first.getLocalAddress();
      first[Symbol.dispose]();
      second.bind(loopback(family, val.port));
    });

    test("sends and receives, unconnected and connected", async () => {
      using opened = open();
      const [one, two] = [opened.UdpSocket.create(family), opened.UdpSocket.create(family)];
      await assert.rejects(one.receive(call()), error("invalid-state"));
      one.bind(loopback(family));
      const waiting = one.receive(call());
      await two.send(Buffer.from("hello"), one.getLocalAddress());
      const [data, from] = await waiting;
      assert.equal(String(data), "hello");
      assert.equal(portOf(from), portOf(two.getLocalAddress()));
      one.connect(from);
      assert.deepEqual(one.getRemoteAddress(), from);
      const answer = two.receive(call());
      await one.send(Buffer.from("back"), undefined);
      assert.equal(String((await answer)[0]), "back");
      await one.send(Buffer.from("again"), from);
      assert.equal(String((await two.receive(call()))[0]), "again");
    });

    test("a connected socket hears its peer alone, and the port stays when the peer changes", async () => {
      using opened = open();
      const stranger = dgram.createSocket(family === "ipv4" ? "udp4" : "udp6");
      const peer = opened.UdpSocket.create(family);
      peer.bind(loopback(family));
      const socket = opened.UdpSocket.create(family);
      socket.connect(peer.getLocalAddress());
      const { val } = socket.getLocalAddress();
      assert.deepEqual(val.address, loopback(family).val.address);
      stranger.send("not for you", val.port, host);
      await peer.send(Buffer.from("for you"), socket.getLocalAddress());
      assert.equal(String((await socket.receive(call()))[0]), "for you");
      assert.throws(() => socket.send(Buffer.from("x"), loopback(family, 9)), error("invalid-argument"));
      socket.connect(loopback(family, 9));
      assert.equal(portOf(socket.getLocalAddress()), val.port);
      socket.disconnect();
      assert.throws(() => socket.getRemoteAddress(), error("invalid-state"));
      assert.throws(() => socket.disconnect(), error("invalid-state"));
      assert.equal(portOf(socket.getLocalAddress()), val.port);
      stranger.send("now for you", val.port, host);
      assert.equal(String((await socket.receive(call()))[0]), "now for you");
      stranger.close();
    });

    test("refuses what no datagram can be sent to, and what no datagram can hold", async () => {
      using opened = open();
      const socket = opened.UdpSocket.create(family);
      const [byte, any] = [Buffer.alloc(1), family === "ipv4" ? [0, 0, 0, 0] : [0, 0, 0, 0, 0, 0, 0, 0]];
      assert.throws(() => socket.send(byte, undefined), error("invalid-argument"));
      assert.throws(() => socket.send(byte, loopback(family, 0)), error("invalid-argument"));
      assert.throws(() => socket.send(byte, address(family, any, 42)), error("invalid-argument"));
      assert.throws(
        () => socket.send(byte, loopback(family === "ipv4" ? "ipv6" : "ipv4", 42)),
        error("invalid-argument"),
      );
      assert.throws(() => socket.send(Buffer.alloc(65_536), loopback(family, 42)), error("datagram-too-large"));
      const longest = family === "ipv4" ? 65_507 : 65_527;
      const receiver = opened.UdpSocket.create(family);
      receiver.bind(loopback(family));
      await socket.send(Buffer.alloc(longest), receiver.getLocalAddress());
      assert.equal((await receiver.receive(call()))[0].length, longest);
    });

    test("options reach the kernel when there is a socket", () => {
      using opened = open();
      const socket = opened.UdpSocket.create(family);
      assert.throws(() => socket.setUnicastHopLimit(0), error("invalid-argument"));
      assert.throws(() => socket.setSendBufferSize(0n), error("invalid-argument"));
      socket.setUnicastHopLimit(42);
      socket.setReceiveBufferSize(0x10000n);
      socket.setSendBufferSize(2n ** 64n - 1n);
      socket.bind(loopback(family));
      socket.setUnicastHopLimit(255);
      assert.equal(socket.getUnicastHopLimit(), 255);
      assert.equal(socket.getReceiveBufferSize(), 0x10000n);
    });
  });

describe("wasi:sockets 0.3, UDP", () => {
  test("nobody at the other end is noticed by a connected socket, once", async () => {
    using opened = open();
    const gone = opened.UdpSocket.create("ipv4");
    gone.bind(loopback("ipv4"));
    const at = gone.getLocalAddress();
    gone[Symbol.dispose]();
    const socket = opened.UdpSocket.create("ipv4");
    socket.connect(at);
    const hearing = socket.receive(call());
    await socket.send(Buffer.from("anyone?"), undefined);
    await assert.rejects(hearing, error("connection-refused"));
  });

  test("a call that is cancelled takes no datagram with it", async () => {
    using opened = open();
    const socket = opened.UdpSocket.create("ipv4");
    socket.bind(loopback("ipv4"));
    const abort = new AbortController();
    const given = socket.receive({ signal: abort.signal });
    abort.abort();
    await assert.rejects(given, { name: "AbortError" });
    await socket.send(Buffer.from("kept"), socket.getLocalAddress());
    assert.equal(String((await socket.receive(call()))[0]), "kept");
  });

  test("what waits is bounded, and the rest is lost", async () => {
    using opened = open();
    const socket = opened.UdpSocket.create("ipv4");
    socket.bind(loopback("ipv4"));
    const sender = opened.UdpSocket.create("ipv4");
    for (let index = 0; index < 50; index++) {
      await sender.send(Buffer.alloc(60_000), socket.getLocalAddress());
      await new Promise((resolve) => setImmediate(resolve));
    }
    const given = AbortSignal.abort();
    let waiting = 0;
    while ((await socket.receive({ signal: given }).catch(() => undefined)) !== undefined) waiting += 1;
    assert.equal(waiting, 4);
    await sender.send(Buffer.from("goes on"), socket.getLocalAddress());
    assert.equal(String((await socket.receive(call()))[0]), "goes on");
  });

  test("one that nobody may reach hears from whom it may send to", async () => {
    const stranger = dgram.createSocket("udp4").bind(0, "127.0.0.1");
    const friend = dgram.createSocket("udp4").bind(0, "127.0.0.1");
    await Promise.all([once(stranger, "listening"), once(friend, "listening")]);
    using opened = open({
      listen: () => "no listening",
      connect: (_protocol, _at, port) => (port === friend.address().port ? undefined : "not listed"),
    });
    const socket = opened.UdpSocket.create("ipv4");
    socket.bind(loopback("ipv4"));
    const { port } = socket.getLocalAddress().val;
    await new Promise((resolve) => stranger.send("unasked", port, "127.0.0.1", resolve));
    await new Promise((resolve) => friend.send("asked", port, "127.0.0.1", resolve));
    assert.equal(String((await socket.receive(call()))[0]), "asked");
    const to = loopback("ipv4", stranger.address().port);
    assert.throws(() => socket.send(Buffer.from("x"), to), error("access-denied"));
    assert.throws(() => socket.connect(to), error("access-denied"));
    stranger.close();
    friend.close();
  });
});

describe("wasi:sockets 0.3, names", () => {
  test("resolves what the machine knows, and tells the grants", async () => {
    const told: [string, readonly string[]][] = [];
    using opened = open({ resolved: (name, addresses) => told.push([name, addresses]) });
    const found = await opened.resolveAddresses("LocalHost.");
    assert.ok(found.length > 0);
    assert.deepEqual(
      told.map(([name]) => name),
      ["localhost"],
    );
    assert.ok(
      told[0]![1].some((text) => text === "127.0.0.1" || text === "::1"),
      String(told[0]![1]),
    );
  });

  test("reads addresses without asking anyone", () => {
    using opened = open({ resolve: () => "never" });
    const read = (text: string) => opened.resolveAddresses(text);
    assert.deepEqual(read("127.0.0.1"), [{ tag: "ipv4", val: [127, 0, 0, 1] }]);
    assert.deepEqual(read("fe80::1:2"), [{ tag: "ipv6", val: [0xfe80, 0, 0, 0, 0, 0, 1, 2] }]);
    assert.deepEqual(read("::ffff:10.1.2.3"), [{ tag: "ipv4", val: [10, 1, 2, 3] }]);
  });

  for (const name of ["", ".", "a b", "-x.test", "a..b", "x".repeat(64), "1.2.3", "exa$mple.com", "[::1]", "a\0b"])
    test(`refuses ${JSON.stringify(name.slice(0, 12))} as no name`, () => {
      using opened = open();
      assert.throws(() => opened.resolveAddresses(name), error("invalid-argument"));
    });

  test("a name that does not exist is said so", async () => {
    using opened = open();
    await assert.rejects(
      async () => opened.resolveAddresses("nobody.invalid"),
      (thrown: { tag: string }) => {
        // Without a name server there is only the latter to say.
        assert.ok(["name-unresolvable", "temporary-resolver-failure"].includes(thrown.tag), thrown.tag);
        return true;
      },
    );
  });
});
