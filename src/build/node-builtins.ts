/**
 * What to use in place of a Node.js module, which a component does not have.
 *
 * The sentences end up as the hint of a diagnostic, so each says what the author can write here.
 */

const instead: Readonly<Record<string, string>> = {
  assert: "Throw an Error where a condition does not hold",
  async_hooks: "Pass what a call needs as an argument",
  buffer: "Use Uint8Array with TextEncoder, TextDecoder, atob and btoa",
  child_process: "A service cannot start processes; make it a service of its own and call it",
  cluster: "The platform runs as many instances as are needed",
  console: "Use the global console",
  crypto: "Use the global crypto: crypto.subtle, crypto.getRandomValues(), crypto.randomUUID()",
  dns: "Use fetch() with a host that the manifest's egress lists",
  events: "Use EventTarget, or the npm package events",
  fs: "Keep data in a keyvalue binding, or import a file when building: import data from './data.json'",
  http: "Use fetch() with a host that the manifest's egress lists, and export default { fetch } to answer",
  http2: "Use fetch() with a host that the manifest's egress lists, and export default { fetch } to answer",
  https: "Use fetch() with a host that the manifest's egress lists",
  net: "Use fetch() with a host that the manifest's egress lists",
  os: "The machine is not visible to a service; read what it needs from config",
  path: "Use URL for paths, or the npm package pathe",
  perf_hooks: "Use the global performance",
  process: "Read values with config and secret of @cytoplane/sdk",
  querystring: "Use URLSearchParams",
  sqlite: "Keep data in a keyvalue binding",
  stream: "Use ReadableStream, WritableStream and TransformStream",
  string_decoder: "Use TextDecoder with { stream: true }",
  timers: "Use the global setTimeout and setInterval",
  tls: "Use fetch() with an https: URL and a host that the manifest's egress lists",
  url: "Use the globals URL and URLSearchParams",
  util: "Use the web's own: structuredClone, TextEncoder, TextDecoder",
  worker_threads: "A service has one thread; the platform runs as many instances as are needed",
};

/** A sentence for `fs`, `node:fs` or `fs/promises`. */
export function insteadOf(specifier: string): string {
  const name = specifier.replace(/^node:/, "").split("/")[0]!;
  return instead[name] ?? "Use the web APIs, or a package that runs without Node.js";
}
