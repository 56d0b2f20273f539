import { throwIfAborted } from "../../base/abort.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import { createLogger, type Logger } from "../../base/logger.ts";
import {
  byteCount,
  checkOptions,
  durationMs,
  instanceOf,
  logger,
  oneOf,
} from "../../base/option-check.ts";
import { PartLogger } from "../../base/part-logger.ts";
import type {
  Broker,
  BrokerGuarantees,
  EventHandler,
  OutgoingEvent,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "../broker.ts";
import { closeForCaller } from "../close-for-caller.ts";
import type { DeadLetters } from "../dead-letter-admin.ts";
import { DeliveryQueue, defaultMaxPendingBytes } from "../delivery-queue.ts";
import { deliverySettings } from "../delivery-settings.ts";
import { defaultMaxEventBytes, type EventRecord, eventRecord, withCancellation } from "../event.ts";
import {
  type DeliveryHost,
  defaultCloseGraceMs,
  LocalSubscription,
} from "../local-subscription.ts";
import { KeptDeadLetters, memoryDeadLetters } from "./dead-letters.ts";

/** Connects the {@link memoryBroker | memory brokers} of one process. */
export class MemoryBrokerNetwork {
  /** By topic, then by queue group; each subscription outside a group has its own entry. */
  readonly #topics = new Map<string, Map<string | symbol, DeliveryQueue>>();

  /** The dead letters of all its topics: the last 1,000, of at most 16 MiB in total. */
  readonly deadLetters: KeptDeadLetters = new KeptDeadLetters();

  /** The queues that receive an event on a topic. */
  of(topic: string): Iterable<DeliveryQueue> {
    return this.#topics.get(topic)?.values() ?? [];
  }

  /** Whether a topic has a subscriber. */
  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  /** The queue for a new subscription; it is removed from the network when it is sealed. */
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

/** Options for {@link memoryBroker}. */
export interface MemoryBrokerOptions {
  /** Brokers with the same network reach each other. Default: one network for the whole process. */
  readonly network?: MemoryBrokerNetwork;
  /**
   * What happens when too many events are waiting for a subscriber. `drop` (default): the
   * subscriber loses the event and the loss is counted, so that a slow or hanging subscriber never
   * blocks a publisher; delivery is then at most once. `block`: the publisher waits for room, and
   * no event is lost.
   */
  readonly overflow?: "drop" | "block";
  /** Maximum size of an event's body, in bytes. Default 4 MiB. */
  readonly maxEventBytes?: number;
  /**
   * Maximum size of the bodies waiting for one subscription or queue group, in bytes in total.
   * Default 64 MiB.
   */
  readonly maxPendingBytes?: number;
  /** How long a closing subscription waits for its handlers, in milliseconds. Default 10,000. */
  readonly closeGraceMs?: number;
  /**
   * Receives failing handlers and lost events. Default: the service's logger, or standard error
   * without one.
   */
  readonly logger?: Logger;
}

const processNetwork = new MemoryBrokerNetwork();

/**
 * A broker inside this process, for services that run in the same process, and for tests. Waiting
 * events are lost when the process exits. Failed attempts are retried, and events with the same key
 * stay in order.
 *
 * @example
 * ```ts
 * import { createService, memoryBroker } from "@micro-es/runtime";
 *
 * const service = createService({ name: "stats", broker: memoryBroker() });
 * ```
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): Broker {
  checkOptions("memoryBroker", options, {
    network: instanceOf("a MemoryBrokerNetwork", MemoryBrokerNetwork),
    overflow: oneOf("drop", "block"),
    maxEventBytes: byteCount,
    maxPendingBytes: byteCount,
    closeGraceMs: durationMs(0),
    logger,
  });
  return new MemoryBroker(options);
}

class MemoryBroker extends Closable implements Broker, DeliveryHost {
  readonly name = "memory";
  readonly keepsDeadLetters = true;
  readonly guarantees: BrokerGuarantees;
  readonly logger: PartLogger;
  readonly closeGraceMs: number;
  readonly deadLetters: DeadLetters;
  readonly #network: MemoryBrokerNetwork;
  readonly #maxPendingBytes: number;
  readonly #status = new BackendStatus();
  readonly #subscriptions = new Set<LocalSubscription>();

  constructor(options: MemoryBrokerOptions) {
    super();
    const overflow = options.overflow ?? "drop";
    this.guarantees = {
      delivery: overflow === "block" ? "at-least-once" : "at-most-once",
      ordering: "key",
      durability: "none",
      queueGroups: true,
      redelivery: true,
      attempts: "process",
      unheard: "discarded",
      deadLetter: true,
      overflow,
      replay: false,
      maxEventBytes: options.maxEventBytes ?? defaultMaxEventBytes,
    };
    this.logger = new PartLogger(options.logger, createLogger());
    this.closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
    this.#network = options.network ?? processNetwork;
    this.#maxPendingBytes = options.maxPendingBytes ?? defaultMaxPendingBytes;
    this.deadLetters = memoryDeadLetters({
      kept: this.#network.deadLetters,
      check: (what, signal) => this.#check(what, undefined, signal),
      hasSubscribers: (topic) => this.#network.has(topic),
      deliver: (record, signal) => this.#deliver(record, signal && { signal }),
    });
  }

  useLogger(logger: Logger): void {
    this.logger.use(logger);
  }

  get state(): BackendState {
    return this.#status.state;
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void> {
    try {
      this.#check("publish on", topic, options?.signal);
      const record = eventRecord(topic, event, options, this.guarantees.maxEventBytes, true);
      return this.#deliver(record, options);
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    this.#check("subscribe to", topic, options.signal);
    const settings = deliverySettings(topic, options);
    const deliveries = this.#network.open(topic, settings.queue, this.#maxPendingBytes);
    const subscription = new LocalSubscription(topic, handler, settings, deliveries, this);
    this.#subscriptions.add(subscription);
    subscription.closeOn(options.signal);
    return subscription;
  }

  async publishDeadLetter(record: EventRecord): Promise<void> {
    await this.#deliver(record, undefined);
    this.#network.deadLetters.add(record);
  }

  forget(subscription: LocalSubscription): void {
    this.#subscriptions.delete(subscription);
  }

  override close(): Promise<void> {
    return closeForCaller(super.close(), this.#subscriptions, this.logger);
  }

  #deliver(record: EventRecord, options: PublishOptions | undefined): Promise<void> {
    if (this.guarantees.overflow === "drop") {
      for (const queue of this.#network.of(record.topic)) queue.offer(record);
      return delivered;
    }
    const queues = [...this.#network.of(record.topic)];
    return withCancellation(options ?? {}, async (signal) => {
      await Promise.all(queues.map((queue) => queue.put(record, signal)));
    });
  }

  protected override async closeOnce(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((each) => each.closeCompletely()));
  }

  #check(what: string, topic: string | undefined, signal: AbortSignal | undefined): void {
    if (this.isClosing) {
      const attempted = topic === undefined ? what : `${what} ${topic}`;
      throw new MicroError("unavailable", `cannot ${attempted}: the broker is closed`, {
        outcome: "not-executed",
      });
    }
    throwIfAborted(signal);
  }
}

/** The result of every publication that waits for nothing. */
const delivered = Promise.resolve();
