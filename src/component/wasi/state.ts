/**
 * What the host objects of one instance share.
 *
 * An instance is in one call at a time, so that `call` is always the one its guest code runs for.
 * Whatever outlives a host call (a file, a timer, a request under way) is entered here, so that it
 * ends with the call or with the instance, whatever the guest forgot.
 */
import { type Call, CytoError } from "../../kernel/index.ts";
import type { Grants } from "../contract.ts";
import { createExactTimes, type ExactTimes } from "./filesystem/times.ts";

/**
 * Turns of the microtask queue within which a guest that waits for nothing gets on: the engine takes
 * one for each host call that might have suspended it. What can go out whole is held back so long,
 * and no longer.
 */
export const quickTurns = 64;

export interface HostState {
  readonly grants: Grants;
  /** The call being served; `undefined` while the instance starts, and between calls. */
  call: Call | undefined;
  /** Set when the instance must not run on: every host function that can wait then traps. */
  ended: CytoError | undefined;
  /** Open until the instance is disposed, or its guest drops them. */
  readonly open: Set<Disposable>;
  /** Under way for the present call: told when its caller has gone. */
  readonly underway: Set<(reason: CytoError) => void>;
  /** Run after each call: lines written without their end. */
  readonly afterCall: (() => void)[];
  /** Of files, as the guest has set them. */
  readonly times: ExactTimes;
}

export function createHostState(grants: Grants): HostState {
  return {
    grants,
    call: undefined,
    ended: undefined,
    open: new Set(),
    underway: new Set(),
    afterCall: [],
    times: createExactTimes(),
  };
}

/** Traps code that runs on in an instance that was given up. */
export function assertLive(state: HostState): void {
  if (state.ended !== undefined) throw state.ended;
}

/** Stops everything that is under way for the call. */
export function cancelUnderway(state: HostState, reason: CytoError): void {
  for (const cancel of [...state.underway]) cancel(reason);
  state.underway.clear();
}

/** Nothing of the instance runs, waits or stays open after this. */
export function endState(state: HostState): void {
  state.ended ??= new CytoError("cancelled", `Cannot run service ${state.grants.service} on: the instance has ended`);
  cancelUnderway(state, state.ended);
  for (const resource of [...state.open]) resource[Symbol.dispose]();
  state.open.clear();
}
