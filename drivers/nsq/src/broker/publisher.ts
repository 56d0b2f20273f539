import type { PublishOptions } from "@micro-es/runtime";
import {
  abortedPublication,
  BytesUnderWay,
  type EventRecord,
  throwIfAborted,
  untilAborted,
  withCancellation,
} from "@micro-es/runtime/driver";
import type { NsqConnection } from "../link/connection.ts";
import { nsqFailure } from "../link/failure.ts";
import type { NsqLink } from "../link/link.ts";
import { encodeEvent } from "./message.ts";
import { nsqTopic } from "./names.ts";

/** Options of an {@link EventPublisher}. */
export interface EventPublisherOptions {
  readonly link: NsqLink;
  readonly prefix: string;
  readonly maxMessageBytes: number;
}

/** What an event holds in addition to its message, in bytes. */
const eventOverheadBytes = 256;

/** Publishes events, each to one of the servers. */
export class EventPublisher {
  readonly #options: EventPublisherOptions;
  readonly #underWay = new BytesUnderWay("for nsqd");

  constructor(options: EventPublisherOptions) {
    this.#options = options;
  }

  /**
   * Resolves when a server has the event.
   * @throws MicroError `resource_exhausted` for an event that is too large, and when events that
   * are under way hold too much. Dead letters are limited by the handlers of their subscription.
   */
  async send(record: EventRecord, options: PublishOptions, isDeadLetter: boolean): Promise<void> {
    const { link, maxMessageBytes } = this.#options;
    const message = encodeEvent(record, maxMessageBytes);
    const bytes = isDeadLetter ? 0 : message.length + eventOverheadBytes;
    if (!this.#underWay.hasRoomFor(bytes))
      throw this.#underWay.refusal(`publish on ${record.topic}`);
    this.#underWay.add(bytes);
    let sending: Promise<void> | undefined;
    try {
      if (options.signal === undefined && options.context === undefined) {
        const live = link.livePublisher ?? (await link.publisher());
        await this.#put(live, record, message);
        return;
      }
      await withCancellation(options, async (signal) => {
        const connection = await untilAborted(link.publisher(), signal);
        throwIfAborted(signal);
        sending = this.#put(connection, record, message);
        await untilAborted(sending, signal, {
          error: (reason) => abortedPublication(reason, true),
        });
      });
    } finally {
      const done = () => this.#underWay.remove(bytes);
      // A message holds its memory until nsqd has it, whether or not the publisher waits.
      if (sending === undefined) done();
      else void sending.then(done, done);
    }
  }

  async #put(connection: NsqConnection, record: EventRecord, message: Buffer): Promise<void> {
    const { topic } = record;
    try {
      await connection.request(`PUB ${nsqTopic(this.#options.prefix, topic)}`, message);
    } catch (error) {
      throw nsqFailure(error, `publish on ${topic}`);
    }
  }
}
