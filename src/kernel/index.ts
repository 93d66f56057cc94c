export {
  type Body,
  type Call,
  type Headers,
  header,
  type Layer,
  type Policy,
  type Provider,
  type Reply,
  type Service,
  stack,
  trailersOf,
} from "./call.ts";
export { type Clock, systemClock } from "./clock.ts";
export { createDeadlines, type Deadline, type Deadlines, UNSLOTTED } from "./deadlines.ts";
export { CytoError, catalog, type ErrorCode, type ErrorDetail, type Retry, toCytoError } from "./error.ts";
export { type Limits, limits } from "./limits.ts";
export { nearest } from "./nearest.ts";
export { fraction, hex, type Random, systemRandom } from "./random.ts";
export { createSimulatedClock, type SimulatedClock } from "./simulated-clock.ts";
