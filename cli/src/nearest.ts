import { typingErrors } from "@micro-es/runtime/suggest";

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

function distance(one: string, other: string): number {
  return typingErrors(one.toLowerCase(), other.toLowerCase());
}
