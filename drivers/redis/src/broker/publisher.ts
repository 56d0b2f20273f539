import type { PublishOptions } from "@micro-es/runtime";
import {
  abortedPublication,
  BytesUnderWay,
  type EventRecord,
  eventOverheadBytes,
  throwIfAborted,
  untilAborted,
  withCancellation,
} from "@micro-es/runtime/driver";
import type { RedisLink } from "../link/link.ts";
import { type EventKeys, wakeChannel } from "./layout.ts";
import { encodeEvent } from "./message.ts";
import { addEvent, trimStream } from "./scripts.ts";

/** Options of an {@link EventPublisher}. */
export interface EventPublisherOptions {
  readonly link: RedisLink;
  readonly keys: EventKeys;
  /** Whether events with a key go to partitions. */
  readonly isOrdered: boolean;
  readonly maxAgeMs: number;
  readonly duplicateWindowMs: number;
}

/** How an event is published. */
export interface Publication extends PublishOptions {
  /** Whether the publisher chose the id, so that a repetition may come. */
  readonly hasId?: boolean;
  /** The queue group whose dead letter it is. */
  readonly queue?: string | undefined;
  readonly isDeadLetter?: boolean;
}

/** Each stream is trimmed at this interval while events are published on it, in milliseconds. */
const trimMs = 60_000;
/** Streams whose trimming is remembered. */
const maxStreams = 10_000;

/** Adds events to streams, and removes old ones that no group needs. */
export class EventPublisher {
  readonly #options: EventPublisherOptions;
  /** When each stream is trimmed next. */
  readonly #trimsAt = new Map<string, number>();
  readonly #underWay = new BytesUnderWay("until Redis has stored them");

  constructor(options: EventPublisherOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the server has the event.
   * @throws MicroError `resource_exhausted` when events that are under way hold too much, or the
   * server is full. Dead letters are limited by the handlers of their subscription.
   */
  async send(record: EventRecord, options: Publication): Promise<void> {
    const bytes = options.isDeadLetter === true ? 0 : record.body.length + eventOverheadBytes;
    if (!this.#underWay.hasRoomFor(bytes))
      throw this.#underWay.refusal(`publish on ${record.topic}`);
    this.#underWay.add(bytes);
    const done = () => this.#underWay.remove(bytes);
    if (options.signal === undefined && options.context === undefined) {
      await this.#add(record, options).finally(done);
      return;
    }
    let adding: Promise<void> | undefined;
    try {
      await withCancellation(options, async (signal) => {
        await untilAborted(this.#options.link.open(), signal);
        throwIfAborted(signal);
        adding = this.#add(record, options).finally(done);
        await untilAborted(adding, signal, {
          error: (reason) => abortedPublication(reason, true),
        });
      });
    } finally {
      if (adding === undefined) done();
    }
  }

  async #add(record: EventRecord, options: Publication): Promise<void> {
    const { link, keys, isOrdered, duplicateWindowMs } = this.#options;
    const { topic, key, id, replay } = record;
    const isPartition = isOrdered && key !== undefined && options.isDeadLetter !== true;
    const stream = isPartition ? keys.partitionOf(topic, key) : keys.stream(topic);
    const what = `publish on ${topic}`;
    const fields = encodeEvent(record);
    this.#trimSometimes(stream);
    const isUnique = options.hasId !== true && replay === undefined;
    if (isUnique && options.isDeadLetter !== true && !isPartition) {
      await link.send("XADD", [stream, "*", ...fields], what);
      return;
    }
    const identity = [id, replay, options.queue].filter((each) => each !== undefined).join("/");
    await link.run(
      addEvent,
      isUnique && options.isDeadLetter !== true
        ? [stream]
        : [stream, keys.identity(topic, identity)],
      [duplicateWindowMs, isPartition ? wakeChannel(stream) : "", ...fields],
      what,
    );
  }

  /** Trimming is tried again later, and the link's state reports the loss of the server. */
  #trimSometimes(stream: string): void {
    const now = performance.now();
    if (now < (this.#trimsAt.get(stream) ?? 0)) return;
    if (this.#trimsAt.size >= maxStreams) this.#trimsAt.clear();
    this.#trimsAt.set(stream, now + trimMs * (0.5 + Math.random()));
    const { link, maxAgeMs } = this.#options;
    const oldest = `${Math.max(0, Date.now() - maxAgeMs)}-0`;
    link.run(trimStream, [stream], [oldest], `trim ${stream}`).catch(() => {});
  }
}
