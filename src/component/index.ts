export {
  type AnyExports,
  type AsyncCall,
  type Chunk,
  type Component,
  type ComponentCache,
  type ComponentParts,
  type CoreInstance,
  type CpuOptions,
  type FutureReader,
  type Grants,
  type HostFunction,
  type ImportObject,
  type Instance,
  type InstantiateOptions,
  type KeyPage,
  type KeyValueBucket,
  type LoadOptions,
  type LogLevel,
  type OutgoingRequest,
  type StandardInput,
  type StandardOutput,
  type StandardStreams,
  type StreamReader,
  type StreamSource,
  suspending,
  type TaskOptions,
  type World,
} from "./contract.ts";
export { printDeclarations } from "./declarations.ts";
export { assemble, digestOf, load, loadParts } from "./load.ts";
export { createMetering, type Metering } from "./meter.ts";
export { type Producer, type Provenance, readProvenance } from "./producers.ts";
export { ComponentError } from "./signature.ts";
export { createStreamPipe, futureOf, type StreamPipe } from "./stream-pipe.ts";
export { printWit, readWit, type Wit } from "./wit.ts";
