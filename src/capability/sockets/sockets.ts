/**
 * What the sockets of one service may do: what its `egress` and `listen` list, and nothing else.
 *
 * Always true: an address is permitted because an entry names it, or because it is what a name that
 * an entry names resolved to, on the ports of that entry. A name that is listed nowhere is not even
 * looked up, so that a question to a name server tells nobody anything.
 */
import { CytoError } from "../../kernel/index.ts";
import { isSocketEntry, type Protocol, readSocketRule, type SocketRule } from "./rule.ts";

export interface SocketAccess {
  readonly sockets: number;
  bind(protocol: Protocol, address: string, port: number): string | undefined;
  listen(protocol: Protocol, address: string, port: number): string | undefined;
  connect(protocol: Protocol, address: string, port: number): string | undefined;
  resolve(name: string): string | undefined;
  resolved(name: string, addresses: readonly string[]): void;
}

export interface SocketAccessOptions {
  readonly service: string;
  /** The manifest's, of which those for HTTP are left to others. */
  readonly egress: readonly string[];
  readonly listen: readonly string[];
  /** How many an instance may have open. */
  readonly sockets: number;
  /** What to do for an entry to be listed. Without it the line of the manifest is named. */
  toPermit?(key: "egress" | "listen", entry: string): string;
}

/** Throws for an entry that cannot be read, naming its place. */
export function createSocketAccess(options: SocketAccessOptions): SocketAccess {
  const { service, egress, listen, sockets } = options;
  const { toPermit = (key, entry) => `add "${entry}" to services.${service}.${key}` } = options;
  const outward = readSocketEgress(service, egress).map((rule) => ({ rule, resolved: createRecent() }));
  const inward = readListen(service, listen);
  const add = (key: "egress" | "listen", entry: string): string => `not permitted; ${toPermit(key, entry)}`;

  const mayListen = (protocol: Protocol, address: string, port: number): boolean =>
    inward.some(
      (rule) =>
        rule.protocol === protocol &&
        rule.permitsPort(port) &&
        (rule.includes(address) || (rule.unspecified && rule.includes(anyOf(address)))),
    );

  return {
    sockets,
    bind(protocol, address, port) {
      if (mayListen(protocol, address, port)) return undefined;
      if (port === 0 && outward.some(({ rule }) => rule.protocol === protocol)) return undefined;
      return add("listen", entryOf(protocol, address, port));
    },
    listen: (protocol, address, port) =>
      mayListen(protocol, address, port) ? undefined : add("listen", entryOf(protocol, address, port)),
    connect(protocol, address, port) {
      const permitted = outward.some(
        ({ rule, resolved }) =>
          rule.protocol === protocol && rule.permitsPort(port) && (rule.includes(address) || resolved.has(address)),
      );
      return permitted ? undefined : add("egress", entryOf(protocol, address, port));
    },
    resolve: (name) =>
      outward.some(({ rule }) => names(rule, name)) ? undefined : add("egress", `tcp://${name}:<port>`),
    resolved(name, addresses) {
      for (const { rule, resolved } of outward) if (names(rule, name)) resolved.add(addresses);
    },
  };
}

/** The entries of `egress` that are about sockets. */
export function readSocketEgress(service: string, entries: readonly string[]): readonly SocketRule[] {
  return entries.flatMap((entry, index) => {
    if (!isSocketEntry(entry)) return [];
    const rule = readSocketRule(entry);
    if (rule !== undefined) return [rule];
    throw unreadable(`services.${service}.egress[${index}]`, entry, "names no host and port");
  });
}

export function readListen(service: string, entries: readonly string[]): readonly SocketRule[] {
  return entries.map((entry, index) => {
    const rule = readSocketRule(entry);
    if (rule !== undefined && rule.name === undefined) return rule;
    throw unreadable(`services.${service}.listen[${index}]`, entry, "names no address and port");
  });
}

function unreadable(place: string, entry: string, why: string): CytoError {
  return new CytoError("invalid-manifest", `Cannot read ${place}: "${entry.replace(/[^/]*@/, "…@")}" ${why}`, {
    hint: place.includes(".listen[")
      ? 'Write "tcp://0.0.0.0:8080", "tcp://127.0.0.1:9000-9099" or "udp://[::]:53".'
      : 'Write "tcp://db.internal:5432", "tcp://*.example.com:443", "udp://10.0.0.0/8:53" or "tcp://[fd00::/8]:5432".',
  });
}

/** Addresses that one name, or those below one, resolved to last; more than a name has, and bounded. */
const resolvedMax = 256;

function createRecent() {
  const recent = new Set<string>();
  return {
    has: (address: string) => recent.has(address),
    add(addresses: readonly string[]) {
      for (const address of addresses) {
        recent.delete(address);
        recent.add(address);
      }
      for (const oldest of recent) {
        if (recent.size <= resolvedMax) break;
        recent.delete(oldest);
      }
    },
  };
}

function names({ name: listed, below }: SocketRule, name: string): boolean {
  if (listed === undefined) return false;
  return below ? name.endsWith(`.${listed}`) : name === listed;
}

function anyOf(address: string): string {
  return address.includes(":") ? "::" : "0.0.0.0";
}

function entryOf(protocol: Protocol, address: string, port: number): string {
  return `${protocol}://${address.includes(":") ? `[${address}]` : address}:${port}`;
}
