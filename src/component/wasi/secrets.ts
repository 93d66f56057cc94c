/** cytoplane:secrets (see wit/secrets.wit): read when asked for, never kept. */
import { toCytoError } from "../../kernel/index.ts";
import { type Grants, suspending } from "../contract.ts";
import { assertLive, type HostState } from "./state.ts";

export function secrets(grants: Grants, state: HostState) {
  return {
    "cytoplane:secrets/store": {
      get: suspending((name: string): Promise<string> => {
        assertLive(state);
        return grants.secret(name).catch((thrown: unknown) => {
          throw toCytoError(thrown).message;
        });
      }),
    },
  };
}
