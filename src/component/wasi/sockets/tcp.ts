/**
 * A TCP socket of either version of WASI.
 *
 *   unbound ─ bind ─▶ bound ─ listen ─▶ listening
 *      └───────────────┴──── connect ─▶ connecting ─▶ connected ─▶ closed
 *                                            └── failed ─────────────▲
 *
 * Nothing here waits: what takes time shows in `state` and wakes whoever watches. A port is taken
 * when it is bound, not when it is used. The socket is closed when the last that holds it has let go
 * (the guest's handle, a direction of the connection, the stream of accepted sockets), or with the instance.
 */
import { BoundSocket, createServer, type Server, Socket } from "node:net";
import { Waitable } from "../io.ts";
import {
  type Endpoint,
  endpointOf,
  type Family,
  hostOf,
  isMapped,
  isUnicast,
  isUnspecified,
  show,
  unspecified,
} from "./address.ts";
import { Connection } from "./connection.ts";
import { type SocketCode, toSocketCode } from "./error.ts";
import type { Network } from "./network.ts";
import { TcpOptions } from "./options.ts";

export type TcpState = "unbound" | "bound" | "listening" | "connecting" | "connected" | "closed";

/** Accepted connections that wait for the guest, when it does not say how many; and at most. */
const backlogMax = 128;

export class Tcp extends Waitable implements Disposable {
  readonly family: Family;
  readonly options = new TcpOptions();
  state: TcpState = "unbound";
  /** Once it is or was connected. */
  connection: Connection | undefined;
  /** Why it is closed. */
  failure: SocketCode | undefined;
  readonly #network: Network;
  #attempt: Connection | undefined;
  #holders = 1;
  #backlog = backlogMax;
  /** What the guest asked to be bound to; the port may be 0. */
  #asked: Endpoint;
  #local: Endpoint | undefined;
  #remote: Endpoint | undefined;
  #bound: BoundSocket | undefined;
  #server: Server | undefined;
  #accepted: Tcp[] = [];

  constructor(network: Network, family: Family) {
    super();
    this.family = family;
    this.#network = network;
    this.#asked = unspecified(family);
    network.enter(this);
  }

  bind(local: Endpoint): void {
    this.#expect("unbound");
    this.#check(local);
    this.#network.allow(`bind to tcp ${show(local)}`, this.#network.grants.bind("tcp", local.address, local.port));
    this.#reserve(local);
    this.#asked = local;
    this.state = "bound";
  }

  /** The state tells when it is over. */
  connect(remote: Endpoint): void {
    this.#expect("unbound", "bound");
    this.#check(remote);
    if (isUnspecified(remote) || remote.port === 0) throw "invalid-argument" satisfies SocketCode;
    this.#network.allow(
      `connect to tcp ${show(remote)}`,
      this.#network.grants.connect("tcp", remote.address, remote.port),
    );
    const handle = this.#bound;
    const socket = new Socket({ allowHalfOpen: true, ...(handle !== undefined && { handle }) });
    this.#bound = undefined;
    this.state = "connecting";
    const connection = new Connection(socket, () => this.#gone());
    this.#attempt = connection;
    socket.once("connect", () => {
      this.#adopt(connection, socket);
      this.wake();
    });
    socket.connect({ host: hostOf(remote), port: remote.port });
  }

  listen(): void {
    this.#expect("unbound", "bound");
    const { address, port } = this.#asked;
    this.#network.allow(`listen on tcp ${show(this.#asked)}`, this.#network.grants.listen("tcp", address, port));
    if (this.#bound === undefined) this.#reserve(this.#asked);
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.on("connection", (socket) => this.#arrived(socket));
    // A failed accept concerns one connection, and the next may succeed.
    server.on("error", () => undefined);
    server.listen(this.#bound, this.#backlog);
    this.#bound = undefined;
    if (!server.listening) {
      this.#end("address-in-use");
      throw "address-in-use" satisfies SocketCode;
    }
    this.#server = server;
    this.state = "listening";
  }

  /** A connection that has come in, if there is one. */
  accept(): Tcp | undefined {
    this.#expect("listening");
    return this.#accepted.shift();
  }

  setBacklog(value: bigint): void {
    if (value === 0n) throw "invalid-argument" satisfies SocketCode;
    this.#expect("unbound", "bound", "listening");
    this.#backlog = value > BigInt(backlogMax) ? backlogMax : Number(value);
  }

  /** Gives the options to the connection, if there is one. */
  applyOptions(): void {
    if (this.state === "connected") this.connection!.keepAlive(this.options);
  }

  localEndpoint(): Endpoint {
    if (this.#local === undefined) throw "invalid-state" satisfies SocketCode;
    return this.#local;
  }

  remoteEndpoint(): Endpoint {
    if (this.#remote === undefined) throw "invalid-state" satisfies SocketCode;
    return this.#remote;
  }

  /** Nothing that was begun is under way: a connection attempt is over, one that came in can be accepted. */
  override ready(): boolean {
    if (this.state === "listening") return this.#accepted.length > 0;
    return this.state !== "connecting";
  }

  /** Keeps it open until {@link release}. */
  hold(): this {
    this.#holders += 1;
    return this;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    this.#shut();
    if (this.state === "connected") this.connection!.close();
    else this.#end(undefined);
  }

  /** The instance has ended. */
  [Symbol.dispose](): void {
    this.#end(undefined);
  }

  #expect(...states: readonly TcpState[]): void {
    this.#network.assertLive();
    if (!states.includes(this.state)) throw "invalid-state" satisfies SocketCode;
  }

  #check(endpoint: Endpoint): void {
    if (endpoint.family !== this.family || isMapped(endpoint) || !isUnicast(endpoint))
      throw "invalid-argument" satisfies SocketCode;
  }

  #reserve(local: Endpoint): void {
    try {
      const host = hostOf(local);
      this.#bound = new BoundSocket({ host, port: local.port, ipv6Only: this.family === "ipv6" });
    } catch (error) {
      throw toSocketCode(error);
    }
    const { address, port } = this.#bound.address();
    this.#local = endpointOf(address, port);
  }

  #arrived(socket: Socket): void {
    if (this.#accepted.length >= this.#backlog || this.#network.full) {
      socket.on("error", () => undefined);
      socket.resetAndDestroy();
      return;
    }
    const accepted = new Tcp(this.#network, this.family);
    accepted.options.inherit(this.options);
    accepted.#adopt(new Connection(socket, () => accepted.#gone()), socket);
    this.#accepted.push(accepted);
    this.wake();
  }

  #adopt(connection: Connection, socket: Socket): void {
    const { localAddress, localPort, remoteAddress, remotePort } = socket;
    // A peer that has reset it already leaves no address.
    if (localAddress !== undefined) this.#local = endpointOf(localAddress, localPort!);
    if (remoteAddress !== undefined) this.#remote = endpointOf(remoteAddress, remotePort!);
    // Guests cannot ask for it, and would wait 40 ms for a reply to what they wrote in two parts.
    socket.setNoDelay(true);
    this.#attempt = connection;
    this.connection = connection;
    this.state = "connected";
    this.applyOptions();
  }

  /** The platform has closed the connection. */
  #gone(): void {
    if (this.state !== "closed") this.#end(this.#attempt?.failure);
  }

  /** Nobody can come in any more, and nothing is reserved. */
  #shut(): void {
    this.#bound?.[Symbol.dispose]();
    this.#bound = undefined;
    this.#server?.close();
    this.#server = undefined;
    for (const waiting of this.#accepted.splice(0)) waiting.release();
  }

  #end(failure: SocketCode | undefined): void {
    this.failure = failure;
    this.state = "closed";
    this.#shut();
    this.#attempt?.destroy();
    this.#network.leave(this);
    this.wake();
  }
}
