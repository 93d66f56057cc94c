/**
 * Stacks as the engines print them, in the author's files.
 *
 * QuickJS:       `    at name (componentize-qjs:user.js:12:34)` or `    at map (native)`
 * StarlingMonkey: `name@service.js:12:34`
 *
 * Both count lines and columns from 1 and run the bundle as it is, so a frame's position is looked up
 * as it stands. QuickJS puts a frame at the last operand before the failing step, which can be a few
 * columns right of where V8 would; the line is the same. Frames of the platform are left out, unless nothing
 * else would be left. Lines that are no frames stay as they are.
 */
import { isAbsolute, relative } from "node:path";
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import { ownerOf } from "./source-name.ts";

export interface Frame {
  readonly name: string;
  /** As the source map names it; `undefined` for native code and for what no map covers. */
  readonly source?: string;
  readonly line: number;
  readonly column: number;
}

const quickjsFrame = /^\s*at (?:(.*) \()?(?:componentize-qjs:user\.js:(\d+):(\d+)|native)\)?$/;
const starlingmonkeyFrame = /^\s*([^@\s]*)@\S*?\.js:(\d+):(\d+)$/;

/** Rewrites the frames of `stack` by `sourceMap`; files under `root` are named relative to it. */
export function symbolise(stack: string, sourceMap: string, root?: string): string {
  return createSymboliser(sourceMap, root)(stack);
}

/** The same for many stacks: the map is parsed once, when the first one comes. */
export function createSymboliser(sourceMap: string, root?: string): (stack: string) => string {
  let map: TraceMap | undefined;
  return (stack) => {
    map ??= new TraceMap(sourceMap);
    const lines = stack.split("\n").map((text) => ({ text, frame: toFrame(text, map!) }));
    const named = lines.some(({ frame }) => frame && isForeign(frame));
    return lines
      .filter(({ frame }) => frame === undefined || !named || frame.source === undefined || isForeign(frame))
      .map(({ text, frame }) => (frame === undefined ? text : print(frame, root)))
      .join("\n");
  };
}

/** The frames of a stack, innermost first. */
export function frames(stack: string, sourceMap: string): Frame[] {
  const map = new TraceMap(sourceMap);
  return stack.split("\n").flatMap((text) => toFrame(text, map) ?? []);
}

function toFrame(text: string, map: TraceMap): Frame | undefined {
  const match = quickjsFrame.exec(text) ?? starlingmonkeyFrame.exec(text);
  if (!match) return undefined;
  const name = match[1] || "<anonymous>";
  if (match[2] === undefined) return { name, line: 0, column: 0 };
  const found = originalPositionFor(map, { line: Number(match[2]), column: Number(match[3]) - 1 });
  if (found.source === null) return { name, line: Number(match[2]), column: Number(match[3]) };
  return { name, source: found.source, line: found.line, column: found.column + 1 };
}

function isForeign(frame: Frame): boolean {
  return frame.source !== undefined && ownerOf(frame.source) !== "platform";
}

function print(frame: Frame, root: string | undefined): string {
  if (frame.source === undefined) {
    return `    at ${frame.name} (${frame.line === 0 ? "native" : `bundle:${frame.line}:${frame.column}`})`;
  }
  const inRoot = root === undefined ? undefined : relative(root, frame.source);
  const isInside = inRoot !== undefined && isAbsolute(frame.source) && !inRoot.startsWith("..") && !isAbsolute(inRoot);
  return `    at ${frame.name} (${isInside ? inRoot : frame.source}:${frame.line}:${frame.column})`;
}
