import { createCipheriv, createDecipheriv } from "node:crypto";
import { maxMessageBytes } from "./limits.ts";

/** Maximum size of a chunk: what a peer can make the other hold before it is authenticated. */
export const maxChunkBytes: number = 16 * 1024;
const tagBytes = 16;
/** A chunk that is not the last of its message. */
const moreFlag = 0x8000;

/** Bytes of a stream that are not what a member with the key of the cluster sends. */
export class RefusedStream extends Error {}

/**
 * Seals messages for a stream, in chunks: two bytes with the length and a flag, the sealed bytes,
 * and a tag. The key belongs to one direction of one connection; the nonces count the chunks.
 */
export class ChunkSealer {
  readonly #key: Buffer;
  #count = 0;

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** The chunks of a message. */
  seal(message: Uint8Array): Buffer {
    const chunks: Buffer[] = [];
    let at = 0;
    do {
      const part = message.subarray(at, at + maxChunkBytes);
      at += part.length;
      const head = Buffer.alloc(2);
      head.writeUInt16BE(part.length | (at < message.length ? moreFlag : 0));
      const cipher = createCipheriv("aes-256-gcm", this.#key, nonceOf(this.#count++));
      cipher.setAAD(head);
      chunks.push(head, cipher.update(part));
      cipher.final();
      chunks.push(cipher.getAuthTag());
    } while (at < message.length);
    return Buffer.concat(chunks);
  }
}

/** Opens the chunks of one direction of a connection. */
export class ChunkOpener {
  readonly #key: Buffer;
  readonly #parts: Buffer[] = [];
  #pending: Buffer = Buffer.alloc(0);
  #size = 0;
  #count = 0;

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** Whether a chunk was opened, which proves that the peer has the key. */
  get isAuthenticated(): boolean {
    return this.#count > 0;
  }

  /**
   * Takes received bytes, and returns the message once it is complete.
   * @throws RefusedStream for chunks that are not sealed with the key, and for a message that is
   * too large.
   */
  push(bytes: Buffer): Buffer | undefined {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    while (this.#pending.length >= 2) {
      const head = this.#pending.readUInt16BE(0);
      const length = head & ~moreFlag;
      if (length > maxChunkBytes) throw new RefusedStream(`a chunk of ${length} bytes`);
      const end = 2 + length + tagBytes;
      if (this.#pending.length < end) return undefined;
      this.#parts.push(this.#open(this.#pending.subarray(0, end)));
      this.#pending = this.#pending.subarray(end);
      this.#size += length;
      if (this.#size > maxMessageBytes) throw new RefusedStream("a message over 4 MiB");
      if ((head & moreFlag) === 0) {
        if (this.#pending.length > 0) throw new RefusedStream("bytes after the message");
        return Buffer.concat(this.#parts);
      }
    }
    return undefined;
  }

  #open(chunk: Buffer): Buffer {
    const decipher = createDecipheriv("aes-256-gcm", this.#key, nonceOf(this.#count), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(chunk.subarray(0, 2));
    decipher.setAuthTag(chunk.subarray(chunk.length - tagBytes));
    const part = decipher.update(chunk.subarray(2, chunk.length - tagBytes));
    try {
      decipher.final();
    } catch {
      throw new RefusedStream("a chunk that is not sealed with the key");
    }
    this.#count++;
    return part;
  }
}

function nonceOf(count: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(count, 8);
  return nonce;
}
