import { MicroError, type PublishOptions } from "@micro-es/runtime";
import {
  abortedPublication,
  type Backoff,
  BytesUnderWay,
  backoffMs,
  type EventRecord,
  eventOverheadBytes,
  throwIfAborted,
  untilAborted,
  withCancellation,
} from "@micro-es/runtime/driver";
import {
  initProducerIdV4,
  type MessageRecord,
  murmur2,
  NumericMap,
  produceV9,
} from "@platformatic/kafka";
import {
  checkCode,
  isPassing,
  kafkaFailure,
  mayBeDone,
  Refused,
  refusals,
} from "../link/failure.ts";
import type { KafkaLink } from "../link/link.ts";
import { encodeEvent, type NewRecord } from "./message.ts";
import type { TopicInfo, Topics } from "./topics.ts";

/** The records of one request, in bytes: brokers of other settings take about twice as much. */
const maxBatchBytes = 512 * 1024;
/** Sequence numbers of 32 bits end soon after this one. */
const lastSequence = 2_000_000_000;
const allReplicas = -1;
const backoff: Backoff = { firstMs: 20, factor: 2, mostMs: 500, jitter: 0.5 };

/** A record that waits to be stored. */
interface Waiting {
  readonly record: NewRecord;
  readonly bytes: number;
  stored(offset: number): void;
  failed(error: Error): void;
}

/** Records that wait for one partition, which gets one batch after another. */
interface Lane {
  readonly topic: string;
  readonly partition: number;
  readonly waiting: Waiting[];
  isSending: boolean;
  /** The producer that the next sequence number belongs to. */
  producer: Producer | undefined;
  sequence: number;
}

/** The response to a request that asks for one. */
type Stored = Exclude<Awaited<ReturnType<typeof produceV9.api.async>>, boolean>;

/** The identity by which the cluster recognizes repetitions. */
interface Producer {
  readonly id: bigint;
  readonly epoch: number;
}

/**
 * Produces records. A batch that may have been stored is sent again with its sequence numbers, by
 * which the cluster stores it once.
 */
export class EventPublisher {
  readonly #link: KafkaLink;
  readonly #topics: Topics;
  readonly #lanes = new Map<string, Lane>();
  /** Publications whose topic is being looked up, in their order. */
  readonly #early = new Map<string, ((topic: TopicInfo | MicroError) => void)[]>();
  #producer: Producer | undefined;
  #introducing: Promise<Producer> | undefined;
  readonly #underWay = new BytesUnderWay("until Kafka has stored them");
  /** The partition of events without a key, until they are sent. */
  #turn = 0;
  #turning = false;

  constructor(link: KafkaLink, topics: Topics) {
    this.#link = link;
    this.#topics = topics;
  }

  /**
   * Resolves when all replicas that are in sync have the event.
   * @throws MicroError `resource_exhausted` when events that are under way hold too much. Dead
   * letters are limited by the handlers of their subscription.
   */
  async send(record: EventRecord, options: PublishOptions, isDeadLetter: boolean): Promise<void> {
    const bytes = record.body.length + eventOverheadBytes;
    if (!isDeadLetter && !this.#underWay.hasRoomFor(bytes))
      throw this.#underWay.refusal(`publish on ${record.topic}`);
    const partition = isDeadLetter ? 0 : undefined;
    const produce = () =>
      this.produce(record.topic, encodeEvent(record), record.body.length, partition);
    if (options.signal === undefined && options.context === undefined) {
      await produce();
      return;
    }
    await withCancellation(options, async (signal) => {
      await untilAborted(this.#link.open(), signal);
      throwIfAborted(signal);
      const error = (reason: unknown) => abortedPublication(reason, true);
      await untilAborted(produce(), signal, { error });
    });
  }

  /** Stores a record, and resolves with its offset. */
  async produce(
    topic: string,
    record: NewRecord,
    bodyBytes: number,
    partition?: number,
  ): Promise<number> {
    const bytes = bodyBytes + eventOverheadBytes;
    this.#underWay.add(bytes);
    try {
      if (!this.#link.connected) await this.#link.open();
      return await new Promise<number>((stored, failed) => {
        const waiting = { record, bytes, stored, failed };
        this.#withTopic(topic, (found) => {
          if (found instanceof MicroError) failed(found);
          else this.#enqueue(topic, partition ?? this.#partitionOf(record, found), waiting);
        });
      });
    } finally {
      this.#underWay.remove(bytes);
    }
  }

  /** Calls back with the topic, in the order of the calls. */
  #withTopic(topic: string, use: (found: TopicInfo | MicroError) => void): void {
    const early = this.#early.get(topic);
    const known = this.#topics.peek(topic);
    if (early !== undefined) early.push(use);
    else if (known !== undefined) use(known);
    else {
      this.#early.set(topic, [use]);
      const end = (found: TopicInfo | MicroError) => {
        const all = this.#early.get(topic) ?? [];
        this.#early.delete(topic);
        for (const each of all) each(found);
      };
      const what = `publish on ${topic}`;
      this.#topics.of(topic, what).then(end, (error) => end(kafkaFailure(error, what)));
    }
  }

  /** By the key, as clients of other languages choose it; otherwise the same for one turn. */
  #partitionOf({ key }: NewRecord, { leaders }: TopicInfo): number {
    if (key !== undefined) return (murmur2(key) & 0x7fffffff) % leaders.length;
    if (!this.#turning) {
      this.#turning = true;
      setImmediate(() => {
        this.#turning = false;
        this.#turn++;
      });
    }
    return this.#turn % leaders.length;
  }

  #enqueue(topic: string, partition: number, waiting: Waiting): void {
    const name = `${partition}:${topic}`;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      const state = { waiting: [], isSending: false, producer: undefined, sequence: 0 };
      lane = { topic, partition, ...state };
      this.#lanes.set(name, lane);
    }
    lane.waiting.push(waiting);
    if (!lane.isSending) void this.#drain(lane);
  }

  async #drain(lane: Lane): Promise<void> {
    lane.isSending = true;
    // Events that are published in the same turn are one batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (lane.waiting.length > 0) {
      const batch = takeBatch(lane.waiting);
      try {
        const offset = await this.#store(lane, batch);
        for (const [index, waiting] of batch.entries()) waiting.stored(offset + index);
      } catch (error) {
        for (const waiting of batch) waiting.failed(error as Error);
      }
    }
    lane.isSending = false;
  }

  /** Sends a batch until the cluster has decided about it, or the time is over. */
  async #store(lane: Lane, batch: readonly Waiting[]): Promise<number> {
    const what = `publish on ${lane.topic}`;
    const until = performance.now() + this.#link.timeoutMs;
    const name = this.#topics.nameOf(lane.topic);
    const messages = batch.map(({ record }) => message(record, name, lane.partition));
    let producer: Producer | undefined;
    let mayBeStored = false;
    for (let failures = 1; ; failures++) {
      try {
        producer ??= await this.#producerFor(lane, batch.length);
        const { leaders } = await this.#topics.of(lane.topic, what);
        const connection = await this.#link.node(leaders[lane.partition] ?? -1);
        const response = await connection.ask(
          produceV9.api,
          allReplicas,
          this.#link.timeoutMs,
          messages,
          {
            producerId: producer.id,
            producerEpoch: producer.epoch,
            sequences: new NumericMap([
              [`${name}:${lane.partition}`, lane.sequence - batch.length],
            ]),
          },
        );
        const [result] = (response as Stored).responses[0]?.partitionResponses ?? [];
        if (result === undefined) throw new Error("its response names no partition");
        // The first attempt was stored, and only its response was lost.
        if (result.errorCode !== refusals.duplicateSequence) {
          checkCode(result.errorCode, result.errorMessage);
        }
        return Number(result.baseOffset);
      } catch (error) {
        if (isStale(error) && !mayBeStored && !this.#link.closed && failures === 1) {
          // The cluster has forgotten a producer that was idle for days.
          [lane.producer, this.#producer, producer] = [undefined, undefined, undefined];
          continue;
        }
        mayBeStored ||= mayBeDone(error);
        const waitMs = backoffMs(backoff, failures, Math.random);
        const isOver = this.#link.closed || performance.now() + waitMs > until;
        if ((!isPassing(error) && !isLinkDown(error)) || isOver) {
          // The numbers of a batch that is not sent again would be missing.
          lane.producer = undefined;
          if (isStale(error)) this.#producer = undefined;
          throw withOutcome(error, what, mayBeStored);
        }
        this.#topics.forget(lane.topic);
        await this.#link.pause(waitMs);
      }
    }
  }

  /** Reserves sequence numbers for a batch. */
  async #producerFor(lane: Lane, count: number): Promise<Producer> {
    if (lane.producer === undefined || lane.sequence > lastSequence) {
      // A producer's numbers begin at 0 in each partition, so a gap needs another one.
      if (lane.producer === undefined && lane.sequence > 0) this.#producer = undefined;
      if (lane.sequence > lastSequence) this.#producer = undefined;
      lane.sequence = 0;
      lane.producer = await this.#introduce();
    }
    lane.sequence += count;
    return lane.producer;
  }

  async #introduce(): Promise<Producer> {
    if (this.#producer !== undefined) return this.#producer;
    this.#introducing ??= this.#ask().finally(() => {
      this.#introducing = undefined;
    });
    return this.#introducing;
  }

  async #ask(): Promise<Producer> {
    const connection = await this.#link.any();
    const response = await connection.ask(initProducerIdV4.api, null, 60_000, -1n, -1);
    checkCode(response.errorCode);
    this.#producer = { id: response.producerId, epoch: response.producerEpoch };
    return this.#producer;
  }
}

function takeBatch(waiting: Waiting[]): readonly Waiting[] {
  let [count, bytes] = [0, 0];
  for (const each of waiting) {
    bytes += each.bytes;
    if (count > 0 && bytes > maxBatchBytes) break;
    count++;
  }
  return waiting.splice(0, count);
}

function message(
  { key, value, headers }: NewRecord,
  topic: string,
  partition: number,
): MessageRecord {
  // The client library takes a missing value for null, which its types leave out.
  return {
    topic,
    partition,
    headers,
    ...(key === undefined ? {} : { key }),
    value,
  } as MessageRecord;
}

/** Whether the cluster no longer knows the producer, or misses numbers of it. */
function isStale(error: unknown): boolean {
  if (!(error instanceof Refused)) return false;
  return error.code === refusals.unknownProducer || error.code === refusals.outOfOrderSequence;
}

/** The link is being restored. */
function isLinkDown(error: unknown): boolean {
  return error instanceof MicroError && error.code === "unavailable";
}

function withOutcome(error: unknown, what: string, mayBeStored: boolean): MicroError {
  const outcome = mayBeStored ? "unknown" : "not-executed";
  if (!(error instanceof MicroError)) return kafkaFailure(error, what, outcome);
  return new MicroError(error.code, `cannot ${what}: ${error.message}`, { outcome, cause: error });
}
