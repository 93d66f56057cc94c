/**
 * What a command says, and where.
 *
 * Results go to standard output; progress, notes and errors to standard error, so that a pipe gets
 * results only. With `--json` standard output carries one JSON object a line, each with an `event`,
 * and nothing else. Colour and moving progress appear on a terminal only; NO_COLOR, FORCE_COLOR
 * and `--quiet` are heeded.
 */
import type { Readable, Writable } from "node:stream";
import pc from "picocolors";
import type { Paint } from "../cell/manifest/render.ts";

/** The process's own edge, as an argument. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  /** Set by `--no-color`. */
  readonly color?: boolean;
}

export interface Output {
  readonly json: boolean;
  readonly verbose: boolean;
  /** Colours for standard output, and for standard error. */
  readonly paint: Paint & Record<"green", (text: string) => string>;
  readonly errorPaint: Paint;
  /** A result, for people; silent with `--json`. */
  print(text: string): void;
  /** A result, for programs; silent without `--json`. */
  event(name: string, fields: object): void;
  /** Something said by the way; silent with `--quiet` and `--json`. */
  note(text: string): void;
  /** Something wrong; never silent. */
  complain(text: string): void;
  /** A step that takes a while. */
  step(label: string): Step;
}

export interface Step {
  update(label: string): void;
  /** Ends the step; `text` stays on the screen. */
  end(text?: string): void;
}

export function createOutput(terminal: Terminal, options: OutputOptions): Output {
  const { stdout, stderr, env } = terminal;
  const coloured = (stream: { readonly isTTY?: boolean }) => {
    if (options.color === false || (env.NO_COLOR !== undefined && env.NO_COLOR !== "")) return false;
    return (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "0") || (stream.isTTY === true && env.TERM !== "dumb");
  };
  const json = options.json === true;
  const silent = json || options.quiet === true;
  const errorPaint = pc.createColors(coloured(stderr));
  const note = (text: string) => {
    if (!silent) stderr.write(`${text}\n`);
  };
  return {
    json,
    verbose: options.verbose === true,
    paint: pc.createColors(coloured(stdout)),
    errorPaint,
    print(text) {
      if (!json) stdout.write(`${text}\n`);
    },
    event(name, fields) {
      if (json) stdout.write(`${JSON.stringify({ event: name, ...fields })}\n`);
    },
    note,
    complain(text) {
      stderr.write(`${text}\n`);
    },
    step(label) {
      if (!silent && stderr.isTTY === true && env.TERM !== "dumb") return movingStep(stderr, label, errorPaint);
      return { update() {}, end: (text) => text !== undefined && note(text) };
    },
  };
}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

function movingStep(stream: Writable, first: string, paint: Paint): Step {
  let label = first;
  let count = 0;
  const draw = () => {
    stream.write(`\r\u001b[2K${paint.cyan(frames[count % frames.length] ?? "")} ${label}`);
    count += 1;
  };
  draw();
  const timer = setInterval(draw, 80);
  timer.unref();
  return {
    update(text) {
      label = text;
    },
    end(text) {
      clearInterval(timer);
      stream.write(`\r\u001b[2K${text === undefined ? "" : `${text}\n`}`);
    },
  };
}
