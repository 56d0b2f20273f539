/** A question of which nobody knows how many will answer. */
export interface Question {
  /** Asks; called once more when nobody has answered for a while, because packets get lost. */
  ask(): void;
  /** Called with what is to be called at each answer that brings something new. */
  onNews(news: () => void): void;
  /** It is settled when nothing new came for this long after something did. */
  readonly quietMs: number;
  /** It is settled at the latest by then. */
  readonly timeoutMs: number;
  /** Settles it at once. */
  readonly signal: AbortSignal;
}

/** Asks, and resolves when the answers seem to be in. Never rejects. */
export function settled(question: Question): Promise<void> {
  const { quietMs, timeoutMs, signal } = question;
  return new Promise((resolve) => {
    let quiet: NodeJS.Timeout | undefined;
    const end = (): void => {
      clearTimeout(quiet);
      clearTimeout(repeat);
      clearTimeout(limit);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const limit = setTimeout(end, timeoutMs);
    const repeat = setTimeout(() => question.ask(), timeoutMs / 3);
    signal.addEventListener("abort", end);
    question.onNews(() => {
      clearTimeout(repeat);
      clearTimeout(quiet);
      quiet = setTimeout(end, quietMs);
    });
    if (signal.aborted) end();
    else question.ask();
  });
}
