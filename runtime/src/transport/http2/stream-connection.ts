import type { Socket } from "node:net";
import type { Deadline } from "../../base/deadline.ts";
import { type OutputHolder, unreadOutput } from "../../base/unread-output.ts";
import { ClosedStreams } from "./closed-streams.ts";
import { Connection } from "./connection.ts";
import { countLength, DataReceiver } from "./data-receiver.ts";
import { ConnectionError, errorCode } from "./error-code.ts";
import { HeaderBlocks } from "./header-blocks.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import type { HeaderField } from "./hpack/header-field.ts";
import type { HeaderList } from "./hpack/header-list.ts";
import type { HeaderTemplate } from "./hpack/header-template.ts";
import type { Http2Limits } from "./limits.ts";
import { messageHead } from "./message-head.ts";
import { OutputBacklog } from "./output-backlog.ts";
import { flag, frameType, initialTableBytes, readUint31, readUint32 } from "./protocol.ts";
import { ReceiveFlow } from "./receive-flow.ts";
import { SendFlow, type SendPort } from "./send-flow.ts";
import { Http2Stream, type ResetBy, type StreamConnection, type StreamHandler } from "./stream.ts";
import { sweepStreams } from "./stream-sweep.ts";

/** The streams of a connection, and what both sides do with them. */
export abstract class StreamingConnection
  extends Connection
  implements StreamConnection, SendPort, OutputHolder
{
  protected readonly streams: Map<number, Http2Stream> = new Map();
  protected readonly closedStreams: ClosedStreams = new ClosedStreams();
  readonly #blocks: HeaderBlocks;
  readonly #encoder = new HpackEncoder();
  readonly #receiveFlow: ReceiveFlow;
  readonly #sendFlow: SendFlow = new SendFlow(this);
  readonly #backlog: OutputBacklog;
  readonly #data: DataReceiver;
  /** For gRPC, the first is `resource_exhausted` and the second `canceled`. */
  readonly #stallCode: number;

  constructor(socket: Socket, limits: Http2Limits, isServer: boolean) {
    super(socket, limits, isServer);
    this.#stallCode = isServer ? errorCode.enhanceYourCalm : errorCode.cancel;
    this.#blocks = new HeaderBlocks({
      maxTableBytes: initialTableBytes,
      maxListBytes: limits.maxHeaderListBytes,
      maxFields: limits.maxHeaderFields,
    });
    this.#receiveFlow = new ReceiveFlow(
      this.writer,
      limits.streamWindowBytes,
      limits.connectionWindowBytes,
      limits.maxUnreadBytes,
    );
    this.#backlog = new OutputBacklog(limits.maxUnsentBytes);
    this.#data = new DataReceiver(this, this.#receiveFlow);
  }

  /**
   * Handles a complete header block for a stream that is not open.
   *
   * @throws ConnectionError if there must not be one
   */
  protected abstract openedByPeer(id: number, list: HeaderList, endStream: boolean): void;
  /** Handles the first header block of the peer on an open stream: the header of a response. */
  protected abstract headReceived(stream: Http2Stream, list: HeaderList, endStream: boolean): void;
  /** Whether a stream was opened at some time. */
  protected abstract wasOpened(id: number): boolean;
  /** Called when a stream was closed, for whatever reason. */
  protected abstract streamClosed(stream: Http2Stream): void;

  get openStreams(): number {
    return this.streams.size;
  }

  /** Bytes of data that arrived and that receivers have not consumed. */
  get unreadBytes(): number {
    return this.#receiveFlow.unreadBytes;
  }

  /** Whether so much waits to be sent that nothing more should be buffered for the peer. */
  get outputFull(): boolean {
    const { unsentBytes } = this;
    return this.#backlog.isFull(unsentBytes, this.#sendFlow.sentBytes) || unreadOutput.isFull(this);
  }

  get unsentBytes(): number {
    return this.#sendFlow.queuedBytes + this.socket.writableLength;
  }

  /** Whether so many bytes would be passed on at once. */
  sendsNow(stream: Http2Stream, bytes: number): boolean {
    return this.#sendFlow.sendsNow(stream, bytes);
  }

  /** Sends the settings of this side, and opens the connection's window. */
  start(maxConcurrentStreams: number | undefined): void {
    const { streamWindowBytes, maxHeaderListBytes } = this.limits;
    this.greet({
      enablePush: 0,
      initialWindowSize: streamWindowBytes,
      maxHeaderListSize: maxHeaderListBytes,
      ...(maxConcurrentStreams !== undefined && { maxConcurrentStreams }),
    });
    this.#receiveFlow.open();
  }

  dataFrame(id: number, flags: number, bytes: number, padding: number): void {
    this.expectSettings(frameType.data);
    if (bytes === padding && (flags & flag.endStream) === 0) this.guard.idleFrame();
    this.#data.begin(id, this.streams.get(id), flags, bytes, padding);
  }

  dataBytes(bytes: Uint8Array, start: number, end: number, isLast: boolean): void {
    this.#data.receive(bytes, start, end, isLast);
  }

  sendHead(
    stream: Http2Stream,
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
    end: boolean,
  ): void {
    if (this.ended) return;
    const length = this.#encoder.encode(template, fields);
    const { maxFrameSize } = this.peerSettings;
    this.writer.headers(stream.id, this.#encoder.bytes, length, end, maxFrameSize);
    this.guard.sent();
    if (end) this.sentAll(stream);
  }

  sendData(
    stream: Http2Stream,
    bytes: Uint8Array,
    start: number,
    end: number,
    isLast: boolean,
  ): boolean {
    if (this.ended || stream.closed) return true;
    this.guard.sent();
    const passed = this.#sendFlow.send(stream, bytes, start, end, isLast);
    if (!passed && stream.isWaiting) this.#watchStalls();
    return passed;
  }

  sendTrailers(
    stream: Http2Stream,
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
  ): void {
    if (!this.ended && !stream.closed) this.#sendFlow.sendTrailers(stream, template, fields);
  }

  writeTrailers(
    stream: Http2Stream,
    template: HeaderTemplate | undefined,
    fields: readonly HeaderField[],
  ): void {
    this.sendHead(stream, template, fields, true);
  }

  dataFrameSent(): void {
    this.guard.dataFramesSent++;
  }

  sentAll(stream: Http2Stream): void {
    stream.localEnded = true;
    if (stream.remoteEnded) this.#close(stream, false);
  }

  discardData(stream: Http2Stream): void {
    this.#sendFlow.discard(stream);
  }

  consumed(stream: Http2Stream, bytes: number): void {
    if (!this.ended) this.#receiveFlow.consume(stream, bytes);
  }

  resetStream(stream: Http2Stream, code: number): void {
    this.#reset(stream, code);
  }

  wakeStream(stream: Http2Stream): void {
    this.clock.watch(stream.dueAt);
  }

  sweepStreams(now: Deadline): Deadline {
    return sweepStreams(this.streams, this.#sendFlow, this.limits, this.#stallCode, now);
  }

  /** Adds a stream that was opened. */
  protected add(id: number, handler: StreamHandler): Http2Stream {
    const { streamWindowBytes } = this.limits;
    const { initialWindow } = this.#sendFlow;
    const stream = new Http2Stream(id, this, handler, streamWindowBytes, initialWindow);
    this.streams.set(id, stream);
    return stream;
  }

  /** Resets a stream because the peer violated the protocol on it. */
  streamError(stream: Http2Stream, code: number): void {
    this.guard.reset();
    this.#reset(stream, code);
  }

  /** Resets a stream that was never added. */
  protected refuse(id: number, code: number): void {
    this.guard.reset();
    this.closedStreams.add(id, true);
    this.writer.number(frameType.resetStream, id, code);
  }

  /** Handles that the peer has sent everything on a stream. */
  remoteEnded(stream: Http2Stream, trailers: HeaderList | undefined): void {
    stream.remoteEnded = true;
    stream.handler.onEnd(stream, trailers);
    if (stream.localEnded && !stream.closed) this.#close(stream, false);
  }

  /** Ends a stream of which the peer knows that it is closed. */
  protected abort(stream: Http2Stream, code: number, by: ResetBy): void {
    if (stream.closed) return;
    this.#close(stream, false);
    stream.handler.onReset(stream, code, by);
  }

  /** Ends all streams because the connection has ended. */
  protected abortAll(): void {
    unreadOutput.forget(this);
    for (const stream of [...this.streams.values()]) {
      this.abort(stream, errorCode.cancel, "connection");
    }
  }

  protected streamFrame(
    type: number,
    flags: number,
    id: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    switch (type) {
      case frameType.resetStream:
        this.#peerReset(id, readUint32(bytes, start));
        break;
      case frameType.windowUpdate:
        this.#windowUpdate(id, readUint31(bytes, start));
        break;
      default: {
        const list = this.#blocks.add(type, flags, id, bytes, start, end);
        if (list !== undefined) this.#headers(id, list, this.#blocks.endStream);
      }
    }
  }

  protected settingsChanged(): void {
    const { headerTableSize, initialWindowSize, maxFrameSize } = this.peerSettings;
    this.#encoder.allowTableBytes(headerTableSize);
    this.#sendFlow.maxFrameBytes = maxFrameSize;
    if (!this.#sendFlow.changeInitialWindow(initialWindowSize, this.streams.values())) {
      throw new ConnectionError(
        errorCode.flowControlError,
        "SETTINGS made the window of a stream too large",
      );
    }
  }

  protected settled(): void {
    this.#receiveFlow.settled();
  }

  protected unchoked(): void {
    this.#sendFlow.pump();
  }

  #headers(id: number, list: HeaderList, endStream: boolean): void {
    const stream = this.streams.get(id);
    if (stream === undefined) {
      this.openedByPeer(id, list, endStream);
    } else if (stream.remoteEnded) {
      this.streamError(stream, errorCode.streamClosed);
    } else if (list.isTooLarge) {
      this.streamError(stream, errorCode.enhanceYourCalm);
    } else if (!stream.hasHead) {
      this.headReceived(stream, list, endStream);
    } else if (
      !endStream ||
      messageHead(list, "trailers") === undefined ||
      !countLength(stream, 0, true)
    ) {
      this.streamError(stream, errorCode.protocolError);
    } else this.remoteEnded(stream, list);
  }

  #peerReset(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) {
      this.guard.reset();
      this.abort(stream, code, "peer");
    } else if (!this.wasOpened(id)) this.checkNotOpen(id, frameType.resetStream);
    else if (!this.closedStreams.knows(id)) this.guard.idleFrame();
  }

  #windowUpdate(id: number, bytes: number): void {
    this.guard.windowUpdate();
    if (id === 0) {
      if (bytes > 0 && this.#sendFlow.grant(bytes)) return;
      throw new ConnectionError(
        bytes === 0 ? errorCode.protocolError : errorCode.flowControlError,
        `received WINDOW_UPDATE of ${bytes} bytes for the connection`,
      );
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      // A stream may have ended while the peer still opened its window.
      if (!this.wasOpened(id)) this.checkNotOpen(id, frameType.windowUpdate);
    } else if (bytes === 0) this.streamError(stream, errorCode.protocolError);
    else if (!this.#sendFlow.grantStream(stream, bytes)) {
      this.streamError(stream, errorCode.flowControlError);
    }
  }

  /**
   * Checks a frame for a stream that is not open.
   *
   * @throws ConnectionError unless the peer may not know yet that it was closed
   */
  checkNotOpen(id: number, type: number): void {
    if (!this.wasOpened(id)) {
      throw new ConnectionError(
        errorCode.protocolError,
        `received a frame of type ${type} on stream ${id}, which is idle`,
      );
    }
    this.checkClosed(id);
  }

  /** @throws ConnectionError for a frame that the peer must not send on this closed stream. */
  protected checkClosed(id: number): void {
    const kind = this.closedStreams.kindOf(id);
    if (kind === "reset" || kind === "forgotten") return;
    throw new ConnectionError(
      kind === "ended" ? errorCode.streamClosed : errorCode.protocolError,
      `received a frame on stream ${id}, which is closed`,
    );
  }

  #reset(stream: Http2Stream, code: number): void {
    if (stream.closed) return;
    if (!this.ended) this.writer.number(frameType.resetStream, stream.id, code);
    this.#close(stream, true);
    stream.handler.onReset(stream, code, "self");
  }

  #close(stream: Http2Stream, wasReset: boolean): void {
    stream.closed = true;
    stream.localEnded = true;
    this.streams.delete(stream.id);
    this.closedStreams.add(stream.id, wasReset);
    this.#sendFlow.discard(stream);
    if (stream.unreadBytes > 0 && !this.ended) this.#receiveFlow.forget(stream);
    this.clock.closedStream();
    stream.handler.onClosed?.(stream);
    this.streamClosed(stream);
  }

  #watchStalls(): void {
    this.clock.watch(this.now + this.limits.shortStallTimeoutMs);
  }
}
