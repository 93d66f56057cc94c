/**
 * A UDP socket of either version of WASI.
 *
 * What arrives waits in a queue of bounded bytes, and what does not fit is lost, as in the kernel. A
 * socket that the grants let nobody reach hears only from whom it may send to. Being "connected" is
 * the kernel's, so that its errors are heard; the socket is replaced by one at the same address to
 * end or change it, because the kernel forgets a port that it chose itself.
 */
import { createSocket, type Socket } from "node:dgram";
import { Waitable } from "../io.ts";
import {
  type Endpoint,
  endpointOf,
  type Family,
  hostOf,
  isMapped,
  isUnspecified,
  show,
  unspecified,
} from "./address.ts";
import { type SocketCode, toSocketCode } from "./error.ts";
import type { Network } from "./network.ts";
import { BufferOptions } from "./options.ts";

export interface Datagram {
  readonly data: Uint8Array;
  readonly from: Endpoint;
}

/** What an IP packet has room for. */
const longestBytes: Readonly<Record<Family, number>> = { ipv4: 65_507, ipv6: 65_527 };
/** Bytes of datagrams that wait for the guest, each with something for itself. */
const queueBytesMax = 256 * 1024;
const datagramBytes = 256;

export class Udp extends Waitable implements Disposable {
  readonly family: Family;
  readonly options = new BufferOptions();
  readonly #network: Network;
  #holders = 1;
  #socket: Socket | undefined;
  #asked: Endpoint;
  #remote: Endpoint | undefined;
  /** Anyone may send to it. */
  #listed = false;
  #queue: Datagram[] = [];
  #queueBytes = 0;
  /** Told to the next that sends or receives. */
  #failure: SocketCode | undefined;
  #closed = false;

  constructor(network: Network, family: Family) {
    super();
    this.family = family;
    this.#network = network;
    this.#asked = unspecified(family);
    network.enter(this);
  }

  get bound(): boolean {
    return this.#socket !== undefined;
  }

  get connected(): boolean {
    return this.#remote !== undefined;
  }

  bind(local: Endpoint): void {
    this.#assertOpen();
    if (this.bound) throw "invalid-state" satisfies SocketCode;
    this.#check(local);
    const { grants } = this.#network;
    this.#network.allow(`bind to udp ${show(local)}`, grants.bind("udp", local.address, local.port));
    this.#listed = grants.listen("udp", local.address, local.port) === undefined;
    this.#open(local);
    this.#asked = local;
  }

  /** From now on only with `remote`; without one, with anyone again. */
  connect(remote: Endpoint | undefined): void {
    this.#assertOpen();
    if (remote !== undefined) this.#checkRemote(remote);
    if (this.connected) {
      const { port } = this.localEndpoint();
      this.#close();
      this.#remote = undefined;
      this.#open({ ...this.#asked, port });
    }
    if (remote === undefined) return;
    if (!this.bound) this.#open(this.#asked);
    try {
      this.#socket!.connectSync(remote.port, hostOf(remote));
    } catch (error) {
      throw toPeerCode(error);
    }
    this.#remote = remote;
    this.#queue = this.#queue.filter(({ from }) => same(from, remote));
    this.#queueBytes = this.#queue.reduce((sum, { data }) => sum + data.length + datagramBytes, 0);
  }

  /** Settles when the kernel has it; rejects with a code. */
  send(data: Uint8Array, to: Endpoint | undefined): Promise<void> {
    this.#assertOpen();
    const remote = this.#remote;
    if (remote === undefined) {
      if (to === undefined) throw "invalid-argument" satisfies SocketCode;
      this.#checkRemote(to);
    } else if (to !== undefined && !same(to, remote)) throw "invalid-argument" satisfies SocketCode;
    if (data.length > longestBytes[this.family]) throw "datagram-too-large" satisfies SocketCode;
    if (!this.bound) this.#open(this.#asked);
    this.#raise();
    return new Promise((resolve, reject) => {
      const done = (error: Error | null): void => (error ? reject(toPeerCode(error)) : resolve());
      if (remote !== undefined) this.#socket!.send(data, done);
      else this.#socket!.send(data, to!.port, hostOf(to!), done);
    });
  }

  /** The next datagram, if there is one. */
  receive(): Datagram | undefined {
    this.#assertOpen();
    if (!this.bound) throw "invalid-state" satisfies SocketCode;
    const datagram = this.#queue.shift();
    if (datagram === undefined) this.#raise();
    else this.#queueBytes -= datagram.data.length + datagramBytes;
    return datagram;
  }

  /** Gives the options to the kernel, which may clamp them, as soon as there is a socket. */
  applyOptions(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    const { chosen, hopLimit, receiveBufferBytes, sendBufferBytes } = this.options;
    if (chosen.has("hops")) socket.setTTL(hopLimit);
    try {
      if (chosen.has("receive")) socket.setRecvBufferSize(Number(receiveBufferBytes));
      if (chosen.has("send")) socket.setSendBufferSize(Number(sendBufferBytes));
    } catch {
      // Where the kernel refuses a size that it could clamp, it keeps its own.
    }
  }

  localEndpoint(): Endpoint {
    if (this.#socket === undefined) throw "invalid-state" satisfies SocketCode;
    const { address, port } = this.#socket.address();
    return endpointOf(address, port);
  }

  remoteEndpoint(): Endpoint {
    if (this.#remote === undefined) throw "invalid-state" satisfies SocketCode;
    return this.#remote;
  }

  /** There is something to receive. */
  override ready(): boolean {
    return this.#queue.length > 0 || this.#failure !== undefined || this.#closed;
  }

  /** Keeps it open until {@link release}. */
  hold(): this {
    this.#holders += 1;
    return this;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#close();
    this.#queue = [];
    this.#network.leave(this);
    this.wake();
  }

  #assertOpen(): void {
    this.#network.assertLive();
    if (this.#closed) throw "invalid-state" satisfies SocketCode;
  }

  #check(endpoint: Endpoint): void {
    if (endpoint.family !== this.family || isMapped(endpoint)) throw "invalid-argument" satisfies SocketCode;
  }

  #checkRemote(remote: Endpoint): void {
    this.#check(remote);
    if (isUnspecified(remote) || remote.port === 0) throw "invalid-argument" satisfies SocketCode;
    const refusal = this.#network.grants.connect("udp", remote.address, remote.port);
    this.#network.allow(`send to udp ${show(remote)}`, refusal);
  }

  #open(local: Endpoint): void {
    const socket = createSocket({
      type: this.family === "ipv4" ? "udp4" : "udp6",
      ipv6Only: this.family === "ipv6",
      // Only addresses come here, and an answer at once keeps sending in order.
      lookup: (address, _options, found) => found(null, address, this.family === "ipv4" ? 4 : 6),
    });
    try {
      socket.bindSync({ address: hostOf(local), port: local.port });
    } catch (error) {
      socket.close();
      throw toSocketCode(error);
    }
    socket.on("error", (error) => this.#fail(toPeerCode(error)));
    socket.on("message", (data, from) => this.#arrived(data, endpointOf(from.address, from.port)));
    this.#socket = socket;
    this.applyOptions();
  }

  #close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #arrived(data: Uint8Array, from: Endpoint): void {
    const bytes = data.length + datagramBytes;
    const fits = this.#queueBytes + bytes <= queueBytesMax;
    const wanted = this.#remote === undefined || same(from, this.#remote);
    if (!fits || !wanted || !(this.#listed || this.#mayHear(from))) return;
    this.#queue.push({ data, from });
    this.#queueBytes += bytes;
    this.wake();
  }

  #mayHear({ address, port }: Endpoint): boolean {
    return this.#network.grants.connect("udp", address, port) === undefined;
  }

  #fail(code: SocketCode): void {
    this.#failure = code;
    this.wake();
  }

  #raise(): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }
}

/** An ICMP message about an earlier datagram arrives as an error of the socket's. */
function toPeerCode(error: unknown): SocketCode {
  const code = toSocketCode(error);
  if (code === "address-not-bindable") return "address-in-use";
  return code === "connection-reset" ? "remote-unreachable" : code;
}

function same(one: Endpoint, other: Endpoint): boolean {
  return one.address === other.address && one.port === other.port && one.scopeId === other.scopeId;
}
