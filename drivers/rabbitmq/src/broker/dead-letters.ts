import { randomUUID } from "node:crypto";
import type { DeadLetter } from "@micro-es/runtime";
import {
  checkOptions,
  checkTopic,
  cursorNumber,
  type DeadLetterHost,
  type DeadLetterListOptions,
  type DeadLetterTopic,
  deadLetterListKinds,
  type EventRecord,
  type FoundDeadLetter,
  KeptDeadLetters,
} from "@micro-es/runtime/driver";
import type { ConfirmChannel, ConsumeMessage } from "amqplib";
import { rabbitMqFailure } from "../link/failure.ts";
import type { RabbitMqLink } from "../link/link.ts";
import type { EventLayout } from "./layout.ts";
import { deadLetterHeaders } from "./message.ts";
import type { ConfirmPublisher, Outgoing } from "./publisher.ts";
import { readStream, type StreamOffset } from "./stream-reader.ts";
import { deadLetterKey, deadLetterStream, declareQueue } from "./topology.ts";

/** The stream that keeps dead letters. */
export interface StreamDeadLettersOptions extends DeadLetterHost {
  readonly link: RabbitMqLink;
  readonly layout: EventLayout;
  readonly publisher: ConfirmPublisher;
  readonly maxEventBytes: number;
}

/** How many dead letters of a listing are read at a time. */
const pageSize = 16;
const { topic: topicHeader, letter: letterHeader, dropped: droppedHeader } = deadLetterHeaders;
const markHeader = deadLetterHeaders.mark;

/**
 * Dead letters in a RabbitMQ stream, which reading does not change. A stream only grows, so that a
 * dead letter is dropped by a message that says so. A cursor is the position in the stream plus
 * one.
 */
export class StreamDeadLetters extends KeptDeadLetters {
  readonly #options: StreamDeadLettersOptions;
  readonly #stream: string;

  constructor(options: StreamDeadLettersOptions) {
    super(options);
    this.#options = options;
    this.#stream = deadLetterStream(options.layout.exchange.name).name;
  }

  /** Keeps a dead letter, and delivers it to the subscribers of its topic. */
  keep(record: EventRecord): Promise<void> {
    const { layout, publisher } = this.#options;
    const properties = layout.encode(record);
    const own = { [topicHeader]: record.topic, [letterHeader]: randomUUID() };
    const outgoing = {
      ...this.#toStream(`publish on ${record.topic}`, own, record.body),
      routingKey: layout.routingKey(record.topic, record.key),
      properties: {
        ...properties,
        headers: { ...properties.headers, ...own },
        // The stream gets it by this key, and the subscribers of its topic by theirs.
        BCC: [deadLetterKey],
      },
    };
    return publisher.send(outgoing, {}, false);
  }

  topics({ signal }: { readonly signal?: AbortSignal } = {}): Promise<readonly DeadLetterTopic[]> {
    const what = "list dead letter topics";
    return this.run(what, signal, async () => {
      const counts = new Map<string, number>();
      for (const topic of (await this.#index(what, signal)).values()) {
        counts.set(topic, (counts.get(topic) ?? 0) + 1);
      }
      const topics = [...counts].map(([topic, count]) => ({ topic, count }));
      return topics.sort((a, b) => (a.topic < b.topic ? -1 : 1));
    });
  }

  async *list(topic: string, options: DeadLetterListOptions = {}): AsyncIterable<DeadLetter> {
    const what = `list the dead letters on ${topic}`;
    checkOptions(what, options, deadLetterListKinds);
    const { after, limit = Number.POSITIVE_INFINITY, signal } = options;
    const offsets = await this.run(what, signal, async () => {
      checkTopic(topic);
      const first = after === undefined ? 0 : offsetOf(after) + 1;
      const index = await this.#index(what, signal);
      const all = [...index].flatMap(([offset, its]) =>
        its === topic && offset >= first ? [offset] : [],
      );
      return all.slice(0, limit);
    });
    for (let at = 0; at < offsets.length; at += pageSize) {
      const page = offsets.slice(at, at + pageSize);
      const found = await this.run(what, signal, () => this.#readAll(topic, page, what, signal));
      for (const { letter } of found) yield letter;
    }
  }

  protected override async find(
    topic: string,
    cursor: string,
    what: string,
  ): Promise<FoundDeadLetter | undefined> {
    checkTopic(topic);
    const wanted = offsetOf(cursor);
    let found: FoundDeadLetter | undefined;
    await this.#scan(wanted, what, undefined, (offset, message) => {
      if (offset === wanted) found = this.#decode(topic, offset, message);
      if (droppedBy(message) === wanted) found = undefined;
    });
    return found;
  }

  protected override async remove(_topic: string, cursor: string, what: string): Promise<boolean> {
    const dropped = { [droppedHeader]: offsetOf(cursor) };
    const outgoing = this.#toStream(what, dropped, new Uint8Array(0));
    await this.#options.publisher.send(outgoing, {}, false);
    return true;
  }

  protected override failure(error: unknown, what: string): Error {
    return rabbitMqFailure(error, what);
  }

  /** The topics of all dead letters by their positions. */
  async #index(
    what: string,
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<number, string>> {
    const topics = new Map<number, string>();
    const seen = new Set<string>();
    await this.#scan(0, what, signal, (offset, message) => {
      topics.delete(droppedBy(message) ?? -1);
      const topic = headerOf(message, topicHeader);
      const letter = headerOf(message, letterHeader);
      // A repetition after an unknown outcome is the same dead letter.
      if (topic === undefined || letter === undefined || seen.has(letter)) return;
      seen.add(letter);
      topics.set(offset, topic);
    });
    return topics;
  }

  async #readAll(
    topic: string,
    offsets: readonly number[],
    what: string,
    signal: AbortSignal | undefined,
  ): Promise<readonly FoundDeadLetter[]> {
    const found: FoundDeadLetter[] = [];
    const wanted = new Set(offsets);
    await this.#scan(offsets[0] ?? 0, what, signal, (offset, message) => {
      const one = wanted.has(offset) ? this.#decode(topic, offset, message) : undefined;
      if (one !== undefined) found.push(one);
    });
    return found;
  }

  #decode(topic: string, offset: number, message: ConsumeMessage): FoundDeadLetter | undefined {
    if (headerOf(message, topicHeader) !== topic) return undefined;
    const at = new Date(Number(message.properties.timestamp ?? 0) * 1_000);
    const { layout, maxEventBytes } = this.#options;
    return this.decoded(String(offset + 1), at, () => layout.decode(topic, message, maxEventBytes));
  }

  /** Visits the messages from a position to the present end. */
  async #scan(
    from: number,
    what: string,
    signal: AbortSignal | undefined,
    visit: (offset: number, message: ConsumeMessage) => void,
  ): Promise<void> {
    const end = await this.#end(what, signal);
    if (from >= end) return;
    const read = (offset: StreamOffset, take: (offset: number, it: ConsumeMessage) => boolean) =>
      readStream(this.#options.link, { stream: this.#stream, from: offset, what, signal, take });
    await read(from === 0 ? "first" : from, (offset, message) => {
      if (offset >= end) return true;
      if (offset >= from) visit(offset, message);
      return false;
    });
  }

  /** The position of a mark, which comes after all that is in the stream now. */
  async #end(what: string, signal: AbortSignal | undefined): Promise<number> {
    const { link, publisher } = this.#options;
    const mark = randomUUID();
    const outgoing = this.#toStream(what, { [markHeader]: mark }, new Uint8Array(0));
    await publisher.declare(outgoing);
    let end = 0;
    await readStream(link, {
      stream: this.#stream,
      from: "next",
      what,
      signal,
      begun: () => publisher.send(outgoing, {}, false),
      take(offset, message) {
        end = offset;
        return headerOf(message, markHeader) === mark;
      },
    });
    return end;
  }

  #toStream(what: string, headers: object, body: Uint8Array): Outgoing {
    return {
      exchange: this.#options.layout.exchange.name,
      routingKey: deadLetterKey,
      body,
      properties: { headers, deliveryMode: 2 },
      what,
      mandatory: true,
      declare: this.#declare,
    };
  }

  readonly #declare = async (channel: ConfirmChannel): Promise<void> => {
    const { exchange } = this.#options.layout;
    const plan = { ...deadLetterStream(exchange.name), binding: deadLetterKey };
    await declareQueue(channel, exchange, plan);
  };
}

function offsetOf(cursor: string): number {
  return Number(cursorNumber(cursor)) - 1;
}

function headerOf({ properties }: ConsumeMessage, name: string): string | undefined {
  const value: unknown = properties.headers?.[name];
  return typeof value === "string" ? value : undefined;
}

/** The position of the dead letter that a message drops. */
function droppedBy({ properties }: ConsumeMessage): number | undefined {
  const value: unknown = properties.headers?.[droppedHeader];
  return typeof value === "number" ? value : undefined;
}
