/**
 * wasi:sockets 0.3 over the sockets of this folder: `async` functions wait by promises, bytes and
 * connections come and go in streams, and a future tells how a direction of a connection ended.
 * Codes become the variant of 0.3.
 */
import type { AsyncCall, StreamReader, StreamSource } from "../../contract.ts";
import { chunkBytes } from "../io.ts";
import { type Family, type IpAddress, type IpSocketAddress, toEndpoint, toSocketAddress } from "./address.ts";
import type { SocketCode } from "./error.ts";
import { resolveName } from "./lookup.ts";
import type { Network } from "./network.ts";
import { Tcp } from "./tcp.ts";
import { Udp } from "./udp.ts";

export function sockets03(network: Network) {
  return {
    "wasi:sockets/types@0.3": {
      TcpSocket: withStatic(TcpSocket, {
        create: (family: Family) => answer(() => new TcpSocket(new Tcp(network, family))),
      }),
      UdpSocket: withStatic(UdpSocket, {
        create: (family: Family) => answer(() => new UdpSocket(new Udp(network, family))),
      }),
    },
    "wasi:sockets/ip-name-lookup@0.3": {
      resolveAddresses: (name: string): readonly IpAddress[] | Promise<readonly IpAddress[]> => {
        const found = answer(() => resolveName(network, name));
        return found instanceof Promise ? found.catch(rethrow) : found;
      },
    },
  };
}

/**
 * The class as one instance of a component sees it, with static functions of its own. It inherits from the
 * class and is none itself: a class for each instance would cost more than everything else here.
 */
function withStatic<C extends object, S extends object>(Class: C, own: S): C & S {
  return Object.assign(Object.create(Class) as C, own);
}

interface ErrorCode {
  readonly tag: string;
  readonly val?: string;
}

/** How a direction of a connection ended. */
type Outcome = { readonly tag: "ok"; readonly val: undefined } | { readonly tag: "err"; readonly val: ErrorCode };

const ok: Outcome = { tag: "ok", val: undefined };

class TcpSocket {
  readonly #tcp: Tcp;
  #sends = false;
  #receives = false;

  constructor(tcp: Tcp) {
    this.#tcp = tcp;
  }

  bind(local: IpSocketAddress): void {
    answer(() => this.#tcp.bind(toEndpoint(local)));
  }

  async connect(remote: IpSocketAddress, call: AsyncCall): Promise<void> {
    const tcp = this.#tcp;
    answer(() => tcp.connect(toEndpoint(remote)));
    const abort = (): void => tcp[Symbol.dispose]();
    call.signal.addEventListener("abort", abort, { once: true });
    while (tcp.state === "connecting") await tcp.changed();
    call.signal.removeEventListener("abort", abort);
    if (tcp.connection === undefined) throw toErrorCode(tcp.failure ?? "connection-aborted");
  }

  listen(): StreamSource<readonly TcpSocket[]> {
    answer(() => this.#tcp.listen());
    return new Accepting(this.#tcp.hold());
  }

  send(data: StreamReader<Uint8Array>): Promise<Outcome> {
    const { connection } = this.#tcp;
    if (connection === undefined || this.#sends) {
      data[Symbol.dispose]();
      return Promise.resolve(failed("invalid-state"));
    }
    this.#sends = true;
    const tcp = this.#tcp.hold();
    return connection
      .send(async () => data.read(chunkBytes))
      .then(
        (failure) => (failure === undefined ? ok : failed(failure)),
        () => failed("connection-aborted"),
      )
      .finally(() => {
        data[Symbol.dispose]();
        tcp.release();
      });
  }

  receive(): readonly [StreamSource<Uint8Array>, Promise<Outcome>] {
    const { connection } = this.#tcp;
    if (connection === undefined || this.#receives) {
      const none = { pull: () => undefined, cancel: () => undefined };
      return [none, Promise.resolve(failed("invalid-state"))];
    }
    this.#receives = true;
    const tcp = this.#tcp.hold();
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    let ended = false;
    const end = (outcome: Outcome): void => {
      if (ended) return;
      ended = true;
      resolve(outcome);
      connection.stopReceiving();
      tcp.release();
    };
    const arrived = (bytes: Uint8Array | undefined): Uint8Array | undefined => {
      if (bytes === undefined) end(ok);
      return bytes;
    };
    const broke = (code: unknown): undefined => {
      end(failed(code as SocketCode));
    };
    const source: StreamSource<Uint8Array> = {
      pull() {
        try {
          const pulled = connection.pull();
          return pulled instanceof Promise ? pulled.then(arrived, broke) : arrived(pulled);
        } catch (code) {
          return broke(code);
        }
      },
      cancel: () => end(ok),
    };
    return [source, promise];
  }

  getLocalAddress(): IpSocketAddress {
    return answer(() => toSocketAddress(this.#tcp.localEndpoint()));
  }

  getRemoteAddress(): IpSocketAddress {
    return answer(() => toSocketAddress(this.#tcp.remoteEndpoint()));
  }

  getIsListening(): boolean {
    return this.#tcp.state === "listening";
  }

  getAddressFamily(): Family {
    return this.#tcp.family;
  }

  setListenBacklogSize(value: bigint): void {
    answer(() => this.#tcp.setBacklog(value));
  }

  getKeepAliveEnabled(): boolean {
    return this.#tcp.options.keepAlive;
  }

  setKeepAliveEnabled(value: boolean): void {
    this.#tcp.options.keepAlive = value;
    this.#tcp.applyOptions();
  }

  getKeepAliveIdleTime(): bigint {
    return this.#tcp.options.keepAliveIdle;
  }

  setKeepAliveIdleTime(value: bigint): void {
    answer(() => {
      this.#tcp.options.keepAliveIdle = value;
    });
    this.#tcp.applyOptions();
  }

  getKeepAliveInterval(): bigint {
    return this.#tcp.options.keepAliveInterval;
  }

  setKeepAliveInterval(value: bigint): void {
    answer(() => {
      this.#tcp.options.keepAliveInterval = value;
    });
    this.#tcp.applyOptions();
  }

  getKeepAliveCount(): number {
    return this.#tcp.options.keepAliveCount;
  }

  setKeepAliveCount(value: number): void {
    answer(() => {
      this.#tcp.options.keepAliveCount = value;
    });
    this.#tcp.applyOptions();
  }

  getHopLimit(): number {
    return this.#tcp.options.hopLimit;
  }

  setHopLimit(value: number): void {
    answer(() => {
      this.#tcp.options.hopLimit = value;
    });
  }

  getReceiveBufferSize(): bigint {
    return this.#tcp.options.receiveBufferBytes;
  }

  setReceiveBufferSize(value: bigint): void {
    answer(() => {
      this.#tcp.options.receiveBufferBytes = value;
    });
  }

  getSendBufferSize(): bigint {
    return this.#tcp.options.sendBufferBytes;
  }

  setSendBufferSize(value: bigint): void {
    answer(() => {
      this.#tcp.options.sendBufferBytes = value;
    });
  }

  [Symbol.dispose](): void {
    this.#tcp.release();
  }
}

/** Connections as they come in, until the guest wants no more or the instance ends. */
class Accepting implements StreamSource<readonly TcpSocket[]> {
  readonly #tcp: Tcp;
  #cancelled = false;

  constructor(tcp: Tcp) {
    this.#tcp = tcp;
  }

  pull(): readonly TcpSocket[] | undefined | Promise<readonly TcpSocket[] | undefined> {
    if (this.#cancelled || this.#tcp.state !== "listening") return undefined;
    const accepted = this.#tcp.accept();
    return accepted === undefined ? this.#tcp.changed().then(() => this.pull()) : [new TcpSocket(accepted)];
  }

  cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#tcp.release();
  }
}

class UdpSocket {
  readonly #udp: Udp;

  constructor(udp: Udp) {
    this.#udp = udp;
  }

  bind(local: IpSocketAddress): void {
    answer(() => this.#udp.bind(toEndpoint(local)));
  }

  connect(remote: IpSocketAddress): void {
    answer(() => this.#udp.connect(toEndpoint(remote)));
  }

  disconnect(): void {
    answer(() => {
      if (!this.#udp.connected) throw "invalid-state" satisfies SocketCode;
      this.#udp.connect(undefined);
    });
  }

  send(data: Uint8Array, remote: IpSocketAddress | undefined): Promise<void> {
    return answer(() => this.#udp.send(data, remote && toEndpoint(remote))).catch(rethrow);
  }

  async receive(call: AsyncCall): Promise<readonly [Uint8Array, IpSocketAddress]> {
    const udp = this.#udp.hold();
    try {
      for (;;) {
        const datagram = answer(() => udp.receive());
        if (datagram !== undefined) return [datagram.data, toSocketAddress(datagram.from)];
        await changed(udp, call.signal);
      }
    } finally {
      udp.release();
    }
  }

  getLocalAddress(): IpSocketAddress {
    return answer(() => toSocketAddress(this.#udp.localEndpoint()));
  }

  getRemoteAddress(): IpSocketAddress {
    return answer(() => toSocketAddress(this.#udp.remoteEndpoint()));
  }

  getAddressFamily(): Family {
    return this.#udp.family;
  }

  getUnicastHopLimit(): number {
    return this.#udp.options.hopLimit;
  }

  setUnicastHopLimit(value: number): void {
    answer(() => {
      this.#udp.options.hopLimit = value;
    });
    this.#udp.applyOptions();
  }

  getReceiveBufferSize(): bigint {
    return this.#udp.options.receiveBufferBytes;
  }

  setReceiveBufferSize(value: bigint): void {
    answer(() => {
      this.#udp.options.receiveBufferBytes = value;
    });
    this.#udp.applyOptions();
  }

  getSendBufferSize(): bigint {
    return this.#udp.options.sendBufferBytes;
  }

  setSendBufferSize(value: bigint): void {
    answer(() => {
      this.#udp.options.sendBufferBytes = value;
    });
    this.#udp.applyOptions();
  }

  [Symbol.dispose](): void {
    this.#udp.release();
  }
}

/** Settles when something has changed; rejects when the call is given up, which takes no datagram with it. */
function changed(udp: Udp, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const wake = (): void => {
      signal.removeEventListener("abort", abort);
      resolve();
    };
    const abort = (): void => {
      udp.unwatch(wake);
      reject(signal.reason);
    };
    signal.addEventListener("abort", abort, { once: true });
    udp.watch(wake);
  });
}

/** Runs it, with a code that it throws in the words of 0.3. */
function answer<T>(act: () => T): T {
  try {
    return act();
  } catch (thrown) {
    return rethrow(thrown);
  }
}

function rethrow(thrown: unknown): never {
  throw typeof thrown === "string" ? toErrorCode(thrown as SocketCode) : thrown;
}

function failed(code: SocketCode): Outcome {
  return { tag: "err", val: toErrorCode(code) };
}

function toErrorCode(code: SocketCode): ErrorCode {
  if (code === "unknown") return { tag: "other" };
  if (code === "new-socket-limit") return { tag: "other", val: "as many sockets are open as may be" };
  return { tag: code };
}
