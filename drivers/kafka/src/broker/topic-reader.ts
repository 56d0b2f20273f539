import type { Logger } from "@micro-es/runtime";
import {
  type Backoff,
  backoffMs,
  pauseUntilAborted,
  sharedAbortController,
  untilAborted,
} from "@micro-es/runtime/driver";
import { fetchV13 } from "@platformatic/kafka";
import type { KafkaConnection } from "../link/connection.ts";
import { checkCode, isPassing, refusals } from "../link/failure.ts";
import type { KafkaLink } from "../link/link.ts";
import type { ReadRecord } from "./message.ts";
import { recordsOf } from "./records.ts";
import { offsetAt, type Topics } from "./topics.ts";

/** Where records go. */
export interface RecordSink {
  /** How many more records can be taken now. */
  room(): number;
  take(record: ReadRecord): void;
}

/** Options of a {@link TopicReader}. */
export interface TopicReaderOptions {
  readonly link: KafkaLink;
  readonly topics: Topics;
  readonly topic: string;
  readonly sink: RecordSink;
  readonly logger: Logger;
}

/** How long a broker waits for records, in milliseconds. */
const waitMs = 500;
/** The same while some partitions are not asked for, because their records wait here. */
const shortWaitMs = 20;
/** The records of a response, in bytes; a larger record comes alone. */
const responseBytes = 8 * 1024 * 1024;
const partitionBytes = 1024 * 1024;
const backoff: Backoff = { firstMs: 50, factor: 2, mostMs: 1_000, jitter: 0.5 };

/** A partition that is read. */
interface Reading {
  readonly partition: number;
  /** The offset to ask for. */
  next: number;
  /** Records that were read and not yet taken. */
  waiting: ReadRecord[];
}

/** Reads partitions of a topic from their leaders, for as long as the sink takes the records. */
export class TopicReader {
  readonly #options: TopicReaderOptions;
  readonly #readings = new Map<number, Reading>();
  readonly #loops = new Map<number, Promise<void>>();
  readonly #connections = new Set<KafkaConnection>();
  readonly #closing: AbortController = sharedAbortController();
  #turn = 0;
  #changed: Promise<void>;
  #change: () => void = () => {};

  constructor(options: TopicReaderOptions) {
    this.#options = options;
    this.#changed = this.#nextChange();
  }

  /** Reads a partition from an offset. */
  begin(partition: number, offset: number): void {
    this.#readings.set(partition, { partition, next: offset, waiting: [] });
    this.#wakeLoops();
    this.#startLoops();
  }

  /** Stops reading a partition, and forgets its records that were not taken. */
  end(partition: number): void {
    this.#readings.delete(partition);
  }

  /** There may be room for more. */
  wake(): void {
    const all = [...this.#readings.values()].filter(({ waiting }) => waiting.length > 0);
    if (all.length === 0) return;
    const { sink } = this.#options;
    let room = sink.room();
    for (let idle = 0; room > 0 && idle < all.length && !this.#closed; ) {
      const reading = all[this.#turn++ % all.length] as Reading;
      const record = reading.waiting.shift();
      if (record === undefined || this.#readings.get(reading.partition) !== reading) {
        idle++;
        continue;
      }
      idle = 0;
      sink.take(record);
      if (--room <= 0) room = sink.room();
    }
    if (all.some(({ waiting }) => waiting.length === 0)) this.#wakeLoops();
  }

  /** Resolves when nothing more is read. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#readings.clear();
    this.#wakeLoops();
    for (const connection of this.#connections) connection.close();
    await Promise.all(this.#loops.values());
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#change = resolve;
    });
  }

  #wakeLoops(): void {
    this.#change();
    this.#changed = this.#nextChange();
  }

  /** One loop for each broker that leads a partition. */
  #startLoops(): void {
    // Where they are not known, a loop finds them.
    const leaders = this.#options.topics.peek(this.#options.topic)?.leaders ?? [-1];
    for (const leader of new Set(leaders)) {
      if (this.#closed || this.#loops.has(leader)) continue;
      const loop = this.#loop(leader).finally(() => {
        this.#loops.delete(leader);
        if (this.#readings.size > 0) this.#startLoops();
      });
      this.#loops.set(leader, loop);
    }
  }

  async #loop(leader: number): Promise<void> {
    const { link, topics, topic, logger } = this.#options;
    let connection: KafkaConnection | undefined;
    for (let failures = 0; !this.#closed; ) {
      try {
        const finding = topics.of(topic, `read ${topic}`);
        const { leaders, id } = await untilAborted(finding, this.#closing.signal);
        if (!leaders.includes(leader)) break;
        this.#startLoops();
        const led = [...this.#readings.values()].filter(
          ({ partition }) => leaders[partition] === leader,
        );
        const wanted = led.filter(({ waiting }) => waiting.length === 0);
        if (wanted.length === 0) {
          await this.#changed;
          continue;
        }
        if (connection?.isOpen !== true) connection = await this.#connect(leader);
        if (this.#closed) break;
        const maxWaitMs = wanted.length < led.length ? shortWaitMs : waitMs;
        await this.#fetch(connection, id, wanted, maxWaitMs);
        failures = 0;
      } catch (error) {
        if (this.#closed) break;
        topics.forget(topic);
        const level = isPassing(error) || !link.connected ? "debug" : "error";
        logger[level]({ topic, error }, "the events of a topic cannot be read; trying again");
        const waitMs = backoffMs(backoff, ++failures, Math.random);
        await pauseUntilAborted(waitMs, this.#closing.signal);
        if (link.closed) break;
      }
    }
    connection?.close();
  }

  async #connect(leader: number): Promise<KafkaConnection> {
    const dialing = this.#options.link.another(leader, waitMs);
    const late = (connection: KafkaConnection) => connection.close();
    const connection = await untilAborted(dialing, this.#closing.signal, { late });
    this.#connections.add(connection);
    connection.onClose(() => this.#connections.delete(connection));
    return connection;
  }

  async #fetch(
    connection: KafkaConnection,
    topicId: string,
    wanted: readonly Reading[],
    maxWaitMs: number,
  ): Promise<void> {
    const partitions = wanted.map(({ partition, next }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(next),
      lastFetchedEpoch: -1,
      partitionMaxBytes: partitionBytes,
    }));
    const asked = new Map(wanted.map((reading) => [reading.partition, reading]));
    const response = await connection.ask(
      fetchV13.api,
      maxWaitMs,
      1,
      responseBytes,
      0,
      0,
      -1,
      [{ topicId, partitions }],
      [],
      "",
    );
    checkCode(response.errorCode);
    for (const { partitionIndex, errorCode, records } of response.responses[0]?.partitions ?? []) {
      const reading = asked.get(partitionIndex);
      // It may have been ended, or begun again, meanwhile.
      if (reading === undefined || this.#readings.get(partitionIndex) !== reading) continue;
      if (errorCode === refusals.offsetOutOfRange) {
        await this.#skip(reading);
        continue;
      }
      checkCode(errorCode);
      const found = recordsOf(partitionIndex, records ?? [], reading.next);
      reading.waiting.push(...found.records);
      reading.next = found.next;
    }
    this.wake();
  }

  /** Records were removed by their age before they were read, or the topic was created again. */
  async #skip(reading: Reading): Promise<void> {
    const { topics, topic, logger } = this.#options;
    const what = `read ${topic}`;
    const { partition, next } = reading;
    const first = (await topics.offsets(topic, offsetAt.earliest, what))[partition] ?? 0;
    logger.warn(
      { topic, partition, next, first },
      "the next events of a partition are gone; going on with the first that is there",
    );
    reading.next = first;
  }
}
