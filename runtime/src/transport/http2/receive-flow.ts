import type { FrameWriter } from "./frame-writer.ts";
import { frameType, initialWindowBytes } from "./protocol.ts";
import type { Http2Stream } from "./stream.ts";

/**
 * The windows for what the peer sends. A stream's window opens again as its receiver consumes the
 * data, so that a slow receiver stops its sender. The connection's window opens again as data
 * arrives, so that a slow stream does not stop the others, until the streams together hold too
 * much.
 */
export class ReceiveFlow {
  readonly #writer: FrameWriter;
  readonly #windowBytes: number;
  readonly #streamWindowBytes: number;
  readonly #maxUnreadBytes: number;
  /** What the peer may send on the connection, in bytes. */
  #window: number = initialWindowBytes;
  /**
   * How far a stream's window may be overdrawn: until the peer knows the setting, it assumes the
   * initial window.
   */
  #slack: number;
  /** Bytes that arrived and were not consumed, over all streams. */
  unreadBytes = 0;

  constructor(
    writer: FrameWriter,
    streamWindowBytes: number,
    windowBytes: number,
    maxUnreadBytes: number,
  ) {
    this.#writer = writer;
    this.#streamWindowBytes = streamWindowBytes;
    this.#windowBytes = Math.max(windowBytes, initialWindowBytes);
    this.#maxUnreadBytes = maxUnreadBytes;
    this.#slack = Math.max(0, initialWindowBytes - streamWindowBytes);
  }

  /** Opens the connection's window to its full size. */
  open(): void {
    if (this.#windowBytes > this.#window) this.#announce(this.#windowBytes - this.#window);
  }

  /** Called when the peer has acknowledged the settings. */
  settled(): void {
    this.#slack = 0;
  }

  /** Counts the payload of a DATA frame. Returns false if it exceeds the connection's window. */
  receive(bytes: number): boolean {
    this.#window -= bytes;
    return this.#window >= 0;
  }

  /** Counts it against the stream's window too, where it stays until it is consumed. */
  receiveFor(stream: Http2Stream, bytes: number): boolean {
    stream.receiveWindow -= bytes;
    stream.unreadBytes += bytes;
    this.unreadBytes += bytes;
    this.refill();
    return stream.receiveWindow >= -this.#slack;
  }

  /** Handles that a receiver no longer holds data of a stream. */
  consume(stream: Http2Stream, bytes: number): void {
    const consumed = Math.min(bytes, stream.unreadBytes);
    stream.unreadBytes -= consumed;
    this.unreadBytes -= consumed;
    if (!stream.remoteEnded && !stream.closed) {
      stream.unannouncedBytes += consumed;
      if (stream.unannouncedBytes * 2 >= this.#streamWindowBytes) {
        this.#writer.number(frameType.windowUpdate, stream.id, stream.unannouncedBytes);
        stream.receiveWindow += stream.unannouncedBytes;
        stream.unannouncedBytes = 0;
      }
    }
    this.refill();
  }

  /** Handles that a stream was closed, with whatever its receiver had not consumed. */
  forget(stream: Http2Stream): void {
    this.unreadBytes -= stream.unreadBytes;
    stream.unreadBytes = 0;
    this.refill();
  }

  /** Opens the connection's window again, where that is worth a frame. */
  refill(): void {
    const excess = Math.max(0, this.unreadBytes - this.#maxUnreadBytes);
    const missing = this.#windowBytes - excess - this.#window;
    if (missing * 2 >= this.#windowBytes) this.#announce(missing);
  }

  #announce(bytes: number): void {
    this.#window += bytes;
    this.#writer.number(frameType.windowUpdate, 0, bytes);
  }
}
