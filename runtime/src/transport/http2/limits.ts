/** Limits and times of a connection. */
export interface Http2Limits {
  /** Streams that the peer may have open at once. */
  readonly maxConcurrentStreams: number;
  /** The largest header list that is accepted, in bytes, as RFC 9113 section 6.5.2 counts them. */
  readonly maxHeaderListBytes: number;
  /** The most fields of a header list. */
  readonly maxHeaderFields: number;
  /** What a stream may receive before its receiver has consumed it, in bytes. */
  readonly streamWindowBytes: number;
  /** What the peer may have under way on the connection, in bytes. */
  readonly connectionWindowBytes: number;
  /** What receivers may leave unconsumed before the connection's window closes, in bytes. */
  readonly maxUnreadBytes: number;
  /** What may wait to be sent before {@link Http2Connection.outputFull}, in bytes. */
  readonly maxUnsentBytes: number;
  /**
   * Time for the preface and SETTINGS, for the acknowledgement of SETTINGS, and for the start of an
   * incomplete frame, in milliseconds.
   */
  readonly handshakeTimeoutMs: number;
  /** Time without a byte after which a PING is sent, in milliseconds. */
  readonly keepaliveIntervalMs: number;
  /** Time for the reply to a PING, in milliseconds. */
  readonly keepaliveTimeoutMs: number;
  /** Time without a stream after which a server closes a connection, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Time for a stream that waits for the peer to read, in milliseconds. */
  readonly stallTimeoutMs: number;
  /** The same while the connection holds more than {@link maxStalledBytes}. */
  readonly shortStallTimeoutMs: number;
  readonly maxStalledBytes: number;
}

export const defaultHttp2Limits: Http2Limits = {
  maxConcurrentStreams: 1_000,
  maxHeaderListBytes: 32 * 1024,
  maxHeaderFields: 160,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 1024 * 1024,
  maxUnreadBytes: 64 * 1024 * 1024,
  maxUnsentBytes: 64 * 1024 * 1024,
  handshakeTimeoutMs: 5_000,
  keepaliveIntervalMs: 10_000,
  keepaliveTimeoutMs: 5_000,
  idleTimeoutMs: 300_000,
  stallTimeoutMs: 300_000,
  shortStallTimeoutMs: 15_000,
  maxStalledBytes: 16 * 1024 * 1024,
};
