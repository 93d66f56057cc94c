/**
 * What the commands share: how one is declared on commander, and what its action is handed.
 *
 * A command module exports one function that declares it, and loads what it works with only when it
 * runs, so that `cyto --help` stays quick.
 */
import { type Command, InvalidArgumentError } from "commander";
import { createOutput, type Output, type OutputOptions, type Terminal } from "./output.ts";

/** The process that the commands run in, as an argument. */
export interface Frame {
  readonly terminal: Terminal;
  /** Aborted by the first SIGINT or SIGTERM after it was first asked for; until then they just end the process. */
  stop(): AbortSignal;
}

export interface Context extends Frame {
  readonly output: Output;
}

/** The long help of a command: examples, and what else it heeds. */
export interface Manual {
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  readonly notes?: readonly string[];
}

/** Hands the action its context, the arguments and the command's own options. */
export function runs<O extends object>(
  frame: Frame,
  action: (context: Context, args: readonly string[], options: O) => Promise<void>,
): (this: Command) => Promise<void> {
  return async function run(this: Command) {
    const options = this.optsWithGlobals<O & OutputOptions>();
    await action({ ...frame, output: createOutput(frame.terminal, options) }, this.processedArgs as string[], options);
  };
}

export function addManual(command: Command, { examples, notes = [] }: Manual): void {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, meaning]) => `  ${line.padEnd(width)}  ${meaning}`);
  const noteLines = notes.length === 0 ? [] : ["", "Notes:", ...notes.map((note) => `  ${note}`)];
  command.addHelpText("after", ["", "Examples:", ...lines, ...noteLines].join("\n"));
}

/** For commander: a whole number from `least` on. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^[0-9]+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

/** For commander: an option that may be given several times, `name=value` each. */
export function pairs(text: string, earlier: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError("It must be of the form name=value.");
  return { ...earlier, [name]: value };
}

/** For commander: an option that may be given several times. */
export function several(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text];
}
