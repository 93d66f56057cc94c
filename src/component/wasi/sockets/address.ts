/**
 * Addresses as WASI writes them, and as the platform does: a text, a port, and for link-local ones
 * the interface. A text here is always in its one canonical form, so that equal addresses are equal texts.
 */
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";

export type Family = "ipv4" | "ipv6";

export type IpAddress =
  | { readonly tag: "ipv4"; readonly val: readonly number[] }
  | { readonly tag: "ipv6"; readonly val: readonly number[] };

export type IpSocketAddress =
  | { readonly tag: "ipv4"; readonly val: { readonly port: number; readonly address: readonly number[] } }
  | {
      readonly tag: "ipv6";
      readonly val: {
        readonly port: number;
        readonly flowInfo: number;
        readonly address: readonly number[];
        readonly scopeId: number;
      };
    };

export interface Endpoint {
  readonly family: Family;
  /** Without a zone. */
  readonly address: string;
  readonly port: number;
  /** The number of the interface that a link-local address belongs to; otherwise 0. */
  readonly scopeId: number;
}

export function toEndpoint({ tag, val }: IpSocketAddress): Endpoint {
  const scopeId = tag === "ipv6" ? val.scopeId : 0;
  return { family: tag, address: textOf({ tag, val: val.address }), port: val.port, scopeId };
}

/** From what the platform says: `fe80::1%eth0`. */
export function endpointOf(written: string, port: number): Endpoint {
  const [address = "", zone] = written.split("%");
  const ip = readAddress(address)!;
  return { family: ip.tag, address: textOf(ip), port, scopeId: zone === undefined ? 0 : scopeOf(zone) };
}

export function toSocketAddress({ address, port, scopeId }: Endpoint): IpSocketAddress {
  const ip = readAddress(address)!;
  return ip.tag === "ipv4"
    ? { tag: "ipv4", val: { port, address: ip.val } }
    : { tag: "ipv6", val: { port, flowInfo: 0, address: ip.val, scopeId } };
}

export function unspecified(family: Family): Endpoint {
  return { family, address: family === "ipv4" ? "0.0.0.0" : "::", port: 0, scopeId: 0 };
}

/** As the platform takes it, with the zone. */
export function hostOf({ address, scopeId }: Endpoint): string {
  return scopeId === 0 ? address : `${address}%${zoneOf(scopeId)}`;
}

/** For people. */
export function show({ address, family, port }: Endpoint): string {
  return family === "ipv6" ? `[${address}]:${port}` : `${address}:${port}`;
}

export function isUnspecified({ address }: Endpoint): boolean {
  return address === "0.0.0.0" || address === "::";
}

const notUnicast = new BlockList();
notUnicast.addSubnet("224.0.0.0", 4);
notUnicast.addAddress("255.255.255.255");
notUnicast.addSubnet("ff00::", 8, "ipv6");

export function isUnicast({ family, address }: Endpoint): boolean {
  return !notUnicast.check(address, family);
}

/** `::ffff:1.2.3.4`: IPv4 in the clothes of IPv6, which WASI's sockets refuse. */
export function isMapped({ family, address }: Endpoint): boolean {
  return family === "ipv6" && address.startsWith("::ffff:") && address.split(":").length === 5;
}

/** `undefined` when it is no address. One of IPv4 in IPv6 is read as IPv4 when `unmapped` is asked for. */
export function readAddress(text: string, unmapped = false): IpAddress | undefined {
  const version = isIP(text);
  if (version === 4) return { tag: "ipv4", val: text.split(".").map(Number) };
  if (version !== 6 || text.includes("%")) return undefined;
  const [head = "", tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const left = groups(head);
  const right = groups(tail ?? "");
  const val = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  const embedded = unmapped && val[5] === 0xffff && val.slice(0, 5).every((group) => group === 0);
  if (!embedded) return { tag: "ipv6", val };
  const [high, low] = [val[6]!, val[7]!];
  return { tag: "ipv4", val: [high >> 8, high & 255, low >> 8, low & 255] };
}

export function textOf({ tag, val }: IpAddress): string {
  if (tag === "ipv4") return val.join(".");
  return new URL(`http://[${val.map((group) => group.toString(16)).join(":")}]`).hostname.slice(1, -1);
}

function groups(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

function scopeOf(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone);
  return networkInterfaces()[zone]?.find((at) => at.family === "IPv6" && at.scopeid !== 0)?.scopeid ?? 0;
}

function zoneOf(scopeId: number): string {
  const named = Object.entries(networkInterfaces()).find(([, addresses]) =>
    addresses?.some((at) => at.family === "IPv6" && at.scopeid === scopeId),
  );
  return named?.[0] ?? String(scopeId);
}
