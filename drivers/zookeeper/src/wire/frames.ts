import { Buffer } from "node:buffer";
import { MalformedError } from "./jute.ts";

const headBytes = 4;

/** Divides what arrives on a connection into messages, each of which has its length before it. */
export class FrameReader {
  #maxBytes: number;
  readonly #chunks: Buffer[] = [];
  #length = 0;

  /** @param maxBytes the largest message that is taken. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes messages of up to so many bytes from the next one on. */
  allow(maxBytes: number): void {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /**
   * The next complete message; undefined until there is one.
   * @throws MalformedError for a length that is not allowed, before the message has arrived.
   */
  next(): Buffer | undefined {
    if (this.#length < headBytes) return undefined;
    if ((this.#chunks[0] as Buffer).length < headBytes) this.#join();
    const length = (this.#chunks[0] as Buffer).readInt32BE(0);
    if (length < 0 || length > this.#maxBytes) {
      throw new MalformedError(`a message of ${length} bytes; ${this.#maxBytes} are allowed`);
    }
    const end = headBytes + length;
    if (this.#length < end) return undefined;
    if ((this.#chunks[0] as Buffer).length < end) this.#join();
    const first = this.#chunks[0] as Buffer;
    if (first.length === end) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(end);
    this.#length -= end;
    return first.subarray(headBytes, end);
  }

  #join(): void {
    this.#chunks.splice(0, this.#chunks.length, Buffer.concat(this.#chunks));
  }
}
