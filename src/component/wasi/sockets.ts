/**
 * wasi:sockets of 0.2 and 0.3: TCP, UDP and names, as far as `grants.sockets` goes. Standard libraries
 * import all of it whether a program uses them or not, so that everything links and what is not
 * granted answers `access-denied`.
 */
import { Network } from "./sockets/network.ts";
import { sockets02 } from "./sockets/wasi-0.2.ts";
import { sockets03 } from "./sockets/wasi-0.3.ts";
import type { HostState } from "./state.ts";

export function sockets(state: HostState): ReturnType<typeof sockets02> & ReturnType<typeof sockets03> {
  const network = new Network(state);
  return { ...sockets02(network), ...sockets03(network) };
}
