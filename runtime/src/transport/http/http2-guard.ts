import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { monotonicNow } from "../../deadline.ts";
import { MicroError } from "../../error.ts";
import type { TransportLimits } from "../transport.ts";
import { type Allowance, Bucket } from "./allowance.ts";
import { Http2Silence } from "./http2-silence.ts";

/**
 * Streams that may be reset at once, below the 1,000 from which Node 20 leaves a session half dead; and a second for
 * ever, which is what nghttp2 allows too.
 */
const resets: Allowance = { what: "streams were reset", burst: 800, perSecond: 33 };
/** gRPC measures a connection by PING while data flows, once for every round trip. */
const pings: Allowance = { what: "PING was sent", burst: 1_000, perSecond: 100 };
const settings: Allowance = { what: "SETTINGS was sent", burst: 64, perSecond: 1 };

/** What a guard is told. */
export interface Http2GuardOptions {
  readonly limits: TransportLimits;
  /** A session without a stream is closed after this long, in milliseconds. */
  readonly idleTimeoutMs: number;
  /** Called once, before a session is destroyed for a violation. */
  readonly onViolation: (error: MicroError) => void;
}

/**
 * Watches over one HTTP/2 session of a client: one that does not finish its preface, that resets streams again and
 * again (rapid reset; Node 20 neither reports nor ends such a session), or makes it answer PING and SETTINGS, that is
 * silent and does not answer a PING, or that has nothing to do for long.
 */
export class Http2Guard {
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #options: Http2GuardOptions;
  readonly #silence: Http2Silence;
  /** Waits for the end of the preface, and from there on until nothing was to do for long. */
  #timer: NodeJS.Timeout;
  readonly #resets = new Bucket(resets);
  readonly #pings = new Bucket(pings);
  readonly #settings = new Bucket(settings);
  #streams = 0;
  #idleSince = monotonicNow();
  #ended = false;

  constructor(session: ServerHttp2Session, socket: Socket, options: Http2GuardOptions) {
    this.#session = session;
    this.#socket = socket;
    this.#options = options;
    this.#silence = new Http2Silence(session, socket, options.limits, (error) =>
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
    session.on("ping", () => this.#take(this.#pings));
    session.on("stream", (stream) => this.#opened(stream));
    session.once("close", () => this.#end());
    session.on("frameError", () => undefined);
  }

  #opened(stream: ServerHttp2Stream): void {
    this.#streams++;
    stream.once("close", () => {
      this.#streams--;
      this.#idleSince = monotonicNow();
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.#take(this.#resets);
    });
  }

  #take(bucket: Bucket): void {
    if (bucket.take()) return;
    const { what, burst, perSecond } = bucket.allowance;
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
    this.#session.destroy(undefined, code);
    // Node waits for the other side to take the GOAWAY, and this one may never read again.
    setImmediate(() => this.#socket.destroy());
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#silence.end();
  }
}
