import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, test } from "node:test";
import type { SocketGrants } from "../../contract.ts";
import { chunkBytes, type IoError, type Pollable } from "../io.ts";
import type { Family } from "./address.ts";
import { families, loopback, openHosts, portOf, serve, until } from "./loopback-fixture.ts";

function open(given?: Partial<SocketGrants>) {
  const opened = openHosts(given);
  const { hosts } = opened;
  const network = hosts["wasi:sockets/instance-network"].instanceNetwork();
  const { createTcpSocket } = hosts["wasi:sockets/tcp-create-socket"];
  const { createUdpSocket } = hosts["wasi:sockets/udp-create-socket"];
  const { resolveAddresses } = hosts["wasi:sockets/ip-name-lookup"];
  const { networkErrorCode } = hosts["wasi:sockets/network"];
  const listening = (family: Family = "ipv4") => {
    const socket = createTcpSocket(family);
    socket.startBind(network, loopback(family));
    socket.finishBind();
    socket.startListen();
    socket.finishListen();
    return socket;
  };
  const connected = async (port: number) => {
    const socket = createTcpSocket("ipv4");
    socket.startConnect(network, loopback("ipv4", port));
    await ready(socket.subscribe());
    return [socket, ...socket.finishConnect()] as const;
  };
  return {
    ...opened,
    network,
    createTcpSocket,
    createUdpSocket,
    resolveAddresses,
    networkErrorCode,
    listening,
    connected,
  };
}

const is = (code: string) => (thrown: unknown) => thrown === code;
const ready = async (pollable: Pollable): Promise<void> => void (await pollable.block());

for (const family of families)
  describe(`wasi:sockets 0.2 over ${family}`, () => {
    test("what is started is finished, one at a time, and nothing else is", async () => {
      using opened = open();
      const { network } = opened;
      const socket = opened.createTcpSocket(family);
      for (const finish of [() => socket.finishBind(), () => socket.finishListen(), () => socket.finishConnect()])
        assert.throws(finish, is("not-in-progress"));
      assert.throws(() => socket.accept(), is("invalid-state"));
      socket.startBind(network, loopback(family));
      assert.throws(() => socket.startListen(), is("concurrency-conflict"));
      socket.finishBind();
      assert.throws(() => socket.startBind(network, loopback(family)), is("invalid-state"));
      socket.startListen();
      socket.finishListen();
      assert.ok(socket.isListening());
      assert.throws(() => socket.accept(), is("would-block"));
      const [listening, client] = [socket.subscribe(), opened.createTcpSocket(family)];
      assert.ok(!listening.ready());
      client.startConnect(network, socket.localAddress());
      assert.throws(() => client.finishConnect(), is("would-block"));
      await ready(client.subscribe());
      const [input, output] = client.finishConnect();
      await ready(listening);
      const [accepted, acceptedInput, acceptedOutput] = socket.accept();
      assert.deepEqual(accepted.remoteAddress(), client.localAddress());
      await output.blockingWriteAndFlush(Buffer.from("to"));
      assert.equal(String(await acceptedInput.blockingRead(10n)), "to");
      await acceptedOutput.blockingWriteAndFlush(Buffer.from("fro"));
      assert.equal(String(await input.blockingRead(10n)), "fro");
      for (const held of [input, output, client, acceptedInput, acceptedOutput, accepted, socket])
        held[Symbol.dispose]();
      await until(() => opened.held() === 0);
    });

    test("datagrams go out as far as check-send permits, and come in as they are", async () => {
      using opened = open();
      const [one, two] = [opened.createUdpSocket(family), opened.createUdpSocket(family)];
      assert.throws(() => one.stream(undefined), is("invalid-state"));
      for (const socket of [one, two]) {
        socket.startBind(opened.network, loopback(family));
        socket.finishBind();
      }
      const [incoming] = one.stream(undefined);
      const [, outgoing] = two.stream(one.localAddress());
      assert.deepEqual(two.remoteAddress(), one.localAddress());
      assert.deepEqual(incoming.receive(10n), []);
      const datagram = (text: string) => ({ data: Buffer.from(text), remoteAddress: undefined });
      await assert.rejects(outgoing.send([datagram("too early")]), /0 are permitted/);
      assert.ok(outgoing.checkSend() >= 2n);
      assert.equal(await outgoing.send([datagram("a"), datagram("b")]), 2n);
      const received: string[] = [];
      while (received.length < 2) {
        await ready(incoming.subscribe());
        received.push(...incoming.receive(10n).map(({ data }) => String(data)));
      }
      assert.deepEqual(received, ["a", "b"]);
      outgoing.checkSend();
      const long = { data: Buffer.alloc(70_000), remoteAddress: undefined };
      assert.equal(await outgoing.send([datagram("c"), long]), 1n);
      await assert.rejects(outgoing.send([long]), is("datagram-too-large"));
    });
  });

describe("wasi:sockets 0.2", () => {
  test("a failed connection is told when it is asked for", async () => {
    using opened = open();
    const gone = opened.listening();
    const at = gone.localAddress();
    gone[Symbol.dispose]();
    const socket = opened.createTcpSocket("ipv4");
    socket.startConnect(opened.network, at);
    await ready(socket.subscribe());
    assert.throws(() => socket.finishConnect(), is("connection-refused"));
    assert.throws(() => socket.startConnect(opened.network, at), is("invalid-state"));
  });

  test("shutdown ends one direction, after what was written", async () => {
    let heard = "";
    using server = await serve((socket) => {
      socket.on("data", (bytes) => (heard += bytes));
      socket.on("end", () => socket.end(`heard ${heard}`));
    });
    using opened = open();
    const [socket, input, output] = await opened.connected(server.port);
    output.write(Buffer.from("all"));
    socket.shutdown("send");
    assert.throws(() => output.checkWrite(), { tag: "closed" });
    assert.equal(String(await input.blockingRead(100n)), "heard all");
    assert.throws(() => socket.shutdown("receive") ?? input.read(1n), { tag: "closed" });
    assert.throws(() => opened.createTcpSocket("ipv4").shutdown("both"), is("invalid-state"));
  });

  test("output has room again when the kernel has all of it, and flush waits for that", async () => {
    const { promise: peer, resolve } = Promise.withResolvers<net.Socket>();
    using server = await serve((socket) => resolve(socket.pause()));
    using opened = open();
    const [, , output] = await opened.connected(server.port);
    let written = 0;
    while (output.checkWrite() > 0n) {
      output.write(Buffer.alloc(chunkBytes));
      written += chunkBytes;
      assert.ok(written < 64 * 1024 * 1024, "a peer that does not read takes everything");
    }
    const pollable = output.subscribe();
    assert.ok(!pollable.ready());
    const flushed = Promise.resolve(output.blockingFlush());
    let received = 0;
    (await peer).resume().on("data", (bytes) => {
      received += bytes.length;
    });
    await flushed;
    await ready(pollable);
    await until(() => received === written);
  });

  test("a reset fails both streams with its code, once, and then they are closed", async () => {
    const { promise: peer, resolve } = Promise.withResolvers<net.Socket>();
    using server = await serve(resolve);
    using opened = open();
    const [, input, output] = await opened.connected(server.port);
    const reading = input.blockingRead(1n);
    (await peer).resetAndDestroy();
    const code = (thrown: { val: IoError }) => opened.networkErrorCode(thrown.val) === "connection-reset";
    await assert.rejects(async () => reading, code);
    assert.throws(() => input.read(1n), { tag: "closed" });
    assert.throws(() => output.checkWrite(), code);
    assert.throws(() => output.checkWrite(), { tag: "closed" });
  });

  test("names come one by one, then no more", async () => {
    using opened = open();
    const stream = opened.resolveAddresses(opened.network, "localhost");
    assert.throws(() => stream.resolveNextAddress(), is("would-block"));
    await ready(stream.subscribe());
    assert.notEqual(stream.resolveNextAddress(), undefined);
    while (stream.resolveNextAddress() !== undefined);
    assert.throws(() => opened.resolveAddresses(opened.network, "a b"), is("invalid-argument"));
  });

  test("nothing is granted by default", () => {
    using opened = open({ connect: () => "no", bind: () => "no", listen: () => "no", resolve: () => "no" });
    const { network } = opened;
    const [tcp, udp] = [opened.createTcpSocket("ipv4"), opened.createUdpSocket("ipv4")];
    assert.throws(() => tcp.startConnect(network, loopback("ipv4", 80)), is("access-denied"));
    assert.throws(() => tcp.startBind(network, loopback("ipv4")), is("access-denied"));
    assert.throws(() => tcp.startListen(), is("access-denied"));
    assert.throws(() => udp.startBind(network, loopback("ipv4")), is("access-denied"));
    assert.throws(() => opened.resolveAddresses(network, "localhost"), is("access-denied"));
    assert.equal(opened.lines.length, 5);
  });

  test("too many sockets are refused as such", () => {
    using opened = open({ sockets: 1 });
    const one = opened.createTcpSocket("ipv6");
    assert.throws(() => opened.createUdpSocket("ipv4"), is("new-socket-limit"));
    one[Symbol.dispose]();
    opened.createUdpSocket("ipv4")[Symbol.dispose]();
    assert.equal(opened.held(), 0);
  });

  test("a listener that is dropped lets those go that waited", async () => {
    using opened = open();
    const socket = opened.listening();
    const peer = net.connect({ port: portOf(socket.localAddress()), host: "127.0.0.1" });
    await ready(socket.subscribe());
    socket[Symbol.dispose]();
    await once(peer.resume(), "close");
    await until(() => opened.held() === 0);
  });
});
