/**
 * The required share of each goal: all of it with `--check`, for developers who compare figures on
 * a quiet machine; 70 % with `--guard`, in CI, where other machines and other load must not fail a
 * change, but the loss of a third must. Undefined if the figures are only shown.
 */
export function shareOfGoals(words: readonly string[]): number | undefined {
  if (words.includes("--check")) return 1;
  return words.includes("--guard") ? 0.7 : undefined;
}
