export { type Builder, type BuilderOptions, build, createBuilder } from "./build.ts";
export { type CacheLimits, cacheLimits } from "./cache.ts";
export {
  type Build,
  BuildError,
  type BuildRequest,
  type BuildStep,
  type Engine,
  formatDiagnostic,
  type SourceDiagnostic,
  type Toolchain,
} from "./contract.ts";
export { writeEditorConfig } from "./editor-config.ts";
export { createSymboliser, symbolise } from "./stack.ts";
export { ownToolchain } from "./toolchain.ts";
export { typecheck } from "./typecheck.ts";
