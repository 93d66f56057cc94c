/**
 * What differs between the JavaScript engines that a component can carry: the module that ties an
 * author's service to it, the WIT it is compiled against, and how it words a failure.
 *
 * `componentize` runs in a process of its own (componentizer.ts): it may block, crash or never end.
 */
import type { Engine, Toolchain } from "./contract.ts";
import { quickjs } from "./quickjs.ts";
import { starlingmonkey } from "./starlingmonkey.ts";

export interface EngineAdapter {
  /** The module that the bundle starts from. `service` is the specifier of the author's entry. */
  entry(service: string): string;
  wit(toolchain: Toolchain): string;
  /** The npm package whose version decides the output. */
  readonly tool: string;
  /** How long evaluating a service at build time may take before it is given up. */
  readonly timeoutMs: number;
  componentize(code: string, witPath: string): Promise<Uint8Array>;
  /** Reads what `componentize` threw. */
  failure(message: string): EvaluationFailure;
}

/** Why the bundle could not be evaluated at build time. */
export interface EvaluationFailure {
  /** What was thrown; absent when this is no error of the author's code. */
  readonly thrown?: string;
  /** The engine's stack, one frame a line; empty when it gave none. */
  readonly stack: string;
  /** An import of the world that was called before there is a world: `timers.now`. */
  readonly worldCall?: string;
}

/** Explicit, so that the list of what ships can be read. */
export const engines: Readonly<Record<Engine, EngineAdapter>> = { quickjs, starlingmonkey };
