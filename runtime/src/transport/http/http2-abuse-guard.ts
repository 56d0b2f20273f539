import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { monotonicNow } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import { type Allowance, Bucket } from "../../base/rate-limit.ts";
import type { TransportLimits } from "../transport.ts";
import { Http2Keepalive } from "./http2-keepalive.ts";

/**
 * Streams that may be reset in a burst, below the 1,000 at which nghttp2 stops reading a session
 * and leaves its socket open; and per second in the long run, the same rate that nghttp2 allows.
 */
const resets: Allowance = { what: "streams were reset", burst: 800, perSecond: 33 };
/**
 * Without HEADERS or DATA in between: gRPC measures a connection with PING, once per round trip of
 * a busy connection.
 */
const pings: Allowance = { what: "PING was sent", burst: 1_000, perSecond: 100 };
const settings: Allowance = { what: "SETTINGS was sent", burst: 64, perSecond: 1 };

/** Options of an {@link Http2AbuseGuard}. */
export interface Http2AbuseGuardOptions {
  readonly limits: TransportLimits;
  /** A session without a stream is closed after this long, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Streams that the client may have open at once. */
  readonly maxConcurrentStreams: number;
  /** Returns how many headers and messages of responses were sent on the connection so far. */
  readonly sentMessages: () => number;
  /**
   * Called once, before a session is destroyed for a violation. Node still reports streams that it
   * has already read.
   */
  readonly onViolation: (error: MicroError) => void;
}

/**
 * Ends HTTP/2 sessions of abusive or idle clients: those that do not finish the preface, that
 * repeatedly reset streams or make the server reset them (CVE-2023-44487, CVE-2025-8671), that
 * flood with PING or SETTINGS, that do not respond to a PING, or that are idle for too long.
 */
export class Http2AbuseGuard {
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #options: Http2AbuseGuardOptions;
  readonly #silence: Http2Keepalive;
  /** Runs until the preface is complete, and from then on while the session is idle. */
  #timer: NodeJS.Timeout;
  readonly #resets = new Bucket(resets);
  readonly #pings = new Bucket(pings);
  readonly #settings = new Bucket(settings);
  /** Streams that have not closed, including those that were just reset. */
  #streams = 0;
  #sentBefore = 0;
  #idleSince = monotonicNow();
  #ended = false;

  constructor(session: ServerHttp2Session, socket: Socket, options: Http2AbuseGuardOptions) {
    this.#session = session;
    this.#socket = socket;
    this.#options = options;
    this.#silence = new Http2Keepalive(session, socket, options.limits, (error) =>
      this.#violated(error, constants.NGHTTP2_NO_ERROR),
    );
    const { handshakeTimeoutMs } = options.limits;
    this.#timer = setTimeout(
      () =>
        this.#violated(
          new MicroError(
            "deadline_exceeded",
            `the preface of HTTP/2 was not finished within ${handshakeTimeoutMs} ms`,
          ),
          constants.NGHTTP2_SETTINGS_TIMEOUT,
        ),
      handshakeTimeoutMs,
    ).unref();
    session.once("remoteSettings", () => this.#greeted());
    session.on("remoteSettings", () => this.#take(this.#settings));
    session.on("ping", () => this.#pinged());
    session.on("stream", (stream) => this.#opened(stream));
    session.once("close", () => this.#end());
    session.on("frameError", () => undefined);
  }

  /**
   * Counts as gRPC servers do: a PING counts only if nothing was sent to the client since the last
   * one.
   */
  #pinged(): void {
    const sent = this.#options.sentMessages();
    if (sent !== this.#sentBefore) this.#pings.refill();
    this.#sentBefore = sent;
    this.#take(this.#pings);
  }

  /**
   * Resets are judged when another stream is opened, because a client that closes its connection
   * resets all its open streams.
   */
  #opened(stream: ServerHttp2Stream): void {
    this.#streams++;
    stream.once("close", () => {
      this.#streams--;
      this.#idleSince = monotonicNow();
      // A stream that is reset with the success code is aborted too.
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR || stream.aborted) this.#resets.take();
    });
    // Node reads megabytes before it reports that streams have closed. A client that opens more
    // streams than allowed has reset the excess ones.
    const unreported = this.#streams > this.#options.maxConcurrentStreams + resets.burst;
    if (unreported || this.#resets.isOverdrawn) this.#exceeded(resets);
  }

  #take(bucket: Bucket): void {
    if (!bucket.take()) this.#exceeded(bucket.allowance);
  }

  #exceeded({ what, burst, perSecond }: Allowance): void {
    this.#violated(
      new MicroError(
        "resource_exhausted",
        `${what} more than ${burst} times, and ${perSecond} a second`,
      ),
      constants.NGHTTP2_ENHANCE_YOUR_CALM,
    );
  }

  #greeted(): void {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#checkIdle(), this.#options.idleTimeoutMs).unref();
    this.#silence.watch();
  }

  #checkIdle(): void {
    const { idleTimeoutMs } = this.#options;
    const idleMs = this.#streams > 0 ? 0 : monotonicNow() - this.#idleSince;
    if (idleMs >= idleTimeoutMs) this.#session.close();
    else
      this.#timer = setTimeout(() => this.#checkIdle(), Math.ceil(idleTimeoutMs - idleMs)).unref();
  }

  #violated(error: MicroError, code: number): void {
    if (this.#ended) return;
    this.#end();
    this.#options.onViolation(error);
    // Deferred: when a session or its socket is destroyed while Node handles frames that it has
    // read, Node may loop forever, and from version 24 on may end the process.
    setImmediate(() => {
      this.#session.destroy(undefined, code);
      // Node waits for the peer to accept the GOAWAY, and this peer may never read again.
      setImmediate(() => this.#socket.destroy());
    });
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#silence.end();
  }
}
