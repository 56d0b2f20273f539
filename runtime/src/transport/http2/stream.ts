import type { Deadline } from "../../base/deadline.ts";
import type { HeaderField } from "./hpack/header-field.ts";
import type { HeaderList } from "./hpack/header-list.ts";
import type { HeaderTemplate } from "./hpack/header-template.ts";
import type { MessageHead } from "./message-head.ts";

/** The side that ended a stream before its time, or the end of the connection. */
export type ResetBy = "peer" | "self" | "connection";

/** Receives what happens to streams. One handler may serve many of them. */
export interface StreamHandler {
  /** Called for the header of a response. */
  onHead(stream: Http2Stream, head: MessageHead, list: HeaderList): void;
  /**
   * Called for data as it arrives, which may be part of a frame. The receiver reports with
   * {@link Http2Stream.consume} when it no longer holds the bytes; until then they count against
   * the window. They are never modified afterwards, so views of them may be kept.
   */
  onData(stream: Http2Stream, bytes: Uint8Array, start: number, end: number): void;
  /** Called when the peer has sent everything. */
  onEnd(stream: Http2Stream, trailers: HeaderList | undefined): void;
  /**
   * Called at most once, if the stream ends before both sides have sent everything. Nothing else
   * is called afterwards.
   */
  onReset(stream: Http2Stream, code: number, by: ResetBy): void;
  /** Called when what {@link Http2Stream.send} could not pass on at once has been passed on. */
  onWritable(stream: Http2Stream): void;
  /** Called when the time of {@link Http2Stream.wakeAt} has come. */
  onDue(stream: Http2Stream, now: Deadline): void;
  /** Called once, when the stream is closed for whatever reason. */
  onClosed?(stream: Http2Stream): void;
}

/** What a stream needs of its connection. */
export interface StreamConnection {
  sendHead(
    stream: Http2Stream,
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
    end: boolean,
  ): void;
  sendData(
    stream: Http2Stream,
    bytes: Uint8Array,
    start: number,
    end: number,
    isLast: boolean,
  ): boolean;
  sendTrailers(
    stream: Http2Stream,
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
  ): void;
  discardData(stream: Http2Stream): void;
  consumed(stream: Http2Stream, bytes: number): void;
  resetStream(stream: Http2Stream, code: number): void;
  wakeStream(stream: Http2Stream): void;
}

/** Data that waits until the windows allow it to be sent. */
export interface QueuedData {
  readonly bytes: Uint8Array;
  start: number;
  readonly end: number;
  next: QueuedData | undefined;
}

/** Trailers that wait for the data before them. */
export interface QueuedTrailers {
  readonly template: HeaderTemplate | undefined;
  readonly fields: readonly HeaderField[];
}

const noFields: readonly HeaderField[] = [];

/** One stream of a connection: a request and its response. */
export class Http2Stream {
  readonly id: number;
  readonly connection: StreamConnection;
  handler: StreamHandler;
  /** For the handler: the call that the stream carries. */
  call: unknown = undefined;

  /** Whether this side has sent everything. */
  localEnded = false;
  /** Whether the peer has sent everything. */
  remoteEnded = false;
  /** Whether it is no longer open, for whatever reason. */
  closed = false;
  /** Whether the header of the response has arrived, or that of the request. */
  hasHead = false;
  /** The rest of the announced length of the body; -1 if none was announced. */
  expectedBytes = -1;
  /** Whether the peer's message must not have a body, as in a response to HEAD. */
  isBodiless = false;
  /** When {@link StreamHandler.onDue} is called; see {@link wakeAt}. */
  dueAt: Deadline = Number.POSITIVE_INFINITY;

  /** What the peer may send, in bytes, and what was consumed since it was last told. */
  receiveWindow: number;
  unannouncedBytes = 0;
  /** Bytes that were delivered to the handler and not consumed. */
  unreadBytes = 0;

  /** What this side may send, in bytes. */
  sendWindow: number;
  /** Data that waits to be sent. */
  queueHead: QueuedData | undefined = undefined;
  queueTail: QueuedData | undefined = undefined;
  queuedBytes = 0;
  /** Whether the queued data is the last. */
  endQueued = false;
  queuedTrailers: QueuedTrailers | undefined = undefined;
  /** When some of what waits was last sent, or when it began to wait. */
  progressAt: Deadline = 0;
  /** The next stream in the order of sending, and whether it is in that order. */
  nextReady: Http2Stream | undefined = undefined;
  isReady = false;

  constructor(
    id: number,
    connection: StreamConnection,
    handler: StreamHandler,
    receiveWindow: number,
    sendWindow: number,
  ) {
    this.id = id;
    this.connection = connection;
    this.handler = handler;
    this.receiveWindow = receiveWindow;
    this.sendWindow = sendWindow;
  }

  /** Whether something waits to be sent. */
  get isWaiting(): boolean {
    return this.queueHead !== undefined || this.endQueued || this.queuedTrailers !== undefined;
  }

  /** Sends the header of a response, and with `end` nothing else. */
  head(
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[] = noFields,
    end = false,
  ): void {
    if (!this.localEnded) this.connection.sendHead(this, template, fields, end);
  }

  /**
   * Sends data, which must not be modified afterwards. Returns whether more may follow at once;
   * otherwise it waits, and so should the sender until {@link StreamHandler.onWritable}.
   */
  send(bytes: Uint8Array, start: number, end: number, isLast = false): boolean {
    if (this.localEnded) return true;
    return this.connection.sendData(this, bytes, start, end, isLast);
  }

  /** Sends trailers, after all data. */
  trailers(template: HeaderTemplate | undefined, fields: readonly HeaderField[] = noFields): void {
    if (!this.localEnded) this.connection.sendTrailers(this, template, fields);
  }

  /** Forgets what waits to be sent. The stream must then be reset, if not at once. */
  discard(): void {
    if (!this.closed) this.connection.discardData(this);
  }

  /** Reports that so many bytes of data are no longer held, so that the peer may send as many. */
  consume(bytes: number): void {
    if (bytes > 0) this.connection.consumed(this, bytes);
  }

  /** Ends the stream now, in both directions. */
  reset(code: number): void {
    if (!this.closed) this.connection.resetStream(this, code);
  }

  /** Has {@link StreamHandler.onDue} called at this time, or a little later. */
  wakeAt(deadline: Deadline): void {
    this.dueAt = deadline;
    if (deadline !== Number.POSITIVE_INFINITY) this.connection.wakeStream(this);
  }
}

/** A handler for which nothing matters. */
export const ignoringHandler: StreamHandler = {
  onHead: () => undefined,
  onData: (stream, _bytes, start, end) => stream.consume(end - start),
  onEnd: () => undefined,
  onReset: () => undefined,
  onWritable: () => undefined,
  onDue: () => undefined,
};
