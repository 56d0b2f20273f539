import type { Socket } from "node:net";
import { keepSlab, takeSlab } from "../../base/slabs.ts";
import type { AnyCodec } from "../../codec/codec.ts";
import { headerBytes } from "./protocol.ts";

/** Output of this size is flushed before the tick ends, so that the peer can begin. */
const earlyFlushBytes = 32 * 1024;
/** A message of this size that has its own array is not copied into the slab. */
const ownChunkBytes = 16 * 1024;

/**
 * How much a codec may reserve beyond a message's length. A codec that reserves more writes into a
 * buffer of its own.
 */
const encodingMarginBytes = 64;

/** Slabs that one writer keeps track of while the socket uses them. */
const maxLent = 16;

/**
 * Writes successive frames into one buffer, and passes it to the socket once per tick. One write
 * per frame would cost four times as much overall (docs/wire-protocol.md, "Rationale").
 *
 * A frame is opened, filled, and closed or abandoned before the next one is opened.
 */
export class FrameWriter {
  readonly #socket: Socket;
  /** Called after each write with the number of bytes that the socket has not yet sent. */
  readonly #onFlush: (unsentBytes: number) => void;
  #slab: Uint8Array | undefined;
  /** The offset up to which the socket already has the bytes. */
  #from = 0;
  /** The offset at which the open frame begins. */
  #start = 0;
  #at = 0;
  #scheduled = false;
  #closed = false;
  /**
   * Room for a message like the last one if that was large, so that the next is encoded only once.
   */
  #expected = 0;
  /** Full slabs that the socket has not yet sent. */
  #lent: Uint8Array[] = [];
  /**
   * How often bytes were passed to the socket. A call written since the last flush has not been
   * sent.
   */
  flushes = 0;

  constructor(socket: Socket, onFlush: (unsentBytes: number) => void) {
    this.#socket = socket;
    this.#onFlush = onFlush;
  }

  /** Begins a frame. */
  open(type: number, flags: number, method: number, call: number, aux: number): void {
    this.#start = this.#at;
    this.#reserve(headerBytes);
    const slab = this.#slab!;
    const at = this.#at;
    slab[at + 4] = type;
    slab[at + 5] = flags;
    slab[at + 6] = method >>> 8;
    slab[at + 7] = method;
    slab[at + 8] = call >>> 24;
    slab[at + 9] = call >>> 16;
    slab[at + 10] = call >>> 8;
    slab[at + 11] = call;
    slab[at + 12] = aux >>> 24;
    slab[at + 13] = aux >>> 16;
    slab[at + 14] = aux >>> 8;
    slab[at + 15] = aux;
    this.#at = at + headerBytes;
  }

  /** Ends the open frame. It is sent by the end of the tick. */
  close(): void {
    this.#writeLength(this.#at - this.#start - headerBytes);
    if (this.#at - this.#from >= earlyFlushBytes) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(flushWriter, this);
    }
  }

  /** Discards the open frame. */
  abandon(): void {
    this.#at = this.#start;
    if (this.#at === this.#from) this.#settle();
  }

  /** Writes a frame without payload. */
  bare(type: number, method: number, call: number, aux: number, flags = 0): void {
    this.open(type, flags, method, call, aux);
    this.close();
  }

  uint16(value: number): void {
    this.#reserve(2);
    this.#slab![this.#at++] = value >>> 8;
    this.#slab![this.#at++] = value;
  }

  uint32(value: number): void {
    this.uint16(value >>> 16);
    this.uint16(value & 0xffff);
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#slab!.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Writes a 16-bit length, followed by the bytes. */
  block(bytes: Uint8Array): void {
    this.uint16(bytes.length);
    this.bytes(bytes);
  }

  /**
   * Encodes a message at the end of the open frame and closes the frame. Returns the message's
   * length; if that exceeds `limit`, the frame is still open and nothing was sent.
   * @throws what the codec throws; the frame is then still open.
   */
  messageAndClose(codec: AnyCodec, message: unknown, limit: number): number {
    if (codec.encodeInto === undefined) return this.#encodeAndClose(codec, message, limit);
    if (this.#expected > 0) this.#reserve(this.#expected);
    const begin = this.#at - this.#start;
    let end = codec.encodeInto(message, this.#slab!, this.#at);
    while (end > this.#slab!.length) {
      const length = end - this.#at;
      if (length > limit) return length;
      this.#reserve(length + encodingMarginBytes);
      end = codec.encodeInto(message, this.#slab!, this.#at);
    }
    const length = end - this.#start - begin;
    if (length > limit) return length;
    this.#expected = length > ownChunkBytes ? length + encodingMarginBytes : 0;
    this.#at = end;
    this.close();
    return length;
  }

  /** Passes all complete frames to the socket. */
  flush(): void {
    this.#scheduled = false;
    const slab = this.#slab;
    // Frames that were never passed to a socket have certainly not been sent.
    if (slab === undefined || this.#closed || this.#socket.destroyed) return;
    if (this.#at > this.#from) {
      this.flushes++;
      this.#socket.write(
        this.#from === 0 && this.#at === slab.length ? slab : slab.subarray(this.#from, this.#at),
      );
      this.#from = this.#at;
    }
    this.#settle();
  }

  /** Called when the socket has sent everything. */
  drained(): void {
    if (this.#lent.length > 0 && this.#socket.writableLength === 0) this.#reclaim();
  }

  /** Stops all output. */
  destroy(): void {
    this.#closed = true;
    this.#lent = [];
    this.#slab = undefined;
    this.#from = this.#at = this.#start = 0;
  }

  #encodeAndClose(codec: AnyCodec, message: unknown, limit: number): number {
    const bytes = codec.encode(message);
    const { length } = bytes;
    if (length > limit) return length;
    // A codec that returns its message unchanged returns an array that its owner may modify.
    if (length < ownChunkBytes || bytes === message) {
      this.bytes(bytes);
      this.close();
      return length;
    }
    this.#writeLength(this.#at - this.#start - headerBytes + length);
    const socket = this.#socket;
    socket.cork();
    this.flush();
    if (!this.#closed) socket.write(bytes);
    socket.uncork();
    this.#settle();
    return length;
  }

  #writeLength(length: number): void {
    const slab = this.#slab!;
    const at = this.#start;
    slab[at] = length >>> 24;
    slab[at + 1] = length >>> 16;
    slab[at + 2] = length >>> 8;
    slab[at + 3] = length;
  }

  /** Ensures that this many bytes fit after the written part of the open frame. */
  #reserve(length: number): void {
    const slab = this.#slab;
    if (slab === undefined) {
      this.drained();
      this.#slab = takeSlab(length);
      this.#from = this.#start = this.#at = 0;
      return;
    }
    if (this.#at + length <= slab.length) return;
    const begun = this.#at - this.#start;
    const next = takeSlab(begun + length);
    next.set(slab.subarray(this.#start, this.#at), 0);
    this.#at = this.#start;
    this.flush();
    this.#release();
    this.#slab = next;
    this.#from = this.#start = 0;
    this.#at = begun;
  }

  /**
   * After a write: frees the slab if the kernel has accepted everything, and otherwise continues to
   * fill it.
   */
  #settle(): void {
    const unsent = this.#socket.writableLength;
    if (unsent === 0) this.#release();
    this.#onFlush(unsent);
  }

  #release(): void {
    const slab = this.#slab;
    this.#slab = undefined;
    this.#from = this.#start = this.#at = 0;
    if (slab === undefined) return;
    if (this.#socket.writableLength === 0) keepSlab(slab);
    else if (this.#lent.length < maxLent) this.#lent.push(slab);
  }

  #reclaim(): void {
    for (const slab of this.#lent) keepSlab(slab);
    this.#lent = [];
  }
}

function flushWriter(writer: FrameWriter): void {
  writer.flush();
}
