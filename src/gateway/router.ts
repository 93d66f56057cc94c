/**
 * From a request to its route, on find-my-way. Several routes may match; the first difference
 * decides:
 *
 * 1. the higher priority;
 * 2. an exact host before `*.example.com`, a longer such suffix before a shorter, any before none;
 * 3. the path, segment by segment: literal before `{parameter}` before `{rest...}`;
 * 4. more query and header matches before fewer, then more with exact values, then the order given.
 *
 * A route whose matches fail is passed over, never a dead end. HEAD is answered by the GET route
 * unless a route names HEAD. A router never changes: new routes are a new router.
 */
import type { IncomingHttpHeaders } from "node:http";
import findMyWay from "find-my-way";
import { CytoError } from "../kernel/index.ts";
import { ANY_METHOD, findConflicts, lowerKeys, methodsOf } from "./conflict.ts";
import type { Route } from "./contract.ts";
import { parsePattern, type Segment, shapeOf } from "./pattern.ts";

/** What a route is chosen by. */
export interface Asked {
  readonly method: string;
  /** As in a Host header: any case, perhaps with a port. */
  readonly host: string;
  /** Percent-encoded, without query. */
  readonly path: string;
  /** What follows the `?`. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Router {
  match(asked: Asked): Route | undefined;
  /** The methods that would find a route at this place, for `Allow`; empty when none would. */
  allowed(asked: Asked): readonly string[];
}

type Tree = ReturnType<typeof findMyWay>;

/** Routes of one priority and one host. */
interface Tier {
  readonly priority: number;
  readonly host: string | undefined;
  readonly tree: Tree;
  /** Whether some route asks for more than host, method and path. */
  readonly conditional: boolean;
}

/** A route with what it asks of query and headers. */
interface Candidate {
  readonly route: Route;
  readonly query: readonly (readonly [string, string | true])[];
  readonly headers: readonly (readonly [string, string | true])[];
}

export function createRouter(routes: readonly Route[]): Router {
  const [conflict] = findConflicts(routes);
  if (conflict !== undefined)
    throw new CytoError("invalid-manifest", `Cannot route ${conflict.match}: two routes take it`, {
      hint: `"${conflict.first.id}" of ${conflict.first.service} and "${conflict.second.id}" of ${conflict.second.service}: change one, or give it a priority.`,
    });

  const groups = Map.groupBy(routes, (route) => `${route.priority} ${route.host?.toLowerCase() ?? ""}`);
  const tiers = [...groups.values()].map(toTier).sort(byPrecedence);
  const methods = [...new Set(routes.flatMap(methodsOf))].sort();

  // For each host that is named, the tiers that take it; a request is looked up once.
  const hosts = [...new Set(tiers.flatMap((tier) => tier.host ?? []))];
  const exact = new Map(hosts.map((host) => [host, tiers.filter((tier) => takesHost(tier.host, host))]));
  const suffixes = hosts.filter((host) => host.startsWith("*")).sort((a, b) => b.length - a.length);
  const rest = tiers.filter((tier) => tier.host === undefined);

  function tiersFor(host: string): readonly Tier[] {
    if (hosts.length === 0) return rest;
    const name = withoutPort(host).toLowerCase();
    const key = exact.has(name) ? name : suffixes.find((suffix) => takesHost(suffix, name));
    return key === undefined ? rest : exact.get(key)!;
  }

  function find(asked: Asked, method: string): Route | undefined {
    for (const tier of tiersFor(asked.host)) {
      if (!tier.conditional) {
        const found = tier.tree.find(method as findMyWay.HTTPMethod, asked.path);
        if (found !== null) return (found.store as Candidate).route;
      } else {
        const question: Question = { asked, answer: undefined };
        const found = tier.tree.find(method as findMyWay.HTTPMethod, asked.path, { match: question } as never);
        if (found !== null) return (question.answer ?? (found.store as Candidate)).route;
      }
    }
    return undefined;
  }

  return {
    match(asked) {
      const route = find(asked, asked.method);
      return route === undefined && asked.method === "HEAD" ? find(asked, "GET") : route;
    },
    allowed(asked) {
      const found = new Set(methods.filter((method) => find(asked, method) !== undefined));
      if (found.has("GET")) found.add("HEAD");
      if (found.size > 0) found.add("OPTIONS");
      return [...found].sort((a, b) => ANY_METHOD.indexOf(a) - ANY_METHOD.indexOf(b));
    },
  };
}

function toTier(routes: readonly Route[]): Tier {
  const tree = findMyWay({
    // The header limit bounds the path already.
    maxParamLength: Number.MAX_SAFE_INTEGER,
    querystringParser: () => undefined as never,
    constraints: { match: conditions as never },
  });
  const { priority, host } = routes[0]!;
  let conditional = false;
  const places = new Map<string, { method: string; path: string; candidates: Candidate[] }>();
  for (const route of routes) {
    const segments = parsePattern(route.path);
    for (const method of methodsOf(route)) {
      if (!ANY_METHOD.includes(method))
        throw new CytoError("invalid-manifest", `Cannot route "${route.id}": there is no method ${method}`, {
          hint: `Methods are ${ANY_METHOD.join(", ")}.`,
        });
      const key = `${method} ${shapeOf(segments)}`;
      const place = places.get(key) ?? { method, path: toFindMyWay(segments), candidates: [] };
      places.set(key, place);
      place.candidates.push({
        route,
        query: Object.entries(route.query),
        headers: Object.entries(lowerKeys(route.headers)),
      });
    }
  }
  for (const { method, path, candidates } of places.values()) {
    candidates.sort(byConditions);
    const store = candidates[0]!;
    const bare = conditionsOf(store).length === 0;
    conditional ||= !bare;
    const options = bare ? {} : { constraints: { match: candidates } };
    tree.on(method as findMyWay.HTTPMethod, path, options, unused, store);
  }
  return { priority, host: host?.toLowerCase(), tree, conditional };
}

/** What is put to the candidates of a place; they leave the one that fits in `answer`. */
interface Question {
  readonly asked: Asked;
  answer: Candidate | undefined;
}

/**
 * find-my-way's "constraint" that decides among the candidates of one place. The library stores the
 * candidates under a mask when a route is added, and asks for the mask again with a question;
 * without one it goes on to the next best place.
 */
const conditions = {
  name: "match",
  storage() {
    let candidates: readonly Candidate[] = [];
    let mask = 0;
    return {
      get(key: readonly Candidate[] | Question): number {
        if (!("asked" in key)) return key === candidates ? mask : 0;
        key.answer = candidates.find((candidate) => fits(candidate, key.asked));
        return key.answer === undefined ? 0 : mask;
      },
      set(key: readonly Candidate[], value: number): void {
        candidates = key;
        mask = value;
      },
    };
  },
  deriveConstraint: () => undefined,
};

function fits(candidate: Candidate, asked: Asked): boolean {
  if (candidate.query.length > 0) {
    const query = new URLSearchParams(asked.query);
    if (!candidate.query.every(([name, value]) => query.has(name, value === true ? undefined : value))) return false;
  }
  return candidate.headers.every(([name, value]) => {
    const has = asked.headers[name];
    return has !== undefined && (value === true || (Array.isArray(has) ? has.includes(value) : has === value));
  });
}

function conditionsOf(candidate: Candidate): readonly (readonly [string, string | true])[] {
  return [...candidate.query, ...candidate.headers];
}

function byConditions(a: Candidate, b: Candidate): number {
  const [inA, inB] = [conditionsOf(a), conditionsOf(b)];
  const exact = (pairs: typeof inA): number => pairs.filter(([, value]) => value !== true).length;
  return inB.length - inA.length || exact(inB) - exact(inA);
}

function byPrecedence(a: Tier, b: Tier): number {
  return b.priority - a.priority || hostWeight(b.host) - hostWeight(a.host);
}

function hostWeight(host: string | undefined): number {
  if (host === undefined) return -1;
  return host.startsWith("*") ? host.length : Number.MAX_SAFE_INTEGER;
}

/** Whether routes of `pattern` take requests for `host`, which may be such a pattern itself. */
function takesHost(pattern: string | undefined, host: string): boolean {
  if (pattern === undefined || pattern === host) return true;
  return pattern.startsWith("*.") && host.length >= pattern.length && host.endsWith(pattern.slice(1));
}

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(":");
  return colon > host.lastIndexOf("]") ? host.slice(0, colon) : host;
}

/** In find-my-way's notation. A parameter is bound to a pattern so that it is never empty. */
function toFindMyWay(segments: readonly Segment[]): string {
  return segments
    .map((segment) => {
      if (segment.kind === "literal") return `/${segment.text.replaceAll(":", "::")}`;
      return segment.kind === "parameter" ? "/:p(.+)" : "/*";
    })
    .join("");
}

function unused(): void {}
