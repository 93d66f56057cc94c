/** What `cytoplane/component` offers to any Node program: see docs/engine.md. */
export { CytoError } from "../kernel/index.ts";
export * from "./index.ts";
export { type Fetcher, openFetcher, runCommand, type Wasi, type WasiOptions, wasi } from "./standalone.ts";
