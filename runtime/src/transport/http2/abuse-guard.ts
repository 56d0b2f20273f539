import { type Allowance, Bucket } from "../../base/rate-limit.ts";
import { ConnectionError, errorCode } from "./error-code.ts";

/**
 * Streams that may be reset in a burst, and per second in the long run, by the peer or because of
 * its errors (CVE-2023-44487, CVE-2025-8671): each costs the work of a request.
 */
const resets: Allowance = { what: "streams were reset", burst: 800, perSecond: 33 };
/**
 * Unless something was sent in between: gRPC measures a connection with PING, once per round trip
 * of a busy connection.
 */
const pings: Allowance = { what: "PING was sent", burst: 1_000, perSecond: 100 };
const settings: Allowance = { what: "SETTINGS was sent", burst: 64, perSecond: 1 };
/** Frames that carry nothing, or that nothing depends on. */
const idle: Allowance = {
  what: "frames without effect were sent",
  burst: 1_000,
  perSecond: 100,
};
/** A receiver opens its windows at most twice for each frame of data that it gets. */
const windowUpdates: Allowance = {
  what: "WINDOW_UPDATE was sent",
  burst: 4_000,
  perSecond: 1_000,
};
const updatesPerDataFrame = 4;

/**
 * Ends connections of peers that make this side work without a use: that reset streams, or make
 * this side reset them, and that flood with frames.
 */
export class AbuseGuard {
  readonly #resets = new Bucket(resets);
  readonly #pings = new Bucket(pings);
  readonly #settings = new Bucket(settings);
  readonly #idle = new Bucket(idle);
  readonly #windowUpdates = new Bucket(windowUpdates);
  #sentSincePing = false;
  /** Frames of data that were sent since the last WINDOW_UPDATE. */
  dataFramesSent = 0;

  /** Counts a stream that ended before its time. */
  reset(): void {
    this.#resets.take();
  }

  /**
   * Resets are judged when another stream is opened, because a peer that closes its connection
   * resets all its open streams.
   *
   * @throws ConnectionError, as the other methods do
   */
  opened(): void {
    if (this.#resets.isOverdrawn) throw exceeded(resets);
  }

  /** Called when a header or data was sent. */
  sent(): void {
    this.#sentSincePing = true;
  }

  /** Called when a request was opened, whose stream the peer may reset after it has closed. */
  requested(): void {
    this.#idle.add(1);
  }

  ping(): void {
    if (this.#sentSincePing) this.#pings.refill();
    this.#sentSincePing = false;
    take(this.#pings);
  }

  settings(): void {
    take(this.#settings);
  }

  windowUpdate(): void {
    if (this.dataFramesSent > 0) {
      this.#windowUpdates.add(updatesPerDataFrame * this.dataFramesSent);
      this.dataFramesSent = 0;
    }
    take(this.#windowUpdates);
  }

  /** Counts PRIORITY, an unknown frame, empty DATA, or a frame for a closed stream. */
  idleFrame(): void {
    take(this.#idle);
  }
}

function take(bucket: Bucket): void {
  if (!bucket.take()) throw exceeded(bucket.allowance);
}

function exceeded({ what, burst, perSecond }: Allowance): ConnectionError {
  return new ConnectionError(
    errorCode.enhanceYourCalm,
    `${what} more than ${burst} times, and ${perSecond} a second`,
  );
}
