import { type BackendState, BackendStatus, type StateListener } from "../backend.ts";
import { asMicroError, MicroError } from "../error.ts";
import { createLogger, type Logger } from "../logger.ts";
import type {
  Broker,
  BrokerGuarantees,
  EventHandler,
  OutgoingEvent,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./broker.ts";
import type { DeadLetters } from "./dead-letters.ts";
import {
  type DeliveryHost,
  DeliverySubscription,
  defaultCloseGraceMs,
  deliverySettings,
} from "./delivery.ts";
import { DeliveryQueue, defaultMaxPendingBytes } from "./delivery-queue.ts";
import { cancellation, defaultMaxEventBytes, type EventRecord, eventRecord } from "./event.ts";
import { KeptDeadLetters, memoryDeadLetters } from "./memory-dead-letters.ts";

/** Where the {@link memoryBroker | memory brokers} of one process meet. */
export class MemoryBrokerNetwork {
  /** By topic, then by queue group; each subscription outside a group has an entry of its own. */
  readonly #topics = new Map<string, Map<string | symbol, DeliveryQueue>>();

  /** What was given up on any of its topics: the last 1,000, of 16 MiB at most. */
  readonly deadLetters: KeptDeadLetters = new KeptDeadLetters();

  /** The queues that an event on a topic goes into. */
  of(topic: string): Iterable<DeliveryQueue> {
    return this.#topics.get(topic)?.values() ?? [];
  }

  /** Whether anybody subscribes to a topic. */
  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  /** The queue that a new subscription takes its events from; it leaves the network when it is sealed. */
  open(topic: string, queue: string | undefined, maxPendingBytes: number): DeliveryQueue {
    let queues = this.#topics.get(topic);
    if (queues === undefined) {
      queues = new Map();
      this.#topics.set(topic, queues);
    }
    const name = queue ?? Symbol(topic);
    let deliveries = queues.get(name);
    if (deliveries === undefined) {
      deliveries = new DeliveryQueue(topic, maxPendingBytes, () => this.#remove(topic, name));
      queues.set(name, deliveries);
    }
    return deliveries;
  }

  #remove(topic: string, name: string | symbol): void {
    const queues = this.#topics.get(topic);
    queues?.delete(name);
    if (queues?.size === 0) this.#topics.delete(topic);
  }
}

/** Options of {@link memoryBroker}. */
export interface MemoryBrokerOptions {
  /** Brokers with the same network reach each other. Default: one network for the whole process. */
  readonly network?: MemoryBrokerNetwork;
  /**
   * What happens when too many events wait for a subscriber. `drop` (default): the event is lost for it and
   * counted, so a slow or hanging subscriber never holds anybody up; publishing is at most once then.
   * `block`: the publisher waits for room, and no event is lost.
   */
  readonly overflow?: "drop" | "block";
  /** The largest body of an event, in bytes. Default 4 MiB. */
  readonly maxEventBytes?: number;
  /** Bodies that may wait for one subscription or queue group, in bytes together. Default 64 MiB. */
  readonly maxPendingBytes?: number;
  /** How long a subscription that closes waits for its handlers, in milliseconds. Default 10,000. */
  readonly closeGraceMs?: number;
  /** Where failing handlers and lost events are reported. Default: standard error. */
  readonly logger?: Logger;
}

const processNetwork = new MemoryBrokerNetwork();

/**
 * A broker inside this process: for services that live together in one, and for tests. An event that waits
 * dies with the process; a failed handling is repeated, and events of one key stay in order.
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): Broker {
  return new MemoryBroker(options);
}

class MemoryBroker implements Broker, DeliveryHost {
  readonly name = "memory";
  readonly guarantees: BrokerGuarantees;
  readonly logger: Logger;
  readonly closeGraceMs: number;
  readonly deadLetters: DeadLetters;
  readonly #network: MemoryBrokerNetwork;
  readonly #maxPendingBytes: number;
  readonly #status = new BackendStatus();
  readonly #subscriptions = new Set<DeliverySubscription>();
  #closing: Promise<void> | undefined = undefined;

  constructor(options: MemoryBrokerOptions) {
    const overflow = options.overflow ?? "drop";
    this.guarantees = {
      delivery: overflow === "block" ? "at-least-once" : "at-most-once",
      ordering: "key",
      durability: "none",
      queueGroups: true,
      redelivery: true,
      deadLetter: true,
      overflow,
      replay: false,
      maxEventBytes: options.maxEventBytes ?? defaultMaxEventBytes,
    };
    this.logger = options.logger ?? createLogger();
    this.closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
    this.#network = options.network ?? processNetwork;
    this.#maxPendingBytes = options.maxPendingBytes ?? defaultMaxPendingBytes;
    this.deadLetters = memoryDeadLetters({
      kept: this.#network.deadLetters,
      check: (what, signal) => this.#check(what, signal),
      hasSubscribers: (topic) => this.#network.has(topic),
      deliver: (record, signal) => this.#deliver(record, signal === undefined ? {} : { signal }),
    });
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async publish(topic: string, event: OutgoingEvent, options: PublishOptions = {}): Promise<void> {
    this.#check(`publish on ${topic}`, options.signal);
    const record = eventRecord(topic, event, options, this.guarantees.maxEventBytes);
    // A copy, because the publisher may go on writing to its buffer.
    const kept = { ...record, body: record.body.slice() };
    await this.#deliver(kept, options);
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    this.#check(`subscribe to ${topic}`, options.signal);
    const settings = deliverySettings(topic, options);
    const deliveries = this.#network.open(topic, settings.queue, this.#maxPendingBytes);
    const subscription = new DeliverySubscription(topic, handler, settings, deliveries, this);
    this.#subscriptions.add(subscription);
    if (options.signal !== undefined) subscription.closeOn(options.signal);
    return subscription;
  }

  async publishDeadLetter(record: EventRecord): Promise<void> {
    await this.#deliver(record, {});
    this.#network.deadLetters.add(record);
  }

  forget(subscription: DeliverySubscription): void {
    this.#subscriptions.delete(subscription);
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #deliver(record: EventRecord, options: PublishOptions): Promise<void> {
    if (this.guarantees.overflow === "drop") {
      for (const queue of this.#network.of(record.topic)) queue.offer(record);
      return;
    }
    const signal = cancellation(options);
    const queues = [...this.#network.of(record.topic)];
    await Promise.all(queues.map((queue) => queue.put(record, signal)));
  }

  async #closeAll(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((each) => each.close()));
  }

  #check(what: string, signal: AbortSignal | undefined): void {
    if (this.#closing !== undefined) {
      throw new MicroError("unavailable", `cannot ${what}: the broker is closed`, {
        outcome: "not-executed",
      });
    }
    if (signal?.aborted === true) {
      throw asMicroError(signal.reason, "canceled", { outcome: "not-executed" });
    }
  }
}
