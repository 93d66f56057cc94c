/**
 * The house: every room, what it is for, and what it may import. The import test keeps it true, and
 * ARCHITECTURE.md prints it from here.
 *
 * A room not yet built stands here too, so that its place is decided before its first file.
 */

export interface Room {
  readonly name: string;
  readonly storey: string;
  readonly purpose: string;
  readonly imports: readonly string[];
  /** Rooms of which it may import types, and nothing that runs. */
  readonly types?: readonly string[];
}

const ground = "ground";
const engine = "engine";
const surround = "what surrounds a service";
const run = "how it runs";
const reach = "how it is reached";
const known = "what is known";

export const rooms: readonly Room[] = [
  {
    name: "kernel",
    storey: ground,
    purpose: "the words: Call, Reply, Service, Layer, errors, clock, random, limits; no I/O",
    imports: [],
  },
  {
    name: "storage",
    storey: ground,
    purpose: "where durable things end: store, log, blob",
    imports: ["kernel"],
  },
  {
    name: "component",
    storey: engine,
    purpose: "WebAssembly bytes to a callable instance; knows nothing of services",
    imports: ["kernel"],
  },
  {
    name: "build",
    storey: engine,
    purpose: "source to component bytes: bundle, componentize, WIT",
    imports: ["kernel", "component"],
  },
  {
    name: "capability",
    storey: surround,
    purpose: "one folder per interface that a component may import: contract, providers, conformance",
    imports: ["kernel", "storage"],
  },
  {
    name: "aspect",
    storey: surround,
    purpose: "layers round a component's exports and imports",
    imports: ["kernel", "storage"],
  },
  {
    name: "identity",
    storey: surround,
    purpose: "authority, certificates, tokens, policies of who may do what",
    imports: ["kernel", "storage"],
  },
  {
    name: "telemetry",
    storey: surround,
    purpose: "traces, metrics, logs: gathered, bounded, exported",
    imports: ["kernel", "storage"],
  },
  {
    name: "actor",
    storey: "what a service can be",
    purpose: "mailbox, supervision, reminder: pure state machines",
    imports: ["kernel"],
    types: ["storage"],
  },
  {
    name: "workflow",
    storey: "what a service can be",
    purpose: "replay, step, timer, saga: pure state machines",
    imports: ["kernel"],
    types: ["storage"],
  },
  {
    name: "event",
    storey: "what a service can be",
    purpose: "topic, stage, shedding: pure state machines",
    imports: ["kernel"],
    types: ["storage"],
  },
  {
    name: "host",
    storey: run,
    purpose: "pools, mailboxes, journals; admission, eviction, shards",
    imports: ["kernel", "component", "actor", "workflow", "event"],
    types: ["storage"],
  },
  {
    name: "mesh",
    storey: reach,
    purpose: "finds and reaches a service: resolve, balance, guard, transport",
    imports: ["kernel"],
  },
  {
    name: "gateway",
    storey: reach,
    purpose: "the front door: listeners, routes, plugins, error replies",
    imports: ["kernel"],
  },
  {
    name: "registry",
    storey: known,
    purpose: "artifacts by digest, services and their endpoints, contracts, mocks",
    imports: ["kernel", "storage", "component"],
  },
  {
    name: "control",
    storey: known,
    purpose: "desired state, reconcile, placement, rollout, admin API",
    imports: ["kernel", "storage", "registry"],
  },
  {
    name: "cell",
    storey: "the plan",
    purpose: "reads a manifest and stacks everything; the only room that sees all",
    imports: [
      ...["kernel", "storage", "component", "build", "capability", "aspect", "identity", "telemetry", "actor"],
      ...["workflow", "event", "host", "mesh", "gateway", "registry", "control"],
    ],
  },
  {
    name: "cli",
    storey: "the hand",
    purpose: "the `cyto` command, one file a command",
    imports: ["kernel", "build", "cell"],
  },
];

/** Why a room may not import another, or `undefined` when it may. */
export function refusal(from: string, to: string, typeOnly: boolean): string | undefined {
  const room = rooms.find(({ name }) => name === from);
  if (room === undefined) return `"${from}" is no room of test/house.ts`;
  if (from === to || room.imports.includes(to) || (typeOnly && room.types?.includes(to))) return undefined;
  const allowed = [...room.imports, ...(room.types ?? []).map((name) => `${name} (types)`)];
  return `${from}/ may import ${allowed.length === 0 ? "no room" : allowed.join(", ")}, not ${to}/`;
}

/** The table as ARCHITECTURE.md shows it. */
export function printHouse(): string {
  const rows = rooms.map(({ name, storey, purpose, imports, types = [] }) => {
    const every = name === "cell" ? ["all above"] : [...imports, ...types.map((type) => `${type} (types)`)];
    return `| ${storey} | \`${name}/\` | ${purpose} | ${every.join(", ") || "–"} |`;
  });
  return ["| storey | room | one line | may import |", "|---|---|---|---|", ...rows].join("\n");
}
