/** The most names that are compared, so that a hostile question costs little. */
const mostCompared = 256;

/**
 * The name that was probably meant: the one fewest changes of a character away, if those are not too many;
 * by default a third of what was typed.
 */
export function nearest(
  typed: string,
  names: readonly string[],
  mostChanges: number = Math.floor(typed.length / 3),
): string | undefined {
  let best: string | undefined;
  let least = mostChanges + 1;
  for (const name of names.slice(0, mostCompared)) {
    if (Math.abs(name.length - typed.length) >= least) continue;
    const changes = distance(typed, name);
    if (changes < least) {
      least = changes;
      best = name;
    }
  }
  return best;
}

/** Levenshtein's distance, one row at a time. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
