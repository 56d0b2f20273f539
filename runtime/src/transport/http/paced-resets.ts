import { type Allowance, Bucket } from "../../base/rate-limit.ts";

/**
 * Streams that may be reset in a burst, and per second in the long run: less than the 800 and 33 at
 * which Micro-ES servers end a connection, and with it the calls of others. nghttp2 does so at
 * 1,000 and 33.
 */
const resets: Allowance = { what: "streams were reset", burst: 700, perSecond: 25 };

/**
 * Resets streams of one HTTP/2 connection only as often as servers tolerate; further resets wait
 * for their turn.
 */
export class PacedResets {
  readonly #bucket = new Bucket(resets);
  readonly #waiting: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  /** Whether a stream is still waiting to be reset. */
  get isBehind(): boolean {
    return this.#timer !== undefined;
  }

  /** Whether a stream may be reset at once; it must then be. */
  takeTurn(): boolean {
    return this.#timer === undefined && this.#bucket.take();
  }

  /**
   * Resolves when a stream may be reset: never immediately, because Node 20 may crash within
   * another event of its session.
   */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#ended || (this.#timer === undefined && this.#bucket.take())) {
        setImmediate(resolve);
        return;
      }
      this.#waiting.push(resolve);
      this.#timer ??= setInterval(() => this.#next(), 1_000 / resets.perSecond).unref();
    });
  }

  /** Stops waiting, because the connection has ended. */
  end(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const resolve of this.#waiting.splice(0)) setImmediate(resolve);
  }

  #next(): void {
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
