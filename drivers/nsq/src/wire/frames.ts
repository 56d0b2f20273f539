import { Buffer } from "node:buffer";

/** What a server sends. */
export type Frame = { readonly type: "response" | "error"; readonly data: Buffer } | NsqMessage;

/** One delivery of a message. */
export interface NsqMessage {
  readonly type: "message";
  /** 16 characters, the same in each delivery. */
  readonly id: string;
  /** Deliveries of the message, including this one. */
  readonly attempts: number;
  readonly body: Buffer;
  /** Whether the body was longer than the reader keeps, and this is its beginning. */
  readonly isTruncated: boolean;
}

/** Thrown for what is not a frame of the protocol. */
export class MalformedFrame extends Error {
  override readonly name = "MalformedFrame";
}

/** Size and type of a frame, in bytes. */
const headBytes = 8;
/** Time, attempts and id of a message, in bytes. */
const messageHeadBytes = 26;
/** The longest response or error of a server, in bytes. */
const maxResponseBytes = 64 * 1024;
/** The part that is kept of a message that is too long, in bytes. */
const keptBytes = 64 * 1024;
/** No server allows a message of this size, in bytes. */
const maxSize = 0x4000_0000;

/** Cuts what a server sends into frames, and keeps no more of one than it may. */
export class FrameReader {
  readonly #maxBodyBytes: number;
  /** The beginning of the next frame as it has arrived, and its length. */
  #chunks: Buffer[] = [];
  #length = 0;
  /** What the next step needs, in bytes. */
  #needed = headBytes;
  /** The rest of a frame that is skipped, in bytes. */
  #toSkip = 0;

  /** @param maxBodyBytes the longest message that is kept whole, in bytes. */
  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes;
  }

  /**
   * The frames that are complete with this chunk. They share its memory.
   * @throws MalformedFrame
   */
  *push(chunk: Buffer): Generator<Frame, void, undefined> {
    let rest = this.#skip(chunk);
    for (;;) {
      if (this.#length + rest.length < this.#needed) {
        if (rest.length > 0) this.#chunks.push(rest);
        this.#length += rest.length;
        return;
      }
      const buffered = this.#chunks.length === 0 ? rest : Buffer.concat([...this.#chunks, rest]);
      this.#chunks = [];
      this.#length = 0;
      const { size, kept } = this.#sizes(buffered);
      this.#needed = 4 + kept;
      if (buffered.length < this.#needed) {
        rest = buffered;
        continue;
      }
      yield frameOf(buffered.subarray(4, this.#needed), kept < size);
      rest = buffered.subarray(this.#needed);
      this.#toSkip = size - kept;
      this.#needed = headBytes;
      rest = this.#skip(rest);
    }
  }

  #skip(chunk: Buffer): Buffer {
    const skipped = Math.min(this.#toSkip, chunk.length);
    this.#toSkip -= skipped;
    return skipped === 0 ? chunk : chunk.subarray(skipped);
  }

  /** The size of a frame without its size field, and how much of that is kept. */
  #sizes(head: Buffer): { readonly size: number; readonly kept: number } {
    const size = head.readUInt32BE(0);
    const type = head.readUInt32BE(4);
    const shortest = type === 2 ? 4 + messageHeadBytes : 4;
    if (type > 2 || size < shortest || size > maxSize) {
      throw new MalformedFrame(`it sent a frame of ${size} bytes and type ${type}`);
    }
    if (type !== 2) {
      if (size <= maxResponseBytes) return { size, kept: size };
      throw new MalformedFrame(`it sent a response of ${size} bytes`);
    }
    const isTooLong = size - shortest > this.#maxBodyBytes;
    return { size, kept: isTooLong ? Math.min(size, shortest + keptBytes) : size };
  }
}

function frameOf(frame: Buffer, isTruncated: boolean): Frame {
  const type = frame.readUInt32BE(0);
  const data = frame.subarray(4);
  if (type !== 2) return { type: type === 0 ? "response" : "error", data };
  return {
    type: "message",
    attempts: data.readUInt16BE(8),
    id: data.toString("latin1", 10, messageHeadBytes),
    body: data.subarray(messageHeadBytes),
    isTruncated,
  };
}
