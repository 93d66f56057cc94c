/**
 * Which hosts outside a service may reach: the manifest's `egress`, nothing by default.
 *
 * An entry is `host`, `host:port`, `*.host` (any name below it, not itself), each with `http://` or
 * `https://` before it or not. Without a port it means the default port of the scheme; without a
 * scheme, both. What counts is the authority that the request names, never what DNS makes of it.
 * Entries of sockets, `tcp://…` and `udp://…`, permit no request.
 */
import { CytoError } from "../../kernel/index.ts";
import { isSocketEntry } from "../sockets/rule.ts";

export type Egress = readonly EgressRule[];

interface EgressRule {
  readonly protocol: string | undefined;
  /** As URLs write it: lower case, punycode, IPv6 in brackets. */
  readonly hostname: string;
  /** Names below `hostname` instead of itself. */
  readonly below: boolean;
  /** Empty: the default port of the scheme. */
  readonly port: string;
}

/** Throws for an entry that cannot be read, naming its place. */
export function readEgress(service: string, entries: readonly string[]): Egress {
  return entries.flatMap((entry, index) => {
    if (isSocketEntry(entry)) return [];
    const rule = readRule(entry);
    if (rule !== undefined) return [rule];
    throw new CytoError(
      "invalid-manifest",
      `Cannot read services.${service}.egress[${index}]: "${entry.replace(/[^/]*@/, "…@")}" names no host`,
      {
        hint: 'Write "api.example.com", "*.example.com", "127.0.0.1:9000" or "https://api.example.com".',
      },
    );
  });
}

export function permits(egress: Egress, url: URL): boolean {
  return egress.some((rule) => {
    if (rule.protocol !== undefined && rule.protocol !== url.protocol) return false;
    if (rule.port !== portOf(url, rule.port)) return false;
    return rule.below ? url.hostname.endsWith(`.${rule.hostname}`) : url.hostname === rule.hostname;
  });
}

function readRule(entry: string): EgressRule | undefined {
  const parts = /^(?:(https?:)\/\/)?(\*\.)?([^/?#@*\s\\]+)$/.exec(entry);
  if (parts === null || entry.endsWith(":")) return undefined;
  const [, protocol, star, authority = ""] = parts;
  const port = /:([0-9]+)$/.exec(authority)?.[1];
  const url = URL.parse(`${protocol ?? "http:"}//${authority}`);
  if (url === null || url.hostname === "" || (star !== undefined && /^\[|^[0-9.]+$/.test(url.hostname)))
    return undefined;
  return {
    protocol,
    hostname: url.hostname,
    below: star !== undefined,
    port: port === undefined ? "" : portOf(new URL(`http://x:${port}`), port),
  };
}

/** The URL's port as a rule writes it: in full when the rule names one, else empty for the default. */
function portOf(url: URL, wanted: string): string {
  if (wanted === "" || url.port !== "") return url.port;
  return url.protocol === "https:" ? "443" : "80";
}
