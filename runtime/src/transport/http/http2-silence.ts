import type { Http2Session } from "node:http2";
import { MicroError } from "../../error.ts";
import type { TransportLimits } from "../transport.ts";

/** Quarters of `keepaliveIntervalMs`, a whole one after the last byte at the latest, before a PING asks. */
const quietQuarters = 3;

/**
 * Asks by PING on a session whose other side says nothing, and tells when that is not answered: `keepaliveIntervalMs`
 * and `keepaliveTimeoutMs` after the last byte at the latest. Node shows nobody when bytes come, only how many came, so
 * that is looked at in every quarter of the interval.
 */
export class Http2Silence {
  readonly #session: Http2Session;
  readonly #socket: { readonly bytesRead: number };
  readonly #limits: TransportLimits;
  readonly #onDead: (error: MicroError) => void;
  #timer: NodeJS.Timeout | undefined;
  #bytesSeen = 0;
  #quiet = 0;
  #ended = false;

  /**
   * @param socket the session's
   * @param onDead called once, when the other side did not answer
   */
  constructor(
    session: Http2Session,
    socket: { readonly bytesRead: number },
    limits: TransportLimits,
    onDead: (error: MicroError) => void,
  ) {
    this.#session = session;
    this.#socket = socket;
    this.#limits = limits;
    this.#onDead = onDead;
  }

  /** Begins to watch, or to do so anew because something was heard. */
  watch(): void {
    if (this.#ended || this.#session.destroyed) return;
    this.#bytesSeen = this.#socket.bytesRead;
    this.#quiet = 0;
    this.#lookIn(this.#limits.keepaliveIntervalMs / 4, () => this.#look());
  }

  /** Watches no more. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #lookIn(ms: number, look: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(look, ms).unref();
  }

  #look(): void {
    if (this.#session.destroyed) return;
    if (this.#socket.bytesRead !== this.#bytesSeen) this.watch();
    else if (++this.#quiet < quietQuarters) this.#timer?.refresh();
    else this.#ping();
  }

  #ping(): void {
    // Whoever was busy for so long has bytes waiting in the kernel; they are read before this runs.
    this.#lookIn(this.#limits.keepaliveTimeoutMs, () => setImmediate(() => this.#judge()));
    // False when as many as are allowed wait for their answers; then the timer has the word.
    this.#session.ping(() => this.watch());
  }

  #judge(): void {
    if (this.#ended || this.#session.destroyed) return;
    if (this.#socket.bytesRead !== this.#bytesSeen) {
      this.watch();
      return;
    }
    this.end();
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#limits;
    this.#onDead(
      new MicroError(
        "unavailable",
        `nothing was heard for ${keepaliveIntervalMs} ms, nor a PING answered within ${keepaliveTimeoutMs} ms`,
      ),
    );
  }
}
