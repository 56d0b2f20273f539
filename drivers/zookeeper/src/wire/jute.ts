import { Buffer } from "node:buffer";

/*
 * Jute, the encoding of ZooKeeper's messages: big-endian numbers, texts, byte strings and lists
 * with a length before them, and no tags.
 */

/** Bytes that are not the expected message. */
export class MalformedError extends Error {}

const firstBytes = 256;

/** Writes the fields of a message. */
export class JuteWriter {
  #bytes: Buffer = Buffer.allocUnsafe(firstBytes);
  #length = 0;

  bool(value: boolean): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value ? 1 : 0;
  }

  int(value: number): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeInt32BE(value, this.#length);
  }

  long(value: bigint): void {
    this.#reserve(8);
    this.#length = this.#bytes.writeBigInt64BE(value, this.#length);
  }

  bytes(value: Uint8Array): void {
    this.int(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string): void {
    this.bytes(Buffer.from(value));
  }

  list<T>(values: readonly T[], write: (value: T) => void): void {
    this.int(values.length);
    for (const value of values) write(value);
  }

  /** The message as it is sent, preceded by its length. */
  frame(): Buffer {
    const frame = Buffer.allocUnsafe(4 + this.#length);
    frame.writeInt32BE(this.#length, 0);
    this.#bytes.copy(frame, 4, 0, this.#length);
    return frame;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/**
 * Reads the fields of a message. No announced length makes it hold more than the bytes that it was
 * given. All of its methods throw a {@link MalformedError} when a field exceeds those bytes.
 */
export class JuteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  bool(): boolean {
    return this.#bytes[this.#take(1)] !== 0;
  }

  int(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  long(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  /** A view of the message; the length -1 stands for no bytes, and reads as an empty string. */
  bytes(): Buffer {
    const length = this.int();
    if (length === -1) return Buffer.alloc(0);
    const from = this.#take(length);
    return this.#bytes.subarray(from, from + length);
  }

  text(): string {
    return this.bytes().toString();
  }

  /** @param leastBytes the least that one value takes. */
  list<T>(leastBytes: number, read: () => T): T[] {
    const count = this.int();
    if (count === -1) return [];
    if (count < 0 || count * leastBytes > this.left) {
      throw new MalformedError(`a list of ${count} values in ${this.left} bytes`);
    }
    return Array.from({ length: count }, read);
  }

  #take(count: number): number {
    if (count < 0 || count > this.left) {
      throw new MalformedError(`a field of ${count} bytes where ${this.left} are left`);
    }
    const from = this.#at;
    this.#at += count;
    return from;
  }
}
