/**
 * The lines that a service logs, as records.
 *
 * Always true: a record is one line, whatever the guest wrote: control characters are escaped, so
 * that no line can pretend to be two; its text is bounded; the values of secrets are taken out,
 * before it is cut. A record names the service and the call it was logged in, which the guest cannot change.
 */
import { type Call, type Clock, header } from "../../kernel/index.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "critical";

/** An alias and no interface, so that it fits where records of any fields are taken. */
export type LogRecord = {
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  readonly level: LogLevel;
  readonly service: string;
  /** Both absent outside of any call. */
  readonly requestId?: string;
  readonly traceparent?: string;
  /** What the guest names the source of the line; may be empty. */
  readonly context: string;
  readonly message: string;
};

export interface LoggingOptions {
  readonly service: string;
  readonly clock: Clock;
  sink(record: LogRecord): void;
  /** Sees each text whole, before it is cut: takes the values of secrets out, names the author's files. */
  reword?(text: string): string;
  /** The longest message, in UTF-16 units. */
  readonly messageLength?: number;
}

export type Logging = (level: LogLevel, context: string, message: string, call: Call | undefined) => void;

const contextLength = 256;

export function createLogging(options: LoggingOptions): Logging {
  const { service, clock, reword = (text) => text, messageLength = 16_384 } = options;
  return (level, context, message, call) => {
    const traceparent = call && header(call.headers, "traceparent");
    options.sink({
      time: clock.now(),
      level,
      service,
      ...(call === undefined ? {} : { requestId: call.id }),
      ...(traceparent === undefined ? {} : { traceparent: oneLine(cut(traceparent, contextLength)) }),
      context: oneLine(cut(reword(context), contextLength)),
      message: oneLine(cut(reword(message), messageLength)),
    });
  };
}

function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  return `${text.slice(0, length).toWellFormed()}… (${text.length - length} more)`;
}

/** C0, C1 and the two separators of Unicode that some readers take for the end of a line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

const named: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function oneLine(text: string): string {
  return text.replace(control, (found) => named[found] ?? `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
