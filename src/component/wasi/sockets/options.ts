/**
 * The options of a socket, as the guest set them.
 *
 * They can be set and read in any state, and are handed on when the socket has something to apply
 * them to. For TCP the platform takes keep-alive, and neither the hop limit nor the sizes of the
 * kernel's buffers: those are remembered, inherited by accepted sockets, and have no other effect.
 */
import type { SocketCode } from "./error.ts";

const second = 1_000_000_000n;
/** What Linux takes at most. */
const longestSeconds = 32_767n;
const keepAliveCountMax = 127;
const bufferBytesMax = 2n ** 31n - 1n;

export class BufferOptions {
  #receiveBytes = 65_536n;
  #sendBytes = 65_536n;
  #hopLimit = 64;
  /** Set by the guest, and so more than a default. */
  readonly chosen = new Set<"receive" | "send" | "hops">();

  get receiveBufferBytes(): bigint {
    return this.#receiveBytes;
  }

  set receiveBufferBytes(value: bigint) {
    this.#receiveBytes = positive(value, bufferBytesMax);
    this.chosen.add("receive");
  }

  get sendBufferBytes(): bigint {
    return this.#sendBytes;
  }

  set sendBufferBytes(value: bigint) {
    this.#sendBytes = positive(value, bufferBytesMax);
    this.chosen.add("send");
  }

  get hopLimit(): number {
    return this.#hopLimit;
  }

  set hopLimit(value: number) {
    this.#hopLimit = Number(positive(BigInt(value), 255n));
    this.chosen.add("hops");
  }

  inherit(from: BufferOptions): void {
    this.#receiveBytes = from.#receiveBytes;
    this.#sendBytes = from.#sendBytes;
    this.#hopLimit = from.#hopLimit;
  }
}

export class TcpOptions extends BufferOptions {
  keepAlive = false;
  #idleSeconds = 7_200n;
  #intervalSeconds = 75n;
  #count = 9;

  /** Nanoseconds; kept in whole seconds, rounded up. */
  get keepAliveIdle(): bigint {
    return this.#idleSeconds * second;
  }

  set keepAliveIdle(value: bigint) {
    this.#idleSeconds = seconds(value);
  }

  get keepAliveInterval(): bigint {
    return this.#intervalSeconds * second;
  }

  set keepAliveInterval(value: bigint) {
    this.#intervalSeconds = seconds(value);
  }

  get keepAliveCount(): number {
    return this.#count;
  }

  set keepAliveCount(value: number) {
    this.#count = Number(positive(BigInt(value), BigInt(keepAliveCountMax)));
  }

  override inherit(from: TcpOptions): void {
    super.inherit(from);
    this.keepAlive = from.keepAlive;
    this.#idleSeconds = from.#idleSeconds;
    this.#intervalSeconds = from.#intervalSeconds;
    this.#count = from.#count;
  }
}

function seconds(nanoseconds: bigint): bigint {
  return positive((nanoseconds + second - 1n) / second, longestSeconds);
}

function positive(value: bigint, most: bigint): bigint {
  if (value === 0n) throw "invalid-argument" satisfies SocketCode;
  return value > most ? most : value;
}
