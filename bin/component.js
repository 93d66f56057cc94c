/**
 * `cytoplane/component`: the engine by itself, compiled where the package is published, because Node
 * refuses TypeScript inside node_modules. The names are those of src/component/embed.ts.
 */
import { existsSync } from "node:fs";

const compiled = new URL("../dist/component/embed.js", import.meta.url);
const entry = existsSync(compiled) ? compiled : new URL("../src/component/embed.ts", import.meta.url);

export const {
  assemble,
  ComponentError,
  createMetering,
  createStreamPipe,
  CytoError,
  digestOf,
  futureOf,
  load,
  loadParts,
  openFetcher,
  printDeclarations,
  printWit,
  readProvenance,
  readWit,
  runCommand,
  suspending,
  systemClock,
  systemRandom,
  wasi,
} = await import(entry.href);
