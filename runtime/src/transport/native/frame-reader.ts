import { MicroError } from "../../error.ts";
import {
  allowedFlags,
  firstIgnorableType,
  headerBytes,
  maxOverheadBytes,
  minMessageBytes,
  payloadLimits,
} from "./protocol.ts";

/** What a {@link FrameReader} gives frames to. */
export interface FrameHandler {
  /**
   * One frame. Its payload is `bytes` from `start` to `end`; nobody writes to them afterwards, so views of
   * them may be kept.
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
}

/** A payload up to this size gets its whole buffer at once; a longer one as its bytes really come. */
const eagerBufferBytes = 256 * 1024;

/** Fewer bytes of a payload are not worth a read of their own. */
const minDirectBytes = 8 * 1024;

/**
 * Cuts a byte stream into frames, however it was segmented. Frames that lie whole in a chunk are handed on
 * where they lie; only one that is split over chunks is copied together, once.
 */
export class FrameReader {
  readonly #handler: FrameHandler;
  readonly #maxPayloadBytes: number;
  /** Header of a frame that has begun and not ended. */
  readonly #header: Uint8Array = new Uint8Array(headerBytes);
  #headerFilled = 0;
  /** Payload of that frame as far as it came; undefined while its header is not complete. */
  #payload: Uint8Array | undefined;
  #payloadFilled = 0;
  #payloadLength = 0;
  /** Bytes of a frame that is skipped. */
  #skip = 0;
  #stopped = false;
  #paused = false;
  /** What came and is not read before {@link resume}. */
  #held: Uint8Array[] = [];

  /** @param maxMessageBytes the limit on messages that this side has announced. */
  constructor(handler: FrameHandler, maxMessageBytes: number) {
    this.#handler = handler;
    this.#maxPayloadBytes = Math.max(maxMessageBytes, minMessageBytes) + maxOverheadBytes;
  }

  /** Bytes that are held for a frame which is not complete. */
  get bufferedBytes(): number {
    return this.#payload === undefined ? this.#headerFilled : this.#payload.length;
  }

  /**
   * Where the next bytes belong when most of a payload is to come: who reads them into this place spares a copy. They
   * are still to be given to {@link push}, as a view of this place.
   */
  get room(): Uint8Array | undefined {
    const payload = this.#payload;
    if (payload === undefined || payload.length - this.#payloadFilled < minDirectBytes)
      return undefined;
    return payload.subarray(this.#payloadFilled);
  }

  /** Whether the stream could end here without cutting a frame. */
  get atBoundary(): boolean {
    return this.#headerFilled === 0 && this.#payload === undefined && this.#skip === 0;
  }

  /** Gives no further frame, not even of the chunk that is being read. */
  stop(): void {
    this.#stopped = true;
    this.#payload = undefined;
    this.#held = [];
  }

  /**
   * Gives no further frame before {@link resume}, not even of the chunk that is being read: one chunk may hold
   * thousands of requests, each with a large answer.
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
   * Takes the next bytes. The chunk must not be written to afterwards.
   * @throws MicroError for a frame that violates the protocol or a limit. The reader is of no use then.
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
        return;
      }
      const payloadLength = this.#checkHeader(chunk, at);
      const start = at + headerBytes;
      if (chunk[at + 4]! >= firstIgnorableType) {
        this.#skip = payloadLength;
        at = start;
        continue;
      }
      if (payloadLength > length - start) {
        this.#header.set(chunk.subarray(at, start), 0);
        this.#headerFilled = headerBytes;
        this.#openPayload(payloadLength);
        this.#fillPayload(chunk, start);
        return;
      }
      this.#emit(chunk, at, chunk, start, start + payloadLength);
      at = start + payloadLength;
    }
  }

  /** Goes on with the frame that the last chunk began, and returns where in this one it ends. */
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
        this.#skip = payloadLength;
        return at;
      }
      this.#openPayload(payloadLength);
    }
    at = this.#fillPayload(chunk, at);
    if (this.#payloadFilled < this.#payloadLength) return at;
    const payload = this.#payload!;
    this.#payload = undefined;
    this.#headerFilled = 0;
    this.#emit(this.#header, 0, payload, 0, this.#payloadLength);
    return at;
  }

  #openPayload(length: number): void {
    this.#payloadLength = length;
    this.#payloadFilled = 0;
    this.#payload = Buffer.allocUnsafeSlow(Math.min(length, eagerBufferBytes));
  }

  /** Copies what belongs to the payload. A large buffer doubles, so a length costs its sender the bytes. */
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
    // What was read into the payload itself is in its place.
    if (chunk.buffer !== payload.buffer)
      payload.set(chunk.subarray(from, from + take), this.#payloadFilled);
    this.#payloadFilled = filled;
    return from + take;
  }

  /** The payload's length, if the frame may have that type, those flags and that length. */
  #checkHeader(bytes: Uint8Array, at: number): number {
    const length = readUint32(bytes, at);
    const type = bytes[at + 4]!;
    const limit = payloadLimits[type]!;
    if (limit === -2) {
      throw new MicroError("invalid_argument", `received a frame of unknown type ${type}`);
    }
    const max = limit === -1 ? this.#maxPayloadBytes : limit;
    if (length > max) {
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

/** An unsigned big-endian number of 32 bits. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}

/** An unsigned big-endian number of 16 bits. */
export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
