import { GrowingBuffer } from "../../../base/growing-buffer.ts";
import { readUint32 } from "../../http2/protocol.ts";
import { prefixBytes } from "./message-frame.ts";

/** The memory that an unread message takes in addition to its bytes. */
export const unreadOverheadBytes = 256;
/**
 * Up to which cost of unread messages of a stream further ones are split off. What arrives beyond
 * that waits as it is, within the window of the stream: messages that are empty take fifty times
 * the memory of their bytes.
 */
export const maxSplitCost: number = 64 * 1024;

/** Receives the messages of a stream that a {@link MessageSplitter} splits. */
export interface MessageReceiver {
  /** Whether the stream is still being read. */
  readonly isReading: boolean;
  /** Whether a further message may be passed on. */
  readonly acceptsMessage: boolean;
  /** Checks the prefix of a message. If the message is not accepted, reading must end. */
  checkPrefix(flags: number, length: number): void;
  /**
   * Handles a message.
   *
   * @param windowBytes how much of the stream's window it takes until it is consumed
   */
  received(bytes: Uint8Array, start: number, end: number, windowBytes: number, flags: number): void;
  /**
   * Adds a piece to a message whose end has not arrived. Returns false if there is no room for it;
   * reading must have ended then.
   */
  collect(message: GrowingBuffer, piece: Uint8Array): boolean;
  /** Called when that message is complete. Returns how much of the window it still takes. */
  collected(): number;
}

/**
 * Splits the data of a stream into messages. A message that is complete within a chunk is passed on
 * without a copy; others are copied once. When no further message is accepted, the rest waits as
 * bytes until {@link splitOn}.
 */
export class MessageSplitter {
  readonly #receiver: MessageReceiver;
  /** The message whose end has not arrived. */
  #partial: GrowingBuffer | undefined = undefined;
  /** The bytes after the messages that were split off. */
  #unsplit: GrowingBuffer | undefined = undefined;
  #isSplitting = false;
  /** Called when everything is split. */
  #onSplit: (() => void) | undefined = undefined;

  constructor(receiver: MessageReceiver) {
    this.#receiver = receiver;
  }

  /** Whether the data so far ends within a message. */
  get isWithinMessage(): boolean {
    return this.#partial !== undefined;
  }

  /** Handles data as it arrives. Returns where reading ended, or the end of the data. */
  split(bytes: Uint8Array, start: number, end: number): number {
    if (this.#unsplit === undefined) return this.#split(bytes, start, end);
    this.#keep(bytes, start, end);
    return end;
  }

  /** Continues with what waits, as far as messages are accepted. */
  splitOn(): void {
    if (this.#unsplit === undefined || this.#isSplitting || !this.#receiver.acceptsMessage) return;
    const { buffer, byteOffset, length } = this.#unsplit.take();
    this.#unsplit = undefined;
    this.#split(new Uint8Array(buffer, byteOffset, length), 0, length);
    if (this.#unsplit !== undefined) return;
    const onSplit = this.#onSplit;
    this.#onSplit = undefined;
    if (this.#receiver.isReading) onSplit?.();
  }

  /** Calls back when everything is split that has arrived, at once if it is. */
  whenSplit(callback: () => void): void {
    if (this.#unsplit === undefined) callback();
    else this.#onSplit = callback;
  }

  /** Discards what was not split off. */
  discard(): void {
    this.#partial = undefined;
    this.#unsplit = undefined;
    this.#onSplit = undefined;
  }

  #split(bytes: Uint8Array, start: number, end: number): number {
    const receiver = this.#receiver;
    let at = start;
    this.#isSplitting = true;
    try {
      while (at < end && receiver.isReading) {
        if (this.#partial !== undefined) at = this.#fill(this.#partial, bytes, at, end);
        else if (receiver.acceptsMessage) at = this.#begin(bytes, at, end);
        else {
          this.#keep(bytes, at, end);
          at = end;
        }
      }
    } finally {
      this.#isSplitting = false;
    }
    return at;
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    this.#unsplit ??= new GrowingBuffer();
    this.#unsplit.append(bytes.subarray(start, end));
  }

  /** Reads the message that begins at `at`, if it is complete. */
  #begin(bytes: Uint8Array, at: number, end: number): number {
    const receiver = this.#receiver;
    if (end - at >= prefixBytes) {
      const flags = bytes[at]!;
      const length = readUint32(bytes, at + 1);
      const messageEnd = at + prefixBytes + length;
      receiver.checkPrefix(flags, length);
      if (!receiver.isReading) return at;
      if (messageEnd <= end) {
        receiver.received(bytes, at + prefixBytes, messageEnd, messageEnd - at, flags);
        return messageEnd;
      }
    }
    this.#partial = new GrowingBuffer();
    return this.#fill(this.#partial, bytes, at, end);
  }

  #fill(partial: GrowingBuffer, bytes: Uint8Array, from: number, end: number): number {
    const receiver = this.#receiver;
    let at = from;
    if (partial.length < prefixBytes) {
      const prefixEnd = Math.min(end, at + prefixBytes - partial.length);
      if (!receiver.collect(partial, bytes.subarray(at, prefixEnd))) return at;
      at = prefixEnd;
      if (partial.length < prefixBytes) return at;
      receiver.checkPrefix(partial.bytes[0]!, partial.bytes.readUInt32BE(1));
      if (!receiver.isReading) return at;
    }
    const total = prefixBytes + partial.bytes.readUInt32BE(1);
    const pieceEnd = Math.min(end, at + total - partial.length);
    if (!receiver.collect(partial, bytes.subarray(at, pieceEnd))) return at;
    if (partial.length < total) return pieceEnd;
    this.#partial = undefined;
    const { buffer, byteOffset } = partial.bytes;
    const whole = new Uint8Array(buffer, byteOffset, total);
    receiver.received(whole, prefixBytes, total, receiver.collected(), whole[0]!);
    return pieceEnd;
  }
}
