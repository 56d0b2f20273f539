import { monotonicNow } from "../../deadline.ts";

/** An answer of which something waits to be taken. */
export interface UntakenAnswer {
  /** That wait. */
  readonly bytes: number;
  /** When something of it was taken last, or when it began to wait. */
  readonly takenAt: number;
  /** Ends its call: nothing of it waits from here on. */
  giveUp(): void;
}

/** How long untaken answers are kept. */
export interface Patience {
  /** For one of which nothing is taken, in milliseconds. */
  readonly stallMs: number;
  /** What a connection may hold so long, in bytes. */
  readonly mostBytes: number;
  /** For one of a connection that holds more, in milliseconds; at most {@link stallMs}. */
  readonly shortStallMs: number;
}

/**
 * The answers of one connection that wait to be taken by their callers. Those of which nothing is taken for long are
 * given up, and sooner where they hold much: a caller may stop reading, but not for ever at the cost of the server.
 */
export class UntakenAnswers {
  readonly #patience: Patience;
  readonly #answers = new Set<UntakenAnswer>();
  #timer: NodeJS.Timeout | undefined;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  add(answer: UntakenAnswer): void {
    this.#answers.add(answer);
    this.#timer ??= this.#checkIn(this.#patience.shortStallMs);
  }

  delete(answer: UntakenAnswer): void {
    this.#answers.delete(answer);
  }

  /** The connection is closed, and its answers with it. */
  end(): void {
    clearTimeout(this.#timer);
  }

  #checkIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#check(), ms).unref();
  }

  /** The timer goes on while answers wait, so that it costs a busy connection nothing. */
  #check(): void {
    this.#timer = undefined;
    if (this.#answers.size === 0) return;
    const { stallMs, mostBytes, shortStallMs } = this.#patience;
    let bytes = 0;
    for (const answer of this.#answers) bytes += answer.bytes;
    const now = monotonicNow();
    let nextMs = shortStallMs;
    for (const answer of [...this.#answers]) {
      const waitedMs = now - answer.takenAt;
      const leftMs = (bytes > mostBytes ? shortStallMs : stallMs) - waitedMs;
      if (leftMs > 0) {
        nextMs = Math.min(nextMs, Math.ceil(leftMs));
        continue;
      }
      bytes -= answer.bytes;
      answer.giveUp();
    }
    if (this.#answers.size > 0) this.#timer = this.#checkIn(nextMs);
  }
}
