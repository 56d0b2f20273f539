import { type Deadline, DeadlineSweep, monotonicNow } from "../../base/deadline.ts";
import { errorCode } from "./error-code.ts";
import type { Http2Limits } from "./limits.ts";

const never = Number.POSITIVE_INFINITY;

/** The least time between two looks at the clock, in milliseconds. */
const minimumDelayMs = 20;

/** The slowest that an incomplete frame may arrive, in bytes per millisecond. */
const slowestBytesPerMs = 16.384;

/** What a {@link ConnectionClock} needs of its connection. */
export interface ClockedConnection {
  /** When the last bytes arrived. */
  readonly now: Deadline;
  /** Whether bytes are read; otherwise time in which none arrive does not count. */
  readonly isReading: boolean;
  /**
   * Bytes that the system has accepted so far, while more waits for the peer to read; undefined if
   * nothing waits, when it says nothing about the peer that the system accepts more.
   */
  readonly backlogSent: number | undefined;
  readonly openStreams: number;
  ping(): void;
  /** Called when a connection without streams is no longer needed. */
  idle(): void;
  /** Called when the peer failed to do something in time. */
  late(code: number, message: string): void;
  /** Ends the streams whose time has come, and returns when to look again. */
  sweepStreams(now: Deadline): Deadline;
}

/** All deadlines of one connection, with one timer. */
export class ConnectionClock {
  readonly #connection: ClockedConnection;
  readonly #limits: Http2Limits;
  readonly #sweep: DeadlineSweep;
  /** Until when the preface and SETTINGS must arrive. */
  #handshakeAt: Deadline;
  /** Until when the acknowledgement of SETTINGS must arrive. */
  #settledAt: Deadline = never;
  /** Until when the incomplete frame must be complete, and which one that is. */
  #frameAt: Deadline = never;
  #frame = -1;
  /** Until when there must be a reply to PING, and when that was sent. */
  #pongAt: Deadline = never;
  #pingedAt: Deadline = 0;
  /** The connection's `backlogSent` when PING was sent, or when the peer was last seen to read. */
  #backlogSent: number | undefined;
  #idleSince: Deadline;
  #ended = false;

  constructor(connection: ClockedConnection, limits: Http2Limits) {
    this.#connection = connection;
    this.#limits = limits;
    this.#sweep = new DeadlineSweep((now) => this.#look(now), minimumDelayMs);
    const now = monotonicNow();
    this.#idleSince = now;
    this.#handshakeAt = now + limits.handshakeTimeoutMs;
    this.#sweep.watch(this.#handshakeAt);
  }

  /** Called when the peer's first SETTINGS have arrived. */
  greeted(): void {
    this.#handshakeAt = never;
    const { keepaliveIntervalMs, idleTimeoutMs } = this.#limits;
    this.#sweep.watch(this.#connection.now + Math.min(keepaliveIntervalMs, idleTimeoutMs));
  }

  /** Called when SETTINGS were sent. */
  settling(): void {
    // A process that is busy may take longer than for its first bytes.
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#limits;
    this.#settledAt = monotonicNow() + keepaliveIntervalMs + keepaliveTimeoutMs;
    this.#sweep.watch(this.#settledAt);
  }

  settled(): void {
    this.#settledAt = never;
  }

  /** Called when a stream was closed. */
  closedStream(): void {
    this.#idleSince = this.#connection.now;
  }

  /**
   * Called when a chunk ends within a frame. All that follows waits for it, so it must be complete
   * within a grace period, plus one second for each 16 KiB of it that has arrived.
   *
   * @param frame number of the frame
   * @param bytes length of the chunk
   */
  incomplete(frame: number, bytes: number): void {
    if (frame === this.#frame && this.#frameAt !== never) {
      this.#frameAt += bytes / slowestBytesPerMs;
      return;
    }
    this.#frame = frame;
    this.#frameAt = this.#connection.now + this.#limits.handshakeTimeoutMs;
    this.#sweep.watch(this.#frameAt);
  }

  complete(): void {
    this.#frameAt = never;
  }

  /** Ensures that streams are swept at this time at the latest. */
  watch(deadline: Deadline): void {
    if (!this.#ended) this.#sweep.watch(deadline);
  }

  end(): void {
    this.#ended = true;
    this.#sweep.close();
  }

  #look(now: Deadline): Deadline {
    // A process that was busy this long has bytes waiting in the kernel, which are read first.
    if (now >= Math.min(this.#handshakeAt, this.#settledAt, this.#frameAt, this.#pongAt)) {
      setImmediate(() => {
        if (!this.#ended) this.#judge();
        if (!this.#ended) this.#sweep.watch(this.#nextLook(monotonicNow()));
      });
      return never;
    }
    return this.#nextLook(now);
  }

  /** Ends the connection if the peer is late. */
  #judge(): void {
    const now = monotonicNow();
    const { handshakeTimeoutMs, keepaliveIntervalMs, keepaliveTimeoutMs } = this.#limits;
    const connection = this.#connection;
    if (now >= this.#handshakeAt) {
      connection.late(
        errorCode.settingsTimeout,
        `the preface of HTTP/2 was not finished within ${handshakeTimeoutMs} ms`,
      );
    } else if (now >= this.#settledAt) {
      connection.late(
        errorCode.settingsTimeout,
        `SETTINGS were not acknowledged within ${keepaliveIntervalMs + keepaliveTimeoutMs} ms`,
      );
    } else if (!connection.isReading) {
      // What the peer has sent may wait in the kernel.
      this.#frameAt = this.#frameAt === never ? never : now + handshakeTimeoutMs;
      this.#pongAt = never;
    } else if (now >= this.#frameAt) {
      connection.late(
        errorCode.enhanceYourCalm,
        `a frame was not complete within ${handshakeTimeoutMs} ms and a second for each 16 KiB`,
      );
    } else if (now >= this.#pongAt) {
      if (connection.now > this.#pingedAt) this.#pongAt = never;
      else if (this.#hasReadOn()) this.#pongAt = now + keepaliveTimeoutMs;
      else {
        connection.late(
          errorCode.noError,
          `nothing was received for ${keepaliveIntervalMs} ms, and a PING was not acknowledged within ${keepaliveTimeoutMs} ms`,
        );
      }
    }
  }

  /** Whether a slow peer has meanwhile read some of what was sent before the PING. */
  #hasReadOn(): boolean {
    const before = this.#backlogSent;
    const now = this.#connection.backlogSent;
    this.#backlogSent = now;
    return before !== undefined && now !== before;
  }

  /** Does what is due, and returns when something may be due next. */
  #nextLook(now: Deadline): Deadline {
    const connection = this.#connection;
    const streamsAt = connection.sweepStreams(now);
    if (this.#ended) return never;
    const silentAt = this.#silentAt(now);
    const idleAt = this.#idleAt(now);
    if (this.#ended) return never;
    return Math.min(
      streamsAt,
      silentAt,
      idleAt,
      this.#handshakeAt,
      this.#settledAt,
      this.#frameAt,
      this.#pongAt,
    );
  }

  /** Sends a PING on a silent connection. */
  #silentAt(now: Deadline): Deadline {
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.#limits;
    const connection = this.#connection;
    if (this.#handshakeAt !== never) return never;
    if (this.#pongAt !== never) {
      if (connection.now <= this.#pingedAt) return never;
      this.#pongAt = never;
    }
    if (!connection.isReading) return now + keepaliveIntervalMs;
    const silentAt = connection.now + keepaliveIntervalMs;
    if (silentAt > now) return silentAt;
    this.#pingedAt = now;
    this.#pongAt = now + keepaliveTimeoutMs;
    this.#backlogSent = connection.backlogSent;
    connection.ping();
    return never;
  }

  #idleAt(now: Deadline): Deadline {
    const { idleTimeoutMs } = this.#limits;
    const connection = this.#connection;
    if (idleTimeoutMs === never) return never;
    if (connection.openStreams > 0) return now + idleTimeoutMs;
    const idleAt = this.#idleSince + idleTimeoutMs;
    if (idleAt > now) return idleAt;
    connection.idle();
    return never;
  }
}
