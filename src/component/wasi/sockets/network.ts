/**
 * What the sockets of one instance share: what they may reach, and how many they are.
 *
 * Every socket is entered here from its making until the platform has closed it, accepted ones that
 * wait for the guest included. All of them end with the instance. What is refused is logged, with the
 * reason that whoever gave the grants names.
 */
import type { SocketGrants } from "../../contract.ts";
import { assertLive, type HostState } from "../state.ts";
import type { SocketCode } from "./error.ts";

export class Network {
  readonly grants: SocketGrants;
  /** Names being looked up. */
  lookups = 0;
  readonly #state: HostState;
  readonly #open = new Set<Disposable>();

  constructor(state: HostState) {
    this.#state = state;
    this.grants = state.grants.sockets ?? none;
  }

  /** Throws `access-denied` when there is a reason against it. */
  allow(what: string, refusal: string | undefined): void {
    if (refusal === undefined) return;
    this.#warn(`Cannot ${what}: ${refusal}`);
    throw "access-denied" satisfies SocketCode;
  }

  /** Whether no more may be open. */
  get full(): boolean {
    return this.#open.size >= this.grants.sockets;
  }

  /** Throws `new-socket-limit`. */
  enter(socket: Disposable): void {
    this.assertLive();
    if (this.full) {
      this.#warn(`Cannot open a socket: ${this.#open.size} are open, as many as an instance may have`);
      throw "new-socket-limit" satisfies SocketCode;
    }
    this.#open.add(socket);
    this.#state.open.add(socket);
  }

  leave(socket: Disposable): void {
    this.#open.delete(socket);
    this.#state.open.delete(socket);
  }

  assertLive(): void {
    assertLive(this.#state);
  }

  #warn(message: string): void {
    this.#state.grants.log("warn", "sockets", message, this.#state.call);
  }
}

const nothing = (): string => "no sockets are granted";
const none: SocketGrants = {
  sockets: 16,
  bind: nothing,
  listen: nothing,
  connect: nothing,
  resolve: nothing,
  resolved() {},
};
