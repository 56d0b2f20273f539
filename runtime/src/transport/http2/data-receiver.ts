import { ConnectionError, errorCode } from "./error-code.ts";
import type { HeaderList } from "./hpack/header-list.ts";
import { flag, frameType } from "./protocol.ts";
import type { ReceiveFlow } from "./receive-flow.ts";
import type { Http2Stream } from "./stream.ts";

/** What a {@link DataReceiver} needs of its connection. */
export interface DataReceiverOwner {
  /** @throws ConnectionError unless the peer may not know yet that the stream was closed */
  checkNotOpen(id: number, type: number): void;
  /** Resets a stream because the peer violated the protocol on it. */
  streamError(stream: Http2Stream, code: number): void;
  /** Handles that the peer has sent everything on a stream. */
  remoteEnded(stream: Http2Stream, trailers: HeaderList | undefined): void;
}

/** Checks DATA frames, and delivers their data as it arrives. */
export class DataReceiver {
  readonly #owner: DataReceiverOwner;
  readonly #flow: ReceiveFlow;
  /** The stream of the frame that is being read; undefined if its data is ignored. */
  #stream: Http2Stream | undefined;
  #endsStream = false;

  constructor(owner: DataReceiverOwner, flow: ReceiveFlow) {
    this.#owner = owner;
    this.#flow = flow;
  }

  /**
   * Handles the header of a frame.
   *
   * @param stream undefined if it is not open
   * @param bytes length of the whole payload
   * @throws ConnectionError if the peer must not send it
   */
  begin(
    id: number,
    stream: Http2Stream | undefined,
    flags: number,
    bytes: number,
    padding: number,
  ): void {
    this.#stream = undefined;
    this.#endsStream = (flags & flag.endStream) !== 0;
    if (!this.#flow.receive(bytes)) {
      throw new ConnectionError(
        errorCode.flowControlError,
        "DATA exceeded the window of the connection",
      );
    }
    if (stream === undefined) {
      this.#owner.checkNotOpen(id, frameType.data);
      this.#flow.refill();
      return;
    }
    const error = this.#errorOf(stream, bytes, padding);
    if (error === undefined) {
      this.#stream = stream;
      if (padding > 0) this.#flow.consume(stream, padding);
    } else {
      this.#owner.streamError(stream, error);
      this.#flow.refill();
    }
  }

  /** Delivers data of the frame that was begun last. */
  receive(bytes: Uint8Array, start: number, end: number, isLast: boolean): void {
    const stream = this.#stream;
    if (stream === undefined || stream.closed) return;
    if (end > start) stream.handler.onData(stream, bytes, start, end);
    if (isLast && this.#endsStream && !stream.closed) this.#owner.remoteEnded(stream, undefined);
  }

  /** Returns the error code for data that the peer must not send on this stream. */
  #errorOf(stream: Http2Stream, bytes: number, padding: number): number | undefined {
    if (stream.remoteEnded) return errorCode.streamClosed;
    if (!stream.hasHead || (stream.isBodiless && bytes > padding)) return errorCode.protocolError;
    if (!this.#flow.receiveFor(stream, bytes)) return errorCode.flowControlError;
    const isExpected = countLength(stream, bytes - padding, this.#endsStream);
    return isExpected ? undefined : errorCode.protocolError;
  }
}

/**
 * Counts data against the announced length of the body. Returns false if they contradict each
 * other.
 */
export function countLength(stream: Http2Stream, bytes: number, isEnd: boolean): boolean {
  if (stream.expectedBytes < 0) return true;
  stream.expectedBytes -= bytes;
  return stream.expectedBytes >= 0 && (!isEnd || stream.expectedBytes === 0);
}
