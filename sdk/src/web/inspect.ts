/**
 * Any value as text for a log line: strings plain at the top, quoted inside; objects to a depth of
 * four, lists to a hundred entries, cycles marked. Getters are not run.
 */
const DEPTH_MAX = 4;
const ENTRIES_MAX = 100;
const TEXT_MAX = 10_000;
const LINE_MAX = 76;

/** A class that knows better than its properties how it should read. */
export const inspected = Symbol.for("nodejs.util.inspect.custom");

export function inspect(value: unknown): string {
  return typeof value === "string" ? value : show(value, []);
}

/** `console.log`'s arguments as one line: `%s %d %i %f %j %o %O %c` filled in, the rest joined. */
export function format(values: readonly unknown[]): string {
  const [first, ...rest] = values;
  if (typeof first !== "string" || rest.length === 0) return values.map(inspect).join(" ");
  const text = first.replace(/%([sdifjoOc%])/g, (whole, kind: string) => {
    if (kind === "%") return "%";
    if (rest.length === 0) return whole;
    const value = rest.shift();
    if (kind === "c") return "";
    if (kind === "s") return typeof value === "object" ? inspect(value) : String(value);
    if (kind === "j") return JSON.stringify(value);
    if (kind === "o" || kind === "O") return show(value, []);
    if (typeof value === "symbol") return "NaN";
    const number = kind === "d" ? Number(value) : Number.parseFloat(String(value));
    return String(kind === "i" ? Math.trunc(number) : number);
  });
  return [text, ...rest.map(inspect)].join(" ");
}

function show(value: unknown, path: readonly object[]): string {
  if (typeof value === "string") return quote(value);
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "function") return showFunction(value);
  if (typeof value !== "object" || value === null) return String(value);
  if (path.includes(value)) return "[Circular]";
  if (path.length > DEPTH_MAX) return Array.isArray(value) ? "[Array]" : `[${nameOf(value) || "Object"}]`;
  return showObject(value, [...path, value]);
}

function quote(text: string): string {
  const short = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}… ${text.length - TEXT_MAX} more` : text;
  return short.includes("'") ? JSON.stringify(short) : `'${JSON.stringify(short).slice(1, -1).replaceAll('\\"', '"')}'`;
}

function showFunction(value: object): string {
  const { name } = value as { name?: unknown };
  const kind = /^class\b/.test(Function.prototype.toString.call(value)) ? "class" : "Function";
  return typeof name === "string" && name ? `[${kind} ${name}]` : `[${kind} (anonymous)]`;
}

function showObject(value: object, path: readonly object[]): string {
  const custom = (value as { [inspected]?: unknown })[inspected];
  if (typeof custom === "function") {
    const shown: unknown = custom.call(value);
    return typeof shown === "string" ? shown : show(shown, path);
  }
  const name = nameOf(value);
  if (value instanceof Error) return showError(value, path);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (value instanceof Promise) return "Promise {}";
  if (value instanceof Map) {
    const entries = [...value].map(([key, held]) => `${show(key, path)} => ${show(held, path)}`);
    return `${name}(${value.size}) ${braces("{", limit(entries), "}")}`;
  }
  if (value instanceof Set) {
    return `${name}(${value.size}) ${braces("{", limit([...value].map((held) => show(held, path))), "}")}`;
  }
  if (value instanceof ArrayBuffer) return `${name} { byteLength: ${value.byteLength} }`;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    const list = value as unknown as ArrayLike<unknown>;
    return `${name}(${list.length}) ${braces("[", elements(list, path), "]")}`;
  }
  if (Array.isArray(value)) return (name === "Array" ? "" : `${name} `) + braces("[", elements(value, path), "]");
  const prefix = name === "Object" ? "" : `${name || "[Object: null prototype]"} `;
  return prefix + braces("{", properties(value, path), "}");
}

function showError(error: Error, path: readonly object[]): string {
  const head = `${error.name}: ${error.message}`;
  const stack = typeof error.stack === "string" ? error.stack.trimEnd() : "";
  // The engine's stack holds only the frames; other engines put the message before them.
  const text = stack.startsWith(error.name) ? stack : stack ? `${head}\n${stack}` : head;
  const own = properties(error, path).filter(
    (entry) => !/^(stack|message|name|cause|lineNumber|columnNumber|fileName):/.test(entry),
  );
  const cause = "cause" in error ? `\n  [cause]: ${show(error.cause, path)}` : "";
  return text + (own.length > 0 ? ` ${braces("{", own, "}")}` : "") + cause;
}

function elements(list: ArrayLike<unknown>, path: readonly object[]): string[] {
  const shown = Array.from({ length: Math.min(list.length, ENTRIES_MAX) }, (_, index) =>
    index in list ? show(list[index], path) : "<empty>",
  );
  if (list.length > ENTRIES_MAX) shown.push(`… ${list.length - ENTRIES_MAX} more`);
  return shown;
}

function properties(value: object, path: readonly object[]): string[] {
  const shown: string[] = [];
  for (const key of Reflect.ownKeys(value)) {
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    if (!descriptor || (!descriptor.enumerable && !(value instanceof Error))) continue;
    const label = typeof key === "symbol" ? `[${String(key)}]` : /^[\w$]+$/.test(key) ? key : quote(key);
    const held = "value" in descriptor ? show(descriptor.value, path) : descriptor.get ? "[Getter]" : "[Setter]";
    shown.push(`${label}: ${held}`);
  }
  return limit(shown);
}

function limit(entries: string[]): string[] {
  if (entries.length <= ENTRIES_MAX) return entries;
  return [...entries.slice(0, ENTRIES_MAX), `… ${entries.length - ENTRIES_MAX} more`];
}

function braces(open: string, entries: readonly string[], close: string): string {
  if (entries.length === 0) return open + close;
  const line = entries.join(", ");
  if (line.length <= LINE_MAX && !line.includes("\n")) {
    return open === "[" ? `[ ${line} ]` : `${open} ${line} ${close}`;
  }
  return `${open}\n  ${entries.join(",\n").replaceAll("\n", "\n  ")}\n${close}`;
}

function nameOf(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null) return "";
  const { constructor: maker } = value as { constructor?: unknown };
  return typeof maker === "function" ? maker.name : "Object";
}
