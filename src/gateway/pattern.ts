/**
 * The path of a route, read once: literal segments, `{name}` for one segment that is not empty, and
 * as the last segment `{name...}` or `*` for all that is left, be it nothing.
 *
 * A pattern is written in plain characters and matched with the request's path after
 * percent-decoding: `/café` takes `/caf%C3%A9`. Letters' case and a slash at the end matter.
 */
import { CytoError } from "../kernel/index.ts";

export type Segment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "parameter" }
  | { readonly kind: "rest" };

const NAME = /^[A-Za-z_][A-Za-z0-9_-]*$/;
const NOT_IN_A_PATH = /[?#%\\{}\s]/;

export function parsePattern(path: string): readonly Segment[] {
  if (!path.startsWith("/")) throw invalid(path, "it does not begin with a slash", `Write "/${path}"`);
  const parts = path.slice(1).split("/");
  const names = new Set<string>();
  return parts.map((part, index): Segment => {
    const rest = part === "*" || (part.startsWith("{") && part.endsWith("...}"));
    if (rest && index < parts.length - 1)
      throw invalid(path, `"${part}" is not its last segment`, "What takes all that is left must stand last");
    if (part === "*") return { kind: "rest" };
    if (part.startsWith("{") && part.endsWith("}")) {
      const name = part.slice(1, rest ? -4 : -1);
      if (!NAME.test(name))
        throw invalid(path, `"${part}" is no parameter`, "Name it with letters, digits, _ and -: {sku}");
      if (names.has(name)) throw invalid(path, `it names {${name}} twice`, "Give each parameter a name of its own");
      names.add(name);
      return { kind: rest ? "rest" : "parameter" };
    }
    if (NOT_IN_A_PATH.test(part) || part.includes("*"))
      throw invalid(
        path,
        `"${part}" holds a character that a path cannot`,
        "A parameter is a whole segment: /files/{name}; a query is matched by `query`, other characters stand unescaped",
      );
    return { kind: "literal", text: part };
  });
}

/** The same for two patterns that match the same paths: parameters' names are left out. */
export function shapeOf(segments: readonly Segment[]): string {
  return segments.map((s) => `/${s.kind === "literal" ? s.text : s.kind === "parameter" ? "{}" : "*"}`).join("");
}

function invalid(path: string, state: string, hint: string): CytoError {
  return new CytoError("invalid-manifest", `Cannot read the path "${path}": ${state}`, { hint: `${hint}.` });
}
