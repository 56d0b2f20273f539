import { Buffer } from "node:buffer";

const empty = Buffer.alloc(0);
const smallestBytes = 1_024;

/**
 * Collects bytes that arrive in pieces. It copies them into one buffer that doubles when it is
 * full, so one-byte pieces cost no more than a constant factor of the bytes themselves; a list of
 * them costs sixty times as much. Bytes that have not arrived take no memory, whatever a header
 * announces.
 */
export class GrowingBuffer {
  #store: Buffer = empty;
  #length = 0;

  /** Bytes appended since the last {@link take}. */
  get length(): number {
    return this.#length;
  }

  /** The additional memory that appending this many bytes takes, in bytes. */
  growthFor(bytes: number): number {
    const length = this.#length + bytes;
    const held = this.#store.length;
    return length <= held ? 0 : Math.max(length, held * 2, smallestBytes) - held;
  }

  append(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    const growth = this.growthFor(piece.length);
    if (growth > 0) {
      const grown = Buffer.allocUnsafe(this.#store.length + growth);
      this.#store.copy(grown, 0, 0, this.#length);
      this.#store = grown;
    }
    this.#store.set(piece, this.#length);
    this.#length = length;
  }

  /**
   * Everything appended so far, without a copy. Valid until the next append; the caller must not
   * change it.
   */
  get bytes(): Buffer {
    return this.#store.subarray(0, this.#length);
  }

  /** Returns the bytes and empties the buffer. */
  take(): Buffer {
    const bytes = this.bytes;
    this.#store = empty;
    this.#length = 0;
    return bytes;
  }
}
