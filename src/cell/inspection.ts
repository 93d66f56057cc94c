/** What a component is, and what a manifest must give it before it runs. For people, not for the way of a call. */
import {
  type Component,
  load,
  type Producer,
  printDeclarations,
  printWit,
  readProvenance,
  readWit,
  type Wit,
  type World,
} from "../component/index.ts";

export { printDeclarations, printWit };

export interface Inspection {
  readonly digest: string;
  readonly size: number;
  /** The shape of service that it is; absent when it exports nothing that can be called as one. */
  readonly world: World | undefined;
  readonly imports: readonly ImportNeed[];
  readonly exports: readonly string[];
  /** The languages and tools that made it. */
  readonly producers: readonly Producer[];
  /** What deploying it writes into each core module that runs. */
  readonly woven: Component["woven"];
  /** Every interface, type and function that it imports and exports; a program of WASI 0.1 has none. */
  readonly interface: Wit | undefined;
}

export interface ImportNeed {
  /** As written in the binary: `wasi:keyvalue/store@0.2.0-draft`. */
  readonly name: string;
  /**
   * What gives it: nothing is needed (`given`), the named key of the service's manifest
   * (`declared`), or nothing here has it (`missing`).
   */
  readonly state: "given" | "declared" | "missing";
  /** `bindings: { <name>: { keyvalue: sqlite } }` */
  readonly key?: string;
}

/** Throws `invalid-component`, saying what the bytes are instead. `monotonic` times the weaving. */
export async function inspectComponent(bytes: Uint8Array, monotonic: () => number): Promise<Inspection> {
  const component = await load(bytes, { metered: true, monotonic });
  const { digest, size, world, imports, exports, woven } = component;
  const { producers } = readProvenance(bytes);
  const wit = await readWit(bytes);
  return { digest, size, world, exports, imports: imports.map(needOf), producers, woven, interface: wit };
}

/** By interface, without version; the first that begins the name decides. */
const sources: readonly (readonly [prefix: string, key: string | undefined])[] = [
  ["wasi:http/outgoing-handler", "egress: [<host>]"],
  ["wasi:http/client", "egress: [<host>]"],
  ["wasi:http/types", undefined],
  ["wasi:keyvalue/", "bindings: { <name>: { keyvalue: sqlite } }"],
  ["wasi:config/", "config: { <name>: <value> }"],
  ["wasi:filesystem/types", undefined],
  ["wasi:filesystem/", "directories: { /data: ./data }"],
  ["wasi:cli/environment", "environment: { <NAME>: <value> }"],
  ["wasi:cli/", undefined],
  ["wasi:io/", undefined],
  ["wasi:clocks/", undefined],
  ["wasi:random/", undefined],
  ["wasi:logging/", undefined],
  ["wasi:sockets/instance-network", undefined],
  ["wasi:sockets/network", undefined],
  ["wasi:sockets/tcp", "egress: [tcp://<host>:<port>], listen: [tcp://<address>:<port>]"],
  ["wasi:sockets/udp", "egress: [udp://<host>:<port>], listen: [udp://<address>:<port>]"],
  ["wasi:sockets/ip-name-lookup", "egress: [tcp://<host>:<port>]"],
  ["wasi:sockets/types", "egress: [tcp://<host>:<port>], listen: [tcp://<address>:<port>]"],
  ["wasi_snapshot_preview1", "directories: { /data: ./data }, environment: { <NAME>: <value> }"],
  ["cytoplane:service/keyvalue", "bindings: { <name>: { keyvalue: sqlite } }"],
  ["cytoplane:service/config", "config: { <name>: <value> }"],
  ["cytoplane:service/secrets", "secrets: [<NAME>]"],
  ["cytoplane:service/outgoing", "egress: [<host>], calls: [<service>]"],
  ["cytoplane:service/", undefined],
  ["cytoplane:secrets/", "secrets: [<NAME>]"],
];

export function needOf(name: string): ImportNeed {
  const source = sources.find(([prefix]) => name.startsWith(prefix));
  if (source === undefined) return { name, state: "missing" };
  const [, key] = source;
  return key === undefined ? { name, state: "given" } : { name, state: "declared", key };
}
