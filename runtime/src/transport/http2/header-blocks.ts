import { GrowingBuffer } from "../../base/growing-buffer.ts";
import { ConnectionError, errorCode } from "./error-code.ts";
import { HpackDecoder, type HpackLimits } from "./hpack/decoder.ts";
import type { HeaderList } from "./hpack/header-list.ts";
import { flag, frameType, readUint31 } from "./protocol.ts";

/** The most frames that may have the rest of a header block; each may be empty. */
const maxContinuations = 64;

/** Joins the frames of header blocks, and decodes the blocks. */
export class HeaderBlocks {
  readonly #decoder: HpackDecoder;
  readonly #maxBlockBytes: number;
  readonly #fragments = new GrowingBuffer();
  #continuations = 0;
  /** Whether the block that was begun last ends its stream. */
  endStream = false;

  constructor(limits: HpackLimits) {
    this.#decoder = new HpackDecoder(limits);
    // A block that is too large is decoded nevertheless, to keep the tables in step, up to this.
    this.#maxBlockBytes = 2 * limits.maxListBytes + 1024;
  }

  /**
   * Handles HEADERS or CONTINUATION. Returns the list if the block is complete.
   *
   * @throws ConnectionError for a malformed frame or block, and for a block that is far too large
   */
  add(
    type: number,
    flags: number,
    stream: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): HeaderList | undefined {
    let from = start;
    let to = end;
    if (type === frameType.headers) {
      this.endStream = (flags & flag.endStream) !== 0;
      if ((flags & flag.padded) !== 0) {
        if (from === to) throw tooShort();
        to -= bytes[from++]!;
      }
      if ((flags & flag.priority) !== 0) {
        if (end - from < 5) throw tooShort();
        checkDependency(stream, bytes, from);
        from += 5;
      }
      if (from > to) {
        throw new ConnectionError(
          errorCode.protocolError,
          "received HEADERS whose padding is longer than the frame",
        );
      }
      if ((flags & flag.endHeaders) !== 0) return this.#decoder.decode(bytes, from, to);
      this.#continuations = 0;
    } else if (++this.#continuations > maxContinuations) throw tooLarge();
    if (this.#fragments.length + to - from > this.#maxBlockBytes) throw tooLarge();
    this.#fragments.append(bytes.subarray(from, to));
    if ((flags & flag.endHeaders) === 0) return undefined;
    const block = this.#fragments.take();
    return this.#decoder.decode(block, 0, block.length);
  }
}

/**
 * Checks the payload of PRIORITY. Priorities are otherwise ignored, as RFC 9113 allows.
 *
 * @throws ConnectionError for a stream that depends on itself
 */
export function checkDependency(stream: number, bytes: Uint8Array, start: number): void {
  if (readUint31(bytes, start) !== stream) return;
  throw new ConnectionError(
    errorCode.protocolError,
    `stream ${stream} was made to depend on itself`,
  );
}

function tooShort(): ConnectionError {
  return new ConnectionError(errorCode.frameSizeError, "received HEADERS that are too short");
}

function tooLarge(): ConnectionError {
  return new ConnectionError(
    errorCode.enhanceYourCalm,
    "received a header block of too many bytes or frames",
  );
}
