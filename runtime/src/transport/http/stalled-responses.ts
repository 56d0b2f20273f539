import { monotonicNow } from "../../base/deadline.ts";

/** A response with data that its caller has not read. */
export interface StalledResponse {
  /** The unread bytes. */
  readonly bytes: number;
  /** When some of it was last read, or when it began to wait. */
  readonly takenAt: number;
  /** Cancels its call, and discards its unread data. */
  giveUp(): void;
}

/** How long unread responses are kept. */
export interface StallLimits {
  /** The time for a response of which nothing is read, in milliseconds. */
  readonly stallMs: number;
  /** What a connection may hold for that time, in bytes. */
  readonly mostBytes: number;
  /**
   * The time for a response of a connection that holds more, in milliseconds; at most
   * {@link stallMs}.
   */
  readonly shortStallMs: number;
}

/**
 * The responses of one connection that their callers have not read. Those that make no progress for
 * a long time are cancelled, and sooner if they hold much: a caller may stop reading, but not
 * indefinitely at the server's expense.
 */
export class StalledResponses {
  readonly #patience: StallLimits;
  readonly #responses = new Set<StalledResponse>();
  #timer: NodeJS.Timeout | undefined;

  constructor(patience: StallLimits) {
    this.#patience = patience;
  }

  add(response: StalledResponse): void {
    this.#responses.add(response);
    this.#timer ??= this.#checkIn(this.#patience.shortStallMs);
  }

  delete(response: StalledResponse): void {
    this.#responses.delete(response);
  }

  /** Ends the tracking, because the connection is closed. */
  end(): void {
    clearTimeout(this.#timer);
  }

  #checkIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#check(), ms).unref();
  }

  /** The timer runs only while responses wait, so that it costs a busy connection nothing. */
  #check(): void {
    this.#timer = undefined;
    if (this.#responses.size === 0) return;
    const { stallMs, mostBytes, shortStallMs } = this.#patience;
    let bytes = 0;
    for (const response of this.#responses) bytes += response.bytes;
    const now = monotonicNow();
    let nextMs = shortStallMs;
    for (const response of [...this.#responses]) {
      const waitedMs = now - response.takenAt;
      const leftMs = (bytes > mostBytes ? shortStallMs : stallMs) - waitedMs;
      if (leftMs > 0) {
        nextMs = Math.min(nextMs, Math.ceil(leftMs));
        continue;
      }
      bytes -= response.bytes;
      response.giveUp();
    }
    if (this.#responses.size > 0) this.#timer = this.#checkIn(nextMs);
  }
}
