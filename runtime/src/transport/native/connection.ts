import type { Socket } from "node:net";
import { type Deadline, monotonicNow, turnNow } from "../../deadline.ts";
import { asMicroError, codeFromNumber, codeToNumber, MicroError } from "../../error.ts";
import type { TransportLimits } from "../transport.ts";
import { type FrameHandler, FrameReader } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { frameType, initialSettings, maxGoawayTextBytes, preface } from "./protocol.ts";
import { readHello, type Settings, writeHello } from "./settings.ts";
import { boundedText } from "./status.ts";

/** Output that the socket has not passed on from which streams wait and a server stops reading. */
const maxUnsentBytes = 1024 * 1024;

/** Something that waits for the output to flow again. */
export interface Resumable {
  resume(): void;
}

/**
 * What both sides of a native connection have in common: preface and HELLO, reading and writing frames,
 * PING, GOAWAY, and how it ends. The sides add what frames mean to calls.
 */
export abstract class Connection implements FrameHandler {
  readonly socket: Socket;
  readonly limits: TransportLimits;
  readonly writer: FrameWriter;
  /** What the other side takes. */
  peerSettings: Settings = initialSettings;
  /** The time at which the chunk came that is being read. */
  now: Deadline = monotonicNow();
  /** True as long as the socket takes no more; streams wait until it does. */
  choked = false;
  /** Cost of stream messages that came and that nobody has read yet, over all calls. */
  unreadBytes = 0;
  readonly maxUnreadBytes: number;
  /** Set when the connection has ended. */
  closedBy: MicroError | undefined;
  ended = false;

  readonly #reader: FrameReader;
  readonly #isServer: boolean;
  #prefaceAt = 0;
  #helloSeen = false;
  #waiting: Resumable[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** When the PING was sent that nothing was heard since; 0 when there is none. */
  #pingedAt = 0;

  constructor(socket: Socket, limits: TransportLimits, isServer: boolean) {
    this.socket = socket;
    this.limits = limits;
    this.#isServer = isServer;
    this.maxUnreadBytes = Math.max(1024 * limits.streamWindowBytes, 4 * limits.maxMessageBytes);
    this.#reader = new FrameReader(this, limits.maxMessageBytes);
    this.writer = new FrameWriter(socket, (unsent) => this.#flushed(unsent));
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("drain", () => this.#drained());
    socket.on("error", (cause) => this.end(this.broken(cause)));
    socket.on("timeout", () => this.#silent());
    socket.on("close", () => this.end(this.broken(undefined)));
    this.#timer = setTimeout(() => this.#handshakeTimedOut(), limits.handshakeTimeoutMs);
    this.#timer.unref();
  }

  /** Where the other side is, for messages. */
  abstract readonly remote: string;

  /** A frame that belongs to a call, or HELLO's arrival, for the side to act on. */
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

  /** The other side has said HELLO. */
  protected abstract handshaken(): void;

  /** The other side takes no further call. */
  protected abstract wentAway(): void;

  /** The connection is over; called once. */
  protected abstract connectionEnded(reason: MicroError, violated: boolean): void;

  get helloSeen(): boolean {
    return this.#helloSeen;
  }

  /** Preface and HELLO of this side. */
  greet(): void {
    this.socket.write(preface);
    writeHello(this.writer, this.limits);
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
        this.writer.bare(frameType.pong, 0, 0, aux);
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

  /** Waits, as a pump of a stream, until the output flows again. True when it does not flow now. */
  waitForDrain(waiter: Resumable): boolean {
    if (!this.choked) return false;
    this.#waiting.push(waiter);
    return true;
  }

  /** Says that this side takes no further call, with the reason if the connection ends by it. */
  goAway(reason?: MicroError): void {
    const { writer } = this;
    writer.open(frameType.goaway, 0, 0, 0, reason === undefined ? 0 : codeToNumber(reason.code));
    if (reason !== undefined) writer.bytes(boundedText(reason.message, maxGoawayTextBytes));
    writer.close();
  }

  /** Ends the connection because the other side violated the protocol or a limit, and says so. */
  violated(reason: MicroError): void {
    if (this.ended) return;
    if (this.#helloSeen) this.goAway(reason);
    this.writer.flush();
    this.end(reason, true);
  }

  /** Sends what is written, and ends the connection. */
  finish(reason: MicroError): void {
    if (this.ended) return;
    this.writer.flush();
    this.end(reason);
  }

  /** Ends the connection. What the socket was given is still sent, if the other side takes it soon. */
  end(reason: MicroError, violated = false): void {
    if (this.ended) return;
    this.ended = true;
    this.closedBy = reason;
    clearTimeout(this.#timer);
    this.#reader.stop();
    this.writer.destroy();
    this.#closeSocket(violated);
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

  /**
   * Sends what was written, then FIN, and waits a moment for the other side's: closing with its bytes unread
   * would reset the connection, and a reset may overtake what was sent.
   */
  #closeSocket(violated: boolean): void {
    const { socket } = this;
    if (socket.destroyed) return;
    if (socket.connecting) {
      socket.destroy();
      return;
    }
    socket.setTimeout(0);
    if (violated) socket.destroySoon();
    else socket.end();
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), lingerMs);
    timer.unref();
    socket.once("close", () => clearTimeout(timer));
  }

  #received(chunk: Buffer): void {
    // No Buffer from here on: messages are made of parts of it, and of a Buffer each part would be one too.
    this.receive(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
  }

  /** Takes the next bytes. Nobody may write to them afterwards. */
  receive(bytes: Uint8Array): void {
    if (this.ended) return;
    this.now = turnNow();
    try {
      this.#reader.push(this.#prefaceAt < preface.length ? this.#readPreface(bytes) : bytes);
    } catch (reason) {
      this.violated(asMicroError(reason, "internal"));
    }
  }

  /** Where the next bytes may be read to spare a copy, if there is such a place. */
  get room(): Uint8Array | undefined {
    return this.#reader.room;
  }

  /** Reads; a violation that shows ends the connection. */
  #read(frames: () => void): void {
    try {
      frames();
    } catch (reason) {
      this.violated(asMicroError(reason, "internal"));
    }
  }

  /** Checks the first bytes of the connection, and returns what comes after them. */
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
        // Before HELLO there can be no call.
        { outcome: this.#helloSeen ? "unknown" : "not-executed" },
      ),
    );
  }

  #flushed(unsent: number): void {
    if (unsent <= maxUnsentBytes || this.choked || this.ended) return;
    this.choked = true;
    // A client reads on: if both sides stopped, neither would ever go on.
    if (this.#isServer) {
      this.socket.pause();
      this.#reader.pause();
    }
    // The socket's own timeout knows of progress in writing, which a PING behind all that output does not.
    this.socket.setTimeout(this.limits.keepaliveIntervalMs + this.limits.keepaliveTimeoutMs);
  }

  #drained(): void {
    this.writer.drained();
    if (!this.choked || this.ended) return;
    this.choked = false;
    this.socket.setTimeout(0);
    this.now = monotonicNow();
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
        `${this.remote} did not say what it speaks within ${this.limits.handshakeTimeoutMs} ms`,
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
      // Whoever was busy for so long has bytes waiting in the kernel; they are read before this runs.
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
        `${this.remote} was silent for ${this.limits.keepaliveIntervalMs} ms and did not answer a PING within ${this.limits.keepaliveTimeoutMs} ms`,
      ),
      true,
    );
  }
}

/** How long a closed connection may take to send what was written, in milliseconds. */
const lingerMs = 1_000;
