import type { Socket } from "node:net";
import { closeSocket } from "../../base/close-socket.ts";
import { type Deadline, monotonicNow, turnNow } from "../../base/deadline.ts";
import { MicroError } from "../../base/error.ts";
import { AbuseGuard } from "./abuse-guard.ts";
import { type ClockedConnection, ConnectionClock } from "./connection-clock.ts";
import { ConnectionError, errorCode, errorName } from "./error-code.ts";
import { type FrameHandler, FrameReader } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { checkDependency } from "./header-blocks.ts";
import type { Http2Limits } from "./limits.ts";
import { PrefaceReader } from "./preface-reader.ts";
import {
  flag,
  frameType,
  initialTableBytes,
  minFrameBytes,
  preface,
  readUint31,
  readUint32,
} from "./protocol.ts";
import {
  initialSettings,
  readSettings,
  type Settings,
  settingBytes,
  settingsPayload,
} from "./settings.ts";

/** Unsent output, in bytes, above which data waits and a server stops reading. */
const chokedBytes = 1024 * 1024;
/** Replies that a peer may be owed while it does not read, in bytes. */
const maxOwedBytes = 256 * 1024;
/** The most of the text of GOAWAY that is kept or sent, in bytes. */
const maxGoawayTextBytes = 512;

const keepalivePing = Buffer.from("micro-es");
const drainPing = Buffer.from("draining");

/**
 * The part of an HTTP/2 connection that is independent of streams: the preface, SETTINGS, PING,
 * GOAWAY, reading, writing and closing.
 */
export abstract class Connection implements FrameHandler, ClockedConnection {
  readonly socket: Socket;
  readonly limits: Http2Limits;
  readonly writer: FrameWriter;
  /** The settings of the peer. */
  readonly peerSettings: Settings = { ...initialSettings };
  /** The time at which the current chunk arrived. */
  now: Deadline = monotonicNow();
  /** True while the socket accepts no more output. */
  choked = false;
  ended = false;
  /** Why the connection has ended, once it has. */
  closedBy: MicroError | undefined;
  protected readonly guard: AbuseGuard = new AbuseGuard();
  protected readonly clock: ConnectionClock;
  readonly #reader: FrameReader;
  readonly #isServer: boolean;
  readonly #preface: PrefaceReader;
  /** Whether the peer's first SETTINGS have arrived. */
  #greeted = false;
  /** SETTINGS that the peer has not acknowledged. */
  #unacknowledged = 0;
  /** Replies that were written while the peer did not read, in bytes. */
  #owedBytes = 0;

  constructor(socket: Socket, limits: Http2Limits, isServer: boolean) {
    this.socket = socket;
    this.limits = limits;
    this.#isServer = isServer;
    this.#preface = new PrefaceReader(isServer);
    this.#reader = new FrameReader(this, minFrameBytes);
    this.writer = new FrameWriter(socket, (unsent) => this.#flushed(unsent));
    this.clock = new ConnectionClock(this, limits);
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("error", (cause) => this.end(this.broken(cause)));
    socket.on("timeout", () => this.late(errorCode.noError, "the peer reads nothing"));
    socket.on("close", () => this.end(this.broken(undefined)));
  }

  /** Address of the peer, for messages. */
  abstract readonly remote: string;
  abstract readonly openStreams: number;
  /** The last stream of the peer that was or may be processed here. */
  protected abstract readonly lastPeerStream: number;

  abstract dataFrame(stream: number, flags: number, bytes: number, padding: number): void;
  abstract dataBytes(bytes: Uint8Array, start: number, end: number, isLast: boolean): void;
  abstract idle(): void;
  abstract sweepStreams(now: Deadline): Deadline;

  /** Handles HEADERS, CONTINUATION, RST_STREAM, or WINDOW_UPDATE. */
  protected abstract streamFrame(
    type: number,
    flags: number,
    stream: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
  /** Handles the peer's settings, which have changed. `isFirst` for the first ones. */
  protected abstract settingsChanged(isFirst: boolean): void;
  /** Called when the peer has acknowledged the settings of this side. */
  protected abstract settled(): void;
  /** Handles that the peer accepts no streams after this one. */
  protected abstract wentAway(lastStream: number, code: number, text: string): void;
  /** Called for the reply to the PING of {@link pingBeforeGoodbye}. */
  protected abstract drainPinged(): void;
  /** Called when the socket accepts output again. */
  protected abstract unchoked(): void;
  /** Called once, when the connection has ended. */
  protected abstract connectionEnded(reason: MicroError, violated: boolean): void;

  /** Whether the peer's settings are known. */
  get greeted(): boolean {
    return this.#greeted;
  }

  get isReading(): boolean {
    return !(this.choked && this.#isServer);
  }

  get backlogSent(): number | undefined {
    const { bytesWritten, writableLength } = this.socket;
    return writableLength === 0 ? undefined : bytesWritten - writableLength;
  }

  /** Sends the preface and the settings of this side. */
  greet(settings: Partial<Settings>): void {
    if (!this.#isServer) this.socket.write(preface);
    this.writer.frame(
      frameType.settings,
      0,
      0,
      settingsPayload({ headerTableSize: initialTableBytes, ...settings }),
    );
    this.#unacknowledged++;
    this.clock.settling();
  }

  /** Receives the next bytes, which must not be modified afterwards. */
  receive(chunk: Buffer): void {
    if (this.ended) return;
    this.now = turnNow();
    // Not a Buffer: data is passed on as subarrays, which would be Buffers too.
    const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#read(bytes);
    if (this.ended) return;
    // The reader holds what it received meanwhile, so nothing more must come.
    if (this.#reader.isPaused) this.socket.pause();
    this.#timeFrame(chunk.length);
  }

  frame(
    type: number,
    flags: number,
    stream: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    this.expectSettings(type);
    switch (type) {
      case frameType.settings:
        this.#settings(flags, bytes, start, end);
        break;
      case frameType.ping:
        this.#ping(flags, bytes.subarray(start, end));
        break;
      case frameType.goaway:
        this.#goaway(bytes, start, end);
        break;
      case frameType.priority:
        this.guard.idleFrame();
        checkDependency(stream, bytes, start);
        break;
      case frameType.pushPromise:
        throw new ConnectionError(errorCode.protocolError, "received PUSH_PROMISE");
      default:
        this.streamFrame(type, flags, stream, bytes, start, end);
    }
  }

  unknownFrame(): void {
    this.expectSettings(-1);
    this.guard.idleFrame();
  }

  /** @throws ConnectionError if the first frame is not SETTINGS. */
  protected expectSettings(type: number): void {
    if (this.#greeted || type === frameType.settings) return;
    throw new ConnectionError(errorCode.protocolError, "the first frame was not SETTINGS");
  }

  ping(): void {
    this.writer.frame(frameType.ping, 0, 0, keepalivePing);
  }

  /** Sends a PING, whose reply shows that the peer has read everything before it. */
  protected pingBeforeGoodbye(): void {
    this.writer.frame(frameType.ping, 0, 0, drainPing);
  }

  /**
   * Pauses reading until what was read has taken effect: one chunk may hold thousands of requests,
   * each with a large response.
   */
  protected restReading(): void {
    this.#reader.pause();
    setImmediate(continueReading, this);
  }

  /** Resumes reading after {@link restReading}. */
  continueReading(): void {
    if (this.ended || !this.isReading) return;
    this.#read();
    if (this.ended) return;
    if (this.isReading && !this.#reader.isPaused) this.socket.resume();
    this.#timeFrame(0);
  }

  /** Announces that streams after this one are not processed. */
  protected goAway(lastStream: number, code: number, text: string): void {
    const bytes = Buffer.from(text).subarray(0, maxGoawayTextBytes);
    this.writer.goaway(lastStream, code, bytes);
  }

  late(code: number, message: string): void {
    this.violated(new ConnectionError(code, message), "deadline_exceeded");
  }

  /** Ends the connection because the peer violated the protocol or a limit, and tells it why. */
  violated(cause: ConnectionError, code?: "deadline_exceeded"): void {
    if (this.ended) return;
    this.goAway(this.lastPeerStream, cause.code, cause.message);
    this.writer.flush();
    const isLimit = cause.code === errorCode.enhanceYourCalm;
    this.end(
      new MicroError(code ?? (isLimit ? "resource_exhausted" : "unavailable"), cause.message, {
        cause,
      }),
      true,
    );
  }

  /** Flushes the output, and ends the connection. */
  finish(reason: MicroError): void {
    if (this.ended) return;
    this.writer.flush();
    this.end(reason);
  }

  /** Ends the connection. What the socket was given is still sent, if the peer accepts it soon. */
  end(reason: MicroError, violated = false): void {
    if (this.ended) return;
    this.ended = true;
    this.closedBy = reason;
    this.clock.end();
    this.#reader.stop();
    this.writer.destroy();
    closeSocket(this.socket, violated);
    this.connectionEnded(reason, violated);
  }

  protected broken(cause: Error | undefined): MicroError {
    return new MicroError(
      "unavailable",
      cause === undefined
        ? `the connection to ${this.remote} was closed by the other side`
        : `the connection to ${this.remote} broke: ${cause.message}`,
      cause === undefined ? undefined : { cause },
    );
  }

  /** Reads the next bytes, or those that were held. A violation ends the connection. */
  #read(bytes?: Uint8Array): void {
    try {
      if (bytes === undefined) this.#reader.resume();
      else if (this.#preface.isComplete) this.#reader.push(bytes);
      else this.#reader.push(this.#preface.read(bytes));
    } catch (reason) {
      this.violated(this.#violation(reason));
    }
  }

  /** Limits the time of a frame that is incomplete after these bytes. */
  #timeFrame(bytes: number): void {
    if (this.#reader.atBoundary) this.clock.complete();
    else this.clock.incomplete(this.#reader.completed, bytes);
  }

  #violation(reason: unknown): ConnectionError {
    if (!(reason instanceof ConnectionError)) {
      return new ConnectionError(errorCode.internalError, `failed: ${String(reason)}`);
    }
    if (this.#isServer || this.#greeted) return reason;
    // An HTTP/1.1 server responds to the preface with a status line, which is read as a frame.
    const text = `the server does not support HTTP/2: ${reason.message}`;
    return new ConnectionError(reason.code, text);
  }

  #settings(flags: number, bytes: Uint8Array, start: number, end: number): void {
    if ((flags & flag.ack) !== 0) {
      if (start !== end) throw wrongLength("SETTINGS with ACK", end - start);
      if (this.#unacknowledged === 0) return;
      this.#unacknowledged--;
      this.clock.settled();
      this.settled();
      return;
    }
    if ((end - start) % settingBytes !== 0) throw wrongLength("SETTINGS", end - start);
    this.guard.settings();
    readSettings(this.peerSettings, bytes, start, end);
    const isFirst = !this.#greeted;
    this.#greeted = true;
    this.#reply(frameType.settings, empty);
    if (isFirst) this.clock.greeted();
    this.settingsChanged(isFirst);
  }

  #ping(flags: number, payload: Uint8Array): void {
    if ((flags & flag.ack) === 0) {
      this.guard.ping();
      this.#reply(frameType.ping, payload);
    } else if (drainPing.equals(payload)) this.drainPinged();
  }

  /** Acknowledges a frame. A peer that does not read may cause only so many replies. */
  #reply(type: number, payload: Uint8Array): void {
    if (this.choked) {
      this.#owedBytes += 9 + payload.length;
      if (this.#owedBytes > maxOwedBytes) {
        throw new ConnectionError(
          errorCode.enhanceYourCalm,
          "frames were sent whose replies were not read",
        );
      }
    }
    this.writer.frame(type, flag.ack, 0, payload);
  }

  #goaway(bytes: Uint8Array, start: number, end: number): void {
    const code = readUint32(bytes, start + 4);
    const text = Buffer.from(
      bytes.subarray(start + 8, Math.min(end, start + 8 + maxGoawayTextBytes)),
    );
    this.wentAway(
      readUint31(bytes, start),
      code,
      `${errorName(code)} ${text.toString()}`.trimEnd(),
    );
  }

  #flushed(unsent: number): void {
    if (unsent <= chokedBytes || this.choked || this.ended) return;
    this.choked = true;
    this.#owedBytes = 0;
    // A client continues to read: if both sides stopped, neither would ever resume.
    if (this.#isServer) {
      this.socket.pause();
      this.#reader.pause();
    }
    // Unlike a PING queued behind the pending output, the socket's own timeout detects progress in
    // writing. It ends the connection at the second of two consecutive timeouts if the peer
    // accepted something before the first.
    this.socket.setTimeout((this.limits.keepaliveIntervalMs + this.limits.keepaliveTimeoutMs) / 2);
  }

  #drained(): void {
    this.writer.drained();
    if (!this.choked || this.ended) return;
    this.choked = false;
    this.socket.setTimeout(0);
    this.now = monotonicNow();
    this.unchoked();
    if (!this.#isServer || this.choked) return;
    this.continueReading();
  }
}

function continueReading(connection: Connection): void {
  connection.continueReading();
}

const empty = new Uint8Array(0);

function wrongLength(what: string, bytes: number): ConnectionError {
  return new ConnectionError(errorCode.frameSizeError, `received ${what} of ${bytes} bytes`);
}
