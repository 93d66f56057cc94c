import { closest, distance } from "fastest-levenshtein";

/** "Did you mean": the candidate nearest to `word`, or `undefined` when none is near enough to be worth saying. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0 || word.length > 64) return undefined;
  const lower = word.toLowerCase();
  const found = closest(lower, candidates as string[]);
  if (distance(lower, found.toLowerCase()) <= Math.max(1, Math.floor(found.length / 3))) return found;
  // A shortened or lengthened word: `env` for `environment`.
  const cut = (candidate: string) => candidate.startsWith(lower) || lower.startsWith(candidate);
  return word.length < 3 ? undefined : candidates.find((candidate) => candidate.length > 2 && cut(candidate));
}
