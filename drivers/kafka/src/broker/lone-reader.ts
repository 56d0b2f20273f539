import type { Delivery, DeliverySource, EventSource } from "@micro-es/runtime/driver";
import type { KafkaLink } from "../link/link.ts";
import { EventIntake, type EventIntakeOptions } from "./intake.ts";
import type { ReadRecord } from "./message.ts";
import { TopicReader } from "./topic-reader.ts";
import type { Topics } from "./topics.ts";

/** Options of a {@link LoneReader}. */
export interface LoneReaderOptions extends EventIntakeOptions {
  readonly link: KafkaLink;
  readonly topics: Topics;
  /** The offsets at which the partitions begin. */
  readonly start: () => Promise<readonly number[]>;
}

/** New partitions are looked for at this interval, in milliseconds. */
const lookMs = 10_000;

/**
 * Reads every event of a topic for one subscription. Only this process knows how far it has read,
 * so nothing of it remains in the cluster.
 */
export class LoneReader implements EventSource, DeliverySource {
  readonly #options: LoneReaderOptions;
  readonly #intake: EventIntake;
  readonly #reader: TopicReader;
  #stopped = false;
  #partitions = 0;
  #looking: NodeJS.Timeout | undefined;

  constructor(options: LoneReaderOptions) {
    this.#options = options;
    const { link, topics, topic, logger } = options;
    const sink = { room: () => this.#intake.room(), take: (each: ReadRecord) => this.#take(each) };
    this.#reader = new TopicReader({ link, topics, topic, logger, sink });
    this.#intake = new EventIntake(options, () => this.#reader.wake());
  }

  async begin(): Promise<void> {
    const offsets = await this.#options.start();
    if (this.#stopped) return;
    for (const [partition, offset] of offsets.entries()) this.#reader.begin(partition, offset);
    this.#partitions = offsets.length;
    this.#looking = setInterval(() => void this.#look(), lookMs);
    this.#looking.unref();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#looking);
    return this.#reader.close();
  }

  close(): Promise<void> {
    return this.stop();
  }

  beforeHandling(): undefined {}

  postponed(): void {
    this.#intake.wakeSoon();
  }

  settle(_delivery: Delivery, _settled: boolean): void {
    this.#intake.ended();
  }

  /** Reads partitions that were added, from their beginning. */
  async #look(): Promise<void> {
    const { topics, topic, logger } = this.#options;
    try {
      const { leaders } = await topics.of(topic, `read ${topic}`);
      while (!this.#stopped && this.#partitions < leaders.length) {
        this.#reader.begin(this.#partitions++, 0);
      }
    } catch (error) {
      logger.debug({ topic, error }, "cannot look for new partitions; trying again");
    }
  }

  #take(record: ReadRecord): void {
    this.#intake.take(this, record, 0);
  }
}
