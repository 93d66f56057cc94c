/** wasi:logging: lines of the service's log, tied to the call being served. */
import type { Grants, LogLevel } from "../contract.ts";
import type { HostState } from "./state.ts";

export function logging(grants: Grants, state: HostState) {
  return {
    "wasi:logging/logging": {
      log: (level: LogLevel, context: string, message: string) => grants.log(level, context, message, state.call),
    },
  };
}
