/**
 * Names of imports and exports, and the labels inside of types: what they may look like, and which two
 * of them cannot stand beside each other because a language would spell them the same.
 */

export type ParsedName =
  | { readonly kind: "label" | "interface" }
  | { readonly kind: "constructor"; readonly resource: string }
  | { readonly kind: "method" | "static"; readonly resource: string };

// No text matches two alternatives, so that matching takes time in proportion to the length.
const fragment = "-(?:[0-9]+|[0-9]*[a-z][0-9a-z]*|[0-9]*[A-Z][0-9A-Z]*)";
const label = `(?:[a-z][0-9a-z]*|[A-Z][0-9A-Z]*)(?:${fragment})*`;
const words = "[a-z][0-9a-z]*(?:-[0-9a-z]+)*";
const number = "(?:0|[1-9][0-9]*)";
const identifiers = (one: string) => `${one}(?:\\.${one})*`;
const prerelease = identifiers("(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)");
const build = identifiers("[0-9A-Za-z-]+");
const version = `${number}\\.${number}\\.${number}(?:-${prerelease})?(?:\\+${build})?`;
/** The part of a version that tells incompatible ones apart. */
const canonicalVersion = "(?:[1-9][0-9]*|0\\.[1-9][0-9]*|0\\.0\\.[1-9][0-9]*|0\\.0\\.0)";

const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`);
const isLabelPattern = whole(label);
const interfacePattern = whole(`${words}:${words}/(?:${label})(?:@(?:${version}|${canonicalVersion}))?`);
const canonicalPattern = whole(`[^@]+@(${canonicalVersion})`);
const versionPattern = whole(version);
const annotated = /^\[(constructor|method|static)\](.*)$/;

export function isLabel(name: string): boolean {
  return isLabelPattern.test(name);
}

export function isInterfaceName(name: string): boolean {
  return interfacePattern.test(name);
}

/** Undefined for what is no name of an import or export. */
export function parseExternName(name: string): ParsedName | undefined {
  if (isLabel(name)) return { kind: "label" };
  const found = annotated.exec(name);
  if (!found) return isInterfaceName(name) ? { kind: "interface" } : undefined;
  const [, kind, rest] = found;
  if (kind === "constructor") return isLabel(rest!) ? { kind, resource: rest! } : undefined;
  const [resource, member, ...more] = rest!.split(".");
  if (more.length > 0 || !isLabel(resource!) || member === undefined || !isLabel(member)) return undefined;
  return { kind: kind as "method" | "static", resource: resource! };
}

/** Two names with the same key cannot be told apart in every language. */
export function uniqueKey(name: string): string {
  const lower = name.toLowerCase();
  const found = /^\[(?:method|static)\](.*)$/.exec(lower);
  if (!found) return lower;
  const [resource, member] = found[1]!.split(".");
  return resource === member ? resource! : found[1]!;
}

/** Whether a suffix completes the version that the name of an interface leaves out. */
export function completesVersion(name: string, suffix: string): boolean {
  const found = canonicalPattern.exec(name);
  return found !== null && versionPattern.test(`${found[1]}${suffix}`);
}

/** A name in a message; a long one is cut off. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}

/** `an import` */
export function a(noun: string): string {
  return `${/^[aeio]/.test(noun) ? "an" : "a"} ${noun}`;
}
