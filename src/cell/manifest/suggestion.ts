import { nearest } from "../../kernel/index.ts";

/** A hint: the nearest right word, or else all there are (when they are few). */
export function suggest(word: string, candidates: readonly string[], noun: string): string | undefined {
  const found = nearest(word, candidates);
  if (found !== undefined) return `did you mean "${found}"?`;
  if (candidates.length === 0 || candidates.length > 20) return undefined;
  return `${noun}: ${candidates.join(", ")}`;
}
