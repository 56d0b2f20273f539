import { waitUntilAborted } from "../../base/abort.ts";

/** A query with an unknown number of replies. */
export interface Question {
  /**
   * Sends the query; called once more when no reply has arrived for a while, because packets get
   * lost.
   */
  ask(): void;
  /** Registers the function to call for each reply that adds something new. */
  onNews(news: () => void): void;
  /** The query is settled when this long has passed since the last new reply. */
  readonly quietMs: number;
  /** The query is settled after this time at the latest. */
  readonly timeoutMs: number;
  /** Settles the query immediately. */
  readonly signal: AbortSignal;
}

/** Sends the query, and resolves when the replies appear to be complete. Never rejects. */
export function settled(question: Question): Promise<void> {
  const { quietMs, timeoutMs, signal } = question;
  return waitUntilAborted(signal, (done) => {
    let quiet: NodeJS.Timeout | undefined;
    const limit = setTimeout(done, timeoutMs);
    const repeat = setTimeout(() => question.ask(), timeoutMs / 3);
    question.onNews(() => {
      clearTimeout(repeat);
      clearTimeout(quiet);
      quiet = setTimeout(done, quietMs);
    });
    question.ask();
    return () => {
      clearTimeout(quiet);
      clearTimeout(repeat);
      clearTimeout(limit);
    };
  });
}
