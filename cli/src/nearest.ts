/**
 * The name that was probably meant: the one with the fewest typing errors, at most one per three
 * characters and at least one, or else the only name that begins with the typed text. Undefined if
 * there is neither.
 */
export function nearest(typed: string, names: readonly string[]): string | undefined {
  const [best] = nearestFew(typed, names, 1);
  if (best === undefined) return undefined;
  if (distance(typed, best) <= Math.max(1, Math.floor(typed.length / 3))) return best;
  const completed = new Set(names.filter((name) => typed.length > 1 && name.startsWith(typed)));
  return completed.size === 1 ? [...completed][0] : undefined;
}

/** The most similar names, closest first, whatever their distance. */
export function nearestFew(typed: string, names: readonly string[], most = 3): readonly string[] {
  const ranked = [...new Set(names)].map((name) => [distance(typed, name), name] as const);
  return ranked
    .sort(([a], [b]) => a - b)
    .slice(0, most)
    .map(([, name]) => name);
}

/**
 * Number of typing errors between two words: missing, added or wrong characters, and swapped
 * neighbours ("optimal string alignment"). Ignores case.
 */
function distance(one: string, other: string): number {
  const [from, to] = [one.toLowerCase(), other.toLowerCase()];
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const wrong = from[row - 1] === to[column - 1] ? 0 : 1;
      let least = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + wrong,
      );
      if (from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        least = Math.min(least, (beforeLast[column - 2] ?? Number.POSITIVE_INFINITY) + 1);
      }
      current.push(least);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length] ?? 0;
}
