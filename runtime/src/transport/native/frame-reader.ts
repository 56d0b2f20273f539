import { MicroError } from "../../base/error.ts";
import {
  allowedFlags,
  firstIgnorableType,
  headerBytes,
  maxOverheadBytes,
  minMessageBytes,
  payloadLimits,
} from "./protocol.ts";

/** Receives frames from a {@link FrameReader}. */
export interface FrameHandler {
  /**
   * Handles one frame. Its payload is `bytes` from `start` to `end`, which are never modified
   * afterwards, so views of them may be kept.
   */
  frame(
    type: number,
    flags: number,
    method: number,
    call: number,
    aux: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void;
  /** Called for a frame that declares more than its limit, before the reader throws for it. */
  oversized?(type: number, call: number, bytes: number): void;
}

/**
 * A payload up to this size gets its whole buffer at once. The buffer of a longer one grows as its
 * bytes arrive.
 */
const eagerBufferBytes = 256 * 1024;
/**
 * Bytes that all connections of the process may allocate ahead of their data. Beyond it, a payload
 * begins with a small buffer: thousands of connections may announce large frames and send nothing.
 */
const maxEagerBytes = 16 * 1024 * 1024;
const smallBufferBytes = 8 * 1024;
/** How much of {@link maxEagerBytes} is in use. */
let eagerBytes = 0;

/** The smallest rest of a payload that is worth a read of its own. */
const minDirectBytes = 8 * 1024;

/**
 * Splits a byte stream into frames, however it was segmented. A frame that is complete within a
 * chunk is passed on without a copy; a frame that spans chunks is copied once.
 */
export class FrameReader {
  readonly #handler: FrameHandler;
  readonly #maxPayloadBytes: number;
  /** Header of the incomplete frame. */
  readonly #header: Uint8Array = new Uint8Array(headerBytes);
  #headerFilled = 0;
  /** The payload of that frame received so far; undefined while its header is incomplete. */
  #payload: Uint8Array | undefined;
  #payloadFilled = 0;
  #payloadLength = 0;
  /** How much of {@link maxEagerBytes} this payload uses. */
  #eagerBytes = 0;
  /** Remaining bytes of a frame that is skipped. */
  #skip = 0;
  #skipLength = 0;
  /** Frames that were incomplete at the end of a chunk. */
  #framesBegun = 0;
  #stopped = false;
  #paused = false;
  /** Chunks that were received and are held until {@link resume}. */
  #held: Uint8Array[] = [];

  /** @param maxMessageBytes the message limit that this side has announced. */
  constructor(handler: FrameHandler, maxMessageBytes: number) {
    this.#handler = handler;
    this.#maxPayloadBytes = Math.max(maxMessageBytes, minMessageBytes) + maxOverheadBytes;
  }

  /** Bytes that are buffered for an incomplete frame. */
  get bufferedBytes(): number {
    return this.#payload === undefined ? this.#headerFilled : this.#payload.length;
  }

  /**
   * Where the next bytes belong while most of a payload is outstanding. Reading into this place
   * avoids a copy. The bytes must still be passed to {@link push}, as a view of this place.
   */
  get room(): Uint8Array | undefined {
    const payload = this.#payload;
    if (payload === undefined || payload.length - this.#payloadFilled < minDirectBytes)
      return undefined;
    return payload.subarray(this.#payloadFilled);
  }

  /** Increases with each frame that is incomplete at the end of a chunk. */
  get framesBegun(): number {
    return this.#framesBegun;
  }

  /** The progress of the incomplete frame. Its header counts once it is complete. */
  get frameBytes(): { readonly received: number; readonly length: number } {
    if (this.#skip > 0) {
      return { received: this.#skipLength - this.#skip, length: this.#skipLength };
    }
    return this.#payload === undefined
      ? { received: 0, length: headerBytes }
      : { received: this.#payloadFilled, length: this.#payloadLength };
  }

  /** Whether the stream could end here without truncating a frame. */
  get atBoundary(): boolean {
    return this.#headerFilled === 0 && this.#payload === undefined && this.#skip === 0;
  }

  /** Delivers no further frames, not even of the current chunk. */
  stop(): void {
    this.#stopped = true;
    this.#payload = undefined;
    this.#endEager();
    this.#held = [];
  }

  /**
   * Delivers no further frames before {@link resume}, not even of the current chunk: one chunk may
   * hold thousands of requests, each with a large response.
   */
  pause(): void {
    this.#paused = true;
  }

  /** @throws MicroError as {@link push} does, for what was held. */
  resume(): void {
    this.#paused = false;
    const held = this.#held;
    this.#held = [];
    for (const chunk of held) this.push(chunk);
  }

  /**
   * Receives the next bytes. The chunk must not be modified afterwards.
   * @throws MicroError for a frame that violates the protocol or a limit. The reader is unusable
   * afterwards.
   */
  push(chunk: Uint8Array): void {
    if (this.#paused) {
      this.#held.push(chunk);
      return;
    }
    let at = 0;
    const length = chunk.length;
    if (this.#headerFilled > 0 || this.#payload !== undefined) at = this.#finishFrame(chunk);
    while (at < length && !this.#stopped) {
      if (this.#paused) {
        this.#held.push(chunk.subarray(at));
        return;
      }
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      if (length - at < headerBytes) {
        this.#header.set(chunk.subarray(at), 0);
        this.#headerFilled = length - at;
        this.#framesBegun++;
        return;
      }
      const payloadLength = this.#checkHeader(chunk, at);
      const start = at + headerBytes;
      if (chunk[at + 4]! >= firstIgnorableType) {
        this.#beginSkip(payloadLength);
        at = start;
        continue;
      }
      if (payloadLength > length - start) {
        this.#header.set(chunk.subarray(at, start), 0);
        this.#headerFilled = headerBytes;
        this.#framesBegun++;
        this.#openPayload(payloadLength);
        this.#fillPayload(chunk, start);
        return;
      }
      this.#emit(chunk, at, chunk, start, start + payloadLength);
      at = start + payloadLength;
    }
  }

  /** Continues the frame that the last chunk began, and returns where it ends in this chunk. */
  #finishFrame(chunk: Uint8Array): number {
    let at = 0;
    if (this.#payload === undefined) {
      at = Math.min(headerBytes - this.#headerFilled, chunk.length);
      this.#header.set(chunk.subarray(0, at), this.#headerFilled);
      this.#headerFilled += at;
      if (this.#headerFilled < headerBytes) return at;
      const payloadLength = this.#checkHeader(this.#header, 0);
      if (this.#header[4]! >= firstIgnorableType) {
        this.#headerFilled = 0;
        this.#beginSkip(payloadLength);
        return at;
      }
      this.#openPayload(payloadLength);
    }
    at = this.#fillPayload(chunk, at);
    if (this.#payloadFilled < this.#payloadLength) return at;
    const payload = this.#payload!;
    this.#payload = undefined;
    this.#headerFilled = 0;
    this.#endEager();
    this.#emit(this.#header, 0, payload, 0, this.#payloadLength);
    return at;
  }

  #beginSkip(length: number): void {
    this.#skip = length;
    this.#skipLength = length;
    this.#framesBegun++;
  }

  #openPayload(length: number): void {
    this.#payloadLength = length;
    this.#payloadFilled = 0;
    this.#payload = Buffer.allocUnsafeSlow(this.#firstBufferBytes(length));
  }

  #firstBufferBytes(length: number): number {
    if (length <= smallBufferBytes) return length;
    const eager = Math.min(length, eagerBufferBytes);
    if (eagerBytes + eager > maxEagerBytes) return smallBufferBytes;
    this.#eagerBytes = eager;
    eagerBytes += eager;
    return eager;
  }

  #endEager(): void {
    eagerBytes -= this.#eagerBytes;
    this.#eagerBytes = 0;
  }

  /**
   * Copies the bytes that belong to the payload. A large buffer grows by doubling, so that
   * announcing a length costs the sender that many bytes.
   */
  #fillPayload(chunk: Uint8Array, from: number): number {
    const take = Math.min(this.#payloadLength - this.#payloadFilled, chunk.length - from);
    const filled = this.#payloadFilled + take;
    let payload = this.#payload!;
    if (filled > payload.length) {
      const grown = Buffer.allocUnsafeSlow(
        Math.min(this.#payloadLength, Math.max(filled, payload.length * 2)),
      );
      grown.set(payload.subarray(0, this.#payloadFilled), 0);
      payload = grown;
      this.#payload = grown;
    }
    // Bytes that were read directly into the payload are already in place.
    if (chunk.buffer !== payload.buffer)
      payload.set(chunk.subarray(from, from + take), this.#payloadFilled);
    this.#payloadFilled = filled;
    return from + take;
  }

  /** Returns the payload's length, if the type, flags and length of the frame are valid. */
  #checkHeader(bytes: Uint8Array, at: number): number {
    const length = readUint32(bytes, at);
    const type = bytes[at + 4]!;
    const limit = payloadLimits[type]!;
    if (limit === -2) {
      throw new MicroError("invalid_argument", `received a frame of unknown type ${type}`);
    }
    const max = limit === -1 ? this.#maxPayloadBytes : limit;
    if (length > max) {
      this.#handler.oversized?.(type, readUint32(bytes, at + 8), length);
      throw new MicroError(
        "resource_exhausted",
        `received a frame of type ${type} that declares ${length} bytes, over its limit of ${max}`,
      );
    }
    if (type < firstIgnorableType && (bytes[at + 5]! & ~allowedFlags[type]!) !== 0) {
      throw new MicroError(
        "invalid_argument",
        `received a frame of type ${type} with flags ${bytes[at + 5]} that it cannot have`,
      );
    }
    return length;
  }

  #emit(header: Uint8Array, at: number, payload: Uint8Array, start: number, end: number): void {
    this.#handler.frame(
      header[at + 4]!,
      header[at + 5]!,
      (header[at + 6]! << 8) | header[at + 7]!,
      readUint32(header, at + 8),
      readUint32(header, at + 12),
      payload,
      start,
      end,
    );
  }
}

/** Reads an unsigned big-endian 32-bit number. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}

/** Reads an unsigned big-endian 16-bit number. */
export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
