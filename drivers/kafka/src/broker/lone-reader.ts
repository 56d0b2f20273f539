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

/**
 * Reads every event of a topic for one subscription. Only this process knows how far it has read,
 * so nothing of it remains in the cluster.
 */
export class LoneReader implements EventSource, DeliverySource {
  readonly #options: LoneReaderOptions;
  readonly #intake: EventIntake;
  readonly #reader: TopicReader;
  #stopped = false;

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
  }

  stop(): Promise<void> {
    this.#stopped = true;
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

  #take(record: ReadRecord): void {
    this.#intake.take(this, record, 0);
  }
}
