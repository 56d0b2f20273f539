import type { Socket } from "node:net";
import { closeSocket } from "../../base/close-socket.ts";
import { type Deadline, monotonicNow, turnNow } from "../../base/deadline.ts";
import { asMicroError, codeFromNumber, codeToNumber, MicroError } from "../../base/error.ts";
import { type OutputHolder, unreadOutput } from "../../base/unread-output.ts";
import type { TransportLimits } from "../transport.ts";
import { boundedText } from "./error-status.ts";
import { type FrameHandler, FrameReader } from "./frame-reader.ts";
import { FrameWatch } from "./frame-watch.ts";
import { FrameWriter } from "./frame-writer.ts";
import { readHello, type Settings, writeHello } from "./hello.ts";
import { frameType, initialSettings, maxGoawayTextBytes, preface } from "./protocol.ts";

/** Unsent output, in bytes, above which streams wait and a server stops reading. */
const maxUnsentBytes = 1024 * 1024;

/**
 * Unsent output, in bytes, above which a server replaces responses by errors: calls that were
 * accepted while the output flowed can all end when it does not. This is far more than a client
 * that reads lets accumulate.
 */
const maxUnsentResponseBytes = 64 * 1024 * 1024;

/** Something that waits until the output flows again. */
export interface Resumable {
  resume(): void;
}

/**
 * The part of a native connection that both sides share: preface and HELLO, reading and writing
 * frames, PING, GOAWAY, and closing. Each side adds what frames mean for its calls.
 */
export abstract class Connection implements FrameHandler, OutputHolder {
  readonly socket: Socket;
  readonly limits: TransportLimits;
  readonly writer: FrameWriter;
  /** The settings that the peer has announced. */
  peerSettings: Settings = initialSettings;
  /** The time at which the current chunk arrived. */
  now: Deadline = monotonicNow();
  /** The number of chunks received. */
  chunks = 0;
  /** True while the socket accepts no more output; streams wait until it does. */
  choked = false;
  /** Cost of stream messages that have arrived and are still unread, over all calls. */
  unreadBytes = 0;
  readonly maxUnreadBytes: number;
  /** Why the connection has ended, once it has. */
  closedBy: MicroError | undefined;
  ended = false;

  readonly #reader: FrameReader;
  readonly #frameWatch: FrameWatch;
  readonly #isServer: boolean;
  #prefaceAt = 0;
  #helloSeen = false;
  #waiting: Resumable[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** Number of the last PING whose PONG waits until the output flows again. */
  #owedPong: number | undefined;
  /** When the PING was sent that has had no reply since; 0 if there is none. */
  #pingedAt = 0;

  constructor(socket: Socket, limits: TransportLimits, isServer: boolean) {
    this.socket = socket;
    this.limits = limits;
    this.#isServer = isServer;
    this.maxUnreadBytes = Math.max(1024 * limits.streamWindowBytes, 4 * limits.maxMessageBytes);
    this.#reader = new FrameReader(this, limits.maxMessageBytes);
    this.#frameWatch = new FrameWatch(
      this.#reader,
      limits.handshakeTimeoutMs,
      () => !(this.choked && isServer),
      (error) => this.violated(error),
    );
    this.writer = new FrameWriter(socket, (unsent) => this.#flushed(unsent));
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("error", (cause) => this.end(this.broken(cause)));
    socket.on("timeout", () => this.#silent());
    socket.on("close", () => this.end(this.broken(undefined)));
    this.#timer = setTimeout(() => this.#handshakeTimedOut(), limits.handshakeTimeoutMs);
    this.#timer.unref();
  }

  /** Address of the peer, for messages. */
  abstract readonly remote: string;

  /** How many credentials of the peer this side remembers. */
  protected get rememberedCredentials(): number {
    return 0;
  }

  /** Handles a frame that belongs to a call, or the arrival of HELLO. */
  protected abstract handleFrame(
    type: number,
    flags: number,
    method: number,
    call: number,
    aux: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;

  /** Called when the peer has sent HELLO. */
  protected abstract handshaken(): void;

  /** Called when the peer accepts no further calls. */
  protected abstract wentAway(): void;

  /** Called once, when the connection has ended. */
  protected abstract connectionEnded(reason: MicroError, violated: boolean): void;

  get helloSeen(): boolean {
    return this.#helloSeen;
  }

  /** Sends the preface and HELLO of this side. */
  greet(): void {
    this.socket.write(preface);
    writeHello(this.writer, this.limits, this.rememberedCredentials);
  }

  frame(
    type: number,
    flags: number,
    method: number,
    call: number,
    aux: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    if (!this.#helloSeen) {
      this.#firstFrame(type, aux, bytes, start, end);
      return;
    }
    switch (type) {
      case frameType.hello:
        throw new MicroError("invalid_argument", "received a second HELLO");
      case frameType.ping:
        // A peer that does not read its PONGs gets a single one for all its PINGs, once it reads
        // again.
        if (this.choked) this.#owedPong = aux;
        else this.writer.bare(frameType.pong, 0, 0, aux);
        break;
      case frameType.pong:
        break;
      case frameType.goaway:
        this.#goneAway(aux, bytes, start, end);
        break;
      default:
        this.handleFrame(type, flags, method, call, aux, bytes, start, end);
    }
  }

  /**
   * Waits, for a stream's pump, until the output flows again. Returns true if it does not flow now.
   */
  waitForDrain(waiter: Resumable): boolean {
    if (!this.choked) return false;
    this.#waiting.push(waiter);
    return true;
  }

  /** Whether the peer leaves so much unread that no further response may be buffered for it. */
  get outputFull(): boolean {
    const most = Math.max(maxUnsentResponseBytes, 16 * this.limits.maxMessageBytes);
    return this.choked && (this.unsentBytes > most || unreadOutput.isFull(this));
  }

  get unsentBytes(): number {
    return this.socket.writableLength;
  }

  /**
   * Pauses reading until what was read has taken effect, such as responses that fill the output.
   */
  protected restReading(): void {
    this.#reader.pause();
    setImmediate(continueReading, this);
  }

  /** Resumes reading after {@link restReading}. */
  continueReading(): void {
    if (this.ended || (this.choked && this.#isServer)) return;
    this.#read(() => this.#reader.resume());
  }

  /**
   * Announces that this side accepts no further calls, with the reason if that ends the connection.
   */
  goAway(reason?: MicroError): void {
    const { writer } = this;
    writer.open(frameType.goaway, 0, 0, 0, reason === undefined ? 0 : codeToNumber(reason.code));
    if (reason !== undefined) writer.bytes(boundedText(reason.message, maxGoawayTextBytes));
    writer.close();
  }

  /** Ends the connection because the peer violated the protocol or a limit, and tells it why. */
  violated(reason: MicroError): void {
    if (this.ended) return;
    if (this.#helloSeen) this.goAway(reason);
    this.writer.flush();
    this.end(reason, true);
  }

  /** Flushes the written output, and ends the connection. */
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
    clearTimeout(this.#timer);
    this.#frameWatch.end();
    this.#reader.stop();
    this.writer.destroy();
    unreadOutput.forget(this);
    closeSocket(this.socket, violated);
    const waiting = this.#waiting;
    this.#waiting = [];
    this.connectionEnded(reason, violated);
    for (const waiter of waiting) waiter.resume();
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

  #received(chunk: Buffer): void {
    // A Uint8Array, not a Buffer: messages are subarrays of it, and would all be Buffers too.
    this.receive(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
  }

  /** Receives the next bytes, which must not be modified afterwards. */
  receive(bytes: Uint8Array): void {
    if (this.ended) return;
    this.now = turnNow();
    this.chunks++;
    try {
      this.#reader.push(this.#prefaceAt < preface.length ? this.#readPreface(bytes) : bytes);
    } catch (reason) {
      this.violated(asMicroError(reason, "internal"));
      return;
    }
    if (!this.#reader.atBoundary && this.#helloSeen) this.#frameWatch.begin();
  }

  /** Where the next bytes may be read to avoid a copy, if possible. */
  get room(): Uint8Array | undefined {
    return this.#reader.room;
  }

  /** Reads frames. A violation ends the connection. */
  #read(frames: () => void): void {
    try {
      frames();
    } catch (reason) {
      this.violated(asMicroError(reason, "internal"));
    }
  }

  /** Checks the first bytes of the connection, and returns the bytes after them. */
  #readPreface(chunk: Uint8Array): Uint8Array {
    let at = 0;
    while (at < chunk.length && this.#prefaceAt < preface.length) {
      if (chunk[at++] === preface[this.#prefaceAt++]) continue;
      if (this.#isServer && this.#prefaceAt === 5) {
        this.socket.write(preface);
        const reason = new MicroError(
          "unimplemented",
          `this side speaks version ${preface[4]} of the native protocol and not ${chunk[at - 1]}`,
        );
        this.goAway(reason);
        throw reason;
      }
      throw new MicroError(
        "invalid_argument",
        `${this.remote} does not speak the native protocol: check that it is a Micro-ES address`,
      );
    }
    if (this.#isServer && this.#prefaceAt === preface.length) this.greet();
    return chunk.subarray(at);
  }

  #firstFrame(type: number, aux: number, bytes: Uint8Array, start: number, end: number): void {
    if (type === frameType.goaway && aux !== 0) {
      this.#goneAway(aux, bytes, start, end);
      return;
    }
    if (type !== frameType.hello) {
      throw new MicroError("invalid_argument", `received frame type ${type} before HELLO`);
    }
    this.peerSettings = readHello(bytes, start, end);
    this.#helloSeen = true;
    this.#watchSilence();
    this.handshaken();
  }

  #goneAway(code: number, bytes: Uint8Array, start: number, end: number): void {
    if (code === 0) {
      this.wentAway();
      return;
    }
    const text = Buffer.from(bytes.subarray(start, end)).toString("utf8");
    this.end(
      new MicroError(
        "unavailable",
        `${this.remote} ended the connection: ${codeFromNumber(code)}: ${text}`,
        // No call is open before HELLO.
        { outcome: this.#helloSeen ? "unknown" : "not-executed" },
      ),
    );
  }

  #flushed(unsent: number): void {
    if (unsent <= maxUnsentBytes || this.choked || this.ended) return;
    this.choked = true;
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
    if (this.#owedPong !== undefined) {
      this.writer.bare(frameType.pong, 0, 0, this.#owedPong);
      this.#owedPong = undefined;
    }
    if (this.#isServer) {
      this.socket.resume();
      this.#read(() => this.#reader.resume());
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) waiter.resume();
  }

  #handshakeTimedOut(): void {
    this.end(
      new MicroError(
        "deadline_exceeded",
        `${this.remote} did not complete its handshake within ${this.limits.handshakeTimeoutMs} ms`,
        { outcome: "not-executed" },
      ),
      true,
    );
  }

  #watchSilence(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#checkSilence(), this.limits.keepaliveIntervalMs);
    this.#timer.unref();
  }

  #checkSilence(): void {
    const { keepaliveIntervalMs, keepaliveTimeoutMs } = this.limits;
    if (this.#pingedAt > this.now && !this.choked) {
      // A process that was busy this long has bytes waiting in the kernel, which are read before
      // this runs.
      setImmediate(() => this.#judgeSilence());
      return;
    }
    this.#pingedAt = 0;
    let nextMs = this.choked
      ? keepaliveIntervalMs
      : keepaliveIntervalMs - (monotonicNow() - this.now);
    if (nextMs <= 0) {
      this.#pingedAt = monotonicNow();
      this.writer.bare(frameType.ping, 0, 0, 0);
      nextMs = keepaliveTimeoutMs;
    }
    this.#timer = setTimeout(() => this.#checkSilence(), Math.ceil(nextMs));
    this.#timer.unref();
  }

  #judgeSilence(): void {
    if (this.ended) return;
    if (this.#pingedAt > this.now && !this.choked) this.#silent();
    else this.#watchSilence();
  }

  #silent(): void {
    this.end(
      new MicroError(
        "unavailable",
        `${this.remote} was silent for ${this.limits.keepaliveIntervalMs} ms and did not acknowledge a PING within ${this.limits.keepaliveTimeoutMs} ms`,
      ),
      true,
    );
  }
}

function continueReading(connection: Connection): void {
  connection.continueReading();
}
