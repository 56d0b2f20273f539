import type { Http2Session } from "node:http2";
import { MicroError } from "../../base/error.ts";
import type { TransportLimits } from "../transport.ts";

/**
 * Quarters of `keepaliveIntervalMs` without a byte before a PING is sent, at the latest one whole
 * interval after the last byte.
 */
const quietQuarters = 3;

/**
 * Sends a PING on a silent session, and reports when it has no reply: at the latest
 * `keepaliveIntervalMs` and `keepaliveTimeoutMs` after the last byte. Node does not report when
 * bytes arrive, only how many have arrived, so the count is checked in every quarter of the
 * interval.
 */
export class Http2Keepalive {
  readonly #session: Http2Session;
  readonly #socket: { readonly bytesRead: number };
  readonly #limits: TransportLimits;
  readonly #onDead: (error: MicroError) => void;
  #timer: NodeJS.Timeout | undefined;
  #bytesSeen = 0;
  #quiet = 0;
  #ended = false;

  /**
   * @param socket the session's socket
   * @param onDead called once, when the peer has not replied
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

  /** Starts watching, or restarts because something was received. */
  watch(): void {
    if (this.#ended || this.#session.destroyed) return;
    this.#bytesSeen = this.#socket.bytesRead;
    this.#quiet = 0;
    this.#lookIn(this.#limits.keepaliveIntervalMs / 4, () => this.#look());
  }

  /** Stops watching. */
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
    // A process that was busy this long has bytes waiting in the kernel, which are read before this
    // runs.
    this.#lookIn(this.#limits.keepaliveTimeoutMs, () => setImmediate(() => this.#judge()));
    // Returns false when the maximum number of pings is pending; the timer then decides.
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
