/**
 * wasi:sockets 0.2 over the sockets of this folder: what is started is asked for with `finish…`, and
 * pollables tell when. Binding and listening are done when they are started. Codes are thrown as they
 * are; a broken stream's error has the code as its cause.
 */
import { suspending } from "../../contract.ts";
import { InputStream, type IoError, OutputStream, Pollable, Waitable } from "../io.ts";
import { type Family, type IpAddress, type IpSocketAddress, toEndpoint, toSocketAddress } from "./address.ts";
import type { SocketCode } from "./error.ts";
import { resolveName } from "./lookup.ts";
import type { Network as Shared } from "./network.ts";
import { Tcp } from "./tcp.ts";
import { type Datagram, Udp } from "./udp.ts";

export function sockets02(network: Shared) {
  return {
    "wasi:sockets/network": { Network, networkErrorCode },
    "wasi:sockets/instance-network": { instanceNetwork: () => new Network() },
    "wasi:sockets/tcp": { TcpSocket },
    "wasi:sockets/tcp-create-socket": {
      createTcpSocket: (family: Family) => new TcpSocket(new Tcp(network, family)),
    },
    "wasi:sockets/udp": { UdpSocket, IncomingDatagramStream, OutgoingDatagramStream },
    "wasi:sockets/udp-create-socket": {
      createUdpSocket: (family: Family) => new UdpSocket(new Udp(network, family)),
    },
    "wasi:sockets/ip-name-lookup": {
      ResolveAddressStream,
      resolveAddresses: (_: Network, name: string) => new ResolveAddressStream(resolveName(network, name)),
    },
  };
}

/** Stands for what the grants say. */
class Network {}

type Step = "bind" | "connect" | "listen";

/** What was started and not yet asked for; one at a time. */
class Progress {
  #step: Step | undefined;

  start(step: Step, act: () => void): void {
    if (this.#step !== undefined) throw "concurrency-conflict" satisfies SocketCode;
    act();
    this.#step = step;
  }

  finish(step: Step, underway = false): void {
    if (this.#step !== step) throw "not-in-progress" satisfies SocketCode;
    if (underway) throw "would-block" satisfies SocketCode;
    this.#step = undefined;
  }
}

class TcpSocket {
  readonly #tcp: Tcp;
  readonly #progress = new Progress();
  #streams: readonly [TcpInput, TcpOutput] | undefined;

  constructor(tcp: Tcp) {
    this.#tcp = tcp;
  }

  startBind(_: Network, local: IpSocketAddress): void {
    this.#progress.start("bind", () => this.#tcp.bind(toEndpoint(local)));
  }

  finishBind(): void {
    this.#progress.finish("bind");
  }

  startConnect(_: Network, remote: IpSocketAddress): void {
    this.#progress.start("connect", () => this.#tcp.connect(toEndpoint(remote)));
  }

  finishConnect(): readonly [InputStream, OutputStream] {
    this.#progress.finish("connect", this.#tcp.state === "connecting");
    if (this.#tcp.connection === undefined) throw this.#tcp.failure ?? ("connection-refused" satisfies SocketCode);
    return this.streams();
  }

  startListen(): void {
    this.#progress.start("listen", () => this.#tcp.listen());
  }

  finishListen(): void {
    this.#progress.finish("listen");
  }

  accept(): readonly [TcpSocket, InputStream, OutputStream] {
    const accepted = this.#tcp.accept();
    if (accepted === undefined) throw "would-block" satisfies SocketCode;
    const socket = new TcpSocket(accepted);
    return [socket, ...socket.streams()];
  }

  localAddress(): IpSocketAddress {
    return toSocketAddress(this.#tcp.localEndpoint());
  }

  remoteAddress(): IpSocketAddress {
    return toSocketAddress(this.#tcp.remoteEndpoint());
  }

  isListening(): boolean {
    return this.#tcp.state === "listening";
  }

  addressFamily(): Family {
    return this.#tcp.family;
  }

  setListenBacklogSize(value: bigint): void {
    this.#tcp.setBacklog(value);
  }

  keepAliveEnabled(): boolean {
    return this.#tcp.options.keepAlive;
  }

  setKeepAliveEnabled(value: boolean): void {
    this.#tcp.options.keepAlive = value;
    this.#tcp.applyOptions();
  }

  keepAliveIdleTime(): bigint {
    return this.#tcp.options.keepAliveIdle;
  }

  setKeepAliveIdleTime(value: bigint): void {
    this.#tcp.options.keepAliveIdle = value;
    this.#tcp.applyOptions();
  }

  keepAliveInterval(): bigint {
    return this.#tcp.options.keepAliveInterval;
  }

  setKeepAliveInterval(value: bigint): void {
    this.#tcp.options.keepAliveInterval = value;
    this.#tcp.applyOptions();
  }

  keepAliveCount(): number {
    return this.#tcp.options.keepAliveCount;
  }

  setKeepAliveCount(value: number): void {
    this.#tcp.options.keepAliveCount = value;
    this.#tcp.applyOptions();
  }

  hopLimit(): number {
    return this.#tcp.options.hopLimit;
  }

  setHopLimit(value: number): void {
    this.#tcp.options.hopLimit = value;
  }

  receiveBufferSize(): bigint {
    return this.#tcp.options.receiveBufferBytes;
  }

  setReceiveBufferSize(value: bigint): void {
    this.#tcp.options.receiveBufferBytes = value;
  }

  sendBufferSize(): bigint {
    return this.#tcp.options.sendBufferBytes;
  }

  setSendBufferSize(value: bigint): void {
    this.#tcp.options.sendBufferBytes = value;
  }

  subscribe(): Pollable {
    return new Pollable(this.#tcp);
  }

  shutdown(type: "receive" | "send" | "both"): void {
    if (this.#tcp.state !== "connected" || this.#streams === undefined) throw "invalid-state" satisfies SocketCode;
    const [input, output] = this.#streams;
    if (type !== "send") input.shutdown();
    if (type !== "receive") output.shutdown();
  }

  [Symbol.dispose](): void {
    this.#tcp.release();
  }

  streams(): readonly [TcpInput, TcpOutput] {
    this.#streams = [new TcpInput(this.#tcp), new TcpOutput(this.#tcp)];
    return this.#streams;
  }
}

/** The receiving direction; holds the socket until the guest drops it. */
class TcpInput extends InputStream {
  readonly #tcp: Tcp;

  constructor(tcp: Tcp) {
    const connection = tcp.hold().connection!;
    super({ pull: () => connection.pull(), cancel: () => connection.stopReceiving() });
    this.#tcp = tcp;
  }

  /** Bytes at hand can still be read; after them the stream is closed. */
  shutdown(): void {
    this.#tcp.connection!.stopReceiving();
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#tcp.release();
  }
}

/** The sending direction; holds the socket until the guest drops it. */
class TcpOutput extends OutputStream {
  readonly #tcp: Tcp;

  constructor(tcp: Tcp) {
    const connection = tcp.hold().connection!;
    super({ room: () => connection.room(), write: (bytes) => connection.write(bytes) });
    this.#tcp = tcp;
    connection.onProgress = () => {
      this.progress();
      if (connection.failure !== undefined) this.close(connection.failure);
    };
  }

  /** What was written is sent, and then the peer is told that there is no more. */
  shutdown(): void {
    this.#tcp.connection!.end();
    this.close();
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#tcp.release();
  }
}

class UdpSocket {
  readonly #udp: Udp;
  readonly #progress = new Progress();

  constructor(udp: Udp) {
    this.#udp = udp;
  }

  startBind(_: Network, local: IpSocketAddress): void {
    this.#progress.start("bind", () => this.#udp.bind(toEndpoint(local)));
  }

  finishBind(): void {
    this.#progress.finish("bind");
  }

  stream(remote: IpSocketAddress | undefined): readonly [IncomingDatagramStream, OutgoingDatagramStream] {
    if (!this.#udp.bound) throw "invalid-state" satisfies SocketCode;
    this.#udp.connect(remote && toEndpoint(remote));
    return [new IncomingDatagramStream(this.#udp), new OutgoingDatagramStream(this.#udp)];
  }

  localAddress(): IpSocketAddress {
    return toSocketAddress(this.#udp.localEndpoint());
  }

  remoteAddress(): IpSocketAddress {
    return toSocketAddress(this.#udp.remoteEndpoint());
  }

  addressFamily(): Family {
    return this.#udp.family;
  }

  unicastHopLimit(): number {
    return this.#udp.options.hopLimit;
  }

  setUnicastHopLimit(value: number): void {
    this.#udp.options.hopLimit = value;
    this.#udp.applyOptions();
  }

  receiveBufferSize(): bigint {
    return this.#udp.options.receiveBufferBytes;
  }

  setReceiveBufferSize(value: bigint): void {
    this.#udp.options.receiveBufferBytes = value;
    this.#udp.applyOptions();
  }

  sendBufferSize(): bigint {
    return this.#udp.options.sendBufferBytes;
  }

  setSendBufferSize(value: bigint): void {
    this.#udp.options.sendBufferBytes = value;
    this.#udp.applyOptions();
  }

  subscribe(): Pollable {
    return new Pollable(atOnce);
  }

  [Symbol.dispose](): void {
    this.#udp.release();
  }
}

/** For what never has to be waited for. */
class AtOnce extends Waitable {
  override ready(): boolean {
    return true;
  }
}

const atOnce = new AtOnce();

class IncomingDatagramStream {
  readonly #udp: Udp;

  constructor(udp: Udp) {
    this.#udp = udp.hold();
  }

  receive(maxResults: bigint): { readonly data: Uint8Array; readonly remoteAddress: IpSocketAddress }[] {
    const received: Datagram[] = [];
    while (BigInt(received.length) < maxResults) {
      // What went wrong is said once, and not in place of what has arrived.
      if (received.length > 0 && !this.#udp.ready()) break;
      const datagram = this.#udp.receive();
      if (datagram === undefined) break;
      received.push(datagram);
    }
    return received.map(({ data, from }) => ({ data, remoteAddress: toSocketAddress(from) }));
  }

  subscribe(): Pollable {
    return new Pollable(this.#udp);
  }

  [Symbol.dispose](): void {
    this.#udp.release();
  }
}

/** Datagrams that one `send` takes. */
const permittedMax = 16;

class OutgoingDatagramStream {
  readonly #udp: Udp;
  /** What `check-send` permitted and was not used. */
  #permitted = 0;

  constructor(udp: Udp) {
    this.#udp = udp.hold();
  }

  checkSend(): bigint {
    this.#permitted = permittedMax;
    return BigInt(permittedMax);
  }

  /** How many the kernel took, up to the first that it did not; the error of the first of all is thrown. */
  async send(
    datagrams: readonly { readonly data: Uint8Array; readonly remoteAddress: IpSocketAddress | undefined }[],
  ): Promise<bigint> {
    if (datagrams.length > this.#permitted)
      throw new Error(`Cannot send ${datagrams.length} datagrams: ${this.#permitted} are permitted (see check-send)`);
    this.#permitted -= datagrams.length;
    let sent = 0n;
    for (const { data, remoteAddress } of datagrams) {
      try {
        await this.#udp.send(data, remoteAddress && toEndpoint(remoteAddress));
      } catch (code) {
        if (sent === 0n) throw code;
        break;
      }
      sent += 1n;
    }
    return sent;
  }

  subscribe(): Pollable {
    return new Pollable(atOnce);
  }

  [Symbol.dispose](): void {
    this.#udp.release();
  }
}

suspending(OutgoingDatagramStream.prototype.send);

class ResolveAddressStream extends Waitable {
  #addresses: IpAddress[] | undefined;
  #failure: unknown;

  constructor(found: readonly IpAddress[] | Promise<readonly IpAddress[]>) {
    super();
    if (!(found instanceof Promise)) this.#addresses = [...found];
    else
      found.then(
        (addresses) => this.#settle([...addresses], undefined),
        (code) => this.#settle([], code),
      );
  }

  resolveNextAddress(): IpAddress | undefined {
    if (this.#addresses === undefined) throw "would-block" satisfies SocketCode;
    if (this.#failure !== undefined) throw this.#failure;
    return this.#addresses.shift();
  }

  subscribe(): Pollable {
    return new Pollable(this);
  }

  override ready(): boolean {
    return this.#addresses !== undefined;
  }

  #settle(addresses: IpAddress[], failure: unknown): void {
    this.#addresses = addresses;
    this.#failure = failure;
    this.wake();
  }
}

/** The code of a broken connection, if the error is one of a connection. */
function networkErrorCode({ cause }: IoError): SocketCode | undefined {
  if (typeof cause !== "string") return undefined;
  return cause === "connection-broken" ? "connection-reset" : (cause as SocketCode);
}
