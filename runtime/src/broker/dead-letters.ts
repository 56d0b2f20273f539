import type { Metadata } from "../metadata.ts";

/** An event that was given up, as its broker keeps it. */
export interface DeadLetter {
  /** Where it stands on its dead letter topic; no other event there ever has the same. */
  readonly cursor: string;
  /** The topic that it was on before. */
  readonly topic: string;
  readonly id: string;
  readonly key: string | undefined;
  readonly body: Uint8Array;
  readonly contentType: string;
  /** "" when the publisher did not say. */
  readonly typeName: string;
  /** As it was published; what says why it was given up is taken out. */
  readonly metadata: Metadata;
  /** Why it was given up: what its handler threw last. */
  readonly reason: string;
  /** How often its handler was tried. */
  readonly attempts: number;
  /** When it was given up. */
  readonly at: Date;
}

/** A topic that has dead letters. */
export interface DeadLetterTopic {
  readonly topic: string;
  /** Events on it. */
  readonly count: number;
}

/** Which dead letters are listed. */
export interface DeadLetterListOptions {
  /** Only those behind this cursor, whether it is still there or not. */
  readonly after?: string;
  /** Default: all. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/**
 * The events that a broker keeps on dead letter topics, to be looked at, sent again or thrown away.
 *
 * All of it throws MicroError `invalid_argument` for a topic or a cursor that cannot be, and `unavailable` when the
 * broker cannot be reached.
 */
export interface DeadLetters {
  /** Topics whose last event is a dead letter, by name. */
  topics(options?: { readonly signal?: AbortSignal }): Promise<readonly DeadLetterTopic[]>;
  /**
   * Those that are there when it begins, the oldest first. What is dropped meanwhile may be passed over, nothing else;
   * events on the topic that are no dead letters are.
   */
  list(topic: string, options?: DeadLetterListOptions): AsyncIterable<DeadLetter>;
  read(topic: string, cursor: string): Promise<DeadLetter | undefined>;
  /**
   * Publishes it on the topic that it was on, as it was: id, key, metadata and body; then drops it. Every subscriber
   * of the topic gets it, also those that have handled it before. False when it is not there.
   *
   * When this fails, it is still there, and may have been published; repeating that within the broker's window for
   * duplicates publishes it once.
   * @throws MicroError as publishing does; `failed_precondition` where nobody subscribes and the broker would lose it.
   */
  replay(
    topic: string,
    cursor: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<boolean>;
  /** Takes it out for good; false when it is not there. */
  drop(topic: string, cursor: string): Promise<boolean>;
}
