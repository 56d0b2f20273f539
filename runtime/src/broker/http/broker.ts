import { randomUUID } from "node:crypto";
import { throwIfAborted, untilAborted } from "../../base/abort.ts";
import { advertisedAddress } from "../../base/advertised-address.ts";
import { type BackendState, BackendStatus, type StateListener } from "../../base/backend-state.ts";
import { Closable } from "../../base/closable.ts";
import { MicroError } from "../../base/error.ts";
import { createLogger, type Logger } from "../../base/logger.ts";
import {
  byteCount,
  callback,
  checkOptions,
  count,
  durationMs,
  flag,
  logger,
  required,
  text,
  texts,
} from "../../base/option-check.ts";
import { registry } from "../../base/option-kinds.ts";
import { PartLogger } from "../../base/part-logger.ts";
import { closeInOrder } from "../../base/settle-all.ts";
import type { Registry } from "../../registry/registry.ts";
import type {
  Broker,
  BrokerGuarantees,
  EventEntrance,
  EventHandler,
  OutgoingEvent,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "../broker.ts";
import { closeForCaller } from "../close-for-caller.ts";
import { DeliveryQueue, defaultMaxPendingBytes } from "../delivery-queue.ts";
import { deliverySettings } from "../delivery-settings.ts";
import { defaultMaxEventBytes, type EventRecord, eventRecord, withCancellation } from "../event.ts";
import {
  type DeliveryHost,
  defaultCloseGraceMs,
  LocalSubscription,
} from "../local-subscription.ts";
import { type AllowAddress, allowReachable } from "./allowed-addresses.ts";
import { Directory } from "./directory.ts";
import { EventLinks } from "./event-links.ts";
import { type HttpSubscription, HttpSubscriptions } from "./local-subscriptions.ts";
import type { PublicationHost } from "./publication.ts";
import { Publisher } from "./publisher.ts";
import { Receiver } from "./receiver.ts";
import { Sender } from "./sender.ts";
import { broadcastVersion, subscriptionNode } from "./subscriber-node.ts";

/** Options for {@link httpBroker}. */
export interface HttpBrokerOptions {
  /** Where subscribers are registered and discovered. Closing the broker does not close it. */
  readonly registry: Registry;
  /**
   * Listen address for events, used from the first subscription on. Default `127.0.0.1:0`, which
   * only this host can reach; use `0.0.0.0:0` to be reachable from other hosts.
   */
  readonly address?: string;
  /**
   * The address announced to publishers, with or without a port. Default: derived from `address`.
   */
  readonly advertise?: string;
  /**
   * Receives failing handlers, lost events and rejected records. Default: the service's logger, or
   * standard error without one.
   */
  readonly logger?: Logger;
  /**
   * Host names (`Host`) that publishers may use, without a port, in addition to `localhost` and
   * loopback addresses; `*` accepts every name. On a loopback address no other name is accepted;
   * elsewhere every name is, unless some are given.
   */
  readonly hosts?: readonly string[];
  /**
   * Whether events travel over one native connection instead of an HTTP request each, to and from
   * brokers that do so as well. Default true.
   */
  readonly native?: boolean;
  /** Maximum size of an event's body, in bytes, published or received. Default 4 MiB. */
  readonly maxEventBytes?: number;
  /** Maximum size of the bodies waiting for one subscription, in bytes in total. Default 64 MiB. */
  readonly maxPendingBytes?: number;
  /** Maximum number of concurrent connections from publishers. Default 1,024. */
  readonly maxConnections?: number;
  /** Time limit for sending an event to one subscriber, in milliseconds. Default 5,000. */
  readonly sendTimeoutMs?: number;
  /** How long the first publication waits for the registry, in milliseconds. Default 3,000. */
  readonly lookupTimeoutMs?: number;
  /** How long a closing subscription waits for its handlers, in milliseconds. Default 10,000. */
  readonly closeGraceMs?: number;
  /**
   * IP addresses that events may be sent to. Default: all except wildcard, multicast and link-local
   * addresses and those of cloud metadata services.
   */
  readonly allowAddress?: AllowAddress;
}

/** Counters of an HTTP broker. */
export interface HttpBrokerStats {
  /** Events published. */
  readonly published: number;
  /**
   * Events that a subscriber outside any group did not accept, because it was unreachable or had no
   * room.
   */
  readonly undelivered: number;
  /**
   * Requests rejected with an error: malformed, too large, not admitted, for an unknown
   * subscription, or no room.
   */
  readonly refused: number;
  /** Connections closed immediately because there were too many. */
  readonly droppedConnections: number;
}

/** The broker returned by {@link httpBroker}. */
export interface HttpBroker extends Broker {
  /** The listen address with the actual port; undefined before the first subscription. */
  readonly address: string | undefined;
  readonly stats: HttpBrokerStats;
}

/** Reached by this machine only. */
const defaultAddress = "127.0.0.1:0";

/** Limits on events being sent: the bytes of their bodies in total, and their number. */
const maxSendingBytes = 64 * 1024 * 1024;
const maxSending = 16_384;

/** Default limit on requests being received, in bytes in total. */
const defaultMaxReceivingBytes = 64 * 1024 * 1024;

/**
 * A broker without a server in the middle: subscribers register themselves, and publishers post to
 * them over HTTP. It is byte-compatible with go-micro's default broker, so Go and TypeScript
 * services receive each other's events.
 *
 * A publication resolves once every reachable subscriber outside a group, and one member of each
 * group, has the event in its queue. Queued events are handled with redelivery and dead letters,
 * and are lost when the subscriber's process exits.
 *
 * @example
 * ```ts
 * import { createService, httpBroker, memoryRegistry } from "@micro-es/runtime";
 *
 * const registry = memoryRegistry();
 * const broker = httpBroker({ registry, address: "0.0.0.0:0" });
 * const service = createService({ name: "stats", registry, broker });
 * ```
 */
export function httpBroker(options: HttpBrokerOptions): HttpBroker {
  checkOptions("httpBroker", options, {
    registry: required(registry),
    address: text,
    advertise: text,
    hosts: texts,
    native: flag,
    logger,
    maxEventBytes: byteCount,
    maxPendingBytes: byteCount,
    maxConnections: count,
    sendTimeoutMs: durationMs(1),
    lookupTimeoutMs: durationMs(1),
    closeGraceMs: durationMs(0),
    allowAddress: callback,
  });
  return new RegistryHttpBroker(options);
}

class RegistryHttpBroker extends Closable implements HttpBroker, DeliveryHost, PublicationHost {
  readonly name = "http";
  readonly guarantees: BrokerGuarantees;
  readonly entrance: EventEntrance;
  readonly logger: PartLogger;
  readonly closeGraceMs: number;
  readonly #options: HttpBrokerOptions;
  readonly #status = new BackendStatus();
  readonly #own = new HttpSubscriptions();
  readonly #directory: Directory;
  readonly #sender: Sender;
  readonly #links: EventLinks;
  readonly #publisher: Publisher;
  readonly #receiver: Receiver;
  readonly #unlisten: () => void;
  /** Events that are being sent, and the bytes of their bodies. */
  #sending = 0;
  #sendingBytes = 0;
  /** Publications that have not ended. */
  #publishing = 0;
  /** Called when the last publication has ended. */
  #onPublished: (() => void) | undefined = undefined;
  #published = 0;
  #listening: Promise<string> | undefined = undefined;
  #address: string | undefined = undefined;

  constructor(options: HttpBrokerOptions) {
    super();
    const { registry } = options;
    const maxEventBytes = options.maxEventBytes ?? defaultMaxEventBytes;
    this.guarantees = {
      delivery: "at-most-once",
      ordering: "none",
      durability: "none",
      queueGroups: true,
      redelivery: true,
      attempts: "process",
      unheard: "discarded",
      deadLetter: true,
      overflow: "drop",
      replay: false,
      maxEventBytes,
    };
    this.entrance = { address: options.address ?? defaultAddress };
    this.logger = new PartLogger(options.logger, createLogger());
    this.closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
    this.#options = options;
    this.#directory = new Directory(registry, this.logger);
    const timeoutMs = options.sendTimeoutMs ?? 5_000;
    this.#sender = new Sender({ allowAddress: options.allowAddress ?? allowReachable, timeoutMs });
    const { native = true } = options;
    this.#links = new EventLinks(this.#sender, timeoutMs);
    this.#publisher = new Publisher({
      directory: this.#directory,
      sender: this.#sender,
      links: native ? this.#links : undefined,
      own: this.#own,
      logger: this.logger,
      lookupTimeoutMs: options.lookupTimeoutMs ?? 3_000,
      host: this,
    });
    this.#receiver = new Receiver({
      maxEventBytes,
      maxReceivingBytes: Math.max(defaultMaxReceivingBytes, 2 * maxEventBytes),
      maxConnections: options.maxConnections ?? 1_024,
      logger: this.logger,
      hosts: options.hosts,
      native,
      own: this.#own,
    });
    this.#follow(registry.state, undefined);
    this.#unlisten = registry.onStateChange((state, reason) => this.#follow(state, reason));
  }

  useLogger(logger: Logger): void {
    this.logger.use(logger);
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

  publish(topic: string, event: OutgoingEvent, options?: PublishOptions): Promise<void> {
    try {
      this.#check("publish on", topic, options?.signal);
      const record = eventRecord(topic, event, options, this.guarantees.maxEventBytes, true);
      if (options?.signal === undefined && options?.context === undefined) {
        return this.#send(record, undefined);
      }
      return withCancellation(options, (signal) => this.#send(record, signal));
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
    if (settings.queue === broadcastVersion) {
      throw new MicroError(
        "invalid_argument",
        `queue ${broadcastVersion} is go-micro's word for no queue; take another name`,
        { outcome: "not-executed" },
      );
    }
    const { registry, advertise, maxPendingBytes, native = true } = this.#options;
    const address = await untilAborted(this.#listen(), options.signal);
    this.#check("subscribe to", topic, options.signal);
    const deliveries = new DeliveryQueue(topic, maxPendingBytes ?? defaultMaxPendingBytes);
    const subscription = new LocalSubscription(topic, handler, settings, deliveries, this);
    const { queue } = settings;
    const id = randomUUID();
    const setUp = new AbortController();
    const { admit } = options;
    const own: HttpSubscription = { id, topic, queue, subscription, deliveries, admit, setUp };
    this.#own.add(own);
    subscription.closeOn(options.signal);
    try {
      const reached = advertisedAddress(address, advertise);
      const node = subscriptionNode(id, topic, queue, reached, native);
      own.registering = registry.register(node, { signal: setUp.signal });
      await untilAborted(own.registering, options.signal);
      this.#check("subscribe to", topic, options.signal);
    } catch (error) {
      const closing = subscription.close();
      // An abort is reported immediately; the handlers of a closing subscription may use the whole
      // grace period.
      if (options.signal?.aborted !== true) await closing;
      throw error;
    }
    return subscription;
  }

  async publishDeadLetter(record: EventRecord): Promise<void> {
    await this.#send(record, undefined);
  }

  async detach(subscription: LocalSubscription): Promise<void> {
    const own = this.#own.find(subscription);
    own?.setUp.abort(
      new MicroError("unavailable", `the subscription to ${subscription.topic} was closed`, {
        outcome: "not-executed",
      }),
    );
    // subscribe() reports a failed registration.
    const registration = await own?.registering?.catch(() => undefined);
    try {
      await registration?.close();
    } catch (error) {
      this.logger.warn({ topic: subscription.topic, error }, "cannot deregister a subscription");
    }
  }

  forget(subscription: LocalSubscription): void {
    const own = this.#own.find(subscription);
    if (own !== undefined) this.#own.remove(own);
  }

  override close(): Promise<void> {
    const closing = super.close();
    const subscriptions = this.#own.all().map((own) => own.subscription);
    return closeForCaller(closing, subscriptions, this.logger);
  }

  publicationEnded(succeeded: boolean): void {
    if (succeeded) this.#published++;
    if (--this.#publishing === 0) this.#onPublished?.();
  }

  eventReleased(record: EventRecord): void {
    this.#sending--;
    this.#sendingBytes -= record.body.length;
  }

  #send(record: EventRecord, signal: AbortSignal | undefined): Promise<void> {
    const bytes = record.body.length;
    const full = this.#sendingBytes + bytes > maxSendingBytes && this.#sending > 0;
    if (full || this.#sending >= maxSending) {
      throw new MicroError(
        "resource_exhausted",
        `cannot publish on ${record.topic}: ${this.#sending} events are being sent already; await some first`,
        { outcome: "not-executed" },
      );
    }
    this.#publishing++;
    this.#sending++;
    this.#sendingBytes += bytes;
    return this.#publisher.publish(record, signal);
  }

  async #listen(): Promise<string> {
    this.#listening ??= this.#receiver.listen(this.entrance.address);
    try {
      this.#address = await this.#listening;
    } catch (error) {
      this.#listening = undefined;
      throw error;
    }
    return this.#address;
  }

  protected override async closeOnce(): Promise<void> {
    await closeInOrder(
      () => Promise.all(this.#own.all().map((own) => own.subscription.closeCompletely())),
      () => this.#finishSending(),
      () => this.#unlisten(),
      () => Promise.all([this.#directory.close(), this.#links.close()]),
      () => this.#sender.close(),
      () => this.#listening?.catch(() => {}),
      () => this.#receiver.close(),
    );
  }

  async #finishSending(): Promise<void> {
    if (this.#publishing === 0) return;
    await new Promise<void>((resolve) => {
      const grace = setTimeout(resolve, this.closeGraceMs);
      this.#onPublished = () => {
        clearTimeout(grace);
        resolve();
      };
    });
  }

  /** While the registry is unavailable, the broker keeps using the last known subscribers. */
  #follow(state: BackendState, reason: MicroError | undefined): void {
    this.#status.set(state === "healthy" ? "healthy" : "degraded", reason);
  }

  #check(what: string, topic: string, signal: AbortSignal | undefined): void {
    if (this.isClosing) {
      throw new MicroError("unavailable", `cannot ${what} ${topic}: the broker is closed`, {
        outcome: "not-executed",
      });
    }
    throwIfAborted(signal);
  }
}
