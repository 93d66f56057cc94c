/**
 * One entry of the manifest about sockets, and what it matches.
 *
 *   tcp://db.internal:5432        a name: it may be looked up, and what it resolves to be reached
 *   tcp://*.example.com:443       any name below it
 *   udp://10.0.0.0/8:53           addresses; IPv6 in brackets: tcp://[fd00::/8]:5432
 *   tcp://10.1.2.3:8000-8099      a range of ports; `*` is any
 *
 * A network permits the private and other special addresses inside it only where it lies within
 * them itself: `0.0.0.0/0` is the public internet and no machine of one's own.
 */
import { BlockList, isIP } from "node:net";
import { domainToASCII } from "node:url";

export type Protocol = "tcp" | "udp";

export interface SocketRule {
  readonly protocol: Protocol;
  /** In lower case and punycode; `undefined` for addresses. */
  readonly name: string | undefined;
  /** Names below `name` instead of itself. */
  readonly below: boolean;
  /** Any address of the family: it is `0.0.0.0` or `::`. */
  readonly unspecified: boolean;
  includes(address: string): boolean;
  permitsPort(port: number): boolean;
}

/** `undefined` when it cannot be read. */
export function readSocketRule(entry: string): SocketRule | undefined {
  const [, protocol, bracketed, plain, ports] =
    /^(tcp|udp):\/\/(?:\[([^\]]*)\]|([^\s:[\]@?#]+)):([0-9]+(?:-[0-9]+)?|\*)$/.exec(entry) ?? [];
  if (protocol === undefined) return undefined;
  const [first = "", last = first] = ports === "*" ? ["0", "65535"] : ports!.split("-");
  const [low, high] = [Number(first), Number(last)];
  if (low > high || high > 65_535) return undefined;
  const host = readHost(bracketed, plain);
  if (host === undefined) return undefined;
  return { protocol: protocol as Protocol, ...host, permitsPort: (port) => port >= low && port <= high };
}

/** Whether an entry of `egress` is about sockets and not about HTTP. */
export function isSocketEntry(entry: string): boolean {
  return /^(tcp|udp):/.test(entry);
}

type Host = Pick<SocketRule, "name" | "below" | "unspecified" | "includes">;

function readHost(bracketed: string | undefined, plain: string | undefined): Host | undefined {
  const [address = "", prefix, ...rest] = (bracketed ?? plain ?? "").split("/");
  const version = isIP(address);
  if (version !== (bracketed === undefined ? 4 : 6) || address.includes("%")) {
    return bracketed === undefined && prefix === undefined ? readName(address) : undefined;
  }
  const widest = version === 4 ? 32 : 128;
  const bits = prefix === undefined ? widest : Number(prefix);
  if (rest.length > 0 || !/^\d{1,3}$/.test(prefix ?? "0") || bits > widest) return undefined;
  const unspecified = prefix === undefined && isUnspecified(address);
  return {
    name: undefined,
    below: false,
    unspecified,
    includes: within(address, version === 4 ? "ipv4" : "ipv6", bits),
  };
}

function within(address: string, family: "ipv4" | "ipv6", bits: number): Host["includes"] {
  const network = new BlockList();
  network.addSubnet(address, bits, family);
  // A special range that is wider than the network, and has it inside, was named by it.
  const closed = special.filter((range) => range.family === family && !(range.bits <= bits && range.includes(address)));
  return (other) =>
    isIP(other) === (family === "ipv4" ? 4 : 6) &&
    network.check(other, family) &&
    !closed.some((range) => range.includes(other));
}

function readName(written: string): Host | undefined {
  const below = written.startsWith("*.");
  const name = domainToASCII(below ? written.slice(2) : written);
  if (name === "" || !/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name) || /^[\d.]+$/.test(name)) return undefined;
  return { name, below, unspecified: false, includes: () => false };
}

function isUnspecified(address: string): boolean {
  return /^[0.]+$|^[0:]+$/.test(address);
}

/** Not the public internet (RFC 6890 and its registries): this machine, its neighbours, and ways round to them. */
const special = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
  ["::", 96],
  ["::ffff:0:0", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
].map((entry) => {
  const [address, bits] = entry as [string, number];
  const family: "ipv4" | "ipv6" = isIP(address) === 4 ? "ipv4" : "ipv6";
  const range = new BlockList();
  range.addSubnet(address, bits, family);
  return { family, bits, includes: (other: string) => range.check(other, family) };
});
