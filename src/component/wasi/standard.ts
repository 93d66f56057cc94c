/**
 * Every interface that a component of a WASI world may import, and the host that serves it: those of
 * 0.2 by their name, those of 0.3 by their name and version; and the one module that a program of
 * WASI 0.1 imports.
 *
 * What is not listed is not given: the import then fails when the component is linked. What is
 * listed still reaches nothing that the grants do not hold.
 */
import type { Grants, ImportObject } from "../contract.ts";
import { wasi03Imports } from "./0.3/standard.ts";
import { cli } from "./cli.ts";
import { clocks } from "./clocks.ts";
import { config } from "./config.ts";
import { filesystem } from "./filesystem.ts";
import { http } from "./http.ts";
import { io } from "./io.ts";
import { keyvalue } from "./keyvalue.ts";
import { logging } from "./logging.ts";
import { preview1 } from "./preview1.ts";
import { random } from "./random.ts";
import { secrets } from "./secrets.ts";
import { sockets } from "./sockets.ts";
import type { HostState } from "./state.ts";
import { standardIo } from "./stdio.ts";

export function wasiImports(grants: Grants, state: HostState): ImportObject {
  const stdio = standardIo(grants, state);
  const standard = cli(grants, stdio);
  return {
    ...io, // errors, pollables and streams, which the others are made of
    ...standard, // environment and arguments; standard streams, or log lines; exit as a trap
    ...clocks(grants.clock, state),
    ...random(grants.random),
    ...http(grants, state), // the messages of both directions, and the way out
    ...filesystem(grants, state), // granted directories
    ...sockets(state), // what the grants list; linked by standard libraries
    ...keyvalue(grants, state), // buckets by the name of their binding
    ...config(grants.config),
    ...logging(grants, state),
    ...secrets(grants, state), // our own: no standard exists
    ...wasi03Imports(grants, state, standard), // what of all this WASI 0.3 says in its own way
    ...preview1(grants, state, stdio), // all that a core module of WASI 0.1 may import
  };
}
