import type { DeadLetter } from "@micro-es/runtime";
import {
  checkOptions,
  checkTopic,
  cursorNumber,
  type DeadLetterHost,
  type DeadLetterListOptions,
  type DeadLetterTopic,
  deadLetterListKinds,
  type FoundDeadLetter,
  KeptDeadLetters,
  throwIfAborted,
} from "@micro-es/runtime/driver";
import { kafkaFailure } from "../link/failure.ts";
import type { KafkaLink } from "../link/link.ts";
import { decodeEvent, droppedBy, encodeDrop, type ReadRecord } from "./message.ts";
import type { EventPublisher } from "./publisher.ts";
import { readRecords } from "./read-records.ts";
import { offsetAt, type Topics } from "./topics.ts";

/** What dead letters are read from, and dropped with. */
export interface KafkaDeadLettersOptions extends DeadLetterHost {
  readonly link: KafkaLink;
  readonly topics: Topics;
  readonly publisher: EventPublisher;
  readonly maxEventBytes: number;
}

/** Dead letters are in this partition of their topic, so that they have one order. */
export const deadLetterPartition = 0;
/** Topics whose dropped dead letters are remembered. */
const maxKnown = 1_000;

/** The dead letters of a topic that were dropped. */
interface Dropped {
  /** The offsets of the records that dropped them, by their own. */
  readonly by: Map<number, number>;
  /** The offset up to which they are known. */
  until: number;
}

/**
 * Dead letters in the first partition of their topic. A cursor is an offset plus 1. Kafka cannot
 * remove a single record, so a further record says that a dead letter is dropped; the first one
 * counts.
 */
export class KafkaDeadLetters extends KeptDeadLetters {
  readonly #options: KafkaDeadLettersOptions;
  readonly #dropped = new Map<string, Dropped>();

  constructor(options: KafkaDeadLettersOptions) {
    super(options);
    this.#options = options;
  }

  topics({ signal }: { readonly signal?: AbortSignal } = {}): Promise<readonly DeadLetterTopic[]> {
    const what = "list dead letter topics";
    return this.run(what, signal, async () => {
      const found: DeadLetterTopic[] = [];
      for (const topic of [...(await this.#options.topics.list())].sort()) {
        throwIfAborted(signal);
        const [first, end] = await this.#range(topic, what);
        if (end === first || !(await this.#endsWithOne(topic, end))) continue;
        const dropped = await this.#droppedOf(topic, first, end);
        let count = 0;
        for await (const record of this.#records(topic, first, end)) {
          if (this.#read(topic, record, dropped) !== undefined) count++;
        }
        if (count > 0) found.push({ topic, count });
      }
      return found;
    });
  }

  async *list(topic: string, options: DeadLetterListOptions = {}): AsyncIterable<DeadLetter> {
    const what = `list the dead letters on ${topic}`;
    checkOptions(what, options, deadLetterListKinds);
    checkTopic(topic);
    const { after, limit = Number.POSITIVE_INFINITY, signal } = options;
    const past = after === undefined ? 0 : offsetOf(after) + 1;
    const [from, end, dropped] = await this.run(what, signal, async () => {
      if ((await this.#options.topics.look(topic)) === undefined)
        return [0, 0, new Map<number, number>()];
      const [first, last] = await this.#range(topic, what);
      return [Math.max(first, past), last, await this.#droppedOf(topic, first, last)];
    });
    const records = this.#records(topic, from, end)[Symbol.asyncIterator]();
    try {
      for (let left = limit; left > 0; ) {
        const step = await this.run(what, signal, () => records.next());
        if (step.done === true) return;
        const found = this.#read(topic, step.value, dropped);
        if (found === undefined) continue;
        this.check(what, signal);
        yield found.letter;
        left--;
      }
    } finally {
      await records.return(undefined);
    }
  }

  protected override async find(
    topic: string,
    cursor: string,
    what: string,
  ): Promise<FoundDeadLetter | undefined> {
    checkTopic(topic);
    const offset = offsetOf(cursor);
    if ((await this.#options.topics.look(topic)) === undefined) return undefined;
    const [first, end] = await this.#range(topic, what);
    if (offset < first || offset >= end) return undefined;
    const dropped = await this.#droppedOf(topic, first, end);
    for await (const record of this.#records(topic, offset, offset + 1)) {
      return this.#read(topic, record, dropped);
    }
    return undefined;
  }

  protected override async remove(topic: string, cursor: string, what: string): Promise<boolean> {
    const offset = offsetOf(cursor);
    const { publisher } = this.#options;
    const mine = await publisher.produce(topic, encodeDrop(offset), 0, deadLetterPartition);
    const [first] = await this.#range(topic, what);
    // Another process may have been first.
    const dropped = await this.#droppedOf(topic, first, mine + 1);
    return dropped.get(offset) === mine;
  }

  protected override failure(error: unknown, what: string): Error {
    return kafkaFailure(error, what);
  }

  async #range(topic: string, what: string): Promise<readonly [first: number, end: number]> {
    const { topics } = this.#options;
    const [firsts, ends] = await Promise.all([
      topics.offsets(topic, offsetAt.earliest, what),
      topics.offsets(topic, offsetAt.latest, what),
    ]);
    return [firsts[deadLetterPartition] ?? 0, ends[deadLetterPartition] ?? 0];
  }

  /** Whether the last record is a dead letter, or drops one. */
  async #endsWithOne(topic: string, end: number): Promise<boolean> {
    for await (const record of this.#records(topic, end - 1, end)) {
      return droppedBy(record) !== undefined || this.#read(topic, record, new Map()) !== undefined;
    }
    return false;
  }

  /** The dead letters that records before the end drop. Each record is read once. */
  async #droppedOf(
    topic: string,
    first: number,
    end: number,
  ): Promise<ReadonlyMap<number, number>> {
    if (this.#dropped.size > maxKnown) this.#dropped.clear();
    const known = this.#dropped.get(topic) ?? { by: new Map(), until: first };
    this.#dropped.set(topic, known);
    for (const offset of known.by.keys()) if (offset < first) known.by.delete(offset);
    for await (const record of this.#records(topic, Math.max(first, known.until), end)) {
      const offset = droppedBy(record);
      if (offset !== undefined && !known.by.has(offset)) known.by.set(offset, record.offset);
    }
    known.until = Math.max(known.until, end);
    return known.by;
  }

  #records(topic: string, from: number, end: number): AsyncGenerator<ReadRecord, void, undefined> {
    const { link, topics } = this.#options;
    return readRecords({ link, topics, topic, partition: deadLetterPartition, from, end });
  }

  #read(
    topic: string,
    record: ReadRecord,
    dropped: ReadonlyMap<number, number>,
  ): FoundDeadLetter | undefined {
    if (dropped.has(record.offset) || droppedBy(record) !== undefined) return undefined;
    const { maxEventBytes } = this.#options;
    const decode = () => decodeEvent(topic, record, maxEventBytes);
    return this.decoded(String(record.offset + 1), record.at, decode);
  }
}

/** @throws MicroError `invalid_argument` */
function offsetOf(cursor: string): number {
  return Number(cursorNumber(cursor)) - 1;
}
