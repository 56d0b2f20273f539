import { closest, distance } from "fastest-levenshtein";

/** The name that was probably meant: the one fewest changes of a character away, at most a third of what was typed. */
export function nearest(typed: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const best = closest(typed, [...names]);
  return distance(typed, best) <= Math.max(1, Math.floor(typed.length / 3)) ? best : undefined;
}

/** The names that come closest, the closest first, whatever their distance. */
export function nearestFew(typed: string, names: readonly string[], most = 3): readonly string[] {
  const ranked = names.map((name) => [distance(typed, name), name] as const);
  return ranked
    .sort(([a], [b]) => a - b)
    .slice(0, most)
    .map(([, name]) => name);
}
