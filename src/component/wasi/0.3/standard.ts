/** Every interface of WASI 0.3 that a component may import, and the host that serves it: see ../standard.ts. */
import type { Grants } from "../../contract.ts";
import type { cli as cli02 } from "../cli.ts";
import type { HostState } from "../state.ts";
import { cli } from "./cli.ts";
import { clocks } from "./clocks.ts";
import { filesystem } from "./filesystem.ts";
import { http } from "./http.ts";
import { random } from "./random.ts";

/** `standard` are the hosts of wasi:cli 0.2 for the same instance. */
export function wasi03Imports(grants: Grants, state: HostState, standard: ReturnType<typeof cli02>) {
  return {
    ...cli(standard), // the same environment and standard streams as of 0.2
    ...clocks(grants.clock),
    ...random(grants.random),
    ...filesystem(grants, state), // granted directories
    ...http(grants, state), // the messages of both directions, the way out, and what a middleware stands before
  };
}
