/**
 * Names to addresses, as the machine resolves them: its hosts file and its name servers.
 *
 * A text that is an address is answered as it is, and asks nobody. Never no address, and never one of
 * IPv4 in the clothes of IPv6.
 */
import { lookup } from "node:dns/promises";
import { domainToASCII } from "node:url";
import { type IpAddress, readAddress, textOf } from "./address.ts";
import { type SocketCode, toSocketCode } from "./error.ts";
import type { Network } from "./network.ts";

/** The platform asks for few at a time, and the others wait there. */
const lookupsMax = 64;

/** Throws, and rejects with, a code. */
export function resolveName(network: Network, name: string): readonly IpAddress[] | Promise<readonly IpAddress[]> {
  network.assertLive();
  const address = readAddress(name, true);
  if (address !== undefined) return [address];
  const ascii = toHostName(name);
  if (ascii === undefined) throw "invalid-argument" satisfies SocketCode;
  network.allow(`look up ${ascii}`, network.grants.resolve(ascii));
  if (network.lookups >= lookupsMax) throw "temporary-resolver-failure" satisfies SocketCode;
  return ask(network, ascii);
}

async function ask(network: Network, name: string): Promise<readonly IpAddress[]> {
  network.lookups += 1;
  try {
    const found = await lookup(name, { all: true, order: "verbatim" });
    const addresses = new Map<string, IpAddress>();
    for (const { address } of found) {
      const ip = readAddress(address.split("%")[0]!, true);
      if (ip !== undefined) addresses.set(textOf(ip), ip);
    }
    if (addresses.size === 0) throw "name-unresolvable" satisfies SocketCode;
    network.grants.resolved(name, [...addresses.keys()]);
    return [...addresses.values()];
  } catch (error) {
    throw typeof error === "string" ? error : toSocketCode(error);
  } finally {
    network.lookups -= 1;
  }
}

/** In lower case and punycode; `undefined` when it cannot be a name. */
function toHostName(name: string): string | undefined {
  const ascii = domainToASCII(name.replace(/\.$/, ""));
  const valid = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
  // All digits and dots would be read as an address by whoever resolves it.
  return valid.test(ascii) && !/^[\d.]+$/.test(ascii) ? ascii : undefined;
}
