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

/**
 * Splits the data of a stream into messages. A message that is complete within a chunk is passed on
 * without a copy; others are copied once. When no further message is accepted, the rest waits as
 * bytes until {@link splitOn}.
 *
 * The bytes of an incomplete message are consumed as they arrive, but not before everything before
 * them was read. So a stream holds at most its window and one message, and the incomplete messages
 * of many streams do not close the window of their connection.
 */
export abstract class MessageSplitter {
  /** The message whose end has not arrived. */
  #partial: GrowingBuffer | undefined = undefined;
  /** Bytes of it that still count against the window. */
  #unconsumed = 0;
  /** The bytes after the messages that were split off. */
  #unsplit: GrowingBuffer | undefined = undefined;
  #isSplitting = false;
  /** Called when everything is split. */
  #onSplit: (() => void) | undefined = undefined;

  /** Whether the stream is still being read. */
  protected abstract readonly isReading: boolean;
  /** Whether earlier messages wait to be read. */
  protected abstract readonly hasUnread: boolean;

  /** Whether a further message may be passed on. */
  protected abstract readonly acceptsMessage: boolean;

  /** Checks the prefix of a message. If the message is not accepted, reading must end. */
  protected abstract checkPrefix(flags: number, length: number): void;
  /**
   * Handles a message.
   *
   * @param windowBytes how much of the window it takes until it is consumed
   */
  protected abstract received(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    flags: number,
  ): void;
  /** Opens the window again by so many bytes. */
  protected abstract consume(bytes: number): void;

  /** Whether the data so far ends within a message. */
  protected get isWithinMessage(): boolean {
    return this.#partial !== undefined;
  }

  /** Handles data as it arrives. */
  protected split(bytes: Uint8Array, start: number, end: number): void {
    if (this.#unsplit === undefined) this.#split(bytes, start, end);
    else this.#keep(bytes, start, end);
  }

  /** Continues with what waits, as far as messages are accepted. */
  protected splitOn(): void {
    if (this.#unsplit === undefined || this.#isSplitting || !this.acceptsMessage) return;
    const { buffer, byteOffset, length } = this.#unsplit.take();
    this.#unsplit = undefined;
    this.#split(new Uint8Array(buffer, byteOffset, length), 0, length);
    if (this.#unsplit !== undefined) return;
    const onSplit = this.#onSplit;
    this.#onSplit = undefined;
    if (this.isReading) onSplit?.();
  }

  /** Calls back when everything is split that has arrived, at once if it is. */
  protected whenSplit(callback: () => void): void {
    if (this.#unsplit === undefined) callback();
    else this.#onSplit = callback;
  }

  /** Called when all earlier messages were read: the window opens for the rest of the next one. */
  protected readOn(): void {
    const bytes = this.#unconsumed;
    if (bytes === 0) return;
    this.#unconsumed = 0;
    this.consume(bytes);
  }

  /** Discards what was not split off. */
  protected discardUnsplit(): void {
    this.#dropPartial();
    this.#unsplit = undefined;
    this.#onSplit = undefined;
  }

  #split(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    this.#isSplitting = true;
    try {
      while (at < end && this.isReading && (this.#partial !== undefined || this.acceptsMessage)) {
        at = this.#partial === undefined ? this.#begin(bytes, at, end) : this.#fill(bytes, at, end);
      }
    } finally {
      this.#isSplitting = false;
    }
    if (at < end && this.isReading) this.#keep(bytes, at, end);
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    this.#unsplit ??= new GrowingBuffer();
    this.#unsplit.append(bytes.subarray(start, end));
  }

  #dropPartial(): void {
    this.#partial = undefined;
    this.#unconsumed = 0;
  }

  /** Reads the message that begins at `at`, if it is complete. */
  #begin(bytes: Uint8Array, at: number, end: number): number {
    if (end - at >= prefixBytes) {
      const flags = bytes[at]!;
      const length = readUint32(bytes, at + 1);
      const messageEnd = at + prefixBytes + length;
      this.checkPrefix(flags, length);
      if (!this.isReading) return end;
      if (messageEnd <= end) {
        this.received(bytes, at + prefixBytes, messageEnd, messageEnd - at, flags);
        return messageEnd;
      }
    }
    this.#partial = new GrowingBuffer();
    return this.#fill(bytes, at, end);
  }

  #fill(bytes: Uint8Array, from: number, end: number): number {
    const partial = this.#partial!;
    let at = from;
    if (partial.length < prefixBytes) {
      at = this.#hold(bytes, at, Math.min(end, at + prefixBytes - partial.length));
      if (partial.length < prefixBytes) return at;
      this.checkPrefix(partial.bytes[0]!, partial.bytes.readUInt32BE(1));
      if (!this.isReading) return end;
    }
    const total = totalOf(partial);
    at = this.#hold(bytes, at, Math.min(end, at + total - partial.length));
    if (partial.length < total) {
      if (!this.hasUnread) this.readOn();
      return at;
    }
    const { buffer, byteOffset } = partial.bytes;
    const whole = new Uint8Array(buffer, byteOffset, total);
    const windowBytes = this.#unconsumed;
    this.#dropPartial();
    this.received(whole, prefixBytes, total, windowBytes, whole[0]!);
    return at;
  }

  #hold(bytes: Uint8Array, at: number, end: number): number {
    this.#partial!.append(bytes.subarray(at, end));
    this.#unconsumed += end - at;
    return end;
  }
}

function totalOf(partial: GrowingBuffer): number {
  return prefixBytes + partial.bytes.readUInt32BE(1);
}
