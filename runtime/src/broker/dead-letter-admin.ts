import type { Metadata } from "../base/metadata.ts";

/** An event that failed permanently, as its broker keeps it. */
export interface DeadLetter {
  /** Position on the dead letter topic; never reused for another event there. */
  readonly cursor: string;
  /** The original topic. */
  readonly topic: string;
  readonly id: string;
  readonly key: string | undefined;
  readonly body: Uint8Array;
  readonly contentType: string;
  /** "" if the publisher did not set it. */
  readonly typeName: string;
  /** Metadata as published, without the keys that describe the failure. */
  readonly metadata: Metadata;
  /** Why the event failed: the last error its handler threw. */
  readonly reason: string;
  /** Number of times the event was handled. */
  readonly attempts: number;
  /** When the event was dead-lettered. */
  readonly at: Date;
}

/** A topic that has dead letters. */
export interface DeadLetterTopic {
  readonly topic: string;
  /** Number of events on the topic. */
  readonly count: number;
}

/** Selects which dead letters are listed. */
export interface DeadLetterListOptions {
  /** List only dead letters after this cursor, whether or not it still exists. */
  readonly after?: string;
  /** Default: all. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/**
 * The events a broker keeps on dead letter topics: list, replay or drop them.
 *
 * Every method throws MicroError `invalid_argument` for an invalid topic or cursor, and
 * `unavailable` when the broker cannot be reached.
 */
export interface DeadLetters {
  /** Topics whose last event is a dead letter, by name. */
  topics(options?: { readonly signal?: AbortSignal }): Promise<readonly DeadLetterTopic[]>;
  /**
   * Lists the dead letters that exist when it starts, oldest first. Only dead letters dropped in
   * the meantime may be missing. Other events on the topic are skipped.
   */
  list(topic: string, options?: DeadLetterListOptions): AsyncIterable<DeadLetter>;
  read(topic: string, cursor: string): Promise<DeadLetter | undefined>;
  /**
   * Publishes the dead letter on its original topic with its original id, key, metadata and body,
   * then drops it. Every subscriber of the topic receives it, including those that handled it
   * before. Resolves to false if it does not exist.
   *
   * If this fails, the dead letter still exists and may have been published; retrying within the
   * broker's deduplication window publishes it once.
   * @throws MicroError as publishing does; `failed_precondition` if the topic has no subscriber and
   * the broker would lose the event.
   */
  replay(
    topic: string,
    cursor: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<boolean>;
  /** Deletes the dead letter permanently; resolves to false if it does not exist. */
  drop(topic: string, cursor: string): Promise<boolean>;
}
