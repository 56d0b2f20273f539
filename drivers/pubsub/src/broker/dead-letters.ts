import { randomInt, randomUUID } from "node:crypto";
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
  throwIfAborted,
} from "@micro-es/runtime/driver";
import {
  Subscriber_acknowledge,
  Subscriber_listSubscriptions,
} from "../gen/google/pubsub/v1/pubsub_micro.ts";
import type { PubsubMessage } from "../gen/google/pubsub/v1/pubsub_pb.ts";
import { pubSubFailure } from "../link/failure.ts";
import type { PubSubLink } from "../link/link.ts";
import { type KeptMessage, MessageCollector } from "./collector.ts";
import { decodeMessage, letterOf, letterTopic } from "./message.ts";
import type { Names } from "./names.ts";
import type { EventPublisher } from "./publisher.ts";
import { createSubscription } from "./topology.ts";

/** The subscriptions that keep dead letters. */
export interface PubSubDeadLettersOptions extends DeadLetterHost {
  readonly link: PubSubLink;
  readonly names: Names;
  readonly publisher: EventPublisher;
  readonly maxEventBytes: number;
}

/** A dead letter that a search found, and holds until the next step has removed it. */
interface Found {
  readonly subscription: string;
  readonly ackIds: readonly string[];
  readonly at: number;
}

/** A subscription that was seen is not created again for this long, in milliseconds. */
const seenMs = 10_000;
/** How long a found dead letter is held for its removal, in milliseconds. */
const foundMs = 8_000;
/** Numbers of one millisecond. */
const perMs = 1_000_000n;

/**
 * Dead letters in a subscription for each dead letter topic, to which reading returns them. A
 * cursor is a number that grows with time.
 */
export class PubSubDeadLetters extends KeptDeadLetters {
  readonly #options: PubSubDeadLettersOptions;
  readonly #collector: MessageCollector;
  /** When each subscription was last seen to exist. */
  readonly #seen = new Map<string, number>();
  #lastLetter = 0n;
  /** By topic and cursor. */
  readonly #found = new Map<string, Found>();

  constructor(options: PubSubDeadLettersOptions) {
    super(options);
    this.#options = options;
    this.#collector = new MessageCollector(options.link, randomUUID());
  }

  /** Keeps a dead letter, and delivers it to the subscribers of its topic. */
  async keep(record: EventRecord): Promise<void> {
    const { link, names, publisher } = this.#options;
    const name = names.deadLetters(record.topic);
    const now = performance.now();
    if (now - (this.#seen.get(name) ?? Number.NEGATIVE_INFINITY) > seenMs) {
      const topic = names.topic(record.topic);
      // Without it the letter would be gone.
      await createSubscription(link, { name, topic, isOrdered: false, isLone: false });
      this.#seen.set(name, now);
    }
    await publisher.send(record, { letter: this.#nextLetter() });
  }

  topics({ signal }: { readonly signal?: AbortSignal } = {}): Promise<readonly DeadLetterTopic[]> {
    const what = "list dead letter topics";
    return this.run(what, signal, async () => {
      const topics: DeadLetterTopic[] = [];
      for (const [subscription, named] of await this.#subscriptions(what, signal)) {
        throwIfAborted(signal);
        const letters = await this.#collect(subscription, signal);
        const [first] = letters.values();
        const topic = named === "" ? first && letterTopic(first.message) : named;
        if (topic !== undefined && letters.size > 0) topics.push({ topic, count: letters.size });
      }
      return topics.sort((a, b) => (a.topic < b.topic ? -1 : 1));
    });
  }

  async *list(topic: string, options: DeadLetterListOptions = {}): AsyncIterable<DeadLetter> {
    const what = `list the dead letters on ${topic}`;
    checkOptions(what, options, deadLetterListKinds);
    const { after, limit = Number.POSITIVE_INFINITY, signal } = options;
    const found = await this.run(what, signal, async () => {
      checkTopic(topic);
      const first = after === undefined ? 0n : cursorNumber(after);
      const letters = await this.#collect(this.#options.names.deadLetters(topic), signal);
      const numbers = [...letters.keys()].filter((number) => number > first).sort(ascending);
      return numbers.flatMap((number) => this.#decode(topic, number, letters) ?? []);
    });
    let left = limit;
    for (const { letter } of found) {
      if (left-- <= 0) return;
      this.check(what, signal);
      yield letter;
    }
  }

  override async read(topic: string, cursor: string): Promise<DeadLetter | undefined> {
    return this.#lettingGo(topic, cursor, super.read(topic, cursor));
  }

  override replay(
    topic: string,
    cursor: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<boolean> {
    return this.#lettingGo(topic, cursor, super.replay(topic, cursor, options));
  }

  protected override async find(
    topic: string,
    cursor: string,
  ): Promise<FoundDeadLetter | undefined> {
    checkTopic(topic);
    const wanted = cursorNumber(cursor);
    return this.#decode(topic, wanted, await this.#search(topic, wanted));
  }

  protected override async remove(topic: string, cursor: string, what: string): Promise<boolean> {
    const place = placeOf(topic, cursor);
    const found = this.#found.get(place);
    // It may be back in the subscription after this time.
    if (found === undefined || performance.now() - found.at > foundMs) {
      await this.#search(topic, cursorNumber(cursor));
    }
    const current = this.#found.get(place);
    this.#found.delete(place);
    if (current === undefined) return false;
    const { subscription, ackIds } = current;
    await this.#options.link.call(
      Subscriber_acknowledge,
      { subscription, ackIds: [...ackIds] },
      { what, route: ["subscription", subscription] },
    );
    return true;
  }

  protected override failure(error: unknown, what: string): Error {
    return pubSubFailure(error, what);
  }

  /** Larger than all before it in this process, and unlike those of others. */
  #nextLetter(): bigint {
    const now = BigInt(Date.now()) * perMs + BigInt(randomInt(Number(perMs)));
    this.#lastLetter = now > this.#lastLetter ? now : this.#lastLetter + 1n;
    return this.#lastLetter;
  }

  #decode(
    topic: string,
    number: bigint,
    letters: ReadonlyMap<bigint, KeptMessage>,
  ): FoundDeadLetter | undefined {
    const kept = letters.get(number);
    if (kept === undefined) return undefined;
    const at = new Date(Number(number / perMs));
    const { maxEventBytes } = this.#options;
    return this.decoded(String(number), at, () =>
      decodeMessage(topic, kept.message, maxEventBytes),
    );
  }

  /** The dead letters in a subscription by their numbers. */
  async #collect(
    subscription: string,
    signal: AbortSignal | undefined,
  ): Promise<ReadonlyMap<bigint, KeptMessage>> {
    return byNumber(await this.#collector.collect(subscription, signal, () => false));
  }

  /** Searches for a dead letter, and holds it if it is found. */
  async #search(topic: string, wanted: bigint): Promise<ReadonlyMap<bigint, KeptMessage>> {
    const subscription = this.#options.names.deadLetters(topic);
    const isWanted = (message: PubsubMessage) => letterOf(message) === wanted;
    const messages = await this.#collector.collect(subscription, undefined, isWanted);
    const held = messages.filter(({ message }) => isWanted(message));
    if (held.length > 0) {
      const ackIds = held.map(({ ackId }) => ackId);
      const found = { subscription, ackIds, at: performance.now() };
      this.#found.set(placeOf(topic, String(wanted)), found);
    }
    return byNumber(messages);
  }

  /** Returns the dead letter to its subscription if it is held at the end. */
  async #lettingGo<T>(topic: string, cursor: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } finally {
      const place = placeOf(topic, cursor);
      const found = this.#found.get(place);
      this.#found.delete(place);
      // If that fails, it comes back by itself.
      if (found !== undefined) await this.#collector.giveBack(found.subscription, found.ackIds);
    }
  }

  /** The subscriptions of this fleet that keep dead letters, with their topics. */
  async #subscriptions(
    what: string,
    signal: AbortSignal | undefined,
  ): Promise<readonly (readonly [subscription: string, topic: string])[]> {
    const { link, names } = this.#options;
    const found: (readonly [string, string])[] = [];
    for (let pageToken = ""; ; ) {
      const { subscriptions, nextPageToken } = await link.call(
        Subscriber_listSubscriptions,
        { project: names.project, pageSize: 1_000, pageToken },
        { what, route: ["project", names.project], signal },
      );
      for (const { name } of subscriptions) {
        const topic = names.deadLetterTopic(name);
        if (topic !== undefined) found.push([name, topic]);
      }
      if (nextPageToken === "") return found;
      pageToken = nextPageToken;
    }
  }
}

function placeOf(topic: string, cursor: string): string {
  return `${topic}/${cursor}`;
}

function byNumber(messages: readonly KeptMessage[]): ReadonlyMap<bigint, KeptMessage> {
  const letters = new Map<bigint, KeptMessage>();
  for (const kept of messages) {
    const number = letterOf(kept.message);
    // A repetition after an unknown outcome is the same dead letter.
    if (number !== undefined && !letters.has(number)) letters.set(number, kept);
  }
  return letters;
}

function ascending(one: bigint, other: bigint): number {
  return one < other ? -1 : 1;
}
