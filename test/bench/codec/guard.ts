/**
 * How much of each goal is asked for: all of it with `--check`, for people who look at the numbers on a quiet machine; 70 %
 * with `--guard`, in CI, where other machines and other loads must not fail a change, and a lost third must. Undefined
 * where the figures are only shown.
 */
export function shareOfGoals(words: readonly string[]): number | undefined {
  if (words.includes("--check")) return 1;
  return words.includes("--guard") ? 0.7 : undefined;
}
