import { monotonicNow } from "../../base/deadline.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { HeaderField } from "./hpack/header-field.ts";
import type { HeaderTemplate } from "./hpack/header-template.ts";
import { initialWindowBytes, maxWindowBytes, minFrameBytes } from "./protocol.ts";
import type { Http2Stream } from "./stream.ts";

/** The most of a frame that is sent in one piece while other streams wait, in bytes. */
const fairShareBytes = 16 * 1024;

/** What {@link SendFlow} needs of its connection. */
export interface SendPort {
  readonly writer: FrameWriter;
  /** Whether the socket accepts no more output. */
  readonly choked: boolean;
  /** Sends trailers now. */
  writeTrailers(
    stream: Http2Stream,
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
  ): void;
  /** Called for each frame of data that is sent. */
  dataFrameSent(): void;
  /** Called when all data of a stream has been sent. */
  sentAll(stream: Http2Stream): void;
}

/**
 * Sends data within the windows of the peer. What exceeds them waits with its stream; streams that
 * could send take turns, one frame each.
 */
export class SendFlow {
  readonly #port: SendPort;
  /** What may be sent on the connection, in bytes. */
  #window: number = initialWindowBytes;
  #initialWindow: number = initialWindowBytes;
  maxFrameBytes: number = minFrameBytes;
  /** The streams that could send if the connection allowed it, in their order. */
  #firstReady: Http2Stream | undefined;
  #lastReady: Http2Stream | undefined;
  /** The streams that have something to send. */
  readonly waiting: Set<Http2Stream> = new Set();
  /** Bytes that wait, over all streams. */
  queuedBytes = 0;
  /** Bytes that were passed to the socket. */
  sentBytes = 0;

  constructor(port: SendPort) {
    this.#port = port;
  }

  /** The window of a new stream. */
  get initialWindow(): number {
    return this.#initialWindow;
  }

  /** Whether so many bytes would not be queued. */
  sendsNow(stream: Http2Stream, bytes: number): boolean {
    const fits = bytes === 0 || (bytes <= stream.sendWindow && bytes <= this.#window);
    return fits && !stream.isWaiting && !this.#port.choked && this.#firstReady === undefined;
  }

  /**
   * Sends or queues data. Returns whether all of it was passed on: if that chokes the socket, the
   * next data waits.
   */
  send(
    stream: Http2Stream,
    bytes: Uint8Array,
    start: number,
    end: number,
    isLast: boolean,
  ): boolean {
    if (this.sendsNow(stream, end - start)) {
      this.#write(stream, bytes, start, end, isLast);
      return true;
    }
    this.#enqueue(stream, bytes, start, end);
    stream.endQueued = isLast;
    this.pump();
    return !stream.isWaiting;
  }

  /** Sends trailers, after the data that waits. */
  sendTrailers(
    stream: Http2Stream,
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
  ): void {
    if (stream.isWaiting) stream.queuedTrailers = { template, fields };
    else this.#port.writeTrailers(stream, template, fields);
  }

  /** Handles WINDOW_UPDATE of the connection. Returns false if the window becomes too large. */
  grant(bytes: number): boolean {
    this.#window += bytes;
    if (this.#window > maxWindowBytes) return false;
    this.pump();
    return true;
  }

  /** Handles WINDOW_UPDATE of a stream. Returns false if the window becomes too large. */
  grantStream(stream: Http2Stream, bytes: number): boolean {
    stream.sendWindow += bytes;
    if (stream.sendWindow > maxWindowBytes) return false;
    if (stream.isWaiting && !stream.isReady) {
      this.#makeReady(stream);
      this.pump();
    }
    return true;
  }

  /**
   * Handles the peer's initial window, which changes the windows of all streams. Returns false if
   * one becomes too large.
   */
  changeInitialWindow(bytes: number, streams: Iterable<Http2Stream>): boolean {
    const change = bytes - this.#initialWindow;
    this.#initialWindow = bytes;
    if (change === 0) return true;
    // Sending may end streams, and open others.
    for (const stream of [...streams]) {
      if (!stream.closed && !this.grantStream(stream, change)) return false;
    }
    return true;
  }

  /** Discards what waits of a stream. */
  discard(stream: Http2Stream): void {
    if (!this.waiting.delete(stream)) return;
    this.queuedBytes -= stream.queuedBytes;
    stream.queuedBytes = 0;
    stream.queueHead = undefined;
    stream.queueTail = undefined;
    stream.endQueued = false;
    stream.queuedTrailers = undefined;
    // It leaves the order of sending when its turn comes.
  }

  /** Sends what waits, as far as the windows and the socket allow. */
  pump(): void {
    const port = this.#port;
    while (this.#firstReady !== undefined && !port.choked) {
      const stream = this.#firstReady;
      const queued = stream.queueHead;
      const waits = queued !== undefined && queued.start < queued.end;
      if (waits && this.#window === 0) return;
      this.#takeFirst();
      if (!stream.isWaiting || (waits && stream.sendWindow <= 0)) continue;
      this.#sendQueued(stream);
      if (stream.queueHead !== undefined) this.#makeReady(stream);
      else this.#emptied(stream);
    }
  }

  /** Sends the next frame of a stream. */
  #sendQueued(stream: Http2Stream): void {
    const queued = stream.queueHead;
    if (queued === undefined) return;
    const { bytes, start, end } = queued;
    const length = Math.max(
      0,
      Math.min(end - start, stream.sendWindow, this.#window, this.maxFrameBytes, fairShareBytes),
    );
    queued.start += length;
    stream.queuedBytes -= length;
    this.queuedBytes -= length;
    stream.progressAt = monotonicNow();
    if (queued.start === end) {
      stream.queueHead = queued.next;
      if (queued.next === undefined) stream.queueTail = undefined;
    }
    const isLast = stream.endQueued && stream.queueHead === undefined;
    if (isLast) stream.endQueued = false;
    this.#write(stream, bytes, start, start + length, isLast);
  }

  /** Continues with a stream whose queue has been sent. */
  #emptied(stream: Http2Stream): void {
    const trailers = stream.queuedTrailers;
    this.waiting.delete(stream);
    if (trailers !== undefined) {
      stream.queuedTrailers = undefined;
      this.#port.writeTrailers(stream, trailers.template, trailers.fields);
    } else if (!stream.localEnded && !stream.closed) stream.handler.onWritable(stream);
  }

  #write(
    stream: Http2Stream,
    bytes: Uint8Array,
    start: number,
    end: number,
    isLast: boolean,
  ): void {
    const { writer } = this.#port;
    stream.sendWindow -= end - start;
    this.#window -= end - start;
    this.sentBytes += end - start;
    let at = start;
    do {
      const to = Math.min(end, at + this.maxFrameBytes);
      writer.data(stream.id, bytes, at, to, isLast && to === end);
      this.#port.dataFrameSent();
      at = to;
    } while (at < end);
    if (isLast) this.#port.sentAll(stream);
  }

  #enqueue(stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void {
    const queued = { bytes, start, end, next: undefined };
    if (stream.queueTail === undefined) {
      stream.queueHead = queued;
      stream.progressAt = monotonicNow();
      this.waiting.add(stream);
    } else stream.queueTail.next = queued;
    stream.queueTail = queued;
    stream.queuedBytes += end - start;
    this.queuedBytes += end - start;
    if (!stream.isReady) this.#makeReady(stream);
  }

  #makeReady(stream: Http2Stream): void {
    stream.isReady = true;
    if (this.#lastReady === undefined) this.#firstReady = stream;
    else this.#lastReady.nextReady = stream;
    this.#lastReady = stream;
  }

  #takeFirst(): void {
    const stream = this.#firstReady!;
    this.#firstReady = stream.nextReady;
    if (this.#firstReady === undefined) this.#lastReady = undefined;
    stream.nextReady = undefined;
    stream.isReady = false;
  }
}
