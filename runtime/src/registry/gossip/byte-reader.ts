/** The error of bytes that are not a message of the protocol. */
export class MalformedMessage extends Error {}

/** Reads fields from bytes that anyone may have written; every read is checked against the end. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  u48(): number {
    return this.#bytes.readUIntBE(this.#take(6), 6);
  }

  /** The id of a member, in hexadecimal. */
  id(): string {
    const at = this.#take(8);
    return this.#bytes.toString("hex", at, at + 8);
  }

  /** A view of the next bytes. */
  bytes(length: number): Buffer {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  text(length: number): string {
    const at = this.#take(length);
    return this.#bytes.toString("utf8", at, at + length);
  }

  /** @throws MalformedMessage if bytes are left. */
  end(): void {
    if (this.left > 0) throw new MalformedMessage(`${this.left} bytes after the message`);
  }

  #take(length: number): number {
    if (length > this.left) throw new MalformedMessage(`needs ${length} bytes of ${this.left}`);
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
