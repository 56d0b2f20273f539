import { ConnectionError, errorCode } from "./error-code.ts";
import { flag, frameHeaderBytes, frameType, readUint31 } from "./protocol.ts";

/** Receives frames from a {@link FrameReader}. */
export interface FrameHandler {
  /**
   * Called when the header of a DATA frame has arrived, before its bytes.
   *
   * @param bytes length of the whole payload, which counts against the windows
   * @param padding how much of it is not data
   */
  dataFrame(stream: number, flags: number, bytes: number, padding: number): void;
  /**
   * Called for the data of that frame as it arrives, and at least once. The bytes from `start` to
   * `end` are never modified afterwards, so views of them may be kept.
   */
  dataBytes(bytes: Uint8Array, start: number, end: number, isLast: boolean): void;
  /** Called for any other frame. Its payload is valid only during the call. */
  frame(
    type: number,
    flags: number,
    stream: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
  /** Called for a frame of an unknown type, which is skipped. */
  unknownFrame(): void;
}

/** How a type of frame must look; -1 means that it does not matter. */
interface Shape {
  /** Length of the payload, and whether it is the least or the exact length. */
  readonly bytes: number;
  readonly isExact: boolean;
  /** Whether it belongs to a stream, or to the connection. */
  readonly ofStream: boolean | undefined;
}

const shape = (bytes: number, isExact: boolean, ofStream: boolean | undefined): Shape => ({
  bytes,
  isExact,
  ofStream,
});

/** By type. */
const shapes: readonly Shape[] = [
  shape(0, false, true),
  shape(0, false, true),
  shape(5, true, true),
  shape(4, true, true),
  shape(0, false, false),
  shape(4, false, true),
  shape(8, true, false),
  shape(8, false, false),
  shape(4, true, undefined),
  shape(0, false, true),
];

const firstHeldBytes = 256;

/**
 * Splits a byte stream into frames, however it was segmented, and checks what their headers say. A
 * frame that is complete within a chunk is passed on without a copy, and so is all data. Other
 * frames that span chunks are copied once.
 */
export class FrameReader {
  readonly #handler: FrameHandler;
  readonly #maxFrameBytes: number;
  /** The header, and then the payload, of the incomplete frame. */
  #held: Uint8Array = new Uint8Array(0);
  #filled = 0;
  /** How much must be held before the reader can continue. */
  #needed = 0;
  /** Bytes of data that the current DATA frame still has, and of padding after them. */
  #data = 0;
  #padding = 0;
  /** Bytes of a frame that is skipped. */
  #skip = 0;
  /** The stream whose header block is incomplete; 0 if none is. */
  #blockOf = 0;
  #stopped = false;
  #paused = false;
  /** Chunks that were received and are held until {@link resume}. */
  #waiting: Uint8Array[] = [];
  /** Number of frames that were complete, where a header block counts as one. */
  completed = 0;

  constructor(handler: FrameHandler, maxFrameBytes: number) {
    this.#handler = handler;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Whether the stream could end here without truncating a frame or a header block. */
  get atBoundary(): boolean {
    return (
      this.#filled === 0 &&
      this.#data === 0 &&
      this.#padding === 0 &&
      this.#skip === 0 &&
      this.#blockOf === 0
    );
  }

  /** Whether chunks are held until {@link resume}. */
  get isPaused(): boolean {
    return this.#paused;
  }

  /** Bytes that are held for an incomplete frame. */
  get heldBytes(): number {
    return this.#held.length;
  }

  /** Delivers no further frames, not even of the current chunk. */
  stop(): void {
    this.#stopped = true;
    this.#held = new Uint8Array(0);
    this.#waiting = [];
  }

  /** Delivers no further frames before {@link resume}, not even of the current chunk. */
  pause(): void {
    this.#paused = true;
  }

  /** @throws ConnectionError as {@link push} does, for what was held. */
  resume(): void {
    this.#paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const chunk of waiting) this.push(chunk);
  }

  /**
   * Receives the next bytes, which must not be modified afterwards.
   *
   * @throws ConnectionError for a frame that violates the protocol. The reader is unusable
   * afterwards.
   */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      if (this.#paused) {
        this.#waiting.push(at === 0 ? chunk : chunk.subarray(at));
        return;
      }
      if (this.#data > 0) at = this.#pushData(chunk, at);
      else if (this.#padding > 0) at = this.#pushPadding(chunk, at);
      else if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        at += skipped;
      } else if (this.#filled > 0) at = this.#continueFrame(chunk, at);
      else at = this.#beginFrame(chunk, at);
    }
  }

  /** Reads the frame that begins at `at`, or holds what has arrived of it. */
  #beginFrame(chunk: Uint8Array, at: number): number {
    const available = chunk.length - at;
    this.#needed = frameHeaderBytes;
    if (available >= frameHeaderBytes) this.#needed = this.#checkHeader(chunk, at);
    if (available < this.#needed) return this.#hold(chunk, at);
    return this.#emit(chunk, at, at + this.#needed);
  }

  #continueFrame(chunk: Uint8Array, from: number): number {
    let at = this.#hold(chunk, from);
    if (this.#filled < this.#needed) return at;
    if (this.#needed === frameHeaderBytes) {
      this.#needed = this.#checkHeader(this.#held, 0);
      if (this.#filled < this.#needed) {
        at = this.#hold(chunk, at);
        if (this.#filled < this.#needed) return at;
      }
    }
    const held = this.#held;
    const end = this.#filled;
    this.#filled = 0;
    this.#emit(held, 0, end);
    if (held.length > firstHeldBytes) this.#held = new Uint8Array(0);
    return at;
  }

  /** Copies what is needed of the frame. The buffer grows as the bytes arrive. */
  #hold(chunk: Uint8Array, from: number): number {
    const end = Math.min(chunk.length, from + this.#needed - this.#filled);
    const filled = this.#filled + end - from;
    if (filled > this.#held.length) {
      const grown = new Uint8Array(
        Math.min(Math.max(filled, this.#held.length * 2, firstHeldBytes), this.#maxFrameBytes + 9),
      );
      grown.set(this.#held.subarray(0, this.#filled));
      this.#held = grown;
    }
    this.#held.set(chunk.subarray(from, end), this.#filled);
    this.#filled = filled;
    return end;
  }

  /**
   * Checks the header of a frame. Returns how many bytes of the frame must be available before it
   * is emitted.
   */
  #checkHeader(bytes: Uint8Array, at: number): number {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    const type = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    const stream = readUint31(bytes, at + 5);
    if (length > this.#maxFrameBytes) {
      throw new ConnectionError(
        errorCode.frameSizeError,
        `received a frame of ${length} bytes, over the limit of ${this.#maxFrameBytes}`,
      );
    }
    const isContinuation = type === frameType.continuation;
    if (this.#blockOf !== 0 ? !isContinuation || stream !== this.#blockOf : isContinuation) {
      throw violation(`a frame of type ${type} where a header block does not allow it`);
    }
    const expected = shapes[type];
    if (expected === undefined) return frameHeaderBytes;
    if (expected.ofStream !== undefined && expected.ofStream !== (stream !== 0)) {
      throw violation(`a frame of type ${type} on stream ${stream}`);
    }
    if (expected.isExact ? length !== expected.bytes : length < expected.bytes) {
      throw new ConnectionError(
        errorCode.frameSizeError,
        `received a frame of type ${type} with ${length} bytes`,
      );
    }
    if (type !== frameType.data) return frameHeaderBytes + length;
    if ((flags & flag.padded) === 0) return frameHeaderBytes;
    if (length === 0) throw new ConnectionError(errorCode.frameSizeError, "received no padding");
    return frameHeaderBytes + 1;
  }

  /** Passes on the frame at `start`, or begins to read its data. Returns where that ends. */
  #emit(bytes: Uint8Array, start: number, end: number): number {
    const type = bytes[start + 3]!;
    const flags = bytes[start + 4]!;
    const stream = readUint31(bytes, start + 5);
    if (type === frameType.data) this.#beginData(bytes, start, stream, flags);
    else if (type > frameType.continuation) {
      this.#skip = (bytes[start]! << 16) | (bytes[start + 1]! << 8) | bytes[start + 2]!;
      this.completed++;
      this.#handler.unknownFrame();
    } else {
      const isBlock = type === frameType.headers || type === frameType.continuation;
      if (isBlock) this.#blockOf = (flags & flag.endHeaders) === 0 ? stream : 0;
      if (this.#blockOf === 0) this.completed++;
      this.#handler.frame(type, flags, stream, bytes, start + frameHeaderBytes, end);
    }
    return end;
  }

  #beginData(bytes: Uint8Array, start: number, stream: number, flags: number): void {
    const length = (bytes[start]! << 16) | (bytes[start + 1]! << 8) | bytes[start + 2]!;
    let padding = 0;
    if ((flags & flag.padded) !== 0) {
      this.#padding = bytes[start + frameHeaderBytes]!;
      padding = this.#padding + 1;
      if (padding > length) throw violation("DATA whose padding is longer than the frame");
    }
    this.#data = length - padding;
    this.#handler.dataFrame(stream, flags, length, padding);
    if (this.#data === 0 && !this.#stopped) this.#endData(bytes, start, start);
  }

  #pushData(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + this.#data);
    this.#data -= end - at;
    if (this.#data === 0) this.#endData(chunk, at, end);
    else this.#handler.dataBytes(chunk, at, end, false);
    return end;
  }

  /** Delivers the last data. The padding after it is of no interest. */
  #endData(bytes: Uint8Array, start: number, end: number): void {
    this.completed++;
    this.#handler.dataBytes(bytes, start, end, true);
  }

  #pushPadding(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + this.#padding);
    this.#padding -= end - at;
    return end;
  }
}

function violation(what: string): ConnectionError {
  return new ConnectionError(errorCode.protocolError, `received ${what}`);
}
