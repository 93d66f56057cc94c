/**
 * Two routes conflict when nothing decides between them: the same method, host, path (parameters'
 * names aside), query match, header match and priority. `cyto check` refuses them; so does the
 * router.
 */
import type { Route } from "./contract.ts";
import { parsePattern, shapeOf } from "./pattern.ts";

/** Methods of a route that names none. */
export const ANY_METHOD: readonly string[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

export interface Conflict {
  readonly first: Route;
  readonly second: Route;
  /** What both take, as a manifest would write it: `GET shop.example/products/{}?page`. */
  readonly match: string;
}

/** Each route that takes what an earlier one takes, with that earlier one. */
export function findConflicts(routes: readonly Route[]): Conflict[] {
  const first = new Map<string, Route>();
  const conflicts: Conflict[] = [];
  for (const route of routes) {
    const matches = new Set(methodsOf(route).map((method) => describeMatch(route, method)));
    const taken = [...matches].find((match) => first.has(match));
    if (taken === undefined) for (const match of matches) first.set(match, route);
    else conflicts.push({ first: first.get(taken)!, second: route, match: taken });
  }
  return conflicts;
}

export function methodsOf(route: Route): readonly string[] {
  return route.methods.length === 0 ? ANY_METHOD : route.methods;
}

function describeMatch(route: Route, method: string): string {
  const query = pairs(route.query).join("&");
  const headers = pairs(lowerKeys(route.headers)).map((pair) => ` [${pair}]`);
  const priority = route.priority === 0 ? "" : ` at priority ${route.priority}`;
  const place = `${route.host?.toLowerCase() ?? ""}${shapeOf(parsePattern(route.path))}`;
  return `${method} ${place}${query === "" ? "" : `?${query}`}${headers.join("")}${priority}`;
}

function pairs(match: Readonly<Record<string, string | true>>): string[] {
  return Object.entries(match)
    .map(([name, value]) => (value === true ? encodeURIComponent(name) : `${encodeURIComponent(name)}=${value}`))
    .sort();
}

export function lowerKeys<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name.toLowerCase(), value]));
}
