/** The author's default export, checked while the component is built: a deploy fails, and not a request. */
import { inspect } from "./web/inspect.ts";

export type Fetch = (request: unknown, env: unknown, context: unknown) => unknown;

export function requireService(service: unknown): { fetch: Fetch } {
  const fetch = typeof service === "object" && service !== null && "fetch" in service ? service.fetch : undefined;
  if (typeof fetch === "function") return service as { fetch: Fetch };
  throw new TypeError(
    `Cannot serve this module: its default export is ${inspect(service)}, not an object with a fetch method. Write: export default { fetch(request) { return new Response("hello"); } }`,
  );
}

export function describeInvalid(result: unknown): string {
  return `The handler must answer with a Response, not with ${inspect(result)}`;
}

/** The host takes only well-formed text; to mend it silently could make two keys one. */
export function requireText(what: string, value: string): string {
  if (typeof value !== "string" || value === "" || !value.isWellFormed()) {
    throw new TypeError(
      `${JSON.stringify(value) ?? String(value)} cannot be ${what}: it must be a text that is not empty`,
    );
  }
  return value;
}
