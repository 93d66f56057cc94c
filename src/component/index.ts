export {
  type Component,
  type CoreInstance,
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
  suspending,
  type World,
} from "./contract.ts";
export { digestOf, load } from "./load.ts";
export { ComponentError } from "./signature.ts";
