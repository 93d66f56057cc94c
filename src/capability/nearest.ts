import { closest, distance } from "fastest-levenshtein";

/** The word that was probably meant; `undefined` when none is near. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined;
  const found = closest(word, words);
  return distance(word, found) <= Math.max(1, Math.floor(word.length / 3)) ? found : undefined;
}
