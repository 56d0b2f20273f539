import type { Socket } from "node:net";
import type { AnyCodec } from "../../codec/codec.ts";
import { headerBytes } from "./protocol.ts";

const slabBytes = 64 * 1024;
/** A tick that has written as much does not wait for its end, so that the other side can begin. */
const earlyFlushBytes = 32 * 1024;
/** A message of this size that comes as its own array is not copied into the slab. */
const ownChunkBytes = 16 * 1024;

/** What codecs may ask for beyond a message's length, or else they write into a buffer of their own. */
const encodingMarginBytes = 64;

/** Slabs that one writer remembers while the socket has them. */
const maxLent = 16;

/** A larger one, for a message that needs it, is not kept. */
const largestKeptBytes = 1024 * 1024;

/** Slabs that no connection needs at the moment, by size, so that an idle connection has none. */
const freeSlabs = new Map<number, Uint8Array[]>();
const maxFreeBytesOfSize = 2 * 1024 * 1024;

/**
 * Writes frames one after the other into one buffer and gives that to the socket once a tick: a write a
 * frame would cost four times as much in all (docs/wire-protocol.md, "Why it is so").
 *
 * A frame is opened, filled, and closed or abandoned before the next one is opened.
 */
export class FrameWriter {
  readonly #socket: Socket;
  /** Told after each write of what the socket could not pass on yet. */
  readonly #onFlush: (unsentBytes: number) => void;
  #slab: Uint8Array | undefined;
  /** What lies before is with the socket already. */
  #from = 0;
  /** Where the frame begins that is open. */
  #start = 0;
  #at = 0;
  #scheduled = false;
  #closed = false;
  /** Room for a message like the last one when that was large, so that the next is encoded only once. */
  #expected = 0;
  /** Full slabs that the socket has not passed on yet. */
  #lent: Uint8Array[] = [];
  /** How often bytes were given to the socket. A call that was written since has certainly not left. */
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

  /** Ends the open frame; it goes out at the end of the tick at the latest. */
  close(): void {
    this.#writeLength(this.#at - this.#start - headerBytes);
    if (this.#at - this.#from >= earlyFlushBytes) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(flushWriter, this);
    }
  }

  /** Takes the open frame back. */
  abandon(): void {
    this.#at = this.#start;
    if (this.#at === this.#from) this.#settle();
  }

  /** A frame without payload. */
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

  /** A 16-bit length, and the bytes. */
  block(bytes: Uint8Array): void {
    this.uint16(bytes.length);
    this.bytes(bytes);
  }

  /**
   * Encodes a message as the last thing of the open frame and closes it. Returns the message's length; a
   * result over `limit` means that the frame is still open and nothing went out.
   * @throws what the codec throws; the frame is still open then.
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

  /** Gives everything that is complete to the socket. */
  flush(): void {
    this.#scheduled = false;
    const slab = this.#slab;
    // What was never given to a socket has certainly not left.
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

  /** The socket has passed everything on. */
  drained(): void {
    if (this.#lent.length > 0 && this.#socket.writableLength === 0) this.#reclaim();
  }

  /** Nothing goes out any more. */
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
    // A codec that passes its message on as it is gives an array that its owner may change.
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

  /** Sees to it that this many bytes fit behind what is written of the open frame. */
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

  /** After a write: the slab is free again when the kernel has taken all, and otherwise filled further. */
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

function takeSlab(length: number): Uint8Array {
  let size = slabBytes;
  while (size < length) size *= 2;
  if (size > largestKeptBytes) return Buffer.allocUnsafeSlow(length);
  return freeSlabs.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
}

function keepSlab(slab: Uint8Array): void {
  const { length } = slab;
  if (length > largestKeptBytes) return;
  const free = freeSlabs.get(length);
  if (free === undefined) freeSlabs.set(length, [slab]);
  else if ((free.length + 1) * length <= maxFreeBytesOfSize) free.push(slab);
}

function flushWriter(writer: FrameWriter): void {
  writer.flush();
}
