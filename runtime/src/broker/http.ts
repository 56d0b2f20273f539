import { randomUUID } from "node:crypto";
import { advertisedAddress } from "../advertised-address.ts";
import { type BackendState, BackendStatus, type StateListener } from "../backend.ts";
import { asMicroError, MicroError } from "../error.ts";
import { createLogger, type Logger } from "../logger.ts";
import type { Registry } from "../registry/registry.ts";
import type {
  Broker,
  BrokerGuarantees,
  EventHandler,
  OutgoingEvent,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./broker.ts";
import {
  type DeliveryHost,
  DeliverySubscription,
  defaultCloseGraceMs,
  deliverySettings,
} from "./delivery.ts";
import { DeliveryQueue, defaultMaxPendingBytes } from "./delivery-queue.ts";
import { cancellation, defaultMaxEventBytes, type EventRecord, eventRecord } from "./event.ts";
import { Directory } from "./http/directory.ts";
import { type OwnSubscription, OwnSubscriptions } from "./http/own-subscriptions.ts";
import { Publisher } from "./http/publisher.ts";
import { type AllowAddress, allowReachable } from "./http/reach.ts";
import { Receiver } from "./http/receiver.ts";
import { broadcastVersion, subscriptionNode } from "./http/record.ts";
import { Sender } from "./http/sender.ts";

/** Options of {@link httpBroker}. */
export interface HttpBrokerOptions {
  /** Where subscribers are registered and found. Closing the broker leaves it open. */
  readonly registry: Registry;
  /**
   * Where events are taken, from the first subscription on. Default `127.0.0.1:0`, which only this host can
   * reach; `0.0.0.0:0` is reached from others.
   */
  readonly address?: string;
  /** The address that publishers are told, with or without a port. Default: made from `address`. */
  readonly advertise?: string;
  /** Where failing handlers, lost events and refused records are reported. Default: standard error. */
  readonly logger?: Logger;
  /** The largest body of an event, in bytes, published or taken. Default 4 MiB. */
  readonly maxEventBytes?: number;
  /** Bodies that may wait for one subscription, in bytes together. Default 64 MiB. */
  readonly maxPendingBytes?: number;
  /** Connections that publishers may have here at once. Default 1,024. */
  readonly maxConnections?: number;
  /** Time that one subscriber has to take an event, in milliseconds. Default 5,000. */
  readonly sendTimeoutMs?: number;
  /** How long the first publication waits for the registry, in milliseconds. Default 3,000. */
  readonly lookupTimeoutMs?: number;
  /** How long a subscription that closes waits for its handlers, in milliseconds. Default 10,000. */
  readonly closeGraceMs?: number;
  /**
   * IP addresses that events may be sent to. Default: all but wildcard, multicast and link-local ones and
   * those of cloud metadata services.
   */
  readonly allowAddress?: AllowAddress;
}

/** What an HTTP broker has done. */
export interface HttpBrokerStats {
  /** Events that were published. */
  readonly published: number;
  /** Events that a subscriber outside any group did not take: it was unreachable, or had no room. */
  readonly undelivered: number;
  /** Requests that were answered with an error: malformed, too large, for nobody here, or no room. */
  readonly refused: number;
  /** Connections that were closed at once because there were too many. */
  readonly droppedConnections: number;
}

/** The broker that {@link httpBroker} makes. */
export interface HttpBroker extends Broker {
  /** Where events are taken, with the real port; undefined before the first subscription. */
  readonly address: string | undefined;
  readonly stats: HttpBrokerStats;
}

/** Events that are being sent, in bytes of their bodies together and in number. */
const maxSendingBytes = 64 * 1024 * 1024;
const maxSending = 16_384;

/** Requests that come in, in bytes together. */
const defaultMaxReceivingBytes = 64 * 1024 * 1024;

/**
 * A broker with nothing in the middle: subscribers register themselves, and publishers post to them over
 * HTTP. It is go-micro's default broker, byte for byte, so Go and TypeScript services hear each other.
 *
 * A publication resolves when every subscriber outside a group that could be reached, and one member of each
 * group, has the event in its queue. What a subscriber has in its queue is handled with redelivery and dead
 * letters, and dies with its process.
 */
export function httpBroker(options: HttpBrokerOptions): HttpBroker {
  return new RegistryHttpBroker(options);
}

class RegistryHttpBroker implements HttpBroker, DeliveryHost {
  readonly name = "http";
  readonly guarantees: BrokerGuarantees;
  readonly logger: Logger;
  readonly closeGraceMs: number;
  readonly #options: HttpBrokerOptions;
  readonly #status = new BackendStatus();
  readonly #own = new OwnSubscriptions();
  readonly #directory: Directory;
  readonly #sender: Sender;
  readonly #publisher: Publisher;
  readonly #receiver: Receiver;
  readonly #unlisten: () => void;
  readonly #sending = new Set<Promise<void>>();
  #sendingBytes = 0;
  #published = 0;
  #listening: Promise<string> | undefined = undefined;
  #address: string | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;

  constructor(options: HttpBrokerOptions) {
    const { registry } = options;
    const maxEventBytes = options.maxEventBytes ?? defaultMaxEventBytes;
    this.guarantees = {
      delivery: "at-most-once",
      ordering: "none",
      durability: "none",
      queueGroups: true,
      redelivery: true,
      deadLetter: true,
      overflow: "drop",
      replay: false,
      maxEventBytes,
    };
    this.logger = options.logger ?? createLogger();
    this.closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
    this.#options = options;
    this.#directory = new Directory(registry, this.logger);
    this.#sender = new Sender({
      allowAddress: options.allowAddress ?? allowReachable,
      timeoutMs: options.sendTimeoutMs ?? 5_000,
    });
    this.#publisher = new Publisher({
      directory: this.#directory,
      sender: this.#sender,
      own: this.#own,
      logger: this.logger,
      lookupTimeoutMs: options.lookupTimeoutMs ?? 3_000,
    });
    this.#receiver = new Receiver({
      maxEventBytes,
      maxReceivingBytes: Math.max(defaultMaxReceivingBytes, 2 * maxEventBytes),
      maxConnections: options.maxConnections ?? 1_024,
      logger: this.logger,
      accept: (id, record) => this.#own.accept(id, record),
    });
    this.#follow(registry.state, undefined);
    this.#unlisten = registry.onStateChange((state, reason) => this.#follow(state, reason));
  }

  get state(): BackendState {
    return this.#status.state;
  }

  get address(): string | undefined {
    return this.#address;
  }

  get stats(): HttpBrokerStats {
    const { refused, droppedConnections } = this.#receiver.stats;
    return {
      published: this.#published,
      undelivered: this.#publisher.undelivered,
      refused,
      droppedConnections,
    };
  }

  onStateChange(listener: StateListener): () => void {
    return this.#status.onStateChange(listener);
  }

  async publish(topic: string, event: OutgoingEvent, options: PublishOptions = {}): Promise<void> {
    this.#check(`publish on ${topic}`, options.signal);
    const record = eventRecord(topic, event, options, this.guarantees.maxEventBytes);
    // A copy, because the publisher may go on writing to its buffer.
    await this.#send({ ...record, body: record.body.slice() }, cancellation(options));
  }

  async subscribe(
    topic: string,
    handler: EventHandler,
    options: SubscribeOptions = {},
  ): Promise<Subscription> {
    this.#check(`subscribe to ${topic}`, options.signal);
    const settings = deliverySettings(topic, options);
    if (settings.queue === broadcastVersion) {
      throw new MicroError(
        "invalid_argument",
        `queue ${broadcastVersion} is go-micro's word for no queue; take another name`,
        { outcome: "not-executed" },
      );
    }
    const { registry, advertise, maxPendingBytes } = this.#options;
    const address = await this.#listen();
    const deliveries = new DeliveryQueue(topic, maxPendingBytes ?? defaultMaxPendingBytes);
    const subscription = new DeliverySubscription(topic, handler, settings, deliveries, this);
    const { queue } = settings;
    const id = randomUUID();
    const own: OwnSubscription = { id, topic, queue, subscription, deliveries };
    this.#own.add(own);
    try {
      const node = subscriptionNode(id, topic, queue, advertisedAddress(address, advertise));
      own.registration = await registry.register(
        node,
        options.signal === undefined ? {} : { signal: options.signal },
      );
      this.#check(`subscribe to ${topic}`, options.signal);
    } catch (error) {
      await subscription.close();
      throw error;
    }
    if (options.signal !== undefined) subscription.closeOn(options.signal);
    return subscription;
  }

  publishDeadLetter(record: EventRecord): Promise<void> {
    return this.#send(record, undefined);
  }

  async detach(subscription: DeliverySubscription): Promise<void> {
    const own = this.#own.find(subscription);
    try {
      await own?.registration?.close();
    } catch (error) {
      this.logger.warn({ topic: subscription.topic, error }, "cannot deregister a subscription");
    }
  }

  forget(subscription: DeliverySubscription): void {
    const own = this.#own.find(subscription);
    if (own !== undefined) this.#own.remove(own);
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #send(record: EventRecord, signal: AbortSignal | undefined): Promise<void> {
    const bytes = record.body.length;
    const full = this.#sendingBytes + bytes > maxSendingBytes && this.#sending.size > 0;
    if (full || this.#sending.size >= maxSending) {
      throw new MicroError(
        "resource_exhausted",
        `cannot publish on ${record.topic}: ${this.#sending.size} events are being sent already; await some first`,
        { outcome: "not-executed" },
      );
    }
    const sending = this.#publisher.publish(record, signal);
    this.#sending.add(sending);
    this.#sendingBytes += bytes;
    try {
      await sending;
      this.#published++;
    } finally {
      this.#sending.delete(sending);
      this.#sendingBytes -= bytes;
    }
  }

  async #listen(): Promise<string> {
    this.#listening ??= this.#receiver.listen(this.#options.address ?? "127.0.0.1:0");
    try {
      this.#address = await this.#listening;
    } catch (error) {
      this.#listening = undefined;
      throw error;
    }
    return this.#address;
  }

  async #closeAll(): Promise<void> {
    await Promise.all(this.#own.all().map((own) => own.subscription.close()));
    await this.#finishSending();
    this.#unlisten();
    await Promise.all([this.#directory.close(), this.#sender.close()]);
    await this.#listening?.catch(() => {});
    await this.#receiver.close();
  }

  #finishSending(): Promise<void> {
    return new Promise((resolve) => {
      const grace = setTimeout(resolve, this.closeGraceMs);
      void Promise.allSettled(this.#sending).then(() => {
        clearTimeout(grace);
        resolve();
      });
    });
  }

  /** Without its registry the broker goes on with the subscribers that it last knew. */
  #follow(state: BackendState, reason: MicroError | undefined): void {
    this.#status.set(state === "healthy" ? "healthy" : "degraded", reason);
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
