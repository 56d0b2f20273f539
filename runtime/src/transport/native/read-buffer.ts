import type { ClientConnection } from "./client-connection.ts";

const smallestBytes = 4 * 1024;
const largestBytes = 64 * 1024;
/** With less room left, or less than the last read filled, reads would be cut short too often. */
const leastRoomBytes = 2 * 1024;

/**
 * The buffer that a client's socket reads into (`onread` of `net.connect`). This avoids the stream
 * between kernel and connection, and the 64 KiB buffer that Node allocates for each read, however
 * short. Bytes are never overwritten: a read goes after the previous one, into a new buffer when
 * little room is left, or directly into a large message.
 */
export class ReadBuffer {
  #slab: Uint8Array = new Uint8Array(Buffer.allocUnsafeSlow(smallestBytes).buffer);
  #used = 0;
  #direct = false;
  #connection: ClientConnection | undefined;

  /** The options for `net.connect`. */
  readonly onread = {
    buffer: (): Uint8Array => this.#next(),
    callback: (bytes: number, buffer: Uint8Array): boolean => {
      this.#came(bytes, buffer);
      return true;
    },
  };

  /** Passes received bytes to a connection. */
  giveTo(connection: ClientConnection): void {
    this.#connection = connection;
  }

  #next(): Uint8Array {
    const room = this.#connection?.room;
    this.#direct = room !== undefined;
    if (room !== undefined) return room;
    const slab = this.#slab;
    return this.#used === 0 ? slab : slab.subarray(this.#used);
  }

  #came(bytes: number, buffer: Uint8Array): void {
    if (!this.#direct) this.#take(bytes);
    this.#connection?.receive(new Uint8Array(buffer.buffer, buffer.byteOffset, bytes));
  }

  /** An active connection gets larger buffers; an idle one keeps a small one. */
  #take(bytes: number): void {
    this.#used += bytes;
    const { length } = this.#slab;
    if (length - this.#used >= Math.max(leastRoomBytes, bytes)) return;
    const next = Math.min(length * 2, largestBytes);
    this.#slab = new Uint8Array(Buffer.allocUnsafeSlow(next).buffer);
    this.#used = 0;
  }
}
