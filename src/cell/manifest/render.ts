/**
 * Diagnostics as a person reads them: what, where, the line with a caret under it, what to do.
 *
 * Always true: values that look like secrets are masked in the lines shown.
 */
import { relative } from "node:path";
import type { Diagnostic } from "./contract.ts";
import { looksSecret } from "./secret-name.ts";

export interface RenderOptions {
  /** The text of a file that a diagnostic names; without it there is no frame. */
  source(file: string): string | undefined;
  /** File names are shown relative to this folder. */
  readonly directory: string;
  /** How the parts are coloured; plain when absent. */
  readonly paint?: Paint;
}

export type Paint = Readonly<Record<"red" | "yellow" | "cyan" | "dim" | "bold", (text: string) => string>>;

const plain = (text: string) => text;
export const noPaint: Paint = { red: plain, yellow: plain, cyan: plain, dim: plain, bold: plain };

export function renderDiagnostics(diagnostics: readonly Diagnostic[], options: RenderOptions): string {
  return diagnostics.map((diagnostic) => renderDiagnostic(diagnostic, options)).join("\n");
}

function renderDiagnostic(diagnostic: Diagnostic, { source, directory, paint = noPaint }: RenderOptions): string {
  const { severity, file, line, column, path, message, hint } = diagnostic;
  const colour = severity === "error" ? paint.red : paint.yellow;
  const number = String(line);
  const gutter = " ".repeat(number.length);
  const bar = paint.dim("|");
  const shown = relative(directory, file);
  const name = shown === "" || shown.startsWith("..") ? file : shown;
  const lines = [
    `${colour(paint.bold(severity))}${paint.bold(`: ${oneLine(message)}`)}`,
    `${gutter}${paint.dim("-->")} ${name}:${line}:${column}${path === "" ? "" : paint.dim(`  ${oneLine(path)}`)}`,
  ];
  const text = source(file)?.split(/\r?\n/)[line - 1];
  if (text !== undefined && text.length > 0) {
    const frame = frameOf(maskSecrets(text), column, diagnostic.length ?? 1);
    lines.push(`${paint.dim(number)} ${bar} ${frame.text}`, `${gutter} ${bar} ${colour(frame.caret)}`);
  }
  for (const [index, row] of (hint?.split("\n") ?? []).entries()) {
    lines.push(`${gutter} ${paint.cyan(index === 0 ? "=" : " ")} ${printable(row)}`);
  }
  return `${lines.join("\n")}\n`;
}

const frameWidth = 120;

/** The part of a line round the column, and the caret under it. */
function frameOf(line: string, column: number, length: number): { readonly text: string; readonly caret: string } {
  const start = Math.min(column - 1, line.length);
  const from = start > frameWidth - 40 ? start - 40 : 0;
  const text = printable(line.slice(from, from + frameWidth));
  const width = Math.max(1, Math.min(length, text.length - (start - from)));
  // A tab is kept, so that the caret stands under its character whatever the width of tabs.
  const lead = text.slice(0, start - from).replace(/[^\t]/g, " ");
  return { text, caret: lead + "^".repeat(width) };
}

/** `password: hunter2` and `redis://user:hunter2@host` with the secret masked, every column as it was. */
function maskSecrets(line: string): string {
  const stars = (text: string) => "*".repeat(text.length);
  return line
    .replace(/(?<=:\/\/[^\s/@:]*:)[^\s/@]+(?=@)/g, stars)
    .replace(
      /(["']?)([\w.-]+)\1(\s*:\s+)("[^"]*"|'[^']*'|[^\s,{}[\]#][^,}\]#]*)/g,
      (whole, quote: string, name: string, colon: string, value: string) =>
        looksSecret(name) && name !== "secrets" ? quote + name + quote + colon + stars(value) : whole,
    );
}

function oneLine(text: string): string {
  return printable(text.replace(/\s*\n\s*/g, " "));
}

/** Control characters would let a file write to the terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, "\uFFFD");
}
