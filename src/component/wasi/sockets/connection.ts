/**
 * One TCP connection: bytes in as they are asked for, bytes out as the kernel takes them.
 *
 * Nothing is read ahead of the guest but one buffer of the platform's, so that a slow reader slows
 * its peer; and nothing more is taken for sending before the kernel has all of what came before, so
 * that what was flushed survives the instance. Each direction ends by itself.
 */
import type { Socket } from "node:net";
import { chunkBytes } from "../io.ts";
import { type SocketCode, toSocketCode } from "./error.ts";
import type { TcpOptions } from "./options.ts";

export class Connection {
  /** Why it broke. */
  failure: SocketCode | undefined;
  /** Called when there may be room again, and when it broke. */
  onProgress: (() => void) | undefined;
  readonly #socket: Socket;
  #receiving = true;
  #watching = false;
  #arrived: (() => void) | undefined;
  #broken: ((code: SocketCode) => void) | undefined;

  constructor(socket: Socket, onClose: () => void) {
    this.#socket = socket;
    socket.on("error", (error) => this.#break(toSocketCode(error)));
    socket.on("end", () => this.#wakeReader());
    socket.on("close", () => {
      this.#wakeReader();
      this.onProgress?.();
      this.#broken?.(this.failure ?? "connection-broken");
      onClose();
    });
  }

  /** The next bytes, `undefined` at the end of them. Throws why there is none. */
  pull(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const socket = this.#socket;
    if (!this.#receiving) return undefined;
    const bytes: Buffer | null = socket.read();
    if (bytes !== null) return bytes;
    if (this.failure !== undefined) throw this.failure;
    if (socket.readableEnded || socket.destroyed) return undefined;
    if (!this.#watching) {
      this.#watching = true;
      socket.on("readable", () => this.#wakeReader());
    }
    return new Promise<void>((resolve) => {
      this.#arrived = resolve;
    }).then(() => this.pull());
  }

  /** What still comes is thrown away, so that the peer can finish and its end is noticed. */
  stopReceiving(): void {
    if (!this.#receiving) return;
    this.#receiving = false;
    this.#socket.removeAllListeners("readable");
    this.#socket.resume();
    this.#wakeReader();
  }

  /** Bytes that {@link write} takes now. */
  room(): number {
    return this.#socket.writableLength === 0 ? chunkBytes : 0;
  }

  write(bytes: Uint8Array): void {
    if (this.failure !== undefined) throw this.failure;
    if (!this.#socket.writable) throw "connection-broken" satisfies SocketCode;
    this.#socket.write(bytes, () => this.onProgress?.());
  }

  /** No more will be written: what was is sent, and then the peer is told. */
  end(): void {
    this.#socket.end();
  }

  /** Sends chunk by chunk until there is none, then ends; answers why it could not. */
  async send(next: () => Promise<Uint8Array | undefined>): Promise<SocketCode | undefined> {
    for (;;) {
      const chunk = await this.#step(next());
      if (typeof chunk === "string") return chunk;
      const bytes = chunk;
      const failure = await this.#step(
        new Promise<SocketCode | undefined>((resolve) => {
          const done = (error?: Error | null): void =>
            resolve(error ? (this.failure ?? toSocketCode(error)) : undefined);
          if (bytes === undefined) this.#socket.end(done);
          else this.#socket.write(bytes, done);
        }),
      );
      if (failure !== undefined || bytes === undefined) return failure;
    }
  }

  keepAlive(options: TcpOptions): void {
    const [initialDelay, interval] = [options.keepAliveIdle, options.keepAliveInterval].map((time) =>
      Number(time / 1_000_000n),
    );
    this.#socket.setKeepAlive(options.keepAlive, initialDelay, interval, options.keepAliveCount);
  }

  /** Lets what was written go out, then closes. */
  close(): void {
    this.stopReceiving();
    this.#socket.destroySoon();
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** What it settles with; or, as soon as the connection is no more, the reason. */
  #step<T>(work: Promise<T>): Promise<T | SocketCode> {
    if (this.#socket.destroyed) return Promise.resolve(this.failure ?? "connection-broken");
    return new Promise((resolve, reject) => {
      this.#broken = resolve;
      work.then(resolve, reject);
    });
  }

  #break(code: SocketCode): void {
    this.failure ??= code;
    this.#wakeReader();
    this.onProgress?.();
    this.#broken?.(this.failure);
  }

  #wakeReader(): void {
    const arrived = this.#arrived;
    this.#arrived = undefined;
    arrived?.();
  }
}
