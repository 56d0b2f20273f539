import { unreadOverheadBytes } from "../enveloped/message-splitter.ts";
import type { MessageInflation } from "./message-inflation.ts";

/** How many messages that were passed on are kept until the list is copied without them. */
const mostShifted = 1_024;

/** The stream whose messages are inflated. */
export interface PendingMessagesOwner {
  readonly ended: boolean;
  /** Whether the reader has so much to read that no more should be inflated. */
  readonly isAhead: boolean;
  /**
   * Passes a message on.
   *
   * @param windowBytes how much of the window it takes
   * @param wasCompressed whether it arrived compressed
   */
  deliver(
    bytes: Uint8Array,
    start: number,
    end: number,
    windowBytes: number,
    wasCompressed: boolean,
  ): void;
  /** Called when a message cannot be inflated. */
  notInflated(reason: unknown): void;
}

/** A message that was received, and whether it is compressed. */
interface Pending {
  readonly bytes: Uint8Array;
  readonly windowBytes: number;
  readonly isCompressed: boolean;
}

/**
 * The messages of a stream from the first compressed one on, which are inflated one after another.
 * They count against the window of the stream as long as they wait.
 */
export class PendingMessages {
  readonly #owner: PendingMessagesOwner;
  readonly #inflation: MessageInflation;
  #messages: Pending[] = [];
  /** Index of the first message that waits. */
  #first = 0;
  /** The memory that they take, in bytes. */
  cost = 0;
  #isRunning = false;
  #onEmpty: (() => void) | undefined;

  constructor(owner: PendingMessagesOwner, inflation: MessageInflation) {
    this.#owner = owner;
    this.#inflation = inflation;
  }

  get isEmpty(): boolean {
    return this.#first === this.#messages.length;
  }

  add(bytes: Uint8Array, windowBytes: number, isCompressed: boolean): void {
    this.#messages.push({ bytes, windowBytes, isCompressed });
    this.cost += bytes.length + unreadOverheadBytes;
    this.resume();
  }

  /** Continues when the reader has read. */
  resume(): void {
    if (!this.#isRunning && !this.isEmpty) void this.#run();
  }

  /** Calls back when all messages have been passed on. */
  whenEmpty(callback: () => void): void {
    this.#onEmpty = callback;
    if (this.isEmpty && !this.#isRunning) callback();
  }

  /** Discards all messages. */
  clear(): void {
    this.#messages = [];
    this.#first = 0;
    this.cost = 0;
    this.#onEmpty = undefined;
  }

  async #run(): Promise<void> {
    const owner = this.#owner;
    this.#isRunning = true;
    try {
      while (!this.isEmpty && !owner.ended && !owner.isAhead) {
        const { bytes, windowBytes, isCompressed } = this.#messages[this.#first]!;
        const message = isCompressed ? await this.#inflation.inflate(bytes) : bytes;
        if (owner.ended) break;
        this.#shift();
        this.cost -= bytes.length + unreadOverheadBytes;
        owner.deliver(message, 0, message.length, windowBytes, isCompressed);
      }
    } catch (reason) {
      owner.notInflated(reason);
    }
    this.#isRunning = false;
    if (this.isEmpty) this.#onEmpty?.();
  }

  #shift(): void {
    this.#first++;
    if (!this.isEmpty && this.#first < mostShifted) return;
    this.#messages = this.#messages.slice(this.#first);
    this.#first = 0;
  }
}
