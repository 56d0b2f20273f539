import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";

/*
 * A byte stream over the messages of a backend that may lose them. A message consists of a type and
 * a number (five bytes), followed by bytes of the stream:
 *
 *   data (0)   the chunk with this number
 *   end (1)    as data, without bytes: the stream ends here
 *   ack (2)    all chunks below this number were received
 *   again (3)  as ack, and the chunks from this number on are missing
 *   reset (4)  the stream is aborted
 *
 * A chunk is kept until it is acknowledged. It is sent again when the connection to the backend was
 * lost, when the other side misses it, or when no acknowledgement arrives.
 */

const type = { data: 0, end: 1, ack: 2, again: 3, reset: 4 } as const;
const headBytes = 5;
/** The message that ends a stream. */
export const resetMessage: Uint8Array = Uint8Array.of(type.reset, 0, 0, 0, 0);
const maxChunkBytes = 256 * 1024;
/** Maximum unacknowledged data in flight; more waits, and the writer with it. */
const maxUnackedBytes = 1024 * 1024;
/** An acknowledgement is sent after this many chunks, or after a number of bytes. */
const ackEvery = 16;
const ackEveryBytes = 128 * 1024;
/** Unacknowledged data is sent again after this time. */
const resendMs = 500;
/**
 * What the other side may have sent again at its request: so many bytes, and so many for each byte
 * that it acknowledges. Beyond that, data is sent again after {@link resendMs} only; a request of
 * five bytes would otherwise cost a megabyte each time.
 */
const maxRequestedBytes = 4 * maxUnackedBytes;
const requestedPerAcknowledged = 16;
/** How long the other side may be absent, because it may be reconnecting. */
const goneMs = 3_000;

interface Chunk {
  readonly number: number;
  readonly message: Uint8Array;
}

/** Carries the messages of one {@link MessageSocket}. */
export interface MessageCarrier {
  /** Whether messages can be sent right now; otherwise they are lost. */
  readonly connected: boolean;
  /** Sends a message to the peer, whose name came with its acceptance. */
  send(peer: string, message: Uint8Array): void;
  /** Calls the listener when messages can be sent again, until the returned function is called. */
  onReconnect(listener: () => void): () => void;
  /** Receives no more messages for the socket. */
  close(): void;
}

/**
 * A socket to one peer over the messages of a backend, with the features that the native protocol
 * uses. It is connecting until {@link MessageSocket.accepted}.
 */
export class MessageSocket extends Duplex {
  /** The name of the other side; known once it has replied. */
  peer = "";
  connecting = true;
  readonly #carrier: MessageCarrier;
  readonly #forgetReconnect: () => void;
  /** Whether this side dials, so that its peer may accept it later. */
  readonly #isDialling: boolean;
  #unacked: Chunk[] = [];
  #unackedBytes = 0;
  /** What the other side may still request to be sent again, in bytes. */
  #requestable = maxRequestedBytes;
  #nextOut = 0;
  #nextIn = 0;
  #sinceAck = 0;
  #sinceAckBytes = 0;
  /** The reader's buffer is full; chunks are neither taken nor acknowledged. */
  #full = false;
  #waiting: (() => void) | undefined;
  #finishing: (() => void) | undefined;
  #resend: NodeJS.Timeout | undefined;
  #goneSince: number | undefined;
  #idleMs = 0;
  #idle: NodeJS.Timeout | undefined;

  /** @param peer the other side if it is known, because it has dialled. */
  constructor(carrier: MessageCarrier, peer?: string) {
    super({ allowHalfOpen: false });
    this.#carrier = carrier;
    this.#isDialling = peer === undefined;
    this.#forgetReconnect = carrier.onReconnect(() => this.#sendAgain());
    if (peer !== undefined) this.accepted(peer);
  }

  /** The peer has replied; data written before goes out. Later calls have no effect. */
  accepted(peer: string): void {
    if (!this.connecting) return;
    this.peer = peer;
    this.connecting = false;
    if (this.destroyed) {
      this.#control(type.reset, 0);
      this.#carrier.close();
    } else this.#sendAgain();
  }

  /** As in `net.Socket`: `timeout` is emitted after this time without activity. */
  setTimeout(ms: number): this {
    this.#idleMs = ms;
    this.#touch();
    return this;
  }

  /** Destroys it once all written data has gone out. */
  destroySoon(): void {
    this.end(() => this.destroy());
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    for (let at = 0; at < bytes.length; at += maxChunkBytes) {
      this.#send(type.data, bytes.subarray(at, at + maxChunkBytes));
    }
    if (this.#unackedBytes < maxUnackedBytes) done();
    else this.#waiting = done;
  }

  override _writev(
    chunks: { chunk: Buffer; encoding: string }[],
    done: (error?: Error | null) => void,
  ): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "", done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#send(type.end, Buffer.alloc(0));
    // Unacknowledged data may have to be sent again.
    this.#finishing = done;
  }

  override _read(): void {
    if (!this.#full) return;
    this.#full = false;
    // Chunks that arrived meanwhile were not taken.
    this.#control(type.again, this.#nextIn);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#resend);
    clearTimeout(this.#idle);
    this.#forgetReconnect();
    if (this.#unacked.length > 0 || error !== null) this.#control(type.reset, 0);
    if (error === null && this.connecting && this.#isDialling) {
      // The listener may have accepted a dial that is cancelled here; its acceptance is responded
      // to with a reset.
      setTimeout(() => this.#carrier.close(), goneMs).unref();
    } else this.#carrier.close();
    this.#unacked = [];
    done(error);
  }

  /** Takes a message of the peer. */
  receive(data: Uint8Array): void {
    if (this.destroyed || data.length < headBytes) return;
    this.#goneSince = undefined;
    this.#touch();
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const number = view.getUint32(1);
    switch (data[0]) {
      case type.data:
      case type.end:
        this.#chunk(data[0], number, data);
        break;
      case type.ack:
        this.#acknowledged(number);
        break;
      case type.again:
        this.#acknowledged(number);
        this.#sendRequested();
        break;
      case type.reset:
        this.destroy();
        break;
    }
  }

  /** The backend reports that nothing receives what was sent to the peer, or to the listener. */
  absent(): void {
    if (this.destroyed) return;
    this.#goneSince ??= performance.now();
    if (this.connecting || performance.now() - this.#goneSince > goneMs) {
      const reason = new Error(
        this.connecting ? "nothing listens there" : "the other side is gone",
      );
      this.destroy(Object.assign(reason, { code: "ECONNREFUSED" }));
    }
  }

  #chunk(kind: number, number: number, data: Uint8Array): void {
    const ahead = (number - this.#nextIn) | 0;
    if (ahead !== 0) {
      if (ahead < 0) this.#control(type.ack, this.#nextIn);
      else if (!this.#full) this.#control(type.again, this.#nextIn);
      return;
    }
    if (this.#full) return;
    this.#nextIn = (number + 1) >>> 0;
    if (kind === type.end) {
      this.#control(type.ack, this.#nextIn);
      this.push(null);
      return;
    }
    this.#sinceAck++;
    this.#sinceAckBytes += data.length;
    // A copy would cost; libraries give each message bytes of its own, or from a chunk that they do
    // not modify.
    this.#full = !this.push(
      Buffer.from(data.buffer, data.byteOffset + headBytes, data.length - headBytes),
    );
    if (this.#full || this.#sinceAck >= ackEvery || this.#sinceAckBytes >= ackEveryBytes) {
      this.#control(type.ack, this.#nextIn);
    } else if (this.#sinceAck === 1) {
      setImmediate(() => {
        if (this.#sinceAck > 0 && !this.destroyed) this.#control(type.ack, this.#nextIn);
      });
    }
  }

  #acknowledged(number: number): void {
    const bytesBefore = this.#unackedBytes;
    let count = 0;
    for (const chunk of this.#unacked) {
      if (((chunk.number - number) | 0) >= 0) break;
      this.#unackedBytes -= chunk.message.length;
      count++;
    }
    if (count === 0) return;
    const acknowledged = bytesBefore - this.#unackedBytes;
    this.#requestable = Math.min(
      maxRequestedBytes,
      this.#requestable + requestedPerAcknowledged * acknowledged,
    );
    this.#unacked.splice(0, count);
    clearTimeout(this.#resend);
    this.#resend = undefined;
    if (this.#unacked.length > 0) this.#watch();
    else this.#finishing?.();
    if (this.#unackedBytes < maxUnackedBytes && this.#waiting !== undefined) {
      const done = this.#waiting;
      this.#waiting = undefined;
      done();
    }
  }

  #send(kind: number, bytes: Uint8Array): void {
    const message = new Uint8Array(headBytes + bytes.length);
    message[0] = kind;
    new DataView(message.buffer).setUint32(1, this.#nextOut);
    message.set(bytes, headBytes);
    this.#unacked.push({ number: this.#nextOut, message });
    this.#unackedBytes += message.length;
    this.#nextOut = (this.#nextOut + 1) >>> 0;
    if (!this.connecting) {
      this.#publish(message);
      this.#watch();
    }
  }

  /** Sends again what the other side misses, unless it has requested too much. */
  #sendRequested(): void {
    if (this.#unackedBytes > this.#requestable) return;
    this.#requestable -= this.#unackedBytes;
    this.#sendAgain();
  }

  #sendAgain(): void {
    if (this.connecting || this.destroyed) return;
    clearTimeout(this.#resend);
    this.#resend = undefined;
    for (const { message } of this.#unacked) this.#publish(message);
    if (this.#unacked.length > 0) this.#watch();
  }

  #watch(): void {
    this.#resend ??= setTimeout(() => {
      this.#resend = undefined;
      if (this.#carrier.connected) this.#sendAgain();
      else this.#watch();
    }, resendMs).unref();
  }

  #control(kind: number, number: number): void {
    if (kind !== type.reset) {
      this.#sinceAck = 0;
      this.#sinceAckBytes = 0;
    }
    if (this.peer === "") return;
    const message = new Uint8Array(headBytes);
    message[0] = kind;
    new DataView(message.buffer).setUint32(1, number);
    this.#publish(message);
  }

  #publish(message: Uint8Array): void {
    // While the connection is lost a library would buffer it; this socket does so itself.
    if (this.#carrier.connected) this.#carrier.send(this.peer, message);
  }

  #touch(): void {
    clearTimeout(this.#idle);
    if (this.#idleMs === 0 || this.destroyed) return;
    this.#idle = setTimeout(() => this.emit("timeout"), this.#idleMs).unref();
  }
}
