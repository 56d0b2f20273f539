import type { Socket } from "node:net";
import { keepSlab, takeSlab } from "../../base/slabs.ts";
import { flag, frameHeaderBytes, frameType } from "./protocol.ts";

/** Output of this size is flushed before the tick ends, so that the peer can begin. */
const earlyFlushBytes = 32 * 1024;
/** Data of this size is passed to the socket as it is, and not copied into the slab. */
const ownChunkBytes = 8 * 1024;
/** Slabs that one writer keeps track of while the socket uses them. */
const maxLent = 16;

/**
 * Writes successive frames into one buffer, and passes it to the socket once per tick. One write
 * per frame would cost four times as much overall.
 */
export class FrameWriter {
  readonly #socket: Socket;
  /** Called after each write with the number of bytes that the socket has not yet sent. */
  readonly #onFlush: (unsentBytes: number) => void;
  #slab: Uint8Array | undefined;
  /** The offset up to which the socket already has the bytes. */
  #from = 0;
  #at = 0;
  #scheduled = false;
  #closed = false;
  /** Full slabs that the socket has not yet sent. */
  #lent: Uint8Array[] = [];
  /** How often bytes were passed to the socket. */
  flushes = 0;

  constructor(socket: Socket, onFlush: (unsentBytes: number) => void) {
    this.#socket = socket;
    this.#onFlush = onFlush;
  }

  /** Writes a frame that has only a number in its payload. */
  number(type: number, stream: number, value: number): void {
    this.#header(4, type, 0, stream);
    this.#uint32(value);
    this.#schedule();
  }

  /** Writes a frame whose payload is small. */
  frame(type: number, flags: number, stream: number, payload: Uint8Array): void {
    this.#header(payload.length, type, flags, stream);
    this.#slab!.set(payload, this.#at);
    this.#at += payload.length;
    this.#schedule();
  }

  goaway(lastStream: number, code: number, text: Uint8Array): void {
    this.#header(8 + text.length, frameType.goaway, 0, 0);
    this.#uint32(lastStream);
    this.#uint32(code);
    this.#slab!.set(text, this.#at);
    this.#at += text.length;
    this.#schedule();
  }

  /** Writes a header block as HEADERS, and as CONTINUATION if one frame cannot have all of it. */
  headers(
    stream: number,
    block: Uint8Array,
    length: number,
    endStream: boolean,
    maxFrameBytes: number,
  ): void {
    let type: number = frameType.headers;
    let flags: number = endStream ? flag.endStream : 0;
    let at = 0;
    do {
      const end = Math.min(length, at + maxFrameBytes);
      if (end === length) flags |= flag.endHeaders;
      this.#header(end - at, type, flags, stream);
      this.#copy(block, at, end);
      at = end;
      type = frameType.continuation;
      flags = 0;
    } while (at < length);
    this.#schedule();
  }

  /**
   * Writes one DATA frame. The bytes must not be modified afterwards, because they may be passed to
   * the socket without a copy.
   */
  data(stream: number, bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    const flags = endStream ? flag.endStream : 0;
    if (end - start < ownChunkBytes) {
      this.#header(end - start, frameType.data, flags, stream);
      this.#copy(bytes, start, end);
      this.#schedule();
      return;
    }
    this.#header(0, frameType.data, flags, stream, end - start);
    const socket = this.#socket;
    socket.cork();
    this.#pass();
    if (!this.#closed && !socket.destroyed) socket.write(bytes.subarray(start, end));
    socket.uncork();
    this.#settle();
  }

  /** Passes all frames to the socket. */
  flush(): void {
    this.#scheduled = false;
    if (this.#slab === undefined) return;
    this.#pass();
    this.#settle();
  }

  /** Called when the socket has sent everything. */
  drained(): void {
    if (this.#lent.length === 0 || this.#socket.writableLength > 0) return;
    for (const slab of this.#lent) keepSlab(slab);
    this.#lent = [];
  }

  /** Stops all output. */
  destroy(): void {
    this.#closed = true;
    this.#lent = [];
    this.#slab = undefined;
    this.#from = this.#at = 0;
  }

  /** @param announced the length that the frame states, if its payload is written elsewhere. */
  #header(
    length: number,
    type: number,
    flags: number,
    stream: number,
    announced: number = length,
  ): void {
    this.#reserve(frameHeaderBytes + length);
    const slab = this.#slab!;
    const at = this.#at;
    slab[at] = announced >>> 16;
    slab[at + 1] = announced >>> 8;
    slab[at + 2] = announced;
    slab[at + 3] = type;
    slab[at + 4] = flags;
    this.#at = at + 5;
    this.#uint32(stream);
  }

  #uint32(value: number): void {
    const slab = this.#slab!;
    const at = this.#at;
    slab[at] = value >>> 24;
    slab[at + 1] = value >>> 16;
    slab[at + 2] = value >>> 8;
    slab[at + 3] = value;
    this.#at = at + 4;
  }

  #copy(bytes: Uint8Array, start: number, end: number): void {
    const whole = start === 0 && end === bytes.length;
    this.#slab!.set(whole ? bytes : bytes.subarray(start, end), this.#at);
    this.#at += end - start;
  }

  #schedule(): void {
    if (this.#at - this.#from >= earlyFlushBytes) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(flushWriter, this);
    }
  }

  #pass(): void {
    if (this.#closed || this.#socket.destroyed || this.#at === this.#from) return;
    this.flushes++;
    this.#socket.write(this.#slab!.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }

  /** Ensures that this many bytes fit after what was written. */
  #reserve(length: number): void {
    const slab = this.#slab;
    if (slab !== undefined && this.#at + length <= slab.length) return;
    if (slab !== undefined) {
      this.#pass();
      this.#release();
    } else this.drained();
    this.#slab = takeSlab(length);
    this.#from = this.#at = 0;
  }

  /** After a write: frees the slab if the kernel has accepted everything. */
  #settle(): void {
    const unsent = this.#socket.writableLength;
    if (unsent === 0) this.#release();
    this.#onFlush(unsent);
  }

  #release(): void {
    const slab = this.#slab;
    this.#slab = undefined;
    this.#from = this.#at = 0;
    if (slab === undefined) return;
    if (this.#socket.writableLength === 0) keepSlab(slab);
    else if (this.#lent.length < maxLent) this.#lent.push(slab);
  }
}

function flushWriter(writer: FrameWriter): void {
  writer.flush();
}
