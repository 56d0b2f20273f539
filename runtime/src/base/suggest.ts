/** The most names compared, so that hostile input costs little. */
const mostCompared = 256;

/**
 * The name that was probably meant: the one with the fewest typing errors, if they are few enough;
 * by default a third of the typed text's length.
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
    const changes = typingErrors(typed, name);
    if (changes < least) {
      least = changes;
      best = name;
    }
  }
  return best;
}

/** The option that a wrong name was probably meant to be; undefined if the name resembles none. */
export function resembling(name: string, names: readonly string[]): string | undefined {
  const lower = name.toLowerCase();
  // `grace` means `graceMs`, and `interceptors` means `serverInterceptors`.
  const isPartOf = (it: string) => it.startsWith(lower) || it.endsWith(lower);
  return (
    names.find((it) => it.toLowerCase() === lower || it.toLowerCase() === `${lower}ms`) ??
    nearest(name, names, name.length < 6 ? 1 : 2) ??
    (lower.length < 5 ? undefined : names.find((it) => isPartOf(it.toLowerCase())))
  );
}

/**
 * The number of typing errors between two words: missing, extra or wrong characters, and swapped
 * neighbours.
 */
export function typingErrors(from: string, to: string): number {
  let beforeLast: readonly number[] = [];
  let last: readonly number[] = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const wrong = from[row - 1] === to[column - 1] ? 0 : 1;
      let least = Math.min(last[column - 1]! + wrong, last[column]! + 1, current[column - 1]! + 1);
      const swapped =
        row > 1 &&
        column > 1 &&
        from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1];
      if (swapped) least = Math.min(least, beforeLast[column - 2]! + 1);
      current.push(least);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length]!;
}
