/** Where errors go that no caller is left to hear of: callbacks of timers, listeners, `waitUntil`. */
import logging, { type Level } from "cytoplane:service/logging@0.1.0";
import { cause, whenAwake } from "../operation.ts";
import { inspect } from "./inspect.ts";

export function report(what: string, error: unknown): void {
  log("error", `${what}: ${inspect(error)}`);
}

export function log(level: Level, message: string): void {
  whenAwake(() => logging.log(level, "console", message.toWellFormed(), cause()));
}
